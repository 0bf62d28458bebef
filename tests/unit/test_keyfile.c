/* SPDX-License-Identifier: Apache-2.0 */
/* TPM key files: one that a TPM made is read and written again to the byte, changed ones are not.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/jwk.h"
#include "lib/keyfile.h"
#include "lib/tpm-public.h"

static const char good[] =
#include "tests/data/keyfile/hmac.inc"
	;

/* One whose states are approved. */
static const char signed_by[] =
#include "tests/data/keyfile/signed.inc"
	;

static struct kt_keyfile *parse_good(void)
{
	struct kt_keyfile *file = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_keyfile_parse(good, strlen(good), &file, &e), 0, "%s", e.msg);
	return file;
}

static void expect_refused(const char *text, size_t len, const char *why)
{
	struct kt_keyfile *file = NULL;
	struct kt_error e = {0};

	cr_expect_eq(kt_keyfile_parse(text, len, &file, &e), -1, "%s", why);
	cr_expect_eq(e.code, KT_E_INPUT, "%s: %s", why, e.msg);
	cr_expect_null(file);
}

Test(keyfile, says_what_a_tpm_made)
{
	auto_free struct kt_keyfile *file = parse_good();
	char version[KT_KEYFILE_VERSION_SIZE], name[KT_NAME_TEXT_MAX];
	TPM2B_NAME key;
	struct kt_error e = {0};

	cr_expect_str_eq(file->uuid, "97943e70-d1c1-4d4f-bbc5-7b29900eba71");
	kt_keyfile_version(file, version);
	cr_expect_str_eq(version, "a8d2d7fe1d30b18cbbc4a98319244a4f");
	cr_assert_eq(kt_public_name(&file->key_public, &key, &e), 0);
	kt_name_format(&key, name);
	cr_expect_str_eq(
		name, "000b9ef76450f0f1303a4bdeb65bfaaba95862e88ead0a15ed726be8b9dd0052c30a");
	kt_name_format(&file->parent, name);
	cr_expect_str_eq(
		name, "000b7d88dc410801d97244cc1549871bcd23d3f5fd31554064e6d4288e4ab32d99be");
	cr_expect_eq(file->state_count, 1);
	cr_expect_eq(file->states[0].banks[0].known, 1U << 7);
	cr_expect(kt_public_is_sealed_data(&file->pepper_public));
}

Test(keyfile, is_written_as_it_was_read)
{
	auto_free struct kt_keyfile *file = parse_good();
	auto_free char *text = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_keyfile_format(file, &text, &e), 0, "%s", e.msg);
	cr_expect_str_eq(text, good);
}

/* The digests that tpm2_policypcr and tpm2_policycommandcode compute for PCR 7 of zeros. */
Test(keyfile, policy_names_the_one_command)
{
	auto_free struct kt_keyfile *file = parse_good();
	struct kt_policy key = {0}, pepper = {0};
	TPM2B_DIGEST digest;
	struct kt_error e = {0};

	cr_assert_eq(kt_keyfile_key_policy(file, 0, &key, &e), 0);
	cr_assert_eq(key.count, 2);
	cr_expect_eq(key.steps[0].command, TPM2_CC_PolicyPCR);
	cr_expect_eq(key.steps[1].command, TPM2_CC_PolicyCommandCode);
	cr_expect_eq(key.steps[1].command_code, TPM2_CC_HMAC);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &key, &digest, &e), 0);
	cr_assert_eq(digest.size, 32);
	cr_expect_arr_eq(digest.buffer, file->key_public.publicArea.authPolicy.buffer, 32);
	cr_assert_eq(kt_keyfile_pepper_policy(file, 0, &pepper, &e), 0);
	cr_assert_eq(pepper.count, 1);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &pepper, &digest, &e), 0);
	cr_expect_arr_eq(digest.buffer, file->pepper_public.publicArea.authPolicy.buffer, 32);
	cr_expect_eq(file->key_public.publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH, 0);
}

/* Wherever it is cut. */
Test(keyfile, no_part_is_missing)
{
	for (size_t len = 0; len < strlen(good); len++)
		expect_refused(good, len, "cut");
}

