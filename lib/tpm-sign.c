/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-sign.h"

#include <string.h>

#include "lib/tpm-internal.h"
#include "lib/tpm-policy.h"

/* The audit hashes what crossed the wire, and an examiner knows of numbers of 32 bytes only: what
 * Part 1, C.8 demands of a TPM. */
static int take_signature(const TPMT_SIGNATURE *signature,
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	const TPMS_SIGNATURE_ECC *ecc = &signature->signature.ecdsa;
	const size_t half = KT_AUDIT_POINT_BYTES / 2;

	if (signature->sigAlg != TPM2_ALG_ECDSA || ecc->signatureR.size != half ||
		ecc->signatureS.size != half)
		return kt_fail(e, KT_E_REFUSED, "the TPM's signature is not ECDSA on P-256");
	memcpy(ret_signature, ecc->signatureR.buffer, half);
	memcpy(ret_signature + half, ecc->signatureS.buffer, half);
	return 0;
}

int kt_tpm_sign(struct kt_tpm *tpm, const struct kt_parent *srk, ESYS_TR key,
	const struct kt_policy *policy, const uint8_t digest[KT_SHA256_BYTES],
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};
	const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
	const struct kt_policy_auth auth = {0};
	TPM2B_DIGEST data = {.size = KT_SHA256_BYTES};
	auto_esys TPMT_SIGNATURE *signature = NULL;
	struct kt_tpm_retry retry = {0};
	ESYS_TR session;
	TSS2_RC rc;

	memcpy(data.buffer, digest, KT_SHA256_BYTES);
	if (kt_session_start(tpm, srk, KT_SESSION_POLICY, KT_SESSION_AUTH_ONLY, TPM2_ALG_SHA256,
		    &session, e) < 0)
		return -1;
	if (kt_tpm_run_policy(tpm, session, srk, policy, &auth, e) < 0) {
		kt_tpm_flush(tpm, session);
		return -1;
	}
	do
		rc = Esys_Sign(kt_tpm_esys(tpm), key, session, ESYS_TR_NONE, ESYS_TR_NONE, &data,
			&own_scheme, &no_ticket, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_Sign");
	return take_signature(signature, ret_signature, e);
}

/* A last step that counts is not sent again. */
static int run_policy(struct kt_tpm *tpm, TSS2_SYS_CONTEXT *sys, ESYS_TR session,
	TPM2_HANDLE handle, const struct kt_policy *policy, struct kt_error *e)
{
	const struct kt_policy_auth no_auth = {0};
	struct kt_policy before = *policy;
	TSS2_RC rc;

	if (policy->steps[policy->count - 1].command != TPM2_CC_PolicySecret)
		return kt_tpm_run_policy(tpm, session, NULL, policy, &no_auth, e);
	before.count--;
	if (kt_tpm_run_policy(tpm, session, NULL, &before, &no_auth, e) < 0)
		return -1;
	rc = kt_tpm_counter_policy(sys, handle);
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "TPM2_PolicySecret");
}

static TSS2_RC call_sign(TSS2_SYS_CONTEXT *sys, TPM2_HANDLE key, TPM2_HANDLE session,
	const struct kt_tpm_audit_session *audit, const uint8_t digest[KT_SHA256_BYTES],
	TPMT_SIGNATURE *ret_signature)
{
	const TSS2L_SYS_AUTH_COMMAND auth = {
		.count = 2,
		.auths = {{.sessionHandle = session, .nonce.size = KT_SHA256_BYTES / 2},
			kt_tpm_audit_session_auth(audit)},
	};
	const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};
	const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	TPM2B_DIGEST data = {.size = KT_SHA256_BYTES};

	memcpy(data.buffer, digest, KT_SHA256_BYTES);
	return Tss2_Sys_Sign(
		sys, key, &auth, &data, &own_scheme, &no_ticket, ret_signature, &answer);
}

int kt_tpm_sign_in_session(struct kt_tpm *tpm, ESYS_TR key, const struct kt_policy *policy,
	struct kt_tpm_audit_session *audit, const uint8_t digest[KT_SHA256_BYTES],
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	TPM2_HANDLE key_handle, handle;
	TPMT_SIGNATURE signature = {0};
	struct kt_tpm_retry retry = {0};
	TSS2_SYS_CONTEXT *sys;
	ESYS_TR session;
	TSS2_RC rc;

	if (Esys_GetSysContext(kt_tpm_esys(tpm), &sys) != TSS2_RC_SUCCESS ||
		Esys_TR_GetTpmHandle(kt_tpm_esys(tpm), key, &key_handle) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "no handle of the key");
	if (kt_tpm_policy_session(tpm, &session, &handle, e) < 0)
		return -1;
	if (run_policy(tpm, sys, session, handle, policy, e) < 0) {
		kt_tpm_flush(tpm, session);
		return -1;
	}
	do
		rc = call_sign(sys, key_handle, handle, audit, digest, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_Sign");
	audit->is_new = false;
	return take_signature(&signature, ret_signature, e);
}
