/* SPDX-License-Identifier: Apache-2.0 */
/* Response codes and the frozen exit statuses: the codes were measured on a TPM (sealing, 7.1). */
#include <criterion/criterion.h>
#include <tss2/tss2_tpm2_types.h>

#include "lib/tpm-error.h"

Test(tpm_error, measured_codes_have_their_status)
{
	static const struct {
		TSS2_RC rc;
		enum kt_code code;
	} cases[] = {
		{0x99d, KT_E_POLICY}, /* POLICY_FAIL, session 1 */
		{0x9a2, KT_E_PIN},    /* BAD_AUTH, session 1 */
		{0x98e, KT_E_PIN},    /* AUTH_FAIL, session 1 */
		{0x921, KT_E_LOCKOUT},
		{0x1df, KT_E_WRONG_TPM}, /* INTEGRITY, parameter 1 */
		{0x126, KT_E_REVOKED},
		{0x2db, KT_E_POLICY}, /* SIGNATURE, parameter 2 */
		{0x1d5, KT_E_INPUT},
		{0x907, KT_E_POLICY}, /* LOCALITY */
		{0x12f, KT_E_REFUSED},
		{0x902, KT_E_BUSY},
		{0x903, KT_E_BUSY},
		{0x905, KT_E_BUSY},
		{0x922, KT_E_BUSY},
		{0x901, KT_E_BUSY},
		{0x128, KT_E_BUSY},
		{0x18b, KT_E_NOT_PROVISIONED},
		{0x100, KT_E_TPM},
		{0x101, KT_E_TPM},
		{TSS2_TCTI_RC_IO_ERROR, KT_E_TPM},
		{TSS2_TCTI_RC_NO_CONNECTION, KT_E_TPM},
		{TSS2_ESYS_RC_RSP_AUTH_FAILED, KT_E_REFUSED},
		{TSS2_ESYS_RC_BAD_SEQUENCE, KT_E_REFUSED},
		{TSS2_MU_RC_INSUFFICIENT_BUFFER, KT_E_REFUSED},
		{TSS2_ESYS_RC_BAD_VALUE, KT_E_INTERNAL},
		{TSS2_RESMGR_TPM_RC_LAYER | 0x902, KT_E_BUSY},
		{TSS2_RESMGR_RC_LAYER | 0x903, KT_E_BUSY},
	};
	struct kt_error e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(kt_fail_tss(&e, cases[i].rc, "TPM2_Unseal"), -1);
		cr_expect_eq(e.code, cases[i].code, "0x%08x: %d", cases[i].rc, e.code);
		cr_expect(strstr(e.msg, "TPM2_Unseal") != NULL, "%s", e.msg);
	}
}

Test(tpm_error, only_what_passes_is_temporary)
{
	static const TSS2_RC passing[] = {
		0x902, 0x903, 0x905, 0x922, 0x90a, 0x908, TSS2_RESMGR_TPM_RC_LAYER | 0x902};
	static const TSS2_RC lasting[] = {0, 0x99d, 0x921, 0x1df, TSS2_TCTI_RC_IO_ERROR, 0x128};

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		cr_expect(kt_rc_is_temporary(passing[i]), "0x%08x", passing[i]);
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		cr_expect_not(kt_rc_is_temporary(lasting[i]), "0x%08x", lasting[i]);
}

Test(tpm_error, base_drops_the_place_and_keeps_other_layers)
{
	cr_expect_eq(kt_rc_base(0x99d), TPM2_RC_POLICY_FAIL);
	cr_expect_eq(kt_rc_base(0x1df), TPM2_RC_INTEGRITY);
	cr_expect_eq(kt_rc_base(0x2db), TPM2_RC_SIGNATURE);
	cr_expect_eq(kt_rc_base(0x921), TPM2_RC_LOCKOUT);
	cr_expect_eq(kt_rc_base(TSS2_ESYS_RC_MEMORY), TSS2_ESYS_RC_MEMORY);
}