Test(keyfile, what_is_accepted_is_in_our_form_to_the_byte)
{
	auto_free char *text = strdup(good);
	struct kt_error e = {0};
	size_t accepted = 0;

	cr_assert_not_null(text);
	for (size_t i = 0; i < strlen(good); i++) {
		auto_free struct kt_keyfile *file = NULL;
		auto_free char *again = NULL;

		text[i] ^= 1;
		if (kt_keyfile_parse(text, strlen(good), &file, &e) == 0) {
			accepted++;
			cr_assert_eq(kt_keyfile_format(file, &again, &e), 0);
			cr_expect_str_eq(again, text);
		}
		text[i] ^= 1;
	}
	/* UUID, parent's Name, `unique` and the encrypted parts: only the TPM can judge those. */
	cr_expect_gt(accepted, 100);
	cr_expect_lt(accepted, strlen(good) - 300);
}

static char *replace(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char *text;

	cr_assert_not_null(at, "%s", from);
	cr_assert_gt(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)), 0);
	return text;
}

Test(keyfile, refuses_what_was_changed)
{
	static const char *const changes[][2] = {
		{"Parent-Name: ", "parent-name: "},
		{"Parent-Name: ", "Parent-Name:"},
		{"Parent-Name: 000b", "Parent-Name: 000B"},
		{"Parent-Name: 000b", "Parent-Name: ffff"},
		{"Parent-Name: 000b7d", "Parent-Name: 000b"},
		{"Key-UUID: 97943e70", "Key-UUID: 97943E70"},
		{"Key-UUID: 97943e70", "Key-UUID: 7943e70"},
		{"Key-UUID: 97943e70", "Key-UUID: 197943e70"},
		{"Key-UUID: 9", "Key-UUID: \n9"},
		{"PCRs: sha256:7=00", "PCRs: sha256:7=01"},
		{"PCRs: sha256:7=", "PCRs: sha256:8="},
		{"PCRs: sha256:7=", "PCRs: sha256:07="},
		{"PCRs: sha256:7=", "PCRs: sha1:7="},
		{"PCRs: sha256:7=", "PCRs: sha256:6,7="},
		{"PCRs: ", "PCRs:  "},
		{"PCRs: ", "# a comment\nPCRs: "},
		{"Key-UUID", "Parent-Name"},
		{"-----BEGIN TSS2 PRIVATE KEY-----\n", "\n-----BEGIN TSS2 PRIVATE KEY-----\n"},
		{"-----BEGIN TSS2 PRIVATE KEY-----\n", "-----BEGIN TSS2 PRIVATE KEY-----\r\n"},
		{"-----END TSS2 PRIVATE KEY-----\n", "-----END TSS2 PRIVATE KEY-----\n\n"},
		{"-----END TSS2 PRIVATE KEY-----\n", "-----END TSS2 PRIVATE KEY-----\nx\n"},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		auto_free char *text = replace(changes[i][0], changes[i][1]);

		expect_refused(text, strlen(text), changes[i][1]);
	}
}

/* The blocks of a file in another order, or one of them twice. */
Test(keyfile, refuses_blocks_that_are_not_what_they_should_be)
{
	static const char begin[] = "-----BEGIN TSS2 PRIVATE KEY-----\n";
	const char *first = strstr(good, begin), *second = strstr(first + 1, begin);
	const int head = (int)(first - good), key = (int)(second - first);
	auto_free char *swapped = NULL, *keys = NULL, *peppers = NULL, *three = NULL, *nul = NULL;

	cr_assert_gt(asprintf(&swapped, "%.*s%s%.*s", head, good, second, key, first), 0);
	cr_assert_gt(asprintf(&keys, "%.*s%.*s%.*s", head, good, key, first, key, first), 0);
	cr_assert_gt(asprintf(&peppers, "%.*s%s%s", head, good, second, second), 0);
	cr_assert_gt(asprintf(&three, "%s%s", good, second), 0);
	expect_refused(swapped, strlen(swapped), "swapped");
	expect_refused(keys, strlen(keys), "two keys");
	expect_refused(peppers, strlen(peppers), "two peppers");
	expect_refused(three, strlen(three), "three blocks");
	nul = strdup(good);
	cr_assert_not_null(nul);
	*strchr(nul, '9') = '\0';
	expect_refused(nul, strlen(good), "a NUL");
}

Test(keyfile, refuses_attributes_that_would_open_another_way)
{
	static const TPMA_OBJECT wrong[] = {TPMA_OBJECT_USERWITHAUTH, TPMA_OBJECT_FIXEDTPM,
		TPMA_OBJECT_FIXEDPARENT, TPMA_OBJECT_SENSITIVEDATAORIGIN,
		TPMA_OBJECT_ADMINWITHPOLICY, TPMA_OBJECT_SIGN_ENCRYPT, TPMA_OBJECT_DECRYPT,
		TPMA_OBJECT_RESTRICTED};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		auto_free struct kt_keyfile *file = parse_good();
		auto_free char *text = NULL;
		struct kt_error e = {0};

		file->key_public.publicArea.objectAttributes ^= wrong[i];
		cr_assert_eq(kt_keyfile_format(file, &text, &e), 0);
		expect_refused(text, strlen(text), "attributes of the key");
		file->key_public.publicArea.objectAttributes ^= wrong[i];
		free(kt_take(text));
		file->pepper_public.publicArea.objectAttributes ^= wrong[i];
		cr_assert_eq(kt_keyfile_format(file, &text, &e), 0);
		expect_refused(text, strlen(text), "attributes of the pepper");
	}
}

