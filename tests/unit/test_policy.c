/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy digests against what a TPM computed: trial sessions of tpm2-tools 5.4 on swtpm 0.7.1, one
 * vector each, unless a comment says otherwise.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/hex.h"
#include "lib/pcr.h"
#include "lib/policy.h"
#include "lib/tpm-public.h"

/* Zeros, extended once with SHA-256 or SHA-384 of "kubetpm". */
#define PCR16_SHA256 "d21c0189a637554aa4872c30311363c9a00e8eb8bc7331f2ec4df0789c5e9cc7"
#define PCR16_SHA384                                                                               \
	"326619f5197c8b9455216e01d07956f9edbc6b47f9ea7093675158a23f8e75eb8b53de939bb2251e755be7aa" \
	"90d3fe5e"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

#define PCR16_POLICY "08e00a07c8bb9537b2815b7999073fa5fbef3681ef69b32d8d9a7f2eec4f48c0"
#define AUTH_VALUE_POLICY "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e"

#define SHA256 TPM2_ALG_SHA256

static TPM2B_DIGEST start(TPMI_ALG_HASH alg)
{
	TPM2B_DIGEST digest;
	struct kt_error e;

	cr_assert_eq(kt_policy_start(alg, &digest, &e), 0);
	return digest;
}

static void expect(const TPM2B_DIGEST *digest, const char *hex)
{
	char text[2 * sizeof(TPMU_HA) + 1];

	kt_hex_encode(digest->buffer, digest->size, text);
	cr_expect_str_eq(text, hex);
}

static TPM2B_NAME name_of(const char *hex)
{
	TPM2B_NAME name;
	struct kt_error e;

	cr_assert_eq(kt_name_parse(hex, &name, &e), 0, "%s", e.msg);
	return name;
}

static void set_pcr_step(struct kt_policy_step *step, const char *text, TPMI_ALG_HASH alg)
{
	struct kt_pcr_set set;
	struct kt_error e;

	cr_assert_eq(kt_pcr_parse(text, &set, &e), 0, "%s", e.msg);
	step->command = TPM2_CC_PolicyPCR;
	kt_pcr_to_tpml(&set, &step->pcr.selection);
	cr_assert_eq(kt_pcr_digest(&set, alg, &step->pcr.digest, &e), 0, "%s", e.msg);
}

Test(policy, starts_as_zeros_of_the_size_of_the_hash)
{
	static const struct {
		TPMI_ALG_HASH alg;
		size_t size;
	} cases[] = {
		{TPM2_ALG_SHA1, 20},
		{TPM2_ALG_SHA256, 32},
		{TPM2_ALG_SHA384, 48},
		{TPM2_ALG_SHA512, 64},
	};
	static const uint8_t zeros[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TPM2B_DIGEST digest = start(cases[i].alg);

		cr_expect_eq(digest.size, cases[i].size);
		cr_expect_arr_eq(digest.buffer, zeros, cases[i].size);
	}
}

