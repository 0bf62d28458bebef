/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy commands in TSS2 key files. The draft wants the command's parameters as the TPM takes them
 * ("command body"), with two exceptions of its own; we write that. What is read besides:
 *
 * - PolicyPCR: openssl_tpm2_engine writes TPML_PCR_SELECTION and then the digest without its size,
 *   the order of the policy hash. The first two octets tell: there they belong to a count of at
 *   most 16, here they are a digest size, and if that is 0 (pcr-oracle: whatever the PCRs hold
 *   now) the count that follows would be beyond all bounds.
 * - PolicyCounterTimer: openssl_tpm2_engine writes the operand without its size. Operands have the
 *   width of a field of TPMS_TIME_INFO here, so that the two forms differ in length.
 *
 * Each form must use up every octet. A list of PCRs is read here rather than by libtss2-mu, for
 * the bounds on what foreign files say.
 */
#include "lib/tss2key-policy.h"

#include <string.h>

#include <tss2/tss2_mu.h>

#include "lib/tpm-public.h"

/* TPMS_TIME_INFO (Part 2, 10.7.2), which PolicyCounterTimer compares with. */
#define TIME_INFO_SIZE 25

/* What is left of the octets. The take functions say whether there was enough. */
struct rest {
	const uint8_t *data;
	size_t len;
};

static bool take(struct rest *in, void *ret_data, size_t len)
{
	if (len > in->len)
		return false;
	memcpy(ret_data, in->data, len);
	in->data += len;
	in->len -= len;
	return true;
}

static bool take_u16(struct rest *in, UINT16 *ret_value)
{
	uint8_t octets[2];

	if (!take(in, octets, sizeof(octets)))
		return false;
	*ret_value = (UINT16)(octets[0] << 8 | octets[1]);
	return true;
}

static bool take_u32(struct rest *in, UINT32 *ret_value)
{
	UINT16 high, low;

	if (!take_u16(in, &high) || !take_u16(in, &low))
		return false;
	*ret_value = (UINT32)high << 16 | low;
	return true;
}

/* A TPM2B whose buffer has `max` octets. */
static bool take_2b(struct rest *in, UINT16 *ret_size, void *ret_buffer, size_t max)
{
	return take_u16(in, ret_size) && *ret_size <= max && take(in, ret_buffer, *ret_size);
}

/* Part 2, 10.9.7. A list without banks binds nothing and would make the two forms ambiguous. */
static bool take_selection(struct rest *in, TPML_PCR_SELECTION *ret_list)
{
	if (!take_u32(in, &ret_list->count) || ret_list->count == 0 ||
		ret_list->count > TPM2_NUM_PCR_BANKS)
		return false;
	for (UINT32 i = 0; i < ret_list->count; i++) {
		TPMS_PCR_SELECTION *bank = &ret_list->pcrSelections[i];

		if (!take_u16(in, &bank->hash) || !take(in, &bank->sizeofSelect, 1) ||
			bank->sizeofSelect > sizeof(bank->pcrSelect) ||
			!take(in, bank->pcrSelect, bank->sizeofSelect))
			return false;
	}
	return true;
}

static bool decode_pcr_body(struct rest in, size_t digest_size, struct kt_policy_step *ret_step)
{
	TPM2B_DIGEST *digest = &ret_step->pcr.digest;

	memset(&ret_step->pcr, 0, sizeof(ret_step->pcr));
	return take_2b(&in, &digest->size, digest->buffer, sizeof(digest->buffer)) &&
	       (digest->size == 0 || digest->size == digest_size) &&
	       take_selection(&in, &ret_step->pcr.selection) && in.len == 0;
}

static bool decode_pcr_hash_order(
	struct rest in, size_t digest_size, struct kt_policy_step *ret_step)
{
	TPM2B_DIGEST *digest = &ret_step->pcr.digest;

	memset(&ret_step->pcr, 0, sizeof(ret_step->pcr));
	digest->size = (UINT16)digest_size;
	return take_selection(&in, &ret_step->pcr.selection) &&
	       take(&in, digest->buffer, digest_size) && in.len == 0;
}

