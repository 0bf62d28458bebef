/* SPDX-License-Identifier: Apache-2.0 */
/* Records of kms-tpm: vectors that another implementation computed, and every changed bit. */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/ec.h>

#include "lib/hex.h"
#include "lib/jwk.h"
#include "lib/kms-record.h"

/* HMAC 40…5f, pepper 80…9f, identifier 00…1f. */
#define INPUT "839d874711a6fcf810e260061916d9652c48dcea2aa101a97b5ba7f8e89b3a51"
#define KEY "2b7283230fd2ff1b8d76f0dc0abc6fad7dfb5b4c8817f5bfae4794712c25ce9c"
#define TEXT "attack at dawn"
#define TEXT_LEN (sizeof(TEXT) - 1)
#define RECORD_LEN (TEXT_LEN + KT_RECORD_OVERHEAD_BYTES)
#define RECORD                                                                                     \
	"0102030405060708090a0b0c27a39d4715fd8a7af65bdbf7485c505c79a5f90413fd697ff6e8e9fec82c"
/* the same, bound to 137 bytes 01 */
#define RECORD_BOUND                                                                               \
	"0102030405060708090a0b0c27a39d4715fd8a7af65bdbf7485cb435996a3d046feb5e2067b20c32c30c"

static const struct kt_span nothing = {"", 0};

static void fill(uint8_t *bytes, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
}

static struct kt_secret *golden_key(void)
{
	uint8_t hmac[32], pepper_bytes[32], id[32];
	auto_secret struct kt_secret *pepper = NULL;
	struct kt_secret *key = NULL;
	struct kt_error e = {0};

	fill(hmac, sizeof(hmac), 64);
	fill(pepper_bytes, sizeof(pepper_bytes), 128);
	fill(id, sizeof(id), 0);
	cr_assert_eq(kt_secret_from(pepper_bytes, sizeof(pepper_bytes), &pepper, &e), 0);
	cr_assert_eq(kt_secret_new(KT_RECORD_KEY_BYTES, &key, &e), 0);
	cr_assert_eq(kt_record_key(hmac, pepper, id, key, &e), 0, "%s", e.msg);
	return key;
}

static void expect_opens(const char *hex, struct kt_span bound)
{
	auto_secret struct kt_secret *key = golden_key(), *plain = NULL;
	uint8_t record[RECORD_LEN];
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_new(RECORD_LEN, &plain, &e), 0);
	cr_assert_eq(kt_hex_decode(hex, record, sizeof(record), &e), 0);
	cr_assert_eq(kt_record_open(key, bound, record, sizeof(record), plain, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_secret_len(plain), TEXT_LEN);
	cr_expect_arr_eq(kt_secret_bytes(plain), TEXT, TEXT_LEN);
}

Test(kms_record, input_never_changes_and_each_part_counts)
{
	uint8_t id[KT_RECORD_ID_BYTES], input[KT_RECORD_INPUT_BYTES];
	char hex[2 * KT_RECORD_INPUT_BYTES + 1];

	fill(id, sizeof(id), 0);
	kt_record_input("prod", "sha256:00", id, input);
	kt_hex_encode(input, sizeof(input), hex);
	cr_expect_str_eq(hex, INPUT);
	kt_record_input("prod2", "sha256:00", id, input);
	kt_hex_encode(input, sizeof(input), hex);
	cr_expect_str_neq(hex, INPUT);
	kt_record_input("prods", "ha256:00", id, input);
	kt_hex_encode(input, sizeof(input), hex);
	cr_expect_str_neq(hex, INPUT);
	id[31] ^= 1;
	kt_record_input("prod", "sha256:00", id, input);
	kt_hex_encode(input, sizeof(input), hex);
	cr_expect_str_neq(hex, INPUT);
}

Test(kms_record, key_takes_hmac_pepper_and_identifier)
{
	auto_secret struct kt_secret *key = golden_key(), *pepper = NULL, *short_pepper = NULL;
	uint8_t hmac[32], id[32], zeros[32] = {0};
	char hex[2 * KT_RECORD_KEY_BYTES + 1];
	struct kt_error e = {0};

	kt_hex_encode(kt_secret_bytes(key), kt_secret_len(key), hex);
	cr_expect_str_eq(hex, KEY);
	fill(hmac, sizeof(hmac), 64);
	fill(id, sizeof(id), 0);
	cr_assert_eq(kt_secret_from(zeros, sizeof(zeros), &pepper, &e), 0);
	cr_assert_eq(kt_record_key(hmac, pepper, id, key, &e), 0);
	kt_hex_encode(kt_secret_bytes(key), kt_secret_len(key), hex);
	cr_expect_str_neq(hex, KEY, "the HMAC alone does not give the key");
	cr_assert_eq(kt_secret_from(zeros, 31, &short_pepper, &e), 0);
	cr_expect_eq(kt_record_key(hmac, short_pepper, id, key, &e), -1);
}

