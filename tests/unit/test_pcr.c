/* SPDX-License-Identifier: Apache-2.0 */
/* PCR sets: text, JSON and TPM forms, digests as tpm2_pcrread and sha256sum give them, lint. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/hex.h"
#include "lib/json.h"
#include "lib/pcr.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define Z32 "0000000000000000000000000000000000000000000000000000000000000000"
#define F32 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define A20 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A48 A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct kt_pcr_set parse(const char *text)
{
	struct kt_pcr_set set;
	struct kt_error e;

	cr_assert_eq(kt_pcr_parse(text, &set, &e), 0, "%s: %s", text, e.msg);
	return set;
}

Test(pcr, knows_four_banks)
{
	cr_expect_str_eq(kt_pcr_bank_name(TPM2_ALG_SHA384), "sha384");
	cr_expect_eq(kt_pcr_bank_size(TPM2_ALG_SHA1), 20);
	cr_expect_eq(kt_pcr_bank_alg("sha512"), TPM2_ALG_SHA512);
	cr_expect_null(kt_pcr_bank_name(TPM2_ALG_SM3_256));
	cr_expect_eq(kt_pcr_bank_size(TPM2_ALG_NULL), 0);
	cr_expect_eq(kt_pcr_bank_alg("SHA256"), TPM2_ALG_NULL);
	cr_expect_eq(kt_pcr_bank_alg(""), TPM2_ALG_NULL);
}

Test(pcr, writes_what_it_read_in_one_order)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{"sha256:7", "sha256:7"},
		{"sha256:0,2,7", "sha256:0,2,7"},
		{"sha256:23,7,0", "sha256:0,7,23"},
		{"sha384:4+sha256:0,2,7", "sha256:0,2,7+sha384:4"},
		{"sha512:1+sha1:2+sha384:3+sha256:4", "sha1:2+sha256:4+sha384:3+sha512:1"},
		{"sha256:0=" A32 ",7=" B32, "sha256:0,7"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kt_pcr_set set = parse(cases[i].text);
		char text[KT_PCR_TEXT_MAX];

		kt_pcr_format(&set, text);
		cr_expect_str_eq(text, cases[i].canonical);
	}
}

Test(pcr, has_room_for_the_longest_text)
{
	struct kt_pcr_set set = {0}, again;
	char text[KT_PCR_TEXT_MAX];
	struct kt_error e;

	for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
		cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA512, n, NULL, &e), 0);
		cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA1, n, NULL, &e), 0);
		cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA384, n, NULL, &e), 0);
		cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA256, n, NULL, &e), 0);
	}
	kt_pcr_format(&set, text);
	cr_expect_eq(strlen(text), 273);
	again = parse(text);
	cr_expect_eq(again.count, 4);
	cr_expect_eq(again.banks[3].alg, TPM2_ALG_SHA512);
	cr_expect_eq(again.banks[3].selected, 0xffffff);
}

Test(pcr, gives_a_value_to_the_index_before_it)
{
	struct kt_pcr_set set = parse("sha256:0,7=" A32 ",11");
	const uint8_t *value = kt_pcr_value(&set, TPM2_ALG_SHA256, 7);

	cr_assert_not_null(value);
	cr_expect_eq(value[0], 0xaa);
	cr_expect_eq(value[31], 0xaa);
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA256, 0));
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA256, 8));
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA256, 24));
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA384, 7));
	cr_expect_not(kt_pcr_is_complete(&set));
	cr_expect_not(kt_pcr_is_empty(&set));
}

Test(pcr, refuses_text_that_could_be_misread)
{
	static const char *const wrong[] = {"", "7", "sha256", "sha256:", ":7", "sha256:,7",
		"sha256:7,", "sha256:7,,8", "sha256:24", "sha256:99", "sha256:100", "sha256:-1",
		"sha256:+1", "sha256:07", "sha256:0x7", "sha256: 7", " sha256:7", "sha256:7 ",
		"SHA256:7", "sha25:7", "sha2566666:7", "sm3_256:7", "sha256:7+", "+sha256:7",
		"sha256:7+sha256:8", "sha256:7,7", "sha256:7=" A32 ",7=" A32,
		"sha256:7=", "sha256:7=" A20, "sha256:7=" A48, "sha1:7=" A32, "sha256:7=" A32 "a",
		"sha256:7=g" A32, "sha256:=" A32, "sha256:all", "sha256:0-7", "sha256:7\n",
		"sha256:4294967296", "sha256:7;8", "sha256:7:8", "sha256:7=0x" A32,
		"sha256:7=" A32 "=" A32};
	struct kt_pcr_set set = {.count = 77};
	struct kt_error e;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		cr_expect_eq(kt_pcr_parse(wrong[i], &set, &e), -1, "%s", wrong[i]);
		cr_expect_eq(e.code, KT_E_USAGE, "%s", wrong[i]);
	}
	cr_expect_eq(set.count, 77, "outputs are written only on success");
}

Test(pcr, refuses_digits_that_are_not_hexadecimal)
{
	char text[] = "sha256:7=" A32;
	struct kt_pcr_set set;
	struct kt_error e;

	text[sizeof(text) - 2] = 'x';
	cr_expect_eq(kt_pcr_parse(text, &set, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
}

Test(pcr, replaces_a_value_that_is_added_again)
{
	struct kt_pcr_set set = parse("sha256:7=" A32);
	uint8_t value[32];
	struct kt_error e;

	memset(value, 0xbb, sizeof(value));
	cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA256, 7, value, &e), 0);
	cr_expect_eq(kt_pcr_value(&set, TPM2_ALG_SHA256, 7)[5], 0xbb);
	cr_expect_eq(kt_pcr_add(&set, TPM2_ALG_SHA256, 24, value, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_eq(kt_pcr_add(&set, TPM2_ALG_NULL, 7, value, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_eq(set.count, 1);
}

Test(pcr, fills_only_what_is_missing)
{
	struct kt_pcr_set set = parse("sha256:0,2,7=" A32 "+sha384:4");
	struct kt_pcr_set from = parse("sha256:0=" B32 ",7=" B32 ",9=" B32 ",2");

	kt_pcr_fill(&set, &from);
	cr_expect_eq(kt_pcr_value(&set, TPM2_ALG_SHA256, 0)[0], 0xbb);
	cr_expect_eq(kt_pcr_value(&set, TPM2_ALG_SHA256, 7)[0], 0xaa);
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA256, 2));
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA256, 9));
	cr_expect_null(kt_pcr_value(&set, TPM2_ALG_SHA384, 4));
	cr_expect_eq(set.banks[0].selected, 0x85);
}

Test(pcr, has_the_form_of_the_tpm)
{
	struct kt_pcr_set set = parse("sha384:4+sha256:0,7,16,23"), again;
	TPML_PCR_SELECTION list;
	char text[KT_PCR_TEXT_MAX];
	struct kt_error e;

	kt_pcr_to_tpml(&set, &list);
	cr_assert_eq(list.count, 2);
	cr_expect_eq(list.pcrSelections[0].hash, TPM2_ALG_SHA256);
	cr_expect_eq(list.pcrSelections[0].sizeofSelect, 3);
	cr_expect_eq(list.pcrSelections[0].pcrSelect[0], 0x81);
	cr_expect_eq(list.pcrSelections[0].pcrSelect[1], 0x00);
	cr_expect_eq(list.pcrSelections[0].pcrSelect[2], 0x81);
	cr_expect_eq(list.pcrSelections[1].hash, TPM2_ALG_SHA384);
	cr_expect_eq(list.pcrSelections[1].pcrSelect[0], 0x10);
	cr_assert_eq(kt_pcr_from_tpml(&list, &again, &e), 0);
	kt_pcr_format(&again, text);
	cr_expect_str_eq(text, "sha256:0,7,16,23+sha384:4");
}

Test(pcr, skips_banks_that_a_tpm_has_not_allocated)
{
	TPML_PCR_SELECTION list = {
		.count = 3,
		.pcrSelections = {{.hash = TPM2_ALG_SM3_256, .sizeofSelect = 3},
			{.hash = TPM2_ALG_SHA256, .sizeofSelect = 1, .pcrSelect = {0x80}},
			{.hash = TPM2_ALG_SHA1, .sizeofSelect = 3}},
	};
	struct kt_pcr_set set;
	struct kt_error e;

	cr_assert_eq(kt_pcr_from_tpml(&list, &set, &e), 0);
	cr_expect_eq(set.count, 1);
	cr_expect_eq(set.banks[0].selected, 0x80);
}

Test(pcr, refuses_selections_it_cannot_hold)
{
	static const TPML_PCR_SELECTION lists[] = {
		{.count = TPM2_NUM_PCR_BANKS + 1},
		{.count = 0xffffffff},
		{.count = 1, .pcrSelections = {{TPM2_ALG_SM3_256, 3, {1, 0, 0}}}},
		{.count = 1, .pcrSelections = {{TPM2_ALG_SHA256, 4, {0, 0, 0, 1}}}},
		{.count = 1, .pcrSelections = {{TPM2_ALG_SHA256, 5, {1, 0, 0, 0}}}},
		{.count = 2,
			.pcrSelections = {{TPM2_ALG_SHA256, 3, {1, 0, 0}},
				{TPM2_ALG_SHA256, 3, {2, 0, 0}}}},
	};
	struct kt_pcr_set set = {.count = 77};
	struct kt_error e;

	for (size_t i = 0; i < COUNT(lists); i++) {
		cr_expect_eq(kt_pcr_from_tpml(&lists[i], &set, &e), -1, "%zu", i);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	cr_expect_eq(set.count, 77);
}

Test(pcr, hashes_values_in_the_order_of_the_tpm)
{
	/* printf of the octets | sha256sum. */
	static const struct {
		const char *pcrs, *digest;
	} cases[] = {
		{"sha256:7=" Z32,
			"66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"},
		{"sha256:7=" B32 ",0=" A32,
			"e2d80f78d79027556d6619a1400605abbdca6bb6eb24e0831e33ecd5466fa5f6"},
		{"sha384:1=" A48 "+sha1:9=" A20 "+sha256:0=" B32,
			"324937aab7469d182518ffc7dc6eff4d77ac92ffc870942345035ae05fe3066e"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kt_pcr_set set = parse(cases[i].pcrs);
		char text[65];
		TPM2B_DIGEST digest;
		struct kt_error e;

		cr_assert_eq(kt_pcr_digest(&set, TPM2_ALG_SHA256, &digest, &e), 0);
		cr_assert_eq(digest.size, 32);
		kt_hex_encode(digest.buffer, digest.size, text);
		cr_expect_str_eq(text, cases[i].digest);
	}
}

