/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a slot's policy: their digest against the vectors of TPMs, and their JSON. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/hex.h"
#include "lib/slot-policy.h"

static struct kt_slot_policy words_of(const char *pcrs, bool pin)
{
	struct kt_slot_policy words = {.pin = pin};
	struct kt_error e = {0};

	if (pcrs != NULL)
		cr_assert_eq(kt_pcr_parse(pcrs, &words.pcrs, &e), 0, "%s", e.msg);
	return words;
}

static void expect_digest(const struct kt_slot_policy *words, const char *hex)
{
	TPM2B_DIGEST digest = {0};
	char text[2 * sizeof(TPMU_HA) + 1];
	struct kt_error e = {0};

	cr_assert_eq(kt_slot_policy_digest(words, &digest, &e), 0, "%s", e.msg);
	kt_hex_encode(digest.buffer, digest.size, text);
	cr_expect_str_eq(text, hex);
}

/* Measured on a software TPM with tpm2-tools: PCR 16 extended once with SHA-256("kubetpm"). */
#define PCR16 "sha256:16=d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7"

Test(slot_policy, digests_are_the_tpms)
{
	const struct kt_slot_policy none = {0};
	const struct kt_slot_policy pcr = words_of(PCR16, false);
	const struct kt_slot_policy pin = words_of(NULL, true);

	expect_digest(&none, "");
	expect_digest(&pcr, "08e00a07c8bb9537b2815b7999073fa5fbef3681ef69b32d8d9a7f2eec4f48c0");
	expect_digest(&pin, "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e");
}

Test(slot_policy, pcrs_come_before_the_pin)
{
	const struct kt_slot_policy both = words_of(PCR16, true);
	struct kt_policy policy = {0};
	struct kt_error e = {0};

	cr_assert_eq(kt_slot_policy_steps(&both, &policy, &e), 0);
	cr_assert_eq(policy.count, 2);
	cr_assert_eq(policy.steps[0].command, TPM2_CC_PolicyPCR);
	cr_assert_eq(policy.steps[1].command, TPM2_CC_PolicyAuthValue);
}

Test(slot_policy, a_pcr_without_a_value_has_no_digest)
{
	const struct kt_slot_policy words = words_of("sha256:7", false);
	TPM2B_DIGEST digest;
	struct kt_error e = {0};

	cr_assert_eq(kt_slot_policy_digest(&words, &digest, &e), -1);
}

/* The base point of P-256 (SEC 2, 2.4.2). */
#define POINT                                                                                      \
	"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"                         \
	"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define UUID "97943e70-d1c1-4d4f-bbc5-7b29900eba71"

Test(slot_policy, a_signer_comes_before_the_pin)
{
	static const char text[] = "{\"signer\":\"" POINT "\",\"for\":\"" UUID "\",\"pin\":true}";
	auto_json struct json_object *object = NULL;
	auto_secret struct kt_secret *again = NULL;
	struct kt_slot_policy words;
	struct kt_policy policy = {0};
	struct kt_error e = {0};
	struct kt_jsonw w;

	cr_assert_eq(kt_json_parse(text, strlen(text), &object, &e), 0);
	cr_assert_eq(kt_slot_policy_from_json(object, &words, &e), 0, "%s", e.msg);
	cr_expect(!kt_slot_policy_is_empty(&words));
	cr_assert_eq(kt_slot_policy_steps(&words, &policy, &e), 0);
	cr_assert_eq(policy.count, 2);
	cr_expect_eq(policy.steps[0].command, TPM2_CC_PolicyAuthorize);
	cr_expect_eq(policy.steps[0].authorize.ref.size, strlen(UUID));
	cr_expect_eq(policy.steps[0].authorize.signature.sigAlg, TPM2_ALG_NULL);
	cr_expect_eq(policy.steps[1].command, TPM2_CC_PolicyAuthValue);
	cr_assert_eq(kt_secret_new(4096, &again, &e), 0);
	kt_jsonw_init(&w, again);
	kt_slot_policy_write(&words, &w);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	cr_expect_eq(kt_secret_len(again), strlen(text));
	cr_expect_arr_eq(kt_secret_bytes(again), text, strlen(text));
}

Test(slot_policy, json_round_trips)
{
	const struct kt_slot_policy words = words_of(PCR16, true);
	auto_secret struct kt_secret *text = NULL;
	auto_json struct json_object *object = NULL;
	struct kt_slot_policy back;
	struct kt_error e = {0};
	struct kt_jsonw w;

	cr_assert_eq(kt_secret_new(4096, &text, &e), 0);
	kt_jsonw_init(&w, text);
	kt_slot_policy_write(&words, &w);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	cr_assert_eq(kt_json_parse(kt_secret_bytes(text), kt_secret_len(text), &object, &e), 0);
	cr_assert_eq(kt_slot_policy_from_json(object, &back, &e), 0, "%s", e.msg);
	cr_assert(back.pin);
	cr_assert_arr_eq(kt_pcr_value(&back.pcrs, TPM2_ALG_SHA256, 16),
		kt_pcr_value(&words.pcrs, TPM2_ALG_SHA256, 16), TPM2_SHA256_DIGEST_SIZE);
}

Test(slot_policy, refuses_bad_words)
{
	static const char *const bad[] = {
		"{\"pcrs\":[]}",
		"{\"pcrs\":{\"md5\":{\"7\":\"00\"}}}",
		"{\"pcrs\":{\"sha256\":{\"24\":\"00\"}}}",
		"{\"pcrs\":{\"sha256\":{\"7\":\"00\"}}}",
		"{\"pin\":1}",
		"{\"signer\":\"" POINT "\"}",
		"{\"signer\":\"" POINT "\",\"for\":\"x\"}",
		"{\"signer\":\"00\",\"for\":\"" UUID "\"}",
		"{\"signer\":\"" POINT "00\",\"for\":\"" UUID "\"}",
		/* not on the curve */
		"{\"signer\":\"" ZEROS ZEROS "\",\"for\":\"" UUID "\"}",
		"{\"signer\":\"" POINT "\",\"for\":\"" UUID
		"\",\"pcrs\":{\"sha256\":{\"7\":\"" ZEROS "\"}}}",
	};
	struct kt_slot_policy words;
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_json struct json_object *object = NULL;

		cr_assert_eq(kt_json_parse(bad[i], strlen(bad[i]), &object, &e), 0);
		cr_expect_eq(kt_slot_policy_from_json(object, &words, &e), -1, "%s", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT, "%s", bad[i]);
	}
}
