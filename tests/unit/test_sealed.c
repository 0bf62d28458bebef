/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed file without a TPM: made for another machine and a recovery key, opened with the key,
 * and attacked in between.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/b64.h"
#include "lib/seal.h"

static const char secret_text[] = "a-bearer-token";

/* A storage key that nobody has the private part of: enough to seal for. */
static TPM2B_PUBLIC storage_key(void)
{
	TPM2B_PUBLIC public = kt_template_srk_ecc;
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	uint8_t xy[2 * KT_P256_COORD_BYTES];
	struct kt_error e;

	cr_assert_eq(kt_p256_point(key, xy, &e), 0);
	public.publicArea.unique.ecc.x.size = KT_P256_COORD_BYTES;
	public.publicArea.unique.ecc.y.size = KT_P256_COORD_BYTES;
	memcpy(public.publicArea.unique.ecc.x.buffer, xy, KT_P256_COORD_BYTES);
	memcpy(public.publicArea.unique.ecc.y.buffer, xy + KT_P256_COORD_BYTES,
		KT_P256_COORD_BYTES);
	return public;
}

static struct kt_secret *make_file(EVP_PKEY *recovery)
{
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	auto_secret struct kt_secret *secret = NULL;
	const TPM2B_PUBLIC other = storage_key();
	struct kt_slot_policy words = {0};
	struct kt_secret *text = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_pcr_parse("sha256:7=3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a1"
				  "3f198e7969",
			     &words.pcrs, &e),
		0, "%s", e.msg);
	strcpy(sealed->name, "token");
	strcpy(sealed->purpose, "exec-credential");
	strcpy(sealed->kid, "6cbe2480-9ae2-4fc5-9cf7-d7fb143b6752");
	sealed->iat = 1700000000;
	cr_assert_eq(kt_sealed_add_tpm(sealed, &other, &words, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_sealed_add_recovery(sealed, recovery, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_secret_from(secret_text, strlen(secret_text), &secret, &e), 0);
	cr_assert_eq(kt_seal_encrypt(sealed, NULL, NULL, NULL, secret, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_sealed_serialize(sealed, &text, &e), 0, "%s", e.msg);
	return text;
}

static char *copy_text(const struct kt_secret *text)
{
	return strndup(kt_secret_bytes(text), kt_secret_len(text));
}

/* 0 if the text parses and opens to exactly the secret, else the error's code; anything else is a
 * failed test. */
static enum kt_code try_open(const char *text, size_t len, EVP_PKEY *key)
{
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *opened = NULL;
	struct kt_error e = {0};

	if (kt_sealed_parse(text, len, &sealed, &e) < 0 ||
		kt_seal_open_recovery(sealed, key, &opened, &e) < 0)
		return e.code;
	cr_assert_eq(kt_secret_len(opened), strlen(secret_text));
	cr_assert_arr_eq(kt_secret_bytes(opened), secret_text, strlen(secret_text));
	return KT_E_NONE;
}

static char *replace_once(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	size_t size = strlen(text) + strlen(new) + 1;
	char *out = malloc(size);

	cr_assert_not_null(at, "no \"%s\" in the file", old);
	snprintf(out, size, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return out;
}

Test(sealed, opens_what_it_sealed)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);
	auto_sealed struct kt_sealed *sealed = NULL;
	struct kt_error e = {0};

	cr_assert_eq(try_open(kt_secret_bytes(text), kt_secret_len(text), key), KT_E_NONE);
	cr_assert_eq(kt_sealed_parse(kt_secret_bytes(text), kt_secret_len(text), &sealed, &e), 0);
	cr_assert_str_eq(sealed->name, "token");
	cr_assert_str_eq(sealed->purpose, "exec-credential");
	cr_assert_eq(sealed->iat, 1700000000);
	cr_assert_eq(sealed->count, 2);
	cr_assert(sealed->recipients[0].words_agree);
	cr_assert(sealed->recipients[0].slot->has_secret);
	cr_assert_eq(sealed->recipients[0].policy.size, TPM2_SHA256_DIGEST_SIZE);
}

Test(sealed, another_recovery_key_does_not_open)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_pkey EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);

	cr_assert_eq(try_open(kt_secret_bytes(text), kt_secret_len(text), other), KT_E_INPUT);
}

