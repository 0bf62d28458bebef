/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy digests, computed as the TPM does it: TPM 2.0 Part 3, chapter 23, with the helper
 * PolicyUpdate() of Part 3, 23.2.3. Whether a policy is satisfied is for the TPM alone to say; a
 * wrong digest here only makes an object that cannot be used.
 */
#include "lib/policy.h"

#include <string.h>

#include <tss2/tss2_mu.h>

#include "lib/tpm-public.h"

static void put_u16(uint8_t out[2], UINT16 value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put_u32(uint8_t out[4], UINT32 value)
{
	put_u16(out, (UINT16)(value >> 16));
	put_u16(out + 2, (UINT16)value);
}

static int check_digest(TPMI_ALG_HASH alg, const TPM2B_DIGEST *digest, struct kt_error *e)
{
	if (kt_hash_size(alg) == 0 || digest->size != kt_hash_size(alg))
		return kt_fail(e, KT_E_INTERNAL, "policy digest of %u bytes for hash 0x%04x",
			digest->size, alg);
	return 0;
}

/* digest = H(digest ‖ code ‖ argument) */
static int extend(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPM2_CC code, const void *argument,
	size_t len, struct kt_error *e)
{
	uint8_t code_octets[4];
	struct kt_span spans[] = {
		{digest->buffer, digest->size},
		{code_octets, sizeof(code_octets)},
		{argument, len},
	};

	if (check_digest(alg, digest, e) < 0)
		return -1;
	put_u32(code_octets, code);
	return kt_hash(alg, spans, 3, digest, e);
}

/* Part 3, 23.2.3 PolicyUpdate(): digest = H(H(digest ‖ code ‖ name) ‖ ref), the second hash also
 * where ref is empty. */
static int update(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPM2_CC code, const TPM2B_NAME *name,
	const TPM2B_NONCE *ref, struct kt_error *e)
{
	struct kt_span spans[] = {
		{digest->buffer, 0},
		{ref->buffer, ref->size},
	};

	if (name->size > sizeof(name->name) || ref->size > sizeof(ref->buffer))
		return kt_fail(e, KT_E_INTERNAL, "oversized Name or policy reference");
	if (extend(alg, digest, code, name->name, name->size, e) < 0)
		return -1;
	spans[0].len = digest->size;
	return kt_hash(alg, spans, 2, digest, e);
}

/* The commands that replace what came before start over from zeros. */
static int reset(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, struct kt_error *e)
{
	if (check_digest(alg, digest, e) < 0)
		return -1;
	memset(digest->buffer, 0, digest->size);
	return 0;
}

int kt_policy_start(TPMI_ALG_HASH alg, TPM2B_DIGEST *ret_digest, struct kt_error *e)
{
	size_t size = kt_hash_size(alg);

	if (size == 0)
		return kt_fail(e, KT_E_INPUT, "unknown policy hash algorithm 0x%04x", alg);
	memset(ret_digest, 0, sizeof(*ret_digest));
	ret_digest->size = (UINT16)size;
	return 0;
}

/* 23.7 TPM2_PolicyPCR */
int kt_policy_extend_pcr(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPML_PCR_SELECTION *selection, const TPM2B_DIGEST *pcr_digest, struct kt_error *e)
{
	uint8_t argument[sizeof(TPML_PCR_SELECTION) + sizeof(pcr_digest->buffer)];
	size_t len = 0;

	if (check_digest(alg, pcr_digest, e) < 0)
		return -1;
	if (selection->count > TPM2_NUM_PCR_BANKS ||
		Tss2_MU_TPML_PCR_SELECTION_Marshal(selection, argument, sizeof(argument), &len) !=
			TSS2_RC_SUCCESS ||
		len > sizeof(TPML_PCR_SELECTION))
		return kt_fail(e, KT_E_INTERNAL, "PCR selection cannot be marshalled");
	memcpy(argument + len, pcr_digest->buffer, pcr_digest->size);
	return extend(alg, digest, TPM2_CC_PolicyPCR, argument, len + pcr_digest->size, e);
}

/* 23.17 TPM2_PolicyAuthValue. 23.18 TPM2_PolicyPassword extends with the same command code. */
int kt_policy_extend_auth_value(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, struct kt_error *e)
{
	return extend(alg, digest, TPM2_CC_PolicyAuthValue, "", 0, e);
}

/* 23.11 TPM2_PolicyCommandCode */
int kt_policy_extend_command_code(
	TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPM2_CC code, struct kt_error *e)
{
	uint8_t argument[4];

	put_u32(argument, code);
	return extend(alg, digest, TPM2_CC_PolicyCommandCode, argument, sizeof(argument), e);
}

/* 23.8 TPM2_PolicyLocality */
int kt_policy_extend_locality(
	TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPMA_LOCALITY locality, struct kt_error *e)
{
	return extend(alg, digest, TPM2_CC_PolicyLocality, &locality, 1, e);
}

/* 23.10 TPM2_PolicyCounterTimer: the argument is itself a digest, H(operandB ‖ offset ‖ operation).
 */
int kt_policy_extend_counter_timer(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPM2B_OPERAND *operand, UINT16 offset, TPM2_EO operation, struct kt_error *e)
{
	uint8_t numbers[4];
	struct kt_span spans[] = {
		{operand->buffer, operand->size},
		{numbers, sizeof(numbers)},
	};
	TPM2B_DIGEST argument;

	if (operand->size > sizeof(operand->buffer))
		return kt_fail(e, KT_E_INTERNAL, "operand of %u bytes", operand->size);
	put_u16(numbers, offset);
	put_u16(numbers + 2, operation);
	if (check_digest(alg, digest, e) < 0 || kt_hash(alg, spans, 2, &argument, e) < 0)
		return -1;
	return extend(alg, digest, TPM2_CC_PolicyCounterTimer, argument.buffer, argument.size, e);
}

/* 23.4 TPM2_PolicySecret */
int kt_policy_extend_secret(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, const TPM2B_NAME *name,
	const TPM2B_NONCE *ref, struct kt_error *e)
{
	return update(alg, digest, TPM2_CC_PolicySecret, name, ref, e);
}

/* 23.16 TPM2_PolicyAuthorize */
int kt_policy_extend_authorize(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, const TPM2B_NAME *key_name,
	const TPM2B_NONCE *ref, struct kt_error *e)
{
	if (reset(alg, digest, e) < 0)
		return -1;
	return update(alg, digest, TPM2_CC_PolicyAuthorize, key_name, ref, e);
}

/* 23.6 TPM2_PolicyOR */
int kt_policy_extend_or(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, const TPM2B_DIGEST *branches,
	size_t count, struct kt_error *e)
{
	uint8_t argument[8 * sizeof(TPMU_HA)];
	size_t len = 0;

	if (count < 2 || count > 8)
		return kt_fail(e, KT_E_INPUT, "PolicyOR takes 2 to 8 branches, not %zu", count);
	for (size_t i = 0; i < count; i++) {
		if (check_digest(alg, &branches[i], e) < 0)
			return -1;
		memcpy(argument + len, branches[i].buffer, branches[i].size);
		len += branches[i].size;
	}
	if (reset(alg, digest, e) < 0)
		return -1;
	return extend(alg, digest, TPM2_CC_PolicyOR, argument, len, e);
}

static int extend_authorize_step(TPMI_ALG_HASH alg, const struct kt_policy_step *step,
	TPM2B_DIGEST *digest, struct kt_error *e)
{
	TPM2B_NAME name;

	if (kt_public_name(&step->authorize.key, &name, e) < 0)
		return kt_wrap(e, "signer of the policy");
	return kt_policy_extend_authorize(alg, digest, &name, &step->authorize.ref, e);
}

static int extend_step(TPMI_ALG_HASH alg, const struct kt_policy_step *step, TPM2B_DIGEST *digest,
	struct kt_error *e)
{
	switch (step->command) {
	case TPM2_CC_PolicyPCR:
		if (step->pcr.digest.size != kt_hash_size(alg))
			return kt_fail(e, KT_E_INPUT,
				"PolicyPCR has no digest that would say "
				"which PCR values it expects");
		return kt_policy_extend_pcr(
			alg, digest, &step->pcr.selection, &step->pcr.digest, e);
	case TPM2_CC_PolicyOR:
		return kt_policy_extend_or(
			alg, digest, step->branches.digests, step->branches.count, e);
	case TPM2_CC_PolicyAuthValue:
	case TPM2_CC_PolicyPassword:
		return kt_policy_extend_auth_value(alg, digest, e);
	case TPM2_CC_PolicyCommandCode:
		return kt_policy_extend_command_code(alg, digest, step->command_code, e);
	case TPM2_CC_PolicyLocality:
		return kt_policy_extend_locality(alg, digest, step->locality, e);
	case TPM2_CC_PolicyCounterTimer:
		return kt_policy_extend_counter_timer(alg, digest, &step->counter.operand,
			step->counter.offset, step->counter.operation, e);
	case TPM2_CC_PolicySecret:
		return kt_policy_extend_secret(
			alg, digest, &step->secret.name, &step->secret.ref, e);
	case TPM2_CC_PolicyAuthorize:
		return extend_authorize_step(alg, step, digest, e);
	default:
		return kt_fail(e, KT_E_INPUT, "unknown policy command 0x%03x", step->command);
	}
}

int kt_policy_digest(TPMI_ALG_HASH alg, const struct kt_policy *policy, TPM2B_DIGEST *ret_digest,
	struct kt_error *e)
{
	TPM2B_DIGEST digest;

	if (policy->count > KT_POLICY_STEPS_MAX)
		return kt_fail(e, KT_E_INTERNAL, "policy of %zu steps", policy->count);
	if (kt_policy_start(alg, &digest, e) < 0)
		return -1;
	for (size_t i = 0; i < policy->count; i++)
		if (extend_step(alg, &policy->steps[i], &digest, e) < 0)
			return -1;
	*ret_digest = digest;
	return 0;
}

const char *kt_policy_command_name(TPM2_CC command)
{
	static const struct {
		TPM2_CC command;
		const char *name;
	} names[] = {
		{TPM2_CC_PolicyPCR, "PolicyPCR"},
		{TPM2_CC_PolicyOR, "PolicyOR"},
		{TPM2_CC_PolicyAuthValue, "PolicyAuthValue"},
		{TPM2_CC_PolicyPassword, "PolicyPassword"},
		{TPM2_CC_PolicyCommandCode, "PolicyCommandCode"},
		{TPM2_CC_PolicyLocality, "PolicyLocality"},
		{TPM2_CC_PolicyCounterTimer, "PolicyCounterTimer"},
		{TPM2_CC_PolicySecret, "PolicySecret"},
		{TPM2_CC_PolicyAuthorize, "PolicyAuthorize"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].command == command)
			return names[i].name;
	return "unknown";
}