static bool decode_pcr(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	size_t digest_size = kt_hash_size(name_alg);

	return digest_size != 0 && (decode_pcr_body(in, digest_size, ret_step) ||
					   decode_pcr_hash_order(in, digest_size, ret_step));
}

/* TPML_DIGEST: each branch is a digest of the policy's hash. */
static bool decode_or(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	TPML_DIGEST *branches = &ret_step->branches;

	if (!take_u32(&in, &branches->count) || branches->count < 2 ||
		branches->count > sizeof(branches->digests) / sizeof(branches->digests[0]))
		return false;
	for (UINT32 i = 0; i < branches->count; i++) {
		TPM2B_DIGEST *digest = &branches->digests[i];

		if (!take_2b(&in, &digest->size, digest->buffer, sizeof(digest->buffer)) ||
			digest->size == 0 || digest->size != kt_hash_size(name_alg))
			return false;
	}
	return in.len == 0;
}

static bool decode_nothing(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	(void)name_alg;
	(void)ret_step;
	return in.len == 0;
}

static bool decode_command_code(
	struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	(void)name_alg;
	return take_u32(&in, &ret_step->command_code) && in.len == 0;
}

static bool decode_locality(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	(void)name_alg;
	return take(&in, &ret_step->locality, 1) && in.len == 0;
}

/* offset ‖ operation, and what the TPM itself would refuse (Part 3, 23.10). */
static bool take_comparison(struct rest *in, struct kt_policy_step *ret_step)
{
	return take_u16(in, &ret_step->counter.offset) &&
	       take_u16(in, &ret_step->counter.operation) &&
	       ret_step->counter.operation <= TPM2_EO_BITCLEAR &&
	       (size_t)ret_step->counter.operand.size + ret_step->counter.offset <=
		       TIME_INFO_SIZE &&
	       in->len == 0;
}

/* time and clock; resetCount and restartCount; safe. */
static bool is_field_width(size_t size)
{
	return size == 8 || size == 4 || size == 1;
}

static bool decode_counter(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	TPM2B_OPERAND *operand = &ret_step->counter.operand;

	(void)name_alg;
	if (in.len > 4 && is_field_width(in.len - 4))
		operand->size = (UINT16)(in.len - 4);
	else if (!take_u16(&in, &operand->size) || !is_field_width(operand->size))
		return false;
	return take(&in, operand->buffer, operand->size) && take_comparison(&in, ret_step);
}

/* The draft's exception: handle hint ‖ TPM2B_NAME ‖ TPM2B_DIGEST policyRef. */
static bool decode_secret(struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	TPM2B_NAME *name = &ret_step->secret.name;
	TPM2B_NONCE *ref = &ret_step->secret.ref;

	(void)name_alg;
	return take_u32(&in, &ret_step->secret.hint) &&
	       take_2b(&in, &name->size, name->name, sizeof(name->name)) && name->size != 0 &&
	       take_2b(&in, &ref->size, ref->buffer, sizeof(ref->buffer)) && in.len == 0;
}

/* TPM2B_PUBLIC with its size. */
static bool take_public(struct rest *in, TPM2B_PUBLIC *ret_public)
{
	struct rest ahead = *in;
	struct kt_error ignored;
	UINT16 size;

	if (!take_u16(&ahead, &size) || size > ahead.len ||
		kt_public_unmarshal(in->data, 2 + (size_t)size, ret_public, &ignored) < 0)
		return false;
	in->data += 2 + (size_t)size;
	in->len -= 2 + (size_t)size;
	return true;
}

/* The algorithms that TPM2_VerifySignature takes with a public key, or none yet. libtss2-mu does
 * not reliably refuse the others. */