Test(sealed, no_prefix_parses)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);

	/* The last byte is a newline that may be missing. */
	for (size_t len = 0; len + 1 < kt_secret_len(text); len++)
		cr_assert_eq(try_open(kt_secret_bytes(text), len, key), KT_E_INPUT,
			"%zu bytes were accepted", len);
}

Test(sealed, no_changed_byte_changes_the_secret, .timeout = 120)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);
	auto_free char *copy = copy_text(text);
	const char *words = strstr(copy, "\"policy\":{\"pcrs\"");
	size_t accepted = 0;

	cr_assert_not_null(words);
	for (size_t i = 0; i < kt_secret_len(text); i++) {
		char old = copy[i];

		copy[i] = old == 'A' ? 'B' : 'A';
		if (try_open(copy, kt_secret_len(text), key) == KT_E_NONE) {
			/* Only what stands in the open may change unnoticed by this slot: the other
			 * slot's words and wrapped key. */
			cr_assert(copy + i > strstr(copy, "\"recipients\""), "byte %zu", i);
			cr_assert(copy + i < strstr(copy, KT_JWE_ALG_RECOVERY), "byte %zu", i);
			accepted++;
		}
		copy[i] = old;
	}
	cr_assert_lt(accepted, 700);
}

Test(sealed, changed_words_are_flagged)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);
	auto_free char *copy = copy_text(text);
	auto_free char *changed = replace_once(copy, "3d458cfe", "4d458cfe");
	auto_sealed struct kt_sealed *sealed = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_sealed_parse(changed, strlen(changed), &sealed, &e), 0, "%s", e.msg);
	cr_assert_not(sealed->recipients[0].words_agree);
}

Test(sealed, resealing_refuses_words_that_disagree)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key), *secret = NULL;
	auto_free char *copy = copy_text(text);
	auto_free char *changed = replace_once(copy, "3d458cfe", "4d458cfe");
	auto_sealed struct kt_sealed *sealed = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_sealed_parse(changed, strlen(changed), &sealed, &e), 0);
	cr_assert_eq(kt_seal_open_recovery(sealed, key, &secret, &e), 0);
	cr_assert_eq(kt_seal_encrypt(sealed, NULL, NULL, NULL, secret, &e), -1);
	cr_assert_eq(e.code, KT_E_REFUSED);
}

Test(sealed, refuses_members_it_does_not_write)
{
	static const struct {
		const char *old, *new;
	} edits[] = {
		{"{\"protected\"", "{\"unprotected\":{},\"protected\""},
		{"{\"protected\"", "{\"aad\":\"AA\",\"protected\""},
		{"{\"protected\"", "{\"tag\":\"AA\",\"protected\""},
		{"{\"header\":{", "{\"x\":1,\"header\":{"},
		{"{\"header\":{", "{\"header\":{\"zip\":\"DEF\","},
		{"\"pin\":false", "\"pin\":\"no\""},
		{"\"alg\":\"kubetpm.tpm2\"", "\"alg\":\"dir\""},
		{"\"alg\":\"ECDH-ES+A256KW\"", "\"alg\":\"kubetpm.tpm2\""},
		{"\"parent\":\"000b", "\"parent\":\"000c"},
		{"\"iv\":\"", "\"iv\":\"AAAA"},
		{"\"recipients\":[", "\"recipients\":[{},"},
		{"}\n", "} {}\n"},
	};
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *text = make_file(key);
	auto_free char *copy = copy_text(text);

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		auto_free char *changed = replace_once(copy, edits[i].old, edits[i].new);

		cr_expect_eq(try_open(changed, strlen(changed), key), KT_E_INPUT, "edit %zu", i);
	}
}