Test(pcr, computes_no_digest_of_unknown_values)
{
	struct kt_pcr_set set = parse("sha256:0,7=" A32);
	TPM2B_DIGEST digest;
	struct kt_error e;

	cr_expect_eq(kt_pcr_digest(&set, TPM2_ALG_SHA256, &digest, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

Test(pcr, names_each_pcr_that_differs)
{
	struct kt_pcr_set expected = parse("sha256:0=" A32 ",2=" A32 ",7=" A32 "+sha384:4=" A48);
	struct kt_pcr_set present = parse("sha256:0=" A32 ",2=" B32 ",9=" B32 "+sha384:4=" A48);
	char text[1024];

	cr_expect_eq(kt_pcr_describe_difference(&expected, &present, text, sizeof(text)), 2);
	cr_expect_str_eq(text, "PCR 2 (sha256): expected " A32 ", present " B32 "\n"
			       "PCR 7 (sha256): expected " A32 ", present unknown");
	cr_expect_eq(kt_pcr_describe_difference(&expected, &expected, text, sizeof(text)), 0);
	cr_expect_str_eq(text, "");
}

Test(pcr, describes_in_whole_lines_what_fits)
{
	static const char first[] = "PCR 0 (sha256): expected " A32 ", present " B32;
	struct kt_pcr_set expected = parse("sha256:0=" A32 ",1=" A32);
	struct kt_pcr_set present = parse("sha256:0=" B32 ",1=" B32);

	for (size_t size = 0; size < 2 * sizeof(first) + 2; size++) {
		auto_free char *text = malloc(size + 1);

		cr_assert_not_null(text);
		text[size] = '#';
		cr_expect_eq(kt_pcr_describe_difference(&expected, &present, text, size), 2);
		cr_expect_eq(text[size], '#');
		if (size == 0)
			continue;
		if (size < sizeof(first))
			cr_expect_str_eq(text, "");
		else if (size < 2 * sizeof(first))
			cr_expect_str_eq(text, first);
		else
			cr_expect_eq(strlen(text), 2 * sizeof(first) - 1);
	}
}

static char *to_json(const struct kt_pcr_set *set)
{
	auto_secret struct kt_secret *out = NULL;
	struct kt_jsonw w;
	struct kt_error e;
	char *text;

	cr_assert_eq(kt_secret_new(65536, &out, &e), 0, "%s", e.msg);
	kt_jsonw_init(&w, out);
	kt_pcr_write_json(set, &w);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0, "%s", e.msg);
	text = strndup(kt_secret_bytes(out), kt_secret_len(out));
	cr_assert_not_null(text);
	return text;
}

static int from_json(const char *text, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	auto_json struct json_object *object = NULL;

	cr_assert_eq(kt_json_parse(text, strlen(text), &object, e), 0, "%s: %s", text, e->msg);
	return kt_pcr_from_json(object, ret_set, e);
}

Test(pcr, survives_json)
{
	static const char json[] = "{\"sha1\":{\"9\":\"" A20 "\"},"
				   "\"sha256\":{\"0\":\"" A32 "\",\"23\":\"" B32 "\"}}";
	struct kt_pcr_set set = parse("sha256:23=" B32 ",0=" A32 ",5+sha1:9=" A20 "+sha512:3");
	struct kt_pcr_set again;
	auto_free char *text = to_json(&set);
	char selection[KT_PCR_TEXT_MAX];
	struct kt_error e;

	cr_expect_str_eq(text, json);
	cr_assert_eq(from_json(text, &again, &e), 0, "%s", e.msg);
	kt_pcr_format(&again, selection);
	cr_expect_str_eq(selection, "sha1:9+sha256:0,23");
	cr_expect(kt_pcr_is_complete(&again));
	cr_expect_eq(kt_pcr_value(&again, TPM2_ALG_SHA256, 23)[31], 0xbb);
}

Test(pcr, reads_json_in_any_order)
{
	struct kt_pcr_set set;
	char selection[KT_PCR_TEXT_MAX];
	struct kt_error e;

	cr_assert_eq(from_json("{\"sha256\":{\"7\":\"" A32 "\",\"0\":\"" A32 "\"},"
			       "\"sha1\":{\"0\":\"" A20 "\"}}",
			     &set, &e),
		0, "%s", e.msg);
	kt_pcr_format(&set, selection);
	cr_expect_str_eq(selection, "sha1:0+sha256:0,7");
}

Test(pcr, refuses_json_that_binds_nothing_or_something_else)
{
	static const char *const wrong[] = {"{}", "{\"sha256\":{}}",
		"{\"sha256\":{\"7\":\"" A32 "\"},\"sha1\":{}}", "{\"sha256\":[]}",
		"{\"sha256\":null}", "{\"sha256\":{\"7\":null}}", "{\"sha256\":{\"7\":7}}",
		"{\"sha256\":{\"7\":\"\"}}", "{\"sha256\":{\"7\":\"" A20 "\"}}",
		"{\"sha256\":{\"7\":\"" A48 "\"}}", "{\"sha256\":{\"24\":\"" A32 "\"}}",
		"{\"sha256\":{\"07\":\"" A32 "\"}}", "{\"sha256\":{\"\":\"" A32 "\"}}",
		"{\"sha256\":{\"-1\":\"" A32 "\"}}", "{\"sha256\":{\"7 \":\"" A32 "\"}}",
		"{\"SHA256\":{\"7\":\"" A32 "\"}}", "{\"sm3_256\":{\"7\":\"" A32 "\"}}",
		"{\"sha256\":{\"7\":\"x" A32 "\"}}"};
	struct kt_pcr_set set = {.count = 77};
	struct kt_error e;

	for (size_t i = 0; i < COUNT(wrong); i++) {
		cr_expect_eq(from_json(wrong[i], &set, &e), -1, "%s", wrong[i]);
		cr_expect_eq(e.code, KT_E_INPUT, "%s", wrong[i]);
	}
	cr_expect_eq(kt_pcr_from_json(NULL, &set, &e), -1);
	cr_expect_eq(set.count, 77);
}

struct warnings {
	char ids[512];
	char sentences[4096];
};

static void collect(void *ctx, const char *id, const char *sentence)
{
	struct warnings *w = ctx;

	strncat(w->ids, id, sizeof(w->ids) - strlen(w->ids) - 1);
	strncat(w->ids, " ", sizeof(w->ids) - strlen(w->ids) - 1);
	strncat(w->sentences, sentence, sizeof(w->sentences) - strlen(w->sentences) - 1);
}

Test(pcr, warns_about_selections_that_protect_little)
{
	static const struct {
		const char *pcrs, *ids;
	} cases[] = {
		{"sha256:0,2,4,5,7,8,9,11,12,14", ""},
		{"sha256:0=" A32 ",7=" B32, ""},
		{"sha256:7", "pcr-7-alone "},
		{"sha256:7+sha384:7", "pcr-7-alone "},
		{"sha256:7=" A32, "pcr-7-alone "},
		{"sha256:7+sha384:11", ""},
		{"sha256:0,16", "pcr-resettable "},
		{"sha256:16,23+sha384:16", "pcr-resettable pcr-resettable "},
		{"sha256:16=" Z32 ",0=" A32, "pcr-resettable "},
		{"sha256:0,1", "pcr-unstable "},
		{"sha256:1,3,10+sha384:1", "pcr-unstable pcr-unstable pcr-unstable "},
		{"sha1:0,7", "bank-sha1 "},
		{"sha256:0=" Z32 ",7=" A32, "pcr-never-extended "},
		{"sha256:0=" Z32 ",2=" Z32 ",7=" Z32, "pcr-never-extended "},
		{"sha256:0=" A32 ",17=" F32, "pcr-all-ones "},
		{"sha256:0=" F32 ",2=" A32, "pcr-all-ones "},
		{"sha1:7=0000000000000000000000000000000000000000",
			"bank-sha1 pcr-never-extended pcr-7-alone "},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kt_pcr_set set = parse(cases[i].pcrs);
		struct warnings w = {0};
		size_t count = kt_pcr_lint(&set, collect, &w), spaces = 0;

		cr_expect_str_eq(w.ids, cases[i].ids, "%s: %s", cases[i].pcrs, w.ids);
		for (const char *c = w.ids; *c != '\0'; c++)
			spaces += *c == ' ';
		cr_expect_eq(count, spaces);
	}
}

Test(pcr, says_which_pcrs_the_warning_is_about)
{
	struct kt_pcr_set set = parse("sha384:0=" A48 "+sha256:0=" Z32 ",2=" Z32 ",7=" Z32);
	struct warnings w = {0};

	cr_assert_eq(kt_pcr_lint(&set, collect, &w), 1);
	cr_expect_not_null(
		strstr(w.sentences, "PCRs 0, 2, 7 (sha256): all zeros"), "%s", w.sentences);
	set = parse("sha256:9=" Z32);
	w = (struct warnings){0};
	cr_assert_eq(kt_pcr_lint(&set, collect, &w), 1);
	cr_expect_not_null(strstr(w.sentences, "PCR 9 (sha256): all zeros"), "%s", w.sentences);
}

Test(pcr, has_room_for_a_warning_about_all_pcrs)
{
	struct kt_pcr_set set = {0};
	static const uint8_t zeros[64];
	struct warnings w = {0};
	struct kt_error e;

	for (unsigned n = 0; n < KT_PCR_COUNT; n++)
		cr_assert_eq(kt_pcr_add(&set, TPM2_ALG_SHA512, n, zeros, &e), 0);
	cr_expect_eq(kt_pcr_lint(&set, collect, &w), 6);
	cr_expect_not_null(strstr(w.sentences, "21, 22 (sha512): all zeros"), "%s", w.sentences);
}