Test(keyfile, refuses_another_policy_or_hash)
{
	auto_free struct kt_keyfile *file = parse_good();
	auto_free char *policy = NULL, *hash = NULL;
	struct kt_error e = {0};

	file->key_public.publicArea.authPolicy = file->pepper_public.publicArea.authPolicy;
	cr_assert_eq(kt_keyfile_format(file, &policy, &e), 0);
	expect_refused(policy, strlen(policy), "the pepper's policy");
	free(kt_take(file));
	file = parse_good();
	file->key_public.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg =
		TPM2_ALG_SHA1;
	cr_assert_eq(kt_keyfile_format(file, &hash, &e), 0);
	expect_refused(hash, strlen(hash), "SHA-1");
}

/* `good` with another state before its own, and the policies that follow. */
static struct kt_keyfile *with_two_states(void)
{
	struct kt_keyfile *file = parse_good();
	struct kt_policy key = {0}, pepper = {0};
	struct kt_error e = {0};

	file->states[1] = file->states[0];
	file->states[0].banks[0].value[7][0] = 0xff;
	file->state_count = 2;
	cr_assert_eq(kt_keyfile_key_policy(file, 1, &key, &e), 0);
	cr_assert_eq(kt_keyfile_pepper_policy(file, 0, &pepper, &e), 0);
	cr_assert_eq(
		kt_policy_digest(KT_KEYFILE_ALG, &key, &file->key_public.publicArea.authPolicy, &e),
		0);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &pepper,
			     &file->pepper_public.publicArea.authPolicy, &e),
		0);
	return file;
}

Test(keyfile, several_states_have_one_policy)
{
	auto_free struct kt_keyfile *file = with_two_states(), *back = NULL;
	auto_free char *text = NULL, *again = NULL;
	struct kt_policy first = {0}, second = {0};
	TPM2B_DIGEST a, b;
	struct kt_error e = {0};

	cr_assert_eq(kt_keyfile_key_policy(file, 0, &first, &e), 0);
	cr_assert_eq(kt_keyfile_key_policy(file, 1, &second, &e), 0);
	cr_assert_eq(first.count, 3);
	cr_expect_eq(first.steps[1].command, TPM2_CC_PolicyOR);
	cr_expect_eq(first.steps[1].branches.count, 2);
	cr_expect_neq(memcmp(&first.steps[0], &second.steps[0], sizeof(first.steps[0])), 0);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &first, &a, &e), 0);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &second, &b, &e), 0);
	cr_expect_arr_eq(a.buffer, b.buffer, 32);
	cr_assert_eq(kt_keyfile_format(file, &text, &e), 0);
	cr_assert_eq(kt_keyfile_parse(text, strlen(text), &back, &e), 0, "%s", e.msg);
	cr_expect_eq(back->state_count, 2);
	cr_expect_eq(back->states[0].banks[0].value[7][0], 0xff);
	cr_expect_eq(back->states[1].banks[0].value[7][0], 0);
	cr_assert_eq(kt_keyfile_format(back, &again, &e), 0);
	cr_expect_str_eq(again, text);
}

Test(keyfile, refuses_states_that_are_not_those_of_the_policy)
{
	auto_free struct kt_keyfile *file = with_two_states();
	auto_free char *fewer = NULL, *swapped = NULL, *many = NULL;
	struct kt_pcr_set first = file->states[0];
	struct kt_error e = {0};

	file->states[0] = file->states[1];
	file->states[1] = first;
	cr_assert_eq(kt_keyfile_format(file, &swapped, &e), 0);
	expect_refused(swapped, strlen(swapped), "another order");
	file->state_count = 1;
	cr_assert_eq(kt_keyfile_format(file, &fewer, &e), 0);
	expect_refused(fewer, strlen(fewer), "one of two");
	many = replace("-----BEGIN TSS2 PRIVATE KEY-----\n",
		"PCRs: x\nPCRs: x\nPCRs: x\nPCRs: x\nPCRs: x\nPCRs: x\nPCRs: x\nPCRs: x\n");
	expect_refused(many, strlen(many), "nine");
}