static bool take_signature(struct rest *in, TPMT_SIGNATURE *ret_signature)
{
	struct rest ahead = *in;
	size_t offset = 0;
	TPM2_ALG_ID alg;

	if (!take_u16(&ahead, &alg))
		return false;
	if (alg != TPM2_ALG_NULL && alg != TPM2_ALG_RSASSA && alg != TPM2_ALG_RSAPSS &&
		alg != TPM2_ALG_ECDSA)
		return false;
	if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(in->data, in->len, &offset, ret_signature) !=
		TSS2_RC_SUCCESS)
		return false;
	in->data += offset;
	in->len -= offset;
	return true;
}

/* The draft's other exception: TPM2B_PUBLIC keySign ‖ TPM2B_DIGEST policyRef ‖ TPMT_SIGNATURE. */
static bool decode_authorize(
	struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step)
{
	TPM2B_NONCE *ref = &ret_step->authorize.ref;

	(void)name_alg;
	return take_public(&in, &ret_step->authorize.key) &&
	       take_2b(&in, &ref->size, ref->buffer, sizeof(ref->buffer)) &&
	       take_signature(&in, &ret_step->authorize.signature) && in.len == 0;
}

int kt_tss2key_decode_command(uint32_t code, const uint8_t *data, size_t len,
	TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step, struct kt_error *e)
{
	static const struct {
		TPM2_CC code;
		bool (*decode)(
			struct rest in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step);
	} commands[] = {
		{TPM2_CC_PolicyPCR, decode_pcr},
		{TPM2_CC_PolicyOR, decode_or},
		{TPM2_CC_PolicyAuthValue, decode_nothing},
		{TPM2_CC_PolicyPassword, decode_nothing},
		{TPM2_CC_PolicyCommandCode, decode_command_code},
		{TPM2_CC_PolicyLocality, decode_locality},
		{TPM2_CC_PolicyCounterTimer, decode_counter},
		{TPM2_CC_PolicySecret, decode_secret},
		{TPM2_CC_PolicyAuthorize, decode_authorize},
	};
	struct kt_policy_step step;

	memset(&step, 0, sizeof(step));
	step.command = code;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].code != code)
			continue;
		if (!commands[i].decode((struct rest){data, len}, name_alg, &step))
			return kt_fail(
				e, KT_E_INPUT, "%s is damaged", kt_policy_command_name(code));
		*ret_step = step;
		return 0;
	}
	return kt_fail(e, KT_E_INPUT, "policy command 0x%x has no defined form", code);
}

/* Octets written so far; the buffer has KT_TSS2KEY_COMMAND_MAX, more than any step can need. */
struct out {
	uint8_t *data;
	size_t len;
};