/* Another file's slot under this file's header. */
Test(sealed, refuses_a_slot_of_another_file)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_secret struct kt_secret *a = make_file(key), *b = make_file(key);
	auto_free char *one = copy_text(a), *two = copy_text(b);
	const char *slot_one = strstr(one, "{\"header\":{\"alg\":\"ECDH");
	const char *slot_two = strstr(two, "{\"header\":{\"alg\":\"ECDH");
	const char *end_one = strstr(slot_one, "],\"iv\"");
	const char *end_two = strstr(slot_two, "],\"iv\"");
	auto_free char *mixed = malloc(strlen(one) + strlen(two) + 1);

	sprintf(mixed, "%.*s%.*s%s", (int)(slot_one - one), one, (int)(end_two - slot_two),
		slot_two, end_one);
	cr_assert_eq(try_open(mixed, strlen(mixed), key), KT_E_INPUT);
}

Test(sealed, refuses_the_same_recipient_twice)
{
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	const TPM2B_PUBLIC other = storage_key();
	const struct kt_slot_policy words = {.pin = true}, none = {0};
	struct kt_error e = {0};

	cr_assert_eq(kt_sealed_add_recovery(sealed, key, &e), 0);
	cr_assert_eq(kt_sealed_add_recovery(sealed, key, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
	cr_assert_eq(kt_sealed_add_tpm(sealed, &other, &words, &e), 0);
	cr_assert_eq(kt_sealed_add_tpm(sealed, &other, &none, &e), 0);
	cr_assert_eq(kt_sealed_add_tpm(sealed, &other, &words, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
	kt_sealed_remove(sealed, 1);
	cr_assert_eq(sealed->count, 2);
	cr_assert_eq(kt_sealed_add_tpm(sealed, &other, &words, &e), 0);
}

Test(sealed, limits_recipients_and_sizes)
{
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	auto_secret struct kt_secret *empty = NULL, *large = NULL;
	struct kt_error e = {0};

	strcpy(sealed->name, "largest");
	strcpy(sealed->purpose, "test");
	strcpy(sealed->kid, "6cbe2480-9ae2-4fc5-9cf7-d7fb143b6752");
	for (size_t i = 0; i < KT_SEALED_RECIPIENTS_MAX; i++) {
		auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

		cr_assert_eq(kt_sealed_add_recovery(sealed, key, &e), 0);
	}
	auto_pkey EVP_PKEY *more = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	cr_assert_eq(kt_sealed_add_recovery(sealed, more, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
	cr_assert_eq(kt_secret_new(1, &empty, &e), 0);
	cr_assert_eq(kt_seal_encrypt(sealed, NULL, NULL, NULL, empty, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_eq(kt_secret_new(KT_SEALED_SECRET_MAX_BYTES + 1, &large, &e), 0);
	kt_secret_set_len(large, KT_SEALED_SECRET_MAX_BYTES + 1);
	cr_assert_eq(kt_seal_encrypt(sealed, NULL, NULL, NULL, large, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	kt_secret_set_len(large, KT_SEALED_SECRET_MAX_BYTES);
	cr_assert_eq(kt_seal_encrypt(sealed, NULL, NULL, NULL, large, &e), 0, "%s", e.msg);
	auto_secret struct kt_secret *text = NULL;
	auto_sealed struct kt_sealed *back = NULL;

	cr_assert_eq(kt_sealed_serialize(sealed, &text, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_sealed_parse(kt_secret_bytes(text), kt_secret_len(text), &back, &e), 0,
		"%s", e.msg);
	cr_assert_eq(back->ciphertext_len, KT_SEALED_SECRET_MAX_BYTES);
}

Test(sealed, checks_names)
{
	static const char *const bad[] = {"", " x", "x ", "a\nb", "a\x7f", "\xc3\xa9"};
	char long_name[KT_SEALED_TEXT_MAX + 2];
	struct kt_error e = {0};

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(kt_sealed_check_text("name", bad[i], &e), -1, "%zu", i);
	cr_expect_eq(kt_sealed_check_text("name", long_name, &e), -1);
	long_name[KT_SEALED_TEXT_MAX] = '\0';
	cr_expect_eq(kt_sealed_check_text("name", long_name, &e), 0);
	cr_expect_eq(kt_sealed_check_text("name", "a b", &e), 0);
}
