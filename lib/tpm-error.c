/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a response code means to the person who reads it (Part 2, 6.6.3 TPM_RC).
 */
#include "lib/tpm-error.h"

#include <stddef.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

#define FMT1_ERROR_MASK (TPM2_RC_FMT1 | 0x3f)
#define CODE_MASK 0xfff

static const struct {
	TSS2_RC rc;
	enum kt_code code;
	const char *sentence;
} meanings[] = {
	{TPM2_RC_POLICY_FAIL, KT_E_POLICY,
		"policy not satisfied: the machine's state or an "
		"authorisation is not what the object demands"},
	{TPM2_RC_AUTH_FAIL, KT_E_PIN, "wrong PIN or authorisation value"},
	{TPM2_RC_BAD_AUTH, KT_E_PIN, "wrong authorisation value"},
	{TPM2_RC_LOCKOUT, KT_E_LOCKOUT,
		"the TPM is in dictionary-attack lockout; wait for the "
		"recovery time, or clear it with 'tpm2_dictionarylockout --clear-lockout "
		"--auth=file:LOCKOUT-AUTH' (a wrong one locks that out too)"},
	{TPM2_RC_INTEGRITY, KT_E_WRONG_TPM, "not made by this TPM's storage key, or damaged"},
	{TPM2_RC_SIGNATURE, KT_E_POLICY, "the policy's signature does not verify"},
	{TPM2_RC_POLICY, KT_E_REVOKED,
		"a counter or clock condition of the policy no longer holds"},
	{TPM2_RC_LOCALITY, KT_E_POLICY, "the policy asks for another locality"},
	{TPM2_RC_AUTH_UNAVAILABLE, KT_E_REFUSED, "the object cannot be used this way"},
	{TPM2_RC_SIZE, KT_E_INPUT, "the TPM finds a size wrong"},
	{TPM2_RC_PCR_CHANGED, KT_E_BUSY,
		"PCRs kept changing while the policy was checked; try again"},
	{TPM2_RC_OBJECT_MEMORY, KT_E_BUSY,
		"no free transient object slot in the TPM; use a resource "
		"manager (/dev/tpmrm0 or tpm2-abrmd), or free some with 'tpm2_flushcontext -t'"},
	{TPM2_RC_SESSION_MEMORY, KT_E_BUSY,
		"no free session memory in the TPM; use a resource manager "
		"(/dev/tpmrm0 or tpm2-abrmd), or free some with 'tpm2_flushcontext -l'"},
	{TPM2_RC_MEMORY, KT_E_BUSY, "the TPM is out of memory"},
	{TPM2_RC_SESSION_HANDLES, KT_E_BUSY,
		"no free session handle in the TPM; free some with "
		"'tpm2_flushcontext -l -s'"},
	{TPM2_RC_OBJECT_HANDLES, KT_E_BUSY, "no free object handle in the TPM"},
	{TPM2_RC_CONTEXT_GAP, KT_E_BUSY,
		"saved sessions are too far apart; free old ones with "
		"'tpm2_flushcontext -s'"},
	{TPM2_RC_RETRY, KT_E_BUSY, "the TPM is busy"},
	{TPM2_RC_YIELDED, KT_E_BUSY, "the TPM is busy"},
	{TPM2_RC_TESTING, KT_E_BUSY, "the TPM is testing itself"},
	{TPM2_RC_NV_RATE, KT_E_BUSY, "the TPM limits the rate of NV writes; try again later"},
	{TPM2_RC_NV_UNAVAILABLE, KT_E_BUSY, "the TPM's NV memory is not available now"},
	{TPM2_RC_INITIALIZE, KT_E_TPM,
		"the TPM was not started (TPM2_Startup is the firmware's or "
		"the resource manager's task)"},
	{TPM2_RC_FAILURE, KT_E_TPM, "the TPM is in failure mode; a power cycle may help"},
	{TPM2_RC_COMMAND_CODE, KT_E_TPM, "the TPM does not have this command"},
	{TPM2_RC_CURVE, KT_E_TPM, "the TPM does not support P-256"},
	{TPM2_RC_SYMMETRIC, KT_E_TPM, "the TPM does not support AES-128-CFB here"},
	{TPM2_RC_HANDLE, KT_E_NOT_PROVISIONED, "nothing at this handle"},
	{TSS2_ESYS_RC_RSP_AUTH_FAILED, KT_E_REFUSED,
		"the TPM's response was tampered with on its way"},
	{TSS2_ESYS_RC_MALFORMED_RESPONSE, KT_E_REFUSED, "the TPM's response is malformed"},
	{TSS2_SYS_RC_MALFORMED_RESPONSE, KT_E_REFUSED, "the TPM's response is malformed"},
	{TSS2_TCTI_RC_MALFORMED_RESPONSE, KT_E_REFUSED, "the TPM's response is malformed"},
	/* ESYS stops being usable after a response it cannot parse; we never call it out of order.
	 */
	{TSS2_ESYS_RC_BAD_SEQUENCE, KT_E_REFUSED, "the TPM's response is malformed"},
	{TSS2_ESYS_RC_MEMORY, KT_E_INTERNAL, "out of memory"},
};

TSS2_RC kt_rc_base(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER &&
		layer != TSS2_RESMGR_RC_LAYER)
		return rc;
	if ((rc & TPM2_RC_FMT1) != 0)
		return rc & FMT1_ERROR_MASK;
	return rc & CODE_MASK;
}

bool kt_rc_is_temporary(TSS2_RC rc)
{
	switch (kt_rc_base(rc)) {
	case TPM2_RC_RETRY:
	case TPM2_RC_YIELDED:
	case TPM2_RC_TESTING:
	case TPM2_RC_OBJECT_MEMORY:
	case TPM2_RC_SESSION_MEMORY:
	case TPM2_RC_MEMORY:
	case TPM2_RC_SESSION_HANDLES:
	case TPM2_RC_OBJECT_HANDLES:
	case TPM2_RC_CONTEXT_GAP:
	case TPM2_RC_NV_RATE:
	case TPM2_RC_NV_UNAVAILABLE:
		return true;
	default:
		return false;
	}
}

static enum kt_code code_of_layer(TSS2_RC rc)
{
	switch (rc & TSS2_RC_LAYER_MASK) {
	case TSS2_TCTI_RC_LAYER:
		return KT_E_TPM;
	case TSS2_MU_RC_LAYER: /* unmarshalling what the TPM answered */
		return KT_E_REFUSED;
	case TSS2_TPM_RC_LAYER:
	case TSS2_RESMGR_RC_LAYER:
	case TSS2_RESMGR_TPM_RC_LAYER:
		return KT_E_INTERNAL;
	default:
		/* ESYS and SYS pass the transport's errors on under their own layer. */
		return (rc & 0xffff) == TSS2_BASE_RC_IO_ERROR ||
				       (rc & 0xffff) == TSS2_BASE_RC_NO_CONNECTION
			       ? KT_E_TPM
			       : KT_E_INTERNAL;
	}
}

int kt_fail_tss(struct kt_error *e, TSS2_RC rc, const char *command)
{
	TSS2_RC base = kt_rc_base(rc);
	enum kt_code code;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].rc == base)
			return kt_fail(e, meanings[i].code, "%s (%s: 0x%08x, %s)",
				meanings[i].sentence, command, rc, Tss2_RC_Decode(rc));
	code = code_of_layer(rc);
	return kt_fail(e, code, "%s (%s: 0x%08x, %s)",
		code == KT_E_TPM ? "cannot talk to the TPM" : "the TPM refused", command, rc,
		Tss2_RC_Decode(rc));
}
