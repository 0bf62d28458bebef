/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's steps as an examiner gets to see them: the bytes that the TPM hashes. */
#include <string.h>

#include <tss2/tss2_mu.h>

#include "lib/policy.h"
#include "lib/tpm-public.h"

struct argument {
	uint8_t *bytes;
	size_t len;
	bool failed;
};

static void put(struct argument *a, const void *data, size_t len)
{
	if (len > KT_POLICY_ARGUMENT_MAX - a->len) {
		a->failed = true;
		return;
	}
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static void put_pcr(struct argument *a, const struct kt_policy_step *step)
{
	if (Tss2_MU_TPML_PCR_SELECTION_Marshal(&step->pcr.selection, a->bytes,
		    KT_POLICY_ARGUMENT_MAX, &a->len) != TSS2_RC_SUCCESS)
		a->failed = true;
	put(a, step->pcr.digest.buffer, step->pcr.digest.size);
}

static int put_authorize(struct argument *a, const struct kt_policy_step *step, struct kt_error *e)
{
	TPM2B_NAME name;

	if (kt_public_name(&step->authorize.key, &name, e) < 0)
		return -1;
	put(a, name.name, name.size);
	put(a, step->authorize.ref.buffer, step->authorize.ref.size);
	return 0;
}

int kt_policy_step_argument(const struct kt_policy_step *step,
	uint8_t ret_argument[KT_POLICY_ARGUMENT_MAX], size_t *ret_len, struct kt_error *e)
{
	const TPM2_CC code = step->command_code;
	const uint8_t octets[] = {
		(uint8_t)(code >> 24), (uint8_t)(code >> 16), (uint8_t)(code >> 8), (uint8_t)code};
	struct argument a = {ret_argument, 0, false};

	switch (step->command) {
	case TPM2_CC_PolicyPCR:
		put_pcr(&a, step);
		break;
	case TPM2_CC_PolicyOR:
		for (size_t i = 0; i < step->branches.count; i++)
			put(&a, step->branches.digests[i].buffer, step->branches.digests[i].size);
		break;
	case TPM2_CC_PolicyAuthorize:
		if (put_authorize(&a, step, e) < 0)
			return -1;
		break;
	case TPM2_CC_PolicySecret:
		put(&a, step->secret.name.name, step->secret.name.size);
		put(&a, step->secret.ref.buffer, step->secret.ref.size);
		break;
	case TPM2_CC_PolicyCommandCode:
		put(&a, octets, sizeof(octets));
		break;
	default:
		a.failed = true;
	}
	if (a.failed)
		return kt_fail(e, KT_E_INPUT, "a policy with %s cannot be shown to an examiner",
			kt_policy_command_name(step->command));
	*ret_len = a.len;
	return 0;
}
