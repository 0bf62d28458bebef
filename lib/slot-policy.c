/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a slot's policy, their JSON, and the policy steps and digest that follow from them.
 */
#include "lib/slot-policy.h"

bool kt_slot_policy_is_empty(const struct kt_slot_policy *words)
{
	return kt_pcr_is_empty(&words->pcrs) && !words->pin;
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

int kt_slot_policy_from_json(
	struct json_object *object, struct kt_slot_policy *ret_words, struct kt_error *e)
{
	struct kt_slot_policy words = {0};
	struct json_object *pcrs;

	if (kt_json_get_object_opt(object, "pcrs", &pcrs, e) < 0 ||
		kt_json_get_bool_opt(object, "pin", false, &words.pin, e) < 0)
		return -1;
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
	kt_jsonw_name(w, "pin");
	kt_jsonw_bool(w, words->pin);
	kt_jsonw_end_object(w);
}
