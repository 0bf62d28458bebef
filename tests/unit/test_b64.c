/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: the vectors of RFC 4648, and everything that strictness refuses. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/b64.h"

struct vector {
	const char *bytes;
	const char *padded;
	const char *unpadded;
};

/* RFC 4648, section 10, and two with the digits that differ. */
static const struct vector vectors[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff\xbf", "+/+/", "-_-_"},
	{"\xff\xff\xff\xfe", "/////g==", "_____g"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(b64, encodes_the_vectors)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		size_t len = strlen(v->bytes);
		auto_free char *padded = NULL;
		auto_free char *unpadded = NULL;
		struct kt_error e;

		cr_assert_eq(kt_b64_encode(v->bytes, len, &padded, &e), 0);
		cr_assert_eq(kt_b64url_encode(v->bytes, len, &unpadded, &e), 0);
		cr_expect_str_eq(padded, v->padded);
		cr_expect_str_eq(unpadded, v->unpadded);
		cr_expect_eq(kt_b64_encoded_len(len), strlen(padded));
		cr_expect_eq(kt_b64url_encoded_len(len), strlen(unpadded));
	}
}

Test(b64, decodes_the_vectors)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		auto_free uint8_t *one = NULL;
		auto_free uint8_t *two = NULL;
		auto_secret struct kt_secret *three = NULL;
		size_t len;
		struct kt_error e;

		cr_assert_eq(kt_b64_decode(v->padded, strlen(v->padded), &one, &len, &e), 0);
		cr_expect_eq(len, strlen(v->bytes));
		cr_expect_arr_eq(one, v->bytes, len);
		cr_assert_eq(kt_b64url_decode(v->unpadded, strlen(v->unpadded), &two, &len, &e), 0);
		cr_expect_eq(len, strlen(v->bytes));
		cr_expect_arr_eq(two, v->bytes, len);
		cr_assert_eq(kt_b64_decode_secret(v->padded, strlen(v->padded), &three, &e), 0);
		cr_expect_eq(kt_secret_len(three), strlen(v->bytes));
		cr_expect_arr_eq(kt_secret_bytes(three), v->bytes, len);
	}
}

Test(b64, round_trips_every_byte_at_every_phase)
{
	uint8_t bytes[259];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t len = 254; len <= sizeof(bytes); len++) {
		auto_free char *text = NULL;
		auto_free uint8_t *back = NULL;
		size_t back_len;
		struct kt_error e;

		cr_assert_eq(kt_b64url_encode(bytes, len, &text, &e), 0);
		cr_assert_eq(kt_b64url_decode(text, strlen(text), &back, &back_len, &e), 0);
		cr_assert_eq(back_len, len);
		cr_assert_arr_eq(back, bytes, len);
	}
}

Test(b64, padded_form_refuses_everything_but_the_one_encoding)
{
	static const char *const bad[] = {"Zg", "Zg=", "Zg===", "Zg====", "=",
		"==", "===", "====", "Z===", "Zm9v====", "Zm9v=", "Zm9vYg==Zg==", "Zg==Zm9v",
		"Zm=v", "Z=9v", "=m9v", "Zh==", "Zm9=", "Zm9v\n", "Zm9v ", " Zm9v", "Zm\n9v",
		"-_-_", "Zm9*", "Zm9\x80", "Zm9@", "Zm9[", "Zm9`", "Zm9{", "Zm9:", "Zm9,", "Zm9."};

	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *data = NULL;
		struct kt_secret *secret = NULL;
		size_t len;
		struct kt_error e = {0};

		cr_expect_eq(kt_b64_decode(bad[i], strlen(bad[i]), &data, &len, &e), -1,
			"accepted \"%s\"", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_null(data);
		cr_expect_eq(kt_b64_decode_secret(bad[i], strlen(bad[i]), &secret, &e), -1);
		cr_expect_null(secret);
	}
}

Test(b64, url_form_refuses_padding_and_the_other_alphabet)
{
	static const char *const bad[] = {"Z", "Zm9vZ", "Zg==", "Zm8=", "+/+/", "Zh", "Zm9",
		"Zm9v ", "Zm9v\n", "Zm.v", "Zm9v="};

	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *data = NULL;
		size_t len;
		struct kt_error e = {0};

		cr_expect_eq(kt_b64url_decode(bad[i], strlen(bad[i]), &data, &len, &e), -1,
			"accepted \"%s\"", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_null(data);
	}
}

Test(b64, every_character_outside_the_alphabet_is_refused)
{
	static const char url_alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int c = 0; c < 256; c++) {
		bool expected = memchr(url_alphabet, c, 64) != NULL;
		const char text[4] = {'A', (char)c, 'A', 'A'};
		auto_free uint8_t *data = NULL;
		size_t len;
		struct kt_error e;

		cr_expect_eq(
			kt_b64url_decode(text, 4, &data, &len, &e) == 0, expected, "byte %d", c);
	}
}

Test(b64, messages_do_not_repeat_the_text)
{
	uint8_t *data = NULL;
	size_t len;
	struct kt_error e;

	cr_assert_eq(kt_b64_decode("SECRETTOKEN!", 12, &data, &len, &e), -1);
	cr_assert_null(strstr(e.msg, "SECRET"));
}
