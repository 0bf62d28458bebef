/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR sets in files and headers: {"sha256":{"0":"HEX","7":"HEX"}}. Unlike the text form each PCR
 * has a value, and an object that binds nothing is refused: read as a set it would match any
 * machine.
 */
#include "lib/pcr.h"

#include <stdio.h>
#include <string.h>

#include "lib/hex.h"

#define VALUE_DIGITS_MAX (2 * TPM2_SHA512_DIGEST_SIZE)

/* Index as kt_pcr_write_json() spells it, or KT_PCR_COUNT: "7", but neither "07" nor "24". */
static unsigned index_of(const char *text)
{
	unsigned index = 0;
	char again[4];

	while (index < KT_PCR_COUNT) {
		snprintf(again, sizeof(again), "%u", index);
		if (strcmp(again, text) == 0)
			break;
		index++;
	}
	return index;
}

static int read_bank(
	struct json_object *bank, TPMI_ALG_HASH alg, struct kt_pcr_set *set, struct kt_error *e)
{
	size_t size = kt_pcr_bank_size(alg);
	uint8_t value[TPM2_SHA512_DIGEST_SIZE];
	const char *digits;

	if (json_object_object_length(bank) == 0)
		return kt_fail(e, KT_E_INPUT, "PCR bank %s has no PCRs", kt_pcr_bank_name(alg));
	json_object_object_foreach(bank, name, member)
	{
		unsigned index = index_of(name);

		(void)member;
		if (index == KT_PCR_COUNT)
			return kt_fail(e, KT_E_INPUT, "not a PCR index: %.20s", name);
		if (kt_json_get_string(bank, name, VALUE_DIGITS_MAX, &digits, e) < 0)
			return kt_wrap(e, "PCR bank %s", kt_pcr_bank_name(alg));
		if (kt_hex_decode(digits, value, size, e) < 0)
			return kt_fail(e, KT_E_INPUT, "value of PCR %u (%s) is not %zu hex digits",
				index, kt_pcr_bank_name(alg), 2 * size);
		if (kt_pcr_add(set, alg, index, value, e) < 0)
			return -1;
	}
	return 0;
}

int kt_pcr_from_json(struct json_object *object, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	struct kt_pcr_set set = {0};
	struct json_object *bank;

	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "PCRs are not a JSON object");
	json_object_object_foreach(object, bank_name, member)
	{
		TPMI_ALG_HASH alg = kt_pcr_bank_alg(bank_name);

		(void)member;
		if (alg == TPM2_ALG_NULL)
			return kt_fail(e, KT_E_INPUT, "unknown PCR bank \"%.20s\"", bank_name);
		if (kt_json_get_object(object, bank_name, &bank, e) < 0 ||
			read_bank(bank, alg, &set, e) < 0)
			return -1;
	}
	if (kt_pcr_is_empty(&set))
		return kt_fail(e, KT_E_INPUT, "no PCRs in the JSON object");
	*ret_set = set;
	return 0;
}

void kt_pcr_write_json(const struct kt_pcr_set *set, struct kt_jsonw *w)
{
	char index[4], digits[VALUE_DIGITS_MAX + 1];

	kt_jsonw_begin_object(w);
	for (size_t i = 0; i < set->count; i++) {
		const struct kt_pcr_bank *bank = &set->banks[i];

		if (bank->known == 0)
			continue;
		kt_jsonw_name(w, kt_pcr_bank_name(bank->alg));
		kt_jsonw_begin_object(w);
		for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
			if ((bank->known >> n & 1) == 0)
				continue;
			snprintf(index, sizeof(index), "%u", n);
			kt_hex_encode(bank->value[n], kt_pcr_bank_size(bank->alg), digits);
			kt_jsonw_member(w, index, digits);
		}
		kt_jsonw_end_object(w);
	}
	kt_jsonw_end_object(w);
}
