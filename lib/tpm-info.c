/* SPDX-License-Identifier: Apache-2.0 */
/* Capability queries, one value at a time: they serve `doctor` and error texts, where speed is
 * nothing. */
#include "lib/tpm-info.h"

#include "lib/tpm-internal.h"

/* More handles of one kind than this are simply "many". */
#define HANDLES_ASKED 254

static int get_capability(struct kt_tpm *tpm, TPM2_CAP capability, UINT32 property, UINT32 count,
	TPMS_CAPABILITY_DATA **ret_data, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TPMI_YES_NO more;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_GetCapability(kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			capability, property, count, &more, ret_data);
	while (kt_tpm_retry(tpm, &retry, rc));
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "TPM2_GetCapability");
}

int kt_tpm_property(struct kt_tpm *tpm, TPM2_PT property, UINT32 *ret_value, struct kt_error *e)
{
	auto_esys TPMS_CAPABILITY_DATA *data = NULL;

	if (get_capability(tpm, TPM2_CAP_TPM_PROPERTIES, property, 1, &data, e) < 0)
		return -1;
	if (data->data.tpmProperties.count < 1 ||
		data->data.tpmProperties.tpmProperty[0].property != property)
		return kt_fail(e, KT_E_TPM, "the TPM does not have property 0x%08x", property);
	*ret_value = data->data.tpmProperties.tpmProperty[0].value;
	return 0;
}

int kt_tpm_has_command(struct kt_tpm *tpm, TPM2_CC command, bool *ret_has, struct kt_error *e)
{
	auto_esys TPMS_CAPABILITY_DATA *data = NULL;

	if (get_capability(tpm, TPM2_CAP_COMMANDS, command, 1, &data, e) < 0)
		return -1;
	*ret_has = data->data.command.count >= 1 &&
		   (data->data.command.commandAttributes[0] & TPMA_CC_COMMANDINDEX_MASK) == command;
	return 0;
}

int kt_tpm_handles(
	struct kt_tpm *tpm, TPM2_HANDLE first, TPML_HANDLE *ret_handles, struct kt_error *e)
{
	auto_esys TPMS_CAPABILITY_DATA *data = NULL;

	if (get_capability(tpm, TPM2_CAP_HANDLES, first, HANDLES_ASKED, &data, e) < 0)
		return -1;
	*ret_handles = data->data.handles;
	return 0;
}

int kt_tpm_count_handles(
	struct kt_tpm *tpm, TPM2_HANDLE first, UINT32 *ret_count, struct kt_error *e)
{
	TPML_HANDLE handles;

	if (kt_tpm_handles(tpm, first, &handles, e) < 0)
		return -1;
	*ret_count = handles.count;
	return 0;
}

int kt_tpm_audited_commands(struct kt_tpm *tpm, TPML_CC *ret_commands, struct kt_error *e)
{
	auto_esys TPMS_CAPABILITY_DATA *data = NULL;

	if (get_capability(tpm, TPM2_CAP_AUDIT_COMMANDS, TPM2_CC_FIRST, TPM2_MAX_CAP_CC, &data, e) <
		0)
		return -1;
	*ret_commands = data->data.auditCommands;
	return 0;
}

int kt_tpm_has_aes_cfb(struct kt_tpm *tpm, bool *ret_has, struct kt_error *e)
{
	const TPMT_PUBLIC_PARMS aes = {
		.type = TPM2_ALG_SYMCIPHER,
		.parameters.symDetail.sym =
			{
				.algorithm = TPM2_ALG_AES,
				.keyBits.aes = 128,
				.mode.aes = TPM2_ALG_CFB,
			},
	};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_TestParms(
			kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &aes);
	while (kt_tpm_retry(tpm, &retry, rc));
	*ret_has = rc == TSS2_RC_SUCCESS;
	if (rc != TSS2_RC_SUCCESS && (rc & TSS2_RC_LAYER_MASK) != TSS2_TPM_RC_LAYER)
		return kt_fail_tss(e, rc, "TPM2_TestParms");
	return 0;
}

int kt_tpm_tries_left(
	struct kt_tpm *tpm, UINT32 *ret_tries, UINT32 *ret_interval, struct kt_error *e)
{
	UINT32 failed, most, interval;

	if (kt_tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER, &failed, e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_MAX_AUTH_FAIL, &most, e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_LOCKOUT_INTERVAL, &interval, e) < 0)
		return -1;
	*ret_tries = failed < most ? most - failed : 0;
	*ret_interval = interval;
	return 0;
}
