/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hexadecimal text. Not for secrets: the tables' cache lines depend on the data.
 */
#include "lib/hex.h"

#include <string.h>

void kt_hex_encode(const void *data, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * len] = '\0';
}

/* Value of a digit, or 16. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

int kt_hex_decode(const char *text, void *ret_data, size_t len, struct kt_error *e)
{
	uint8_t *bytes = ret_data;
	size_t text_len = strlen(text);

	if (text_len % 2 != 0 || text_len / 2 != len)
		return kt_fail(
			e, KT_E_INPUT, "expected %zu hex digits, found %zu", 2 * len, text_len);
	for (size_t i = 0; i < text_len; i++)
		if (digit_value(text[i]) > 15)
			return kt_fail(e, KT_E_INPUT, "character %zu is not a hex digit", i + 1);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
	return 0;
}
