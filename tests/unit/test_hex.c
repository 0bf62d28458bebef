/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/hex.h"

Test(hex, writes_lower_case)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x9a, 0xbc, 0xde, 0xff};
	char text[2 * sizeof(bytes) + 1];

	kt_hex_encode(bytes, sizeof(bytes), text);
	cr_assert_str_eq(text, "00019abcdeff");
	kt_hex_encode(bytes, 0, text);
	cr_assert_str_eq(text, "");
}

Test(hex, reads_either_case)
{
	uint8_t bytes[4];
	struct kt_error e;

	cr_assert_eq(kt_hex_decode("0aF9Ab00", bytes, 4, &e), 0);
	cr_assert_arr_eq(bytes, "\x0a\xf9\xab\x00", 4);
	cr_assert_eq(kt_hex_decode("", bytes, 0, &e), 0);
}

Test(hex, round_trips_every_byte)
{
	uint8_t bytes[256], back[256];
	char text[513];
	struct kt_error e;

	for (size_t i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	kt_hex_encode(bytes, 256, text);
	cr_assert_eq(kt_hex_decode(text, back, 256, &e), 0);
	cr_assert_arr_eq(bytes, back, 256);
}

Test(hex, refuses_anything_else_and_writes_nothing)
{
	static const char *const bad[] = {"", "0", "000", "00000", "000000", "0g00", "000G", "0x00",
		" 000", "000 ", "00-1", "00:0", "0\n00", "\xff\xff\xff\xff", "/000", "000:", "@000",
		"000`"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t bytes[2] = {0xa5, 0xa5};
		struct kt_error e = {0};

		cr_expect_eq(kt_hex_decode(bad[i], bytes, 2, &e), -1, "accepted \"%s\"", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_arr_eq(bytes, "\xa5\xa5", 2);
	}
}
