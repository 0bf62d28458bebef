/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the TPM hashes when it audits a command, recomputed from what crossed the wire (TPM 2.0
 * Part 1, chapter 32, and 18.7 cpHash, 18.8 rpHash), and the hashes of the log itself
 * (kubetpm-formats(5), Audit log). Pure; no TPM library, so that an examiner needs none.
 */
#ifndef KT_LIB_AUDIT_HASH_H
#define KT_LIB_AUDIT_HASH_H

#include "lib/audit-record.h"
#include "lib/sha256.h"

#define KT_AUDIT_NAME_BYTES 34 /* 000b and a SHA-256 */

/* Audited commands. */
#define KT_AUDIT_CC_SET 0x140u /* TPM2_SetCommandCodeAuditStatus */
#define KT_AUDIT_CC_HMAC 0x155u
#define KT_AUDIT_CC_SIGN 0x15du

/* head = H(head ‖ line) */
void kt_audit_chain(uint8_t head[KT_SHA256_BYTES], const char *line, size_t len);

/* digest = H(digest ‖ cpHash ‖ rpHash); the digest of nothing is 32 zero bytes. */
void kt_audit_extend(uint8_t digest[KT_SHA256_BYTES], const uint8_t cp_hash[KT_SHA256_BYTES],
	const uint8_t rp_hash[KT_SHA256_BYTES]);

/* TPM2_HMAC of 32 bytes with hashAlg TPM_ALG_NULL, and its answer of 32 bytes. */
void kt_audit_cp_hmac(const uint8_t name[KT_AUDIT_NAME_BYTES], const uint8_t input[KT_SHA256_BYTES],
	uint8_t ret_hash[KT_SHA256_BYTES]);
void kt_audit_rp_hmac(const uint8_t output[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES]);

/* TPM2_Sign of a digest, scheme TPM_ALG_NULL, null ticket; an ECDSA signature with SHA-256. */
void kt_audit_cp_sign(const uint8_t name[KT_AUDIT_NAME_BYTES],
	const uint8_t digest[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES]);
void kt_audit_rp_sign(
	const uint8_t signature[KT_AUDIT_POINT_BYTES], uint8_t ret_hash[KT_SHA256_BYTES]);

/* TPM2_SetCommandCodeAuditStatus by the owner, `raw` its parameters. */
void kt_audit_cp_set(const void *raw, size_t len, uint8_t ret_hash[KT_SHA256_BYTES]);
void kt_audit_rp_set(uint8_t ret_hash[KT_SHA256_BYTES]);

/* TPM2_StirRandom (Part 3, 16.2) of what a session is bound to, and its answer. */
void kt_audit_cp_stir(const uint8_t qualifying[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES]);
void kt_audit_rp_stir(uint8_t ret_hash[KT_SHA256_BYTES]);

/* commandDigest of the set that every log has: HMAC, Sign and the command that changes the set. */
void kt_audit_command_digest(uint8_t ret_digest[KT_SHA256_BYTES]);

/* The identifier of a record that is made now. */
void kt_audit_record_id(const uint8_t head[KT_SHA256_BYTES], const uint8_t random[KT_SHA256_BYTES],
	uint8_t ret_id[KT_SHA256_BYTES]);

/* qualifyingData of a checkpoint, and of a key's TPM2_CertifyCreation. */
void kt_audit_qualify(const char *nonce, size_t nonce_len, const uint8_t head[KT_SHA256_BYTES],
	uint8_t ret_data[KT_SHA256_BYTES]);
void kt_audit_qualify_key(
	const char *cluster, const char *key_id, uint8_t ret_data[KT_SHA256_BYTES]);

/* Name of an object from its TPMT_PUBLIC with nameAlg SHA-256, and qualified Name of a primary of
 * the endorsement hierarchy. */
void kt_audit_name(const void *public, size_t len, uint8_t ret_name[KT_AUDIT_NAME_BYTES]);
void kt_audit_endorsement_name(
	const uint8_t name[KT_AUDIT_NAME_BYTES], uint8_t ret_qualified[KT_AUDIT_NAME_BYTES]);

#endif
