/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Salted, encrypting sessions (Part 3, 11.1 TPM2_StartAuthSession).
 */
#include "lib/tpm-session.h"

#include "lib/tpm-internal.h"

static const TPMT_SYM_DEF parameter_encryption = {
	.algorithm = TPM2_ALG_AES,
	.keyBits.aes = 128,
	.mode.aes = TPM2_ALG_CFB,
};

int kt_session_start(struct kt_tpm *tpm, const struct kt_parent *salt, enum kt_session_kind kind,
	enum kt_session_use use, TPMI_ALG_HASH alg, ESYS_TR *ret_session, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	ESYS_TR session = ESYS_TR_NONE;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_StartAuthSession(kt_tpm_esys(tpm), salt->handle, ESYS_TR_NONE,
			ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, (TPM2_SE)kind,
			&parameter_encryption, alg, &session);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_StartAuthSession");
	if (kt_tpm_track(tpm, session, e) < 0)
		return -1;
	rc = Esys_TRSess_SetAttributes(kt_tpm_esys(tpm), session, (TPMA_SESSION)use, 0xff);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_TRSess_SetAttributes");
	*ret_session = session;
	return 0;
}

void kt_session_end(struct kt_tpm *tpm, ESYS_TR session, TSS2_RC rc)
{
	if (rc == TSS2_RC_SUCCESS)
		kt_tpm_forget(tpm, session);
	else
		kt_tpm_flush(tpm, session);
}
