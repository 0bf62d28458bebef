/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64, both alphabets. Our own because the libraries at hand accept white space, stray padding
 * and non-zero unused bits, so that two texts would name the same bytes. Digits are translated by
 * arithmetic rather than by table: what is decoded may be secret, and a table leaves its trace in
 * the cache.
 */
#include "lib/b64.h"

#include <stdbool.h>
#include <string.h>

struct alphabet {
	unsigned char digit62, digit63;
	bool padded;
};

static const struct alphabet standard = {'+', '/', true};
static const struct alphabet url_safe = {'-', '_', false};

size_t kt_b64_encoded_len(size_t len)
{
	return len / 3 * 4 + (len % 3 != 0 ? 4 : 0);
}

size_t kt_b64url_encoded_len(size_t len)
{
	return len / 3 * 4 + (len % 3 != 0 ? len % 3 + 1 : 0);
}

/* All ones if low <= x <= high, else 0; all below 256. */
static uint32_t in_range(uint32_t x, uint32_t low, uint32_t high)
{
	return 0 - (((low - 1 - x) & (x - high - 1)) >> 31);
}

static char digit_for(const struct alphabet *alphabet, uint32_t value)
{
	uint32_t c = 0;

	c |= in_range(value, 0, 25) & ('A' + value);
	c |= in_range(value, 26, 51) & ('a' + value - 26);
	c |= in_range(value, 52, 61) & ('0' + value - 52);
	c |= in_range(value, 62, 62) & alphabet->digit62;
	c |= in_range(value, 63, 63) & alphabet->digit63;
	return (char)c;
}

/* The value of a digit, or 64 and more. */
static uint32_t value_of(const struct alphabet *alphabet, unsigned char c)
{
	uint32_t value = 0;

	value |= in_range(c, 'A', 'Z') & (c - 'A' + 1u);
	value |= in_range(c, 'a', 'z') & (c - 'a' + 26 + 1u);
	value |= in_range(c, '0', '9') & (c - '0' + 52 + 1u);
	value |= in_range(c, alphabet->digit62, alphabet->digit62) & (62 + 1u);
	value |= in_range(c, alphabet->digit63, alphabet->digit63) & (63 + 1u);
	return value - 1;
}

static int encode(const struct alphabet *alphabet, const void *data, size_t len, char **ret_text,
	struct kt_error *e)
{
	const uint8_t *bytes = data;
	size_t text_len = alphabet->padded ? kt_b64_encoded_len(len) : kt_b64url_encoded_len(len);
	char *text = len < SIZE_MAX / 2 ? malloc(text_len + 1) : NULL;
	uint32_t bits = 0;
	unsigned count = 0; /* of bits that wait in `bits` */
	char *out = text;

	if (text == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | bytes[i];
		for (count += 8; count >= 6; count -= 6)
			*out++ = digit_for(alphabet, bits >> (count - 6) & 63);
	}
	if (count > 0)
		*out++ = digit_for(alphabet, bits << (6 - count) & 63);
	while (out < text + text_len)
		*out++ = '=';
	*out = '\0';
	*ret_text = text;
	return 0;
}

/* Checks and removes the padding; says how many bytes the rest stands for. */
static int measure(const struct alphabet *alphabet, const char *text, size_t *text_len,
	size_t *ret_len, struct kt_error *e)
{
	size_t digits = *text_len;

	if (alphabet->padded) {
		if (digits % 4 != 0)
			return kt_fail(e, KT_E_INPUT,
				"base64 text is not a multiple of 4 characters long");
		for (int i = 0; i < 2 && digits > 0 && text[digits - 1] == '='; i++)
			digits--;
	}
	if (digits % 4 == 1)
		return kt_fail(e, KT_E_INPUT, "base64 text has a character too many or too few");
	*text_len = digits;
	*ret_len = digits / 4 * 3 + (digits % 4 != 0 ? digits % 4 - 1 : 0);
	return 0;
}

/* `digits` as measured; `out` has room for what they stand for. */
static int decode_digits(const struct alphabet *alphabet, const char *text, size_t digits,
	uint8_t *out, struct kt_error *e)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < digits; i++) {
		uint32_t value = value_of(alphabet, (unsigned char)text[i]);

		if (value > 63)
			return kt_fail(e, KT_E_INPUT, "character %zu is not of the base64 alphabet",
				i + 1);
		bits = bits << 6 | value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			*out++ = (uint8_t)(bits >> count);
		}
	}
	if ((bits & ((1u << count) - 1)) != 0)
		return kt_fail(e, KT_E_INPUT, "base64 text has unused bits that are not zero");
	return 0;
}

static int decode(const struct alphabet *alphabet, const char *text, size_t text_len,
	uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	uint8_t *data;
	size_t len;

	if (measure(alphabet, text, &text_len, &len, e) != 0)
		return -1;
	data = malloc(len + 1);
	if (data == NULL)
		return kt_fail_memory(e);
	if (decode_digits(alphabet, text, text_len, data, e) != 0) {
		explicit_bzero(data, len);
		free(data);
		return -1;
	}
	data[len] = 0;
	*ret_data = data;
	*ret_len = len;
	return 0;
}

int kt_b64_encode(const void *data, size_t len, char **ret_text, struct kt_error *e)
{
	return encode(&standard, data, len, ret_text, e);
}

int kt_b64url_encode(const void *data, size_t len, char **ret_text, struct kt_error *e)
{
	return encode(&url_safe, data, len, ret_text, e);
}

int kt_b64_decode(
	const char *text, size_t text_len, uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	return decode(&standard, text, text_len, ret_data, ret_len, e);
}

int kt_b64url_decode(
	const char *text, size_t text_len, uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	return decode(&url_safe, text, text_len, ret_data, ret_len, e);
}

int kt_b64_decode_secret(
	const char *text, size_t text_len, struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	size_t len;

	if (measure(&standard, text, &text_len, &len, e) != 0)
		return -1;
	if (len > KT_SECRET_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "base64 text stands for more than %zu bytes",
			KT_SECRET_MAX_BYTES);
	if (kt_secret_new(len > 0 ? len : 1, &secret, e) != 0 ||
		decode_digits(&standard, text, text_len, kt_secret_buffer(secret), e) != 0)
		return -1;
	kt_secret_set_len(secret, len);
	*ret_secret = kt_take(secret);
	return 0;
}
