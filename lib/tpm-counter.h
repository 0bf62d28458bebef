/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session audit (Part 1, chapter 17) and the counter that makes it complete (lib/audit-counter.h),
 * for chips without command audit.
 *
 * Audit session and policy session are unsalted and have no authorisation value, so that their
 * HMACs are empty (Part 1, 19.6.5) and nothing has to be computed on this side.
 */
#ifndef KT_LIB_TPM_COUNTER_H
#define KT_LIB_TPM_COUNTER_H

#include <tss2/tss2_sys.h>

#include "lib/tpm-audit.h"

/* A session whose digest has the commands that were given it since it was new. */
struct kt_tpm_audit_session {
	ESYS_TR session;
	TPM2_HANDLE handle;
	bool is_new; /* the next command starts its digest at zeros */
};

/* One TPM command. Flushed by kt_tpm_close(). */
KT_CHECKED int kt_tpm_audit_session_start(
	struct kt_tpm *tpm, struct kt_tpm_audit_session *ret_session, struct kt_error *e);
/* What a command gives as its session for auditing. */
TPMS_AUTH_COMMAND kt_tpm_audit_session_auth(const struct kt_tpm_audit_session *session);

/* What a session's attestation is asked with. Borrowed. */
struct kt_tpm_audit_vouch {
	const struct kt_parent *srk, *ak;
	const struct kt_secret *endorsement_auth; /* NULL if empty */
	bool counts;				  /* with the use counter */
	uint8_t qualifying[KT_SHA256_BYTES];
};

/* Closes the session's digest with TPM2_StirRandom of the qualifying data and, if it counts, the
 * reading of the counter (else *ret_uses is 0), attests it (TPM2_GetSessionAuditDigest, Part 3,
 * 18.5), and has it start anew with the next command. Two TPM commands, four more for the counter.
 */
KT_CHECKED int kt_tpm_audit_session_vouch(struct kt_tpm *tpm, struct kt_tpm_audit_session *session,
	const struct kt_tpm_audit_vouch *vouch, uint64_t *ret_uses,
	struct kt_tpm_attest *ret_attest, struct kt_error *e);

/* Makes the counter and begins it at zero, unless it is there. KT_E_REFUSED if the index is
 * somebody else's, KT_E_PIN if the owner's authorisation value is wrong, KT_E_TPM if the TPM has no
 * such indices. */
KT_CHECKED int kt_tpm_counter_make(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, struct kt_error *e);
/* Is it there? KT_E_NOT_PROVISIONED, KT_E_REFUSED. One TPM command. */
KT_CHECKED int kt_tpm_counter_check(struct kt_tpm *tpm, struct kt_error *e);

/* How many uses it counted; audited by `audit`, unless NULL. Four TPM commands. */
KT_CHECKED int kt_tpm_counter_read(struct kt_tpm *tpm, struct kt_tpm_audit_session *audit,
	uint64_t *ret_uses, struct kt_error *e);

/* A policy session without salt. One TPM command. */
KT_CHECKED int kt_tpm_policy_session(
	struct kt_tpm *tpm, ESYS_TR *ret_session, TPM2_HANDLE *ret_handle, struct kt_error *e);

/* TPM2_PolicySecret on the counter, which counts; once, without retrying. */
TSS2_RC kt_tpm_counter_policy(TSS2_SYS_CONTEXT *sys, TPM2_HANDLE policy_session);

#endif