/* A PolicyOR forgets the digest of what stands before it, so that only reading tells. */
Test(keyfile, refuses_steps_that_the_policys_digest_does_not_show)
{
	static const char begin[] = "-----BEGIN TSS2 PRIVATE KEY-----\n";
	auto_free struct kt_keyfile *file = with_two_states();
	auto_free struct kt_tss2key *key = kt_tss2key_new();
	auto_free char *text = NULL, *pem = NULL, *changed = NULL;
	const char *first, *second;
	struct kt_error e = {0};

	cr_assert_not_null(key);
	cr_assert_eq(kt_keyfile_format(file, &text, &e), 0);
	first = strstr(text, begin);
	second = strstr(first + 1, begin);
	cr_assert_eq(
		kt_tss2key_from_file((const uint8_t *)first, (size_t)(second - first), key, &e), 0,
		"%s", e.msg);
	key->policy.steps[0].pcr.digest.buffer[0] ^= 1;
	cr_assert_eq(kt_tss2key_to_pem(key, &pem, &e), 0);
	cr_assert_gt(asprintf(&changed, "%.*s%s%s", (int)(first - text), text, pem, second), 0);
	expect_refused(changed, strlen(changed), "a step before PolicyOR");
}

Test(keyfile, names_who_approves_its_states)
{
	auto_free struct kt_keyfile *file = NULL, *literal = parse_good();
	auto_free char *text = NULL;
	auto_pkey EVP_PKEY *signer = NULL, *none = NULL;
	struct kt_policy key = {0}, pepper = {0};
	TPM2B_DIGEST digest;
	struct kt_error e = {0};

	cr_assert_eq(kt_keyfile_parse(signed_by, strlen(signed_by), &file, &e), 0, "%s", e.msg);
	cr_expect(file->is_signed);
	cr_expect_eq(file->state_count, 0);
	cr_expect_str_eq(file->uuid, "7ac6d540-502f-4aab-8d34-a719ff246159");
	cr_expect_eq(kt_keyfile_signer(file, &signer, &e), 0);
	cr_assert_eq(kt_keyfile_key_policy(file, 0, &key, &e), 0);
	cr_assert_eq(key.count, 2);
	cr_expect_eq(key.steps[0].command, TPM2_CC_PolicyAuthorize);
	cr_expect_eq(key.steps[0].authorize.ref.size, 36);
	cr_expect_arr_eq(key.steps[0].authorize.ref.buffer, file->uuid, 36);
	cr_expect_eq(key.steps[1].command_code, TPM2_CC_HMAC);
	cr_assert_eq(kt_policy_digest(KT_KEYFILE_ALG, &key, &digest, &e), 0);
	cr_expect_arr_eq(digest.buffer, file->key_public.publicArea.authPolicy.buffer, 32);
	cr_assert_eq(kt_keyfile_pepper_policy(file, 0, &pepper, &e), 0);
	cr_assert_eq(pepper.count, 1);
	cr_assert_eq(kt_keyfile_format(file, &text, &e), 0);
	cr_expect_str_eq(text, signed_by);
	/* One that nobody approves has no signer. */
	cr_expect_eq(kt_keyfile_signer(literal, &none, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

/* UUID and signer are parts of both policies: neither can be exchanged. */
Test(keyfile, an_approved_key_keeps_its_name_and_its_signer)
{
	static const char *const edits[][2] = {
		{"Key-UUID: ", "Key-UUID: 00000000-0000-4000-8000-000000000000\n"},
		{"Policy-Signer: ", "Policy-Signer: 00\n"},
		{"Policy-Signer: ", ""},
		{"Policy-Signer: ",
			"PCRs: sha256:7="
			"0000000000000000000000000000000000000000000000000000000000000000\n"},
		/* The base point of P-256 (SEC 2, 2.4.2), and one that is not on the curve. */
		{"Policy-Signer: ",
			"Policy-Signer: "
			"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
			"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5\n"},
		{"Policy-Signer: ",
			"Policy-Signer: "
			"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
			"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f6\n"},
	};

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		const char *line = strstr(signed_by, edits[i][0]);
		const char *rest = strchr(line, '\n') + 1;
		auto_free char *text = NULL;

		cr_assert(asprintf(&text, "%.*s%s%s", (int)(line - signed_by), signed_by,
				  edits[i][1], rest) > 0);
		expect_refused(text, strlen(text), edits[i][1]);
	}
}
