/* SPDX-License-Identifier: Apache-2.0 */
/* DER: one encoding for each value, read and written; everything else refused. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/der.h"
#include "lib/hex.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct kt_der from_hex(const char *hex, uint8_t *buffer)
{
	struct kt_der in = {buffer, strlen(hex) / 2};
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(hex, buffer, in.len, &e), 0, "%s", e.msg);
	return in;
}

Test(der, reads_elements_one_after_the_other)
{
	uint8_t buffer[64];
	struct kt_der in = from_hex("0401aa30050201070400", buffer), content;
	struct kt_error e;

	cr_assert_eq(kt_der_read(&in, KT_DER_OCTET_STRING, "x", &content, &e), 0);
	cr_expect_eq(content.len, 1);
	cr_expect_eq(content.data[0], 0xaa);
	cr_expect(kt_der_next_is(&in, KT_DER_SEQUENCE));
	cr_expect_not(kt_der_next_is(&in, KT_DER_INTEGER));
	cr_assert_eq(kt_der_read(&in, KT_DER_SEQUENCE, "x", &content, &e), 0);
	cr_expect_eq(content.len, 5);
	cr_expect_eq(kt_der_end(&in, "x", &e), 0);
	cr_expect_not(kt_der_next_is(&in, KT_DER_SEQUENCE));
	cr_expect_eq(kt_der_read(&in, KT_DER_SEQUENCE, "x", &content, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

Test(der, refuses_lengths_that_are_not_der)
{
	static const char *const wrong[] = {
		"04", "0480", "0480aa0000",		/* cut short, indefinite */
		"048101aa", "04817f", "0482000180",	/* padded */
		"0402aa", "0481", "0482ff", "048180aa", /* beyond the end */
		"0483", "04840000000100", "0485000000000100", "04ff", "04fe00", /* too long */
	};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		uint8_t buffer[64];
		struct kt_der in = from_hex(wrong[i], buffer), content = {NULL, 77};
		struct kt_error e;

		cr_expect_eq(kt_der_read(&in, KT_DER_OCTET_STRING, "x", &content, &e), -1, "%s",
			wrong[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_eq(content.len, 77);
		cr_expect_eq(in.len, strlen(wrong[i]) / 2, "nothing was taken");
	}
}

Test(der, opens_explicit_tags_around_one_element)
{
	static const char *const wrong[] = {"a0020500", "a1030101ff", "a00201ff", "a0040101ff00",
		"a0060101ff0101ff", "a000", "8001ff"};
	uint8_t buffer[64];
	struct kt_der in = from_hex("a0030101ff", buffer), content;
	struct kt_error e;

	cr_assert_eq(kt_der_read_explicit(&in, 0, KT_DER_BOOLEAN, "x", &content, &e), 0);
	cr_expect_eq(content.len, 1);
	cr_expect_eq(in.len, 0);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		in = from_hex(wrong[i], buffer);
		cr_expect_eq(kt_der_read_explicit(&in, 0, KT_DER_BOOLEAN, "x", &content, &e), -1,
			"%s", wrong[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
}

static const struct {
	const char *content;
	uint32_t value;
} numbers[] = {
	{"00", 0},
	{"01", 1},
	{"7f", 0x7f},
	{"0080", 0x80},
	{"017f", 0x17f},
	{"00ffff", 0xffff},
	{"40000001", 0x40000001},
	{"7fffffff", 0x7fffffff},
	{"0080000000", 0x80000000},
	{"0081000001", 0x81000001},
	{"00ffffffff", 0xffffffff},
};

Test(der, reads_numbers)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint8_t buffer[8];
		struct kt_der content = from_hex(numbers[i].content, buffer);
		uint32_t value;
		struct kt_error e;

		cr_assert_eq(kt_der_uint32(&content, "x", &value, &e), 0, "%s", numbers[i].content);
		cr_expect_eq(value, numbers[i].value);
	}
}

Test(der, keeps_the_bits_of_a_negative_handle)
{
	uint8_t buffer[8];
	struct kt_der content = from_hex("81000001", buffer);
	uint32_t value;
	struct kt_error e;

	cr_assert_eq(kt_der_uint32(&content, "x", &value, &e), 0);
	cr_expect_eq(value, 0x81000001);
}

Test(der, refuses_numbers_that_are_padded_or_of_another_size)
{
	static const char *const wrong[] = {"", "ff", "80", "8000", "ff7f", "800000", "0000",
		"007f", "0000000001", "0040000001", "ff80000000", "ff81000001", "0100000000",
		"000081000001", "ffffffff"};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		uint8_t buffer[8];
		struct kt_der content = from_hex(wrong[i], buffer);
		uint32_t value = 77;
		struct kt_error e;

		cr_expect_eq(kt_der_uint32(&content, "x", &value, &e), -1, "%s", wrong[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_eq(value, 77);
	}
}

Test(der, writes_the_numbers_it_reads)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint8_t buffer[16];
		char expected[32], text[2 * sizeof(buffer) + 1];
		struct kt_derw w;

		kt_derw_init(&w, buffer, sizeof(buffer));
		kt_derw_uint32(&w, numbers[i].value);
		cr_assert_not(w.failed);
		kt_hex_encode(buffer + w.start, kt_derw_mark(&w), text);
		snprintf(expected, sizeof(expected), "02%02zx%s", strlen(numbers[i].content) / 2,
			numbers[i].content);
		cr_expect_str_eq(text, expected);
	}
}

Test(der, writes_lengths_that_it_reads)
{
	static const size_t lengths[] = {0, 1, 127, 128, 255, 256, 65535, 65536, 70000};
	static uint8_t data[70000], buffer[80000];

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct kt_der in, content;
		struct kt_derw w;
		struct kt_error e;

		kt_derw_init(&w, buffer, sizeof(buffer));
		kt_derw_element(&w, KT_DER_OCTET_STRING, data, lengths[i]);
		kt_derw_header(&w, KT_DER_EXPLICIT(3), 0);
		cr_assert_not(w.failed);
		in = (struct kt_der){buffer + w.start, kt_derw_mark(&w)};
		cr_assert_eq(kt_der_read_explicit(&in, 3, KT_DER_OCTET_STRING, "x", &content, &e),
			0, "%s", e.msg);
		cr_expect_eq(content.len, lengths[i]);
		cr_expect_eq(in.len, 0);
	}
}

Test(der, says_that_the_buffer_is_too_small)
{
	for (size_t size = 0; size < 6; size++) {
		uint8_t buffer[6];
		struct kt_derw w;

		kt_derw_init(&w, buffer, size);
		kt_derw_element(&w, KT_DER_OCTET_STRING, "abcd", 4);
		cr_expect(w.failed, "%zu", size);
		kt_derw_bytes(&w, "", 0);
		cr_expect(w.failed, "a failure stays");
	}
}