Test(kms_record, opens_what_another_implementation_made)
{
	uint8_t bound[KT_RECORD_RECOVERY_BYTES];

	memset(bound, 1, sizeof(bound));
	expect_opens(RECORD, nothing);
	expect_opens(RECORD_BOUND, (struct kt_span){bound, sizeof(bound)});
}

static void expect_closed(
	const struct kt_secret *key, struct kt_span bound, const uint8_t *record, size_t len)
{
	auto_secret struct kt_secret *plain = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_from("what was there before", 21, &plain, &e), 0);
	cr_expect_eq(kt_record_open(key, bound, record, len, plain, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
	cr_expect_eq(kt_secret_len(plain), 0);
	cr_expect_neq(memcmp(kt_secret_bytes(plain), TEXT, TEXT_LEN), 0);
}

Test(kms_record, no_changed_bit_opens)
{
	auto_secret struct kt_secret *key = golden_key();
	uint8_t record[RECORD_LEN], bound[KT_RECORD_RECOVERY_BYTES];
	const struct kt_span span = {bound, sizeof(bound)};
	struct kt_error e = {0};

	memset(bound, 1, sizeof(bound));
	cr_assert_eq(kt_hex_decode(RECORD_BOUND, record, sizeof(record), &e), 0);
	for (size_t i = 0; i < 8 * sizeof(record); i++) {
		record[i / 8] ^= (uint8_t)(1 << i % 8);
		expect_closed(key, span, record, sizeof(record));
		record[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < sizeof(bound); i++) {
		bound[i] ^= 0x80;
		expect_closed(key, span, record, sizeof(record));
		bound[i] ^= 0x80;
	}
	expect_closed(key, nothing, record, sizeof(record));
	for (size_t len = 0; len < sizeof(record); len++)
		expect_closed(key, span, record, len);
}

Test(kms_record, survives_a_round_trip_and_repeats_nothing)
{
	static const size_t sizes[] = {1, 16, 32, 996, 65536};
	auto_secret struct kt_secret *key = golden_key();
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i] + KT_RECORD_OVERHEAD_BYTES;
		auto_free uint8_t *text = calloc(1, sizes[i]), *a = malloc(len), *b = malloc(len);
		auto_secret struct kt_secret *plain = NULL;

		cr_assert(text != NULL && a != NULL && b != NULL);
		cr_assert_eq(kt_secret_new(sizes[i], &plain, &e), 0);
		fill(text, sizes[i], 3);
		cr_assert_eq(kt_record_seal(key, nothing, text, sizes[i], a, &e), 0, "%s", e.msg);
		cr_assert_eq(kt_record_seal(key, nothing, text, sizes[i], b, &e), 0);
		cr_expect_neq(memcmp(a, b, 12), 0, "two IVs");
		cr_assert_eq(kt_record_open(key, nothing, a, len, plain, &e), 0, "%s", e.msg);
		cr_assert_eq(kt_secret_len(plain), sizes[i]);
		cr_expect_eq(memcmp(kt_secret_bytes(plain), text, sizes[i]), 0);
	}
	cr_expect_eq(kt_record_seal(key, nothing, "", 0, (uint8_t[32]){0}, &e), -1);
}

Test(kms_record, identifiers_do_not_repeat)
{
	uint8_t a[KT_RECORD_ID_BYTES], b[KT_RECORD_ID_BYTES];
	struct kt_error e = {0};

	cr_assert_eq(kt_record_new_id(a, &e), 0);
	cr_assert_eq(kt_record_new_id(b, &e), 0);
	cr_expect_neq(memcmp(a, b, sizeof(a)), 0);
}

Test(kms_record, recovery_key_gives_the_records_key)
{
	auto_pkey EVP_PKEY *recovery = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	auto_secret struct kt_secret *key = golden_key(), *back = NULL;
	uint8_t wrapped[KT_RECORD_RECOVERY_BYTES];
	struct kt_error e = {0};

	cr_assert(recovery != NULL && other != NULL);
	cr_assert_eq(kt_record_wrap(recovery, key, wrapped, &e), 0, "%s", e.msg);
	cr_assert_eq(
		kt_record_unwrap(recovery, wrapped, sizeof(wrapped), &back, &e), 0, "%s", e.msg);
	cr_expect(kt_secret_equal(key, back));
	for (size_t i = 0; i < sizeof(wrapped); i++) {
		struct kt_secret *no = NULL;

		wrapped[i] ^= 1;
		cr_expect_eq(kt_record_unwrap(recovery, wrapped, sizeof(wrapped), &no, &e), -1,
			"byte %zu", i);
		cr_expect_eq(e.code, KT_E_INPUT, "byte %zu: %s", i, e.msg);
		wrapped[i] ^= 1;
	}
	kt_secret_free(kt_take(back));
	cr_expect_eq(kt_record_unwrap(other, wrapped, sizeof(wrapped), &back, &e), -1);
	cr_expect_eq(kt_record_unwrap(recovery, wrapped, sizeof(wrapped) - 1, &back, &e), -1);
}
