/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cryptography of a kms-tpm record: from an identifier to the HMAC's input, from the HMAC's
 * output and the pepper to that record's key, and from the key to the ciphertext and back. Nothing
 * here knows which TPM computes the HMAC. Pure (OpenSSL).
 *
 *	input	 = SHA-256(label, cluster, key_id, identifier; a 32-bit length before each)
 *	key	 = HKDF-SHA256(HMAC(input) ‖ pepper, info: label ‖ identifier)
 *	content	 = HKDF-Expand(key, info: label) = AES-256-GCM key ‖ associated data
 *	record	 = IV ‖ ciphertext ‖ tag
 */
#ifndef KT_LIB_KMS_RECORD_H
#define KT_LIB_KMS_RECORD_H

#include <openssl/evp.h>

#include "lib/error.h"
#include "lib/kms-input.h"
#include "lib/secret.h"
#include "lib/tpm-public.h"

#define KT_RECORD_HMAC_BYTES 32
#define KT_RECORD_KEY_BYTES 32
#define KT_RECORD_OVERHEAD_BYTES 28 /* IV and tag */

/* format byte ‖ RFC 7638 thumbprint of the recovery key ‖ ephemeral point x ‖ y ‖ wrapped key */
#define KT_RECORD_RECOVERY_BYTES (1 + 32 + 64 + 40)

/* Permanent names. */
#define KT_RECORD_ANNOTATION_ID "id.kubetpm.internal"
#define KT_RECORD_ANNOTATION_RECOVERY "recovery.kubetpm.internal"

/* A fresh identifier. */
KT_CHECKED int kt_record_new_id(uint8_t ret_id[KT_RECORD_ID_BYTES], struct kt_error *e);

/* Secrets are written into what the caller has: locking memory anew for each record would take
 * longer than all that is computed here. */

/* The record's key, into `key`, which has room for KT_RECORD_KEY_BYTES. */
KT_CHECKED int kt_record_key(const uint8_t hmac[KT_RECORD_HMAC_BYTES],
	const struct kt_secret *pepper, const uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *key,
	struct kt_error *e);

/* `bound` (may be empty) is authenticated with the record: the recovery annotation. `ret_record`
 * has room for `len` + KT_RECORD_OVERHEAD_BYTES. */
KT_CHECKED int kt_record_seal(const struct kt_secret *key, struct kt_span bound,
	const void *plaintext, size_t len, uint8_t *ret_record, struct kt_error *e);

/* The way back, into `plaintext`. KT_E_REFUSED if anything was changed, or it has no room: it is
 * empty then. */
KT_CHECKED int kt_record_open(const struct kt_secret *key, struct kt_span bound,
	const uint8_t *record, size_t len, struct kt_secret *plaintext, struct kt_error *e);

/* Wraps the record's key to an offline public key (ECDH-ES+A256KW on P-256). */
KT_CHECKED int kt_record_wrap(EVP_PKEY *recovery, const struct kt_secret *key,
	uint8_t ret_wrapped[KT_RECORD_RECOVERY_BYTES], struct kt_error *e);

/* With the private key. KT_E_INPUT if malformed, for another key, or changed. */
KT_CHECKED int kt_record_unwrap(EVP_PKEY *private_key, const uint8_t *wrapped, size_t len,
	struct kt_secret **ret_key, struct kt_error *e);

#endif