Test(policy, refuses_an_unknown_hash)
{
	TPM2B_DIGEST digest = {.size = 7};
	struct kt_error e;

	cr_expect_eq(kt_policy_start(TPM2_ALG_NULL, &digest, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(digest.size, 7);
}

Test(policy, binds_pcrs_as_the_tpm_does)
{
	static const struct {
		const char *pcrs;
		TPMI_ALG_HASH alg;
		const char *digest;
	} cases[] = {
		{"sha256:16=" PCR16_SHA256, SHA256, PCR16_POLICY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TPM2B_DIGEST digest = start(cases[i].alg);
		struct kt_policy_step step = {0};
		struct kt_error e;

		set_pcr_step(&step, cases[i].pcrs, cases[i].alg);
		cr_assert_eq(kt_policy_extend_pcr(cases[i].alg, &digest, &step.pcr.selection,
				     &step.pcr.digest, &e),
			0, "%s", e.msg);
		expect(&digest, cases[i].digest);
	}
}

Test(policy, chains_pcrs_of_two_banks_auth_value_and_command_code)
{
	struct kt_policy policy = {.count = 3};
	TPM2B_DIGEST digest;
	struct kt_error e;

	set_pcr_step(&policy.steps[0],
		"sha384:16=" PCR16_SHA384 "+sha256:0=" ZEROS ",7=" ZEROS ",16=" PCR16_SHA256,
		SHA256);
	policy.steps[1].command = TPM2_CC_PolicyAuthValue;
	policy.steps[2].command = TPM2_CC_PolicyCommandCode;
	policy.steps[2].command_code = TPM2_CC_Unseal;
	cr_assert_eq(kt_policy_digest(SHA256, &policy, &digest, &e), 0, "%s", e.msg);
	expect(&digest, "9181e63a99d8f9a5839f5fadb3a441a0d2b129e039aa8d9fae7d6ae572dc8ce0");
}

Test(policy, takes_auth_value_and_password_for_the_same)
{
	static const TPM2_CC commands[] = {TPM2_CC_PolicyAuthValue, TPM2_CC_PolicyPassword};

	for (size_t i = 0; i < 2; i++) {
		struct kt_policy policy = {.count = 1, .steps[0].command = commands[i]};
		TPM2B_DIGEST digest;
		struct kt_error e;

		cr_assert_eq(kt_policy_digest(SHA256, &policy, &digest, &e), 0);
		expect(&digest, AUTH_VALUE_POLICY);
	}
}

Test(policy, binds_a_command)
{
	static const struct {
		TPM2_CC code;
		const char *digest;
	} cases[] = {
		{TPM2_CC_HMAC, "14d27f7b1c2d6ce4f11708c7dae90c7f425b343f8797b62889e3571159e0a694"},
		{TPM2_CC_Sign, "cc6918b226273b08f5bd406d7f10cf160f0a7d13dfd83b7770ccbcd1aa80d811"},
	};

	for (size_t i = 0; i < 2; i++) {
		TPM2B_DIGEST digest = start(SHA256);
		struct kt_error e;

		cr_assert_eq(kt_policy_extend_command_code(SHA256, &digest, cases[i].code, &e), 0);
		expect(&digest, cases[i].digest);
	}
}

Test(policy, binds_a_locality)
{
	TPM2B_DIGEST digest = start(SHA256);
	struct kt_error e;

	cr_assert_eq(
		kt_policy_extend_locality(SHA256, &digest, TPMA_LOCALITY_TPM2_LOC_THREE, &e), 0);
	expect(&digest, "7764491d5afe719035c0c09faa90c3490a7475d6df422b804e8f68aa65f8934f");
}

Test(policy, works_with_sha384)
{
	struct kt_policy policy = {.count = 2};
	TPM2B_DIGEST digest;
	struct kt_error e;

	set_pcr_step(&policy.steps[0], "sha256:16=" PCR16_SHA256, TPM2_ALG_SHA384);
	policy.steps[1].command = TPM2_CC_PolicyLocality;
	policy.steps[1].locality = TPMA_LOCALITY_TPM2_LOC_ZERO;
	cr_assert_eq(kt_policy_digest(TPM2_ALG_SHA384, &policy, &digest, &e), 0, "%s", e.msg);
	expect(&digest, "20ea09bdf02d8b7c763185dcf36905b642a8a738388272b5ac19b59b195eeef6"
			"55b67289d60168486119aab7d8332731");
}

Test(policy, compares_clock_and_reset_count)
{
	struct kt_policy clock = {.count = 1}, resets = {.count = 1};
	TPM2B_DIGEST digest;
	struct kt_error e;

	clock.steps[0] = (struct kt_policy_step){
		.command = TPM2_CC_PolicyCounterTimer,
		.counter = {.operand = {.size = 8,
				    .buffer = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
			.offset = 8,
			.operation = TPM2_EO_UNSIGNED_LT},
	};
	cr_assert_eq(kt_policy_digest(SHA256, &clock, &digest, &e), 0);
	expect(&digest, "9af25451771c42766cc80e3829b8b48d155e946cc288d9291f7d176678bb7259");
	resets.steps[0] = (struct kt_policy_step){
		.command = TPM2_CC_PolicyCounterTimer,
		.counter = {.operand = {.size = 4, .buffer = {0, 0, 0, 1}},
			.offset = 16,
			.operation = TPM2_EO_UNSIGNED_GE},
	};
	cr_assert_eq(kt_policy_digest(SHA256, &resets, &digest, &e), 0);
	expect(&digest, "fc3450f32912d493619072bf1ef74defbefa236ac3162ef089c5d40a8b52e7ef");
}

Test(policy, asks_for_another_objects_secret)
{
	struct kt_policy policy = {.count = 1, .steps[0].command = TPM2_CC_PolicySecret};
	TPM2B_NAME *name = &policy.steps[0].secret.name;
	TPM2B_DIGEST digest;
	struct kt_error e;

	/* The Name of a permanent handle is the handle: TPM_RH_OWNER. */
	*name = (TPM2B_NAME){.size = 4, .name = {0x40, 0x00, 0x00, 0x01}};
	cr_assert_eq(kt_policy_digest(SHA256, &policy, &digest, &e), 0);
	expect(&digest, "0d84f55daf6e43ac97966e62c9bb989d3397777d25c5f749868055d65394f952");
	*name = name_of("000ba363e2cac2bb293be0a86df53f639da23291529b985e2f183b4117bebc67c8de");
	policy.steps[0].secret.ref = (TPM2B_NONCE){.size = 2, .buffer = {1, 2}};
	cr_assert_eq(kt_policy_digest(SHA256, &policy, &digest, &e), 0);
	expect(&digest, "3f79315c7a4e0b021d1c73a20a0aed23170bd5fda62b88e019c92035dd00459c");
}

Test(policy, is_replaced_by_an_authorisation)
{
	TPM2B_NAME name =
		name_of("000bf66bce4facb34e312bff32e66982a5cee387661a90d2ba580fb9fe345032a309");
	TPM2B_NONCE ref = {.size = 0};
	TPM2B_DIGEST digest = start(SHA256);
	struct kt_error e;

	memset(digest.buffer, 0x55, digest.size); /* does not matter */
	cr_assert_eq(kt_policy_extend_authorize(SHA256, &digest, &name, &ref, &e), 0);
	expect(&digest, "f82a04255ec06b19bb8e08ecb2fee28f48de31a5505ac0bf94cfd6c7dc94c8c9");
	name = name_of("000ba363e2cac2bb293be0a86df53f639da23291529b985e2f183b4117bebc67c8de");
	ref = (TPM2B_NONCE){.size = 3, .buffer = "abc"};
	cr_assert_eq(kt_policy_extend_authorize(SHA256, &digest, &name, &ref, &e), 0);
	expect(&digest, "6f88b3a58b1bfa4b429794f43921240362529d0582dee7744694ef09f56d0930");
}

Test(policy, computes_the_name_of_the_signer_of_a_step)
{
	struct kt_policy policy = {.count = 1, .steps[0].command = TPM2_CC_PolicyAuthorize};
	TPM2B_DIGEST by_step, by_name = start(SHA256);
	TPM2B_NAME name;
	struct kt_error e;

	policy.steps[0].authorize.key = kt_template_srk_ecc;
	policy.steps[0].authorize.ref = (TPM2B_NONCE){.size = 3, .buffer = "ref"};
	cr_assert_eq(kt_policy_digest(SHA256, &policy, &by_step, &e), 0);
	cr_assert_eq(kt_public_name(&kt_template_srk_ecc, &name, &e), 0);
	cr_assert_eq(kt_policy_extend_authorize(
			     SHA256, &by_name, &name, &policy.steps[0].authorize.ref, &e),
		0);
	cr_expect_eq(by_step.size, 32);
	cr_expect_arr_eq(by_step.buffer, by_name.buffer, 32);
	policy.steps[0].authorize.key.publicArea.nameAlg = TPM2_ALG_NULL;
	cr_expect_eq(kt_policy_digest(SHA256, &policy, &by_step, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

Test(policy, offers_branches)
{
	TPM2B_DIGEST branches[9], digest = start(SHA256);
	struct kt_error e;

	for (size_t i = 0; i < 9; i++)
		branches[i] = start(SHA256);
	cr_assert_eq(kt_hex_decode(PCR16_POLICY, branches[0].buffer, 32, &e), 0);
	cr_assert_eq(kt_hex_decode(AUTH_VALUE_POLICY, branches[1].buffer, 32, &e), 0);
	cr_assert_eq(kt_policy_extend_or(SHA256, &digest, branches, 2, &e), 0);
	expect(&digest, "dea3db308650fab3a2fd61dc1fa13bd0732e7da6b925a2906352da2df3634aeb");
	cr_expect_eq(kt_policy_extend_or(SHA256, &digest, branches, 8, &e), 0);
	cr_expect_eq(kt_policy_extend_or(SHA256, &digest, branches, 1, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(kt_policy_extend_or(SHA256, &digest, branches, 9, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	branches[1].size = 20;
	cr_expect_eq(kt_policy_extend_or(SHA256, &digest, branches, 2, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

Test(policy, of_no_steps_is_zeros)
{
	struct kt_policy policy = {0};
	TPM2B_DIGEST digest;
	struct kt_error e;

	cr_assert_eq(kt_policy_digest(SHA256, &policy, &digest, &e), 0);
	expect(&digest, ZEROS);
}

Test(policy, does_not_guess_pcr_values)
{
	struct kt_policy policy = {.count = 1};
	TPM2B_DIGEST digest = {.size = 7};
	struct kt_error e;

	set_pcr_step(&policy.steps[0], "sha256:16=" PCR16_SHA256, SHA256);
	policy.steps[0].pcr.digest.size = 0;
	cr_expect_eq(kt_policy_digest(SHA256, &policy, &digest, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(digest.size, 7);
}

Test(policy, refuses_commands_it_does_not_know)
{
	static const TPM2_CC commands[] = {0, TPM2_CC_PolicyNV, TPM2_CC_PolicySigned, 0xffffffff};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct kt_policy policy = {.count = 1, .steps[0].command = commands[i]};
		TPM2B_DIGEST digest;
		struct kt_error e;

		cr_expect_eq(kt_policy_digest(SHA256, &policy, &digest, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_str_eq(kt_policy_command_name(commands[i]), "unknown");
	}
}

Test(policy, refuses_sizes_that_no_buffer_has)
{
	TPM2B_DIGEST digest = start(SHA256), wrong = {.size = 33};
	TPML_PCR_SELECTION selection = {.count = 1};
	TPM2B_NAME name = {.size = 0xffff};
	TPM2B_NONCE ref = {.size = 0xffff};
	TPM2B_OPERAND operand = {.size = 0xffff};
	struct kt_policy policy = {.count = KT_POLICY_STEPS_MAX + 1};
	struct kt_error e;

	cr_expect_eq(kt_policy_extend_pcr(SHA256, &digest, &selection, &wrong, &e), -1);
	cr_expect_eq(kt_policy_extend_auth_value(SHA256, &wrong, &e), -1);
	selection.count = 0xffffffff;
	cr_expect_eq(kt_policy_extend_pcr(SHA256, &digest, &selection, &digest, &e), -1);
	cr_expect_eq(kt_policy_extend_secret(SHA256, &digest, &name, &(TPM2B_NONCE){0}, &e), -1);
	cr_expect_eq(kt_policy_extend_secret(SHA256, &digest, &(TPM2B_NAME){0}, &ref, &e), -1);
	cr_expect_eq(kt_policy_extend_counter_timer(SHA256, &digest, &operand, 0, 0, &e), -1);
	cr_expect_eq(kt_policy_digest(SHA256, &policy, &wrong, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
	expect(&digest, ZEROS);
}

Test(policy, names_its_commands)
{
	cr_expect_str_eq(kt_policy_command_name(TPM2_CC_PolicyPCR), "PolicyPCR");
	cr_expect_str_eq(kt_policy_command_name(TPM2_CC_PolicyAuthorize), "PolicyAuthorize");
	cr_expect_str_eq(kt_policy_command_name(TPM2_CC_PolicyPassword), "PolicyPassword");
}
