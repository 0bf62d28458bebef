/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files as PEM (RFC 7468). Text before the block is skipped, and so is what follows it (a
 * certificate, say), but a file with two keys is refused: which one was meant is not for us to
 * guess. Inside the block there is base64 and nothing else, with LF or CRLF, and no headers:
 * OpenSSL's reader would take encrypted PEM and ask for a pass phrase.
 */
#include "lib/tss2key.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/b64.h"

#define LABEL "TSS2 PRIVATE KEY"
#define LEGACY_LABEL "TSS2 KEY BLOB"
#define LINE_CHARACTERS 64 /* RFC 7468, section 2 */

struct line {
	const char *text;
	size_t len; /* without the end of line and blanks before it */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line of what is left at *text; false at the end. */
static bool next_line(const char **text, const char *end, struct line *ret_line)
{
	const char *newline;

	if (*text == end)
		return false;
	newline = memchr(*text, '\n', (size_t)(end - *text));
	ret_line->text = *text;
	ret_line->len = (size_t)((newline != NULL ? newline : end) - *text);
	*text = newline != NULL ? newline + 1 : end;
	while (ret_line->len > 0 && is_blank(ret_line->text[ret_line->len - 1]))
		ret_line->len--;
	return true;
}

static bool line_is(const struct line *line, const char *text)
{
	return line->len == strlen(text) && memcmp(line->text, text, line->len) == 0;
}

/* The label's END line, if `line` begins a block of ours; else NULL. */
static const char *end_line_of(const struct line *line)
{
	if (line_is(line, "-----BEGIN " LABEL "-----"))
		return "-----END " LABEL "-----";
	if (line_is(line, "-----BEGIN " LEGACY_LABEL "-----"))
		return "-----END " LEGACY_LABEL "-----";
	return NULL;
}

/* Joins the lines up to `end_line` in `ret_base64`, which has room for all of the text. */
static int read_block(const char **text, const char *end, const char *end_line, char *ret_base64,
	size_t *ret_len, struct kt_error *e)
{
	struct line line;
	size_t len = 0;

	while (next_line(text, end, &line)) {
		if (line_is(&line, end_line)) {
			*ret_len = len;
			return 0;
		}
		memcpy(ret_base64 + len, line.text, line.len);
		len += line.len;
	}
	return kt_fail(e, KT_E_INPUT, "PEM block has no end");
}

/* The base64 of the one block of ours in the text. */
static int find_block(
	const char *text, size_t text_len, char *ret_base64, size_t *ret_len, struct kt_error *e)
{
	const char *end = text + text_len;
	struct line line;
	bool found = false;

	while (next_line(&text, end, &line)) {
		const char *end_line = end_line_of(&line);

		if (end_line == NULL)
			continue;
		if (found)
			return kt_fail(e, KT_E_INPUT, "more than one TSS2 key in the file");
		if (read_block(&text, end, end_line, ret_base64, ret_len, e) < 0)
			return -1;
		found = true;
	}
	if (!found)
		return kt_fail(e, KT_E_INPUT, "neither DER nor a PEM block \"" LABEL "\"");
	return 0;
}

static int from_pem(const char *text, size_t len, struct kt_tss2key *ret_key, struct kt_error *e)
{
	auto_free char *base64 = malloc(len + 1);
	auto_free uint8_t *der = NULL;
	size_t base64_len = 0, der_len;

	if (base64 == NULL)
		return kt_fail_memory(e);
	if (find_block(text, len, base64, &base64_len, e) < 0 ||
		kt_b64_decode(base64, base64_len, &der, &der_len, e) < 0)
		return kt_wrap(e, "TSS2 key");
	return kt_tss2key_from_der(der, der_len, ret_key, e);
}

/* A key has more than 127 octets, so DER starts with 0x30 and an octet that is not ASCII. */
int kt_tss2key_from_file(
	const uint8_t *data, size_t len, struct kt_tss2key *ret_key, struct kt_error *e)
{
	if (len > KT_TSS2KEY_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "TSS2 key: more than %d bytes", KT_TSS2KEY_MAX_BYTES);
	if (len >= 2 && data[0] == 0x30 && data[1] >= 0x80)
		return kt_tss2key_from_der(data, len, ret_key, e);
	return from_pem((const char *)data, len, ret_key, e);
}

int kt_tss2key_to_pem(const struct kt_tss2key *key, char **ret_pem, struct kt_error *e)
{
	static const char begin[] = "-----BEGIN " LABEL "-----\n",
			  end[] = "-----END " LABEL "-----\n";
	auto_free uint8_t *der = NULL;
	auto_free char *base64 = NULL, *pem = NULL;
	size_t der_len, left, at = sizeof(begin) - 1;

	if (kt_tss2key_to_der(key, &der, &der_len, e) < 0 ||
		kt_b64_encode(der, der_len, &base64, e) < 0)
		return -1;
	left = strlen(base64);
	pem = malloc(sizeof(begin) + left + left / LINE_CHARACTERS + 1 + sizeof(end));
	if (pem == NULL)
		return kt_fail_memory(e);
	memcpy(pem, begin, at);
	for (const char *next = base64; left > 0;) {
		size_t len = left < LINE_CHARACTERS ? left : LINE_CHARACTERS;

		memcpy(pem + at, next, len);
		at += len;
		pem[at++] = '\n';
		next += len;
		left -= len;
	}
	memcpy(pem + at, end, sizeof(end));
	*ret_pem = kt_take(pem);
	return 0;
}
