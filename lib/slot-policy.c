/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a slot's policy, their JSON, and the policy steps and digest that follow from them.
 */
#include "lib/slot-policy.h"

#include <string.h>

#include "lib/approval.h"
#include "lib/hex.h"
#include "lib/jwk.h"

bool kt_slot_policy_is_empty(const struct kt_slot_policy *words)
{
	return kt_pcr_is_empty(&words->pcrs) && !words->pin && !words->is_signed;
}

int kt_slot_policy_steps(
	const struct kt_slot_policy *words, struct kt_policy *ret_policy, struct kt_error *e)
{
	struct kt_policy_step *step = ret_policy->steps;

	if (!kt_pcr_is_empty(&words->pcrs)) {
		step->command = TPM2_CC_PolicyPCR;
		kt_pcr_to_tpml(&words->pcrs, &step->pcr.selection);
		if (kt_pcr_digest(&words->pcrs, KT_SLOT_POLICY_ALG, &step->pcr.digest, e) < 0)
			return -1;
		step++;
	}
	if (words->is_signed) {
		TPM2B_PUBLIC signer;

		kt_signer_public_of_point(words->signer, &signer);
		kt_approval_step(&signer, words->approved_for, step);
		step++;
	}
	if (words->pin) {
		step->command = TPM2_CC_PolicyAuthValue;
		step++;
	}
	ret_policy->count = (size_t)(step - ret_policy->steps);
	return 0;
}

int kt_slot_policy_digest(
	const struct kt_slot_policy *words, TPM2B_DIGEST *ret_digest, struct kt_error *e)
{
	struct kt_policy policy = {0};

	if (kt_slot_policy_is_empty(words)) {
		ret_digest->size = 0;
		return 0;
	}
	if (kt_slot_policy_steps(words, &policy, e) < 0)
		return -1;
	return kt_policy_digest(KT_SLOT_POLICY_ALG, &policy, ret_digest, e);
}

static int read_signer(struct json_object *object, struct kt_slot_policy *words, struct kt_error *e)
{
	auto_pkey EVP_PKEY *key = NULL;
	const char *signer = NULL, *uuid = NULL;

	if (kt_json_get_string_opt(
		    object, "signer", (size_t)2 * KT_SIGNER_POINT_BYTES, &signer, e) < 0)
		return -1;
	if (signer == NULL)
		return 0;
	if (kt_json_get_string(object, "for", KT_UUID_SIZE - 1, &uuid, e) < 0)
		return -1;
	if (!kt_uuid_is_valid(uuid))
		return kt_fail(e, KT_E_INPUT, "\"for\" is no UUID");
	if (kt_hex_decode(signer, words->signer, sizeof(words->signer), e) < 0 ||
		kt_p256_from_point(words->signer, &key, e) < 0) {
		e->code = KT_E_INPUT;
		return kt_wrap(e, "\"signer\"");
	}
	memcpy(words->approved_for, uuid, strlen(uuid) + 1);
	words->is_signed = true;
	return 0;
}

int kt_slot_policy_from_json(
	struct json_object *object, struct kt_slot_policy *ret_words, struct kt_error *e)
{
	struct kt_slot_policy words = {0};
	struct json_object *pcrs;

	if (kt_json_get_object_opt(object, "pcrs", &pcrs, e) < 0 ||
		kt_json_get_bool_opt(object, "pin", false, &words.pin, e) < 0 ||
		read_signer(object, &words, e) < 0)
		return -1;
	if (pcrs != NULL && words.is_signed)
		return kt_fail(e, KT_E_INPUT, "both \"pcrs\" and \"signer\"");
	if (pcrs != NULL && kt_pcr_from_json(pcrs, &words.pcrs, e) < 0)
		return kt_wrap(e, "\"pcrs\"");
	*ret_words = words;
	return 0;
}

void kt_slot_policy_write(const struct kt_slot_policy *words, struct kt_jsonw *w)
{
	kt_jsonw_begin_object(w);
	if (!kt_pcr_is_empty(&words->pcrs)) {
		kt_jsonw_name(w, "pcrs");
		kt_pcr_write_json(&words->pcrs, w);
	}
	if (words->is_signed) {
		char signer[2 * KT_SIGNER_POINT_BYTES + 1];

		kt_hex_encode(words->signer, sizeof(words->signer), signer);
		kt_jsonw_member(w, "signer", signer);
		kt_jsonw_member(w, "for", words->approved_for);
	}
	kt_jsonw_name(w, "pin");
	kt_jsonw_bool(w, words->pin);
	kt_jsonw_end_object(w);
}
