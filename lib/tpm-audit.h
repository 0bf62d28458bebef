/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command audit (Part 1, chapter 32; Part 3, 18.6 TPM2_GetCommandAuditDigest, 21.2
 * TPM2_SetCommandCodeAuditStatus) and the attestation key that signs for it.
 *
 * The attestation key is a primary of the endorsement hierarchy: it comes back with the same Name
 * after TPM2_Clear, and the TPM tells it its true counts of resets and restarts.
 */
#ifndef KT_LIB_TPM_AUDIT_H
#define KT_LIB_TPM_AUDIT_H

#include "lib/attest.h"
#include "lib/tpm-child.h"

/* In the range that the TCG gives to the endorsement hierarchy. */
#define KT_AK_HANDLE ((TPM2_HANDLE)0x81010100)

/* A signed attestation as the TPM made it. */
struct kt_tpm_attest {
	uint8_t data[KT_ATTEST_MAX_BYTES];
	size_t len;
	uint8_t signature[KT_AUDIT_POINT_BYTES]; /* r ‖ s; zeros if nobody signed */
};

/* What a command of the TPM answered; `signature` NULL: nobody signed. KT_E_REFUSED if it is not
 * signed on P-256. */
KT_CHECKED int kt_tpm_take_attest(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
	struct kt_tpm_attest *ret_attest, struct kt_error *e);

/* The key at KT_AK_HANDLE: two TPM commands at most. KT_E_NOT_PROVISIONED if there is none,
 * KT_E_REFUSED if it is not of our template. */
KT_CHECKED int kt_tpm_ak_load(struct kt_tpm *tpm, struct kt_parent *ret_ak,
	uint8_t ret_point[KT_AUDIT_POINT_BYTES], struct kt_error *e);

/* The same, made and made persistent if it is not there. Authorisation values of the hierarchies:
 * NULL if empty. */
KT_CHECKED int kt_tpm_ak_provision(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, const struct kt_secret *endorsement_auth,
	struct kt_parent *ret_ak, uint8_t ret_point[KT_AUDIT_POINT_BYTES], struct kt_error *e);

/* Attests the audit digest, and starts it anew; with `ak` NULL only looks at it, and nothing
 * changes. One TPM command. */
KT_CHECKED int kt_tpm_audit_digest(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_parent *ak, const struct kt_secret *endorsement_auth,
	const uint8_t qualifying[KT_SHA256_BYTES], struct kt_tpm_attest *ret_attest,
	struct kt_error *e);

/* What TPM2_SetCommandCodeAuditStatus gets: an algorithm alone, or lists alone with
 * TPM2_ALG_NULL. */
struct kt_tpm_audit_change {
	TPMI_ALG_HASH alg;
	TPML_CC set, clear;
};
#define KT_TPM_AUDIT_RAW_MAX 256
/* Its parameters as they cross the wire: KT_TPM_AUDIT_RAW_MAX bytes at most. */
KT_CHECKED int kt_tpm_audit_change_marshal(const struct kt_tpm_audit_change *change,
	uint8_t ret_raw[KT_TPM_AUDIT_RAW_MAX], size_t *ret_len, struct kt_error *e);
KT_CHECKED int kt_tpm_audit_change(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, const struct kt_tpm_audit_change *change,
	struct kt_error *e);

/* resetCount, restartCount and clock as they are (Part 3, 29.1); the counter is not touched. */
KT_CHECKED int kt_tpm_read_counts(
	struct kt_tpm *tpm, struct kt_audit_counts *ret_counts, struct kt_error *e);

/* TPM2_CertifyCreation (Part 3, 18.3) of a loaded key, which needs no authorisation of it. */
KT_CHECKED int kt_tpm_certify_creation(struct kt_tpm *tpm, const struct kt_parent *ak,
	ESYS_TR object, const struct kt_tpm_creation *creation,
	const uint8_t qualifying[KT_SHA256_BYTES], struct kt_tpm_attest *ret_attest,
	struct kt_error *e);

#endif