static void put(struct out *out, const void *data, size_t len)
{
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

static void put_u16(struct out *out, UINT16 value)
{
	uint8_t octets[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(out, octets, sizeof(octets));
}

static void put_u32(struct out *out, UINT32 value)
{
	put_u16(out, (UINT16)(value >> 16));
	put_u16(out, (UINT16)value);
}

static int put_2b(struct out *out, UINT16 size, const void *buffer, size_t max, struct kt_error *e)
{
	if (size > max)
		return kt_fail(e, KT_E_INTERNAL, "buffer of %u bytes in a policy", size);
	put_u16(out, size);
	put(out, buffer, size);
	return 0;
}

static int encode_pcr(const struct kt_policy_step *step, struct out *out, struct kt_error *e)
{
	const TPML_PCR_SELECTION *list = &step->pcr.selection;
	const TPM2B_DIGEST *digest = &step->pcr.digest;

	if (put_2b(out, digest->size, digest->buffer, sizeof(digest->buffer), e) < 0)
		return -1;
	if (list->count == 0 || list->count > TPM2_NUM_PCR_BANKS)
		return kt_fail(e, KT_E_INTERNAL, "PolicyPCR with %u banks", list->count);
	put_u32(out, list->count);
	for (UINT32 i = 0; i < list->count; i++) {
		const TPMS_PCR_SELECTION *bank = &list->pcrSelections[i];

		if (bank->sizeofSelect > sizeof(bank->pcrSelect))
			return kt_fail(
				e, KT_E_INTERNAL, "PCR selection of %u octets", bank->sizeofSelect);
		put_u16(out, bank->hash);
		put(out, &bank->sizeofSelect, 1);
		put(out, bank->pcrSelect, bank->sizeofSelect);
	}
	return 0;
}

static int encode_or(const struct kt_policy_step *step, struct out *out, struct kt_error *e)
{
	const TPML_DIGEST *branches = &step->branches;

	if (branches->count < 2 ||
		branches->count > sizeof(branches->digests) / sizeof(branches->digests[0]))
		return kt_fail(e, KT_E_INTERNAL, "PolicyOR with %u branches", branches->count);
	put_u32(out, branches->count);
	for (UINT32 i = 0; i < branches->count; i++)
		if (put_2b(out, branches->digests[i].size, branches->digests[i].buffer,
			    sizeof(branches->digests[i].buffer), e) < 0)
			return -1;
	return 0;
}

static int encode_counter(const struct kt_policy_step *step, struct out *out, struct kt_error *e)
{
	const TPM2B_OPERAND *operand = &step->counter.operand;

	if (!is_field_width(operand->size))
		return kt_fail(e, KT_E_INTERNAL, "PolicyCounterTimer with an operand of %u bytes",
			operand->size);
	if (put_2b(out, operand->size, operand->buffer, sizeof(operand->buffer), e) < 0)
		return -1;
	put_u16(out, step->counter.offset);
	put_u16(out, step->counter.operation);
	return 0;
}

static int encode_secret(const struct kt_policy_step *step, struct out *out, struct kt_error *e)
{
	const TPM2B_NAME *name = &step->secret.name;
	const TPM2B_NONCE *ref = &step->secret.ref;

	put_u32(out, step->secret.hint);
	if (put_2b(out, name->size, name->name, sizeof(name->name), e) < 0)
		return -1;
	return put_2b(out, ref->size, ref->buffer, sizeof(ref->buffer), e);
}

static int encode_authorize(const struct kt_policy_step *step, struct out *out, struct kt_error *e)
{
	const TPM2B_NONCE *ref = &step->authorize.ref;
	uint8_t data[sizeof(TPM2B_PUBLIC) > sizeof(TPMT_SIGNATURE) ? sizeof(TPM2B_PUBLIC)
								   : sizeof(TPMT_SIGNATURE)];
	size_t len = 0;

	if (kt_public_marshal(&step->authorize.key, data, &len, e) < 0)
		return -1;
	put(out, data, len);
	if (put_2b(out, ref->size, ref->buffer, sizeof(ref->buffer), e) < 0)
		return -1;
	len = 0;
	if (Tss2_MU_TPMT_SIGNATURE_Marshal(&step->authorize.signature, data, sizeof(data), &len) !=
		TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "policy signature cannot be marshalled");
	put(out, data, len);
	return 0;
}

int kt_tss2key_encode_command(
	const struct kt_policy_step *step, uint8_t *ret_data, size_t *ret_len, struct kt_error *e)
{
	struct out out = {ret_data, 0};
	int r = 0;

	switch (step->command) {
	case TPM2_CC_PolicyPCR:
		r = encode_pcr(step, &out, e);
		break;
	case TPM2_CC_PolicyOR:
		r = encode_or(step, &out, e);
		break;
	case TPM2_CC_PolicyAuthValue:
	case TPM2_CC_PolicyPassword:
		break;
	case TPM2_CC_PolicyCommandCode:
		put_u32(&out, step->command_code);
		break;
	case TPM2_CC_PolicyLocality:
		put(&out, &step->locality, 1);
		break;
	case TPM2_CC_PolicyCounterTimer:
		r = encode_counter(step, &out, e);
		break;
	case TPM2_CC_PolicySecret:
		r = encode_secret(step, &out, e);
		break;
	case TPM2_CC_PolicyAuthorize:
		r = encode_authorize(step, &out, e);
		break;
	default:
		return kt_fail(
			e, KT_E_INTERNAL, "policy command 0x%x has no defined form", step->command);
	}
	if (r == 0)
		*ret_len = out.len;
	return r;
}
