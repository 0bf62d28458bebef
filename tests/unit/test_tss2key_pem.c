/* SPDX-License-Identifier: Apache-2.0 */
/* TSS2 key files as PEM, and PEM told from DER. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/b64.h"
#include "lib/tss2key.h"
#include "tests/unit/tss2key.h"

static int from_text(const char *text, struct kt_tss2key *key, struct kt_error *e)
{
	auto_free uint8_t *copy = malloc(strlen(text) + 1);

	/* Without the NUL, so that a sanitizer sees a read beyond the end. */
	cr_assert_not_null(copy);
	memcpy(copy, text, strlen(text));
	return kt_tss2key_from_file(copy, strlen(text), key, e);
}

#define BEGIN "-----BEGIN TSS2 PRIVATE KEY-----"
#define END "-----END TSS2 PRIVATE KEY-----"

/* `pattern` with `line` where it has a %. */
static void fill_in(const char *pattern, const char *line, char *ret_text, size_t size)
{
	size_t before = strcspn(pattern, "%");

	snprintf(ret_text, size, "%.*s%s%s", (int)before, pattern,
		pattern[before] != '\0' ? line : "",
		pattern[before] != '\0' ? pattern + before + 1 : "");
}

/* The base64 of a key in one line, owned by the caller. */
static char *one_line(void)
{
	uint8_t der[4096];
	size_t len = build(SEALED EMPTY_AUTH OWNER, der);
	char *text;
	struct kt_error e;

	cr_assert_eq(kt_b64_encode(der, len, &text, &e), 0);
	return text;
}

Test(tss2key_pem, reads_pem_as_it_comes)
{
	static const char *const patterns[] = {
		BEGIN "\n%\n" END "\n",
		BEGIN "\n%\n" END,
		BEGIN "\r\n%\r\n" END "\r\n",
		"Parent-Name: 000b00\nKey-UUID: 1\n\n" BEGIN "\n%\n" END "\n",
		"0 is where DER begins, too\n" BEGIN "\n%\n" END "\n",
		BEGIN " \t\n%  \n" END " \n",
		BEGIN "\n\n%\n\n" END "\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" BEGIN "\n%\n" END
		"\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	};
	auto_free char *line = one_line();

	for (size_t i = 0; i < COUNT(patterns); i++) {
		auto_free struct kt_tss2key *key = new_key();
		char text[4096];
		struct kt_error e;

		fill_in(patterns[i], line, text, sizeof(text));
		cr_expect_eq(from_text(text, key, &e), 0, "%zu: %s", i, e.msg);
		cr_expect_eq(key->type, KT_TSS2KEY_SEALED);
	}
}

Test(tss2key_pem, writes_pem_in_lines_of_64)
{
	auto_free struct kt_tss2key *key = read_head(SEALED EMPTY_AUTH OWNER);
	auto_free char *pem = NULL;
	const char *line;
	size_t len;
	struct kt_error e;

	cr_assert_eq(kt_tss2key_to_pem(key, &pem, &e), 0);
	cr_assert_eq(strncmp(pem, BEGIN "\n", strlen(BEGIN) + 1), 0);
	line = pem + strlen(BEGIN) + 1;
	while ((len = strcspn(line, "\n")) == 64)
		line += len + 1;
	cr_expect(len > 0 && len < 64);
	cr_expect_str_eq(line + len + 1, END "\n");
}

Test(tss2key_pem, refuses_pem_that_is_not_quite)
{
	static const char *const patterns[] = {
		"",
		"%",
		BEGIN "\n%\n",
		BEGIN "\n%\n-----END TSS2 KEY BLOB-----\n",
		BEGIN "\n%\n-----END TSS2 PRIVATE KEY----\n",
		BEGIN "%\n" END "\n",
		BEGIN "\n" END "\n",
		" " BEGIN "\n%\n" END "\n",
		"x" BEGIN "\n%\n" END "\n",
		BEGIN "\nProc-Type: 4,ENCRYPTED\n\n%\n" END "\n",
		BEGIN "\n!%\n" END "\n",
		BEGIN "\n%\nAAAA\n" END "\n",
		BEGIN "\n %\n" END "\n",
		BEGIN "\n%\n" END "\n" BEGIN "\nAAAA\n" END "\n",
		BEGIN "\n" BEGIN "\n%\n" END "\n",
		"-----BEGIN PRIVATE KEY-----\n%\n-----END PRIVATE KEY-----\n",
	};
	auto_free char *line = one_line();

	for (size_t i = 0; i < COUNT(patterns); i++) {
		auto_free struct kt_tss2key *key = new_key();
		char text[4096];
		struct kt_error e;

		fill_in(patterns[i], line, text, sizeof(text));
		cr_expect_eq(from_text(text, key, &e), -1, "%zu", i);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
}
