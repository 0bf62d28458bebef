/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR sets from text, from JSON and from the TPM's form (the first octet chooses). Whatever is
 * accepted must come back the same from each form that can hold it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/pcr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *ctx, const char *id, const char *sentence)
{
	size_t *count = ctx;

	assert(strlen(id) > 0 && strlen(sentence) > 0);
	(*count)++;
}

static void check_order(const struct kt_pcr_set *set)
{
	assert(set->count <= KT_PCR_BANKS_MAX);
	for (size_t i = 0; i < set->count; i++) {
		const struct kt_pcr_bank *bank = &set->banks[i];

		assert(i == 0 || bank->alg > set->banks[i - 1].alg);
		assert(bank->selected != 0 && bank->selected >> KT_PCR_COUNT == 0);
		assert((bank->known & ~bank->selected) == 0);
	}
}

static void check_selection(const struct kt_pcr_set *set)
{
	struct kt_pcr_set again;
	TPML_PCR_SELECTION list;
	char text[KT_PCR_TEXT_MAX];
	struct kt_error e;

	kt_pcr_format(set, text);
	assert(kt_pcr_parse(text, &again, &e) == 0);
	assert(again.count == set->count);
	for (size_t i = 0; i < set->count; i++)
		assert(again.banks[i].selected == set->banks[i].selected);
	kt_pcr_to_tpml(set, &list);
	assert(kt_pcr_from_tpml(&list, &again, &e) == 0);
	assert(again.count == set->count);
	for (size_t i = 0; i < set->count; i++)
		assert(again.banks[i].selected == set->banks[i].selected);
}

static void check_values(const struct kt_pcr_set *set)
{
	auto_secret struct kt_secret *out = NULL;
	auto_json struct json_object *object = NULL;
	struct kt_pcr_set again = {0};
	struct kt_jsonw w;
	TPM2B_DIGEST digest;
	char text[512];
	struct kt_error e;

	assert(kt_pcr_describe_difference(set, set, text, sizeof(text)) == 0);
	kt_pcr_describe_difference(set, &again, text, sizeof(text));
	assert((kt_pcr_digest(set, TPM2_ALG_SHA256, &digest, &e) == 0) == kt_pcr_is_complete(set));
	if (kt_secret_new(65536, &out, &e) != 0)
		return;
	kt_jsonw_init(&w, out);
	kt_pcr_write_json(set, &w);
	assert(kt_jsonw_end(&w, &e) == 0);
	assert(kt_json_parse(kt_secret_bytes(out), kt_secret_len(out), &object, &e) == 0);
	if (!kt_pcr_is_complete(set))
		return;
	assert(kt_pcr_from_json(object, &again, &e) == 0);
	assert(kt_pcr_describe_difference(set, &again, text, sizeof(text)) == 0);
	assert(kt_pcr_describe_difference(&again, set, text, sizeof(text)) == 0);
}

static int read_json(
	const uint8_t *data, size_t size, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	auto_json struct json_object *object = NULL;

	if (kt_json_parse((const char *)data, size, &object, e) != 0)
		return -1;
	return kt_pcr_from_json(object, ret_set, e);
}

static int read_text(
	const uint8_t *data, size_t size, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	auto_free char *text = malloc(size + 1);
	int r;

	if (text == NULL)
		return -1;
	memcpy(text, data, size);
	text[size] = '\0';
	r = kt_pcr_parse(text, ret_set, e);
	assert(r == 0 || e->code == KT_E_USAGE);
	return r;
}

static int read_tpml(
	const uint8_t *data, size_t size, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	TPML_PCR_SELECTION list;

	if (size < sizeof(list))
		return -1;
	memcpy(&list, data, sizeof(list));
	return kt_pcr_from_tpml(&list, ret_set, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_pcr_set set;
	size_t warnings = 0;
	struct kt_error e;
	int r;

	if (size == 0)
		return 0;
	if (data[0] == '{')
		r = read_json(data, size, &set, &e);
	else if (data[0] == '\0')
		r = read_tpml(data + 1, size - 1, &set, &e);
	else
		r = read_text(data, size, &set, &e);
	if (r != 0)
		return 0;
	check_order(&set);
	assert(kt_pcr_lint(&set, ignore, &warnings) == warnings);
	if (!kt_pcr_is_empty(&set)) {
		check_selection(&set);
		check_values(&set);
	}
	return 0;
}
