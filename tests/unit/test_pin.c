/* SPDX-License-Identifier: Apache-2.0 */
/* PINs from files. The terminal is tested from outside. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/pin.h"

static char path[] = "/tmp/kt-pin-XXXXXX";

static void write_pin(const char *content, size_t len, mode_t mode)
{
	int fd;

	strcpy(path, "/tmp/kt-pin-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content, len), (ssize_t)len);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* The code of reading it, or KT_E_NONE and the PIN in `ret_pin`. */
static enum kt_code read_pin(size_t max, char *ret_pin)
{
	auto_secret struct kt_secret *pin = NULL;
	struct kt_error e = {0};
	int status = kt_pin_read_file(path, max, &pin, &e);

	unlink(path);
	if (status < 0)
		return e.code;
	memcpy(ret_pin, kt_secret_bytes(pin), kt_secret_len(pin));
	ret_pin[kt_secret_len(pin)] = '\0';
	return KT_E_NONE;
}

Test(pin, takes_off_one_line_end)
{
	static const struct {
		const char *content, *pin;
	} cases[] = {
		{"1234", "1234"},
		{"1234\n", "1234"},
		{"1234\r\n", "1234"},
		{"1234\r", "1234\r"},
		{" 12 34 \n", " 12 34 "},
		{"01234567890123456789012345678901\r\n", "01234567890123456789012345678901"},
	};
	char pin[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_pin(cases[i].content, strlen(cases[i].content), 0600);
		cr_expect_eq(read_pin(KT_PIN_MAX_BYTES, pin), KT_E_NONE, "%zu", i);
		cr_expect_str_eq(pin, cases[i].pin, "%zu", i);
	}
}

Test(pin, refuses_what_is_no_line_of_text)
{
	static const struct {
		const char *content;
		size_t len;
	} cases[] = {
		{"", 0},
		{"\n", 1},
		{"\r\n", 2},
		{"12\n34\n", 6},
		{"12\00034", 5},
		{"012345678901234567890123456789012", 33},
	};
	char pin[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_pin(cases[i].content, cases[i].len, 0600);
		cr_expect_eq(read_pin(KT_PIN_MAX_BYTES, pin), KT_E_INPUT, "%zu", i);
	}
}

Test(pin, refuses_a_file_that_others_can_read_or_write)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0666};
	char pin[64];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_pin("1234\n", 5, modes[i]);
		cr_expect_eq(read_pin(KT_PIN_MAX_BYTES, pin), KT_E_REFUSED, "%04o", modes[i]);
	}
}

Test(pin, a_missing_file_is_a_usage_error)
{
	auto_secret struct kt_secret *pin = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_pin_read_file("/nonexistent/pin", 32, &pin, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
}
