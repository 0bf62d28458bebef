/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict scan of a JSON text (RFC 8259), which builds nothing. It refuses what parsers disagree
 * about, above all doubled member names, so that what one program checks is what another one uses.
 * Messages carry an offset and a reason, never the text, which may be a secret.
 */
#include "lib/json.h"

#include <string.h>

/* Names of one object are sorted to find doubles: n log n, whatever the input. */
#define MEMBERS_MAX 65536

struct scanner {
	const uint8_t *text;
	size_t len;
	size_t at;
	unsigned depth;
	struct kt_error *e;
};

struct name {
	const uint8_t *text; /* between the quotes, as written */
	size_t len;
};

struct names {
	struct name *items;
	size_t count, size;
};

static int fail_at(struct scanner *s, size_t at, const char *why)
{
	return kt_fail(s->e, KT_E_INPUT, "not valid JSON at byte %zu: %s", at, why);
}

static int fail_here(struct scanner *s, const char *why)
{
	if (s->at >= s->len)
		return fail_at(s, s->at, "the text ends too early");
	return fail_at(s, s->at, why);
}

/* The byte here, or 0 at the end: no valid text has a 0 anywhere. */
static uint8_t peek(const struct scanner *s)
{
	return s->at < s->len ? s->text[s->at] : 0;
}

static void skip_space(struct scanner *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
		s->at++;
}

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t kt_json_utf8_len(const uint8_t *text, size_t len)
{
	size_t need;
	uint8_t low = 0x80, high = 0xbf; /* of the second byte */

	if (len == 0)
		return 0;
	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	need = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (len < need || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (!is_continuation(text[i]))
			return 0;
	return need;
}

/* The value of four hex digits at `text`, or -1. */
static int32_t hex4(const uint8_t *text)
{
	int32_t value = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t c = text[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* The four digits of a \u escape, at s->at. */
static int scan_hex4(struct scanner *s, int32_t *ret_value)
{
	int32_t value = s->len - s->at >= 4 ? hex4(s->text + s->at) : -1;

	if (value < 0)
		return fail_at(s, s->at, "\\u wants four hex digits");
	s->at += 4;
	*ret_value = value;
	return 0;
}

/* Behind "\u". */
static int scan_unicode_escape(struct scanner *s)
{
	int32_t first, second;

	if (scan_hex4(s, &first) != 0)
		return -1;
	if (first == 0)
		return fail_at(s, s->at - 4, "a NUL character is not accepted");
	if (first < 0xd800 || first > 0xdfff)
		return 0;
	if (first > 0xdbff || s->len - s->at < 2 || memcmp(s->text + s->at, "\\u", 2) != 0)
		return fail_at(s, s->at - 4, "lone surrogate");
	s->at += 2;
	if (scan_hex4(s, &second) != 0)
		return -1;
	if (second < 0xdc00 || second > 0xdfff)
		return fail_at(s, s->at - 4, "lone surrogate");
	return 0;
}

/* *ret_name is what stands between the quotes; borrowed. */
static int scan_string(struct scanner *s, struct name *ret_name)
{
	size_t start;

	if (peek(s) != '"')
		return fail_here(s, "expected a string");
	start = ++s->at;
	while (peek(s) != '"') {
		size_t step = kt_json_utf8_len(s->text + s->at, s->len - s->at);

		if (step == 0)
			return fail_here(s, "not UTF-8");
		if (peek(s) < 0x20)
			return fail_here(s, "raw control character in a string");
		s->at += step;
		if (s->text[s->at - step] != '\\')
			continue;
		if (peek(s) == 0 || strchr("\"\\/bfnrtu", peek(s)) == NULL)
			return fail_here(s, "unknown escape");
		if (s->text[s->at++] == 'u' && scan_unicode_escape(s) != 0)
			return -1;
	}
	ret_name->text = s->text + start;
	ret_name->len = s->at - start;
	s->at++;
	return 0;
}

/* The next character of a scanned string, escapes resolved; 0 at its end. Only equality and some
 * order matter, so raw UTF-8 is decoded as well. */
static uint32_t next_character(const uint8_t **text, const uint8_t *end)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	const uint8_t *p = *text;
	uint32_t c;
	size_t len;

	if (p == end)
		return 0;
	if (*p == '\\' && p[1] == 'u') {
		c = (uint32_t)hex4(p + 2);
		*text += 6;
		if (c < 0xd800 || c > 0xdfff)
			return c;
		*text += 6;
		return 0x10000 + ((c & 0x3ff) << 10) + ((uint32_t)hex4(p + 8) & 0x3ff);
	}
	if (*p == '\\') {
		*text += 2;
		for (size_t i = 0; i < sizeof(escapes) - 1; i += 2)
			if (escapes[i] == (char)p[1])
				return (uint8_t)escapes[i + 1];
	}
	len = kt_json_utf8_len(p, (size_t)(end - p));
	*text += len;
	c = len == 1 ? *p : *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static int compare_names(const void *left, const void *right)
{
	const struct name *a = left, *b = right;
	const uint8_t *pa = a->text, *pb = b->text;
	uint32_t ca, cb;

	do {
		ca = next_character(&pa, a->text + a->len);
		cb = next_character(&pb, b->text + b->len);
	} while (ca == cb && ca != 0);
	return ca < cb ? -1 : ca > cb;
}

static void free_names(struct names *names)
{
	free(names->items);
}

static int add_name(struct scanner *s, struct names *names, const struct name *name)
{
	if (names->count == MEMBERS_MAX)
		return fail_here(s, "an object has too many members");
	if (names->count == names->size) {
		size_t larger = names->size == 0 ? 8 : 2 * names->size;
		struct name *moved = reallocarray(names->items, larger, sizeof(*moved));

		if (moved == NULL)
			return kt_fail_memory(s->e);
		names->items = moved;
		names->size = larger;
	}
	names->items[names->count++] = *name;
	return 0;
}

static int check_names(struct scanner *s, struct names *names)
{
	if (names->count < 2)
		return 0;
	qsort(names->items, names->count, sizeof(*names->items), compare_names);
	for (size_t i = 1; i < names->count; i++) {
		const struct name *a = &names->items[i - 1], *b = &names->items[i];

		if (compare_names(a, b) == 0)
			return fail_at(s, (size_t)((a->text > b->text ? a : b)->text - s->text),
				"a member of this name came before");
	}
	return 0;
}

static int scan_value(struct scanner *s);

static int scan_member(struct scanner *s, struct names *names)
{
	struct name name;

	if (scan_string(s, &name) != 0 || add_name(s, names, &name) != 0)
		return -1;
	skip_space(s);
	if (peek(s) != ':')
		return fail_here(s, "expected ':'");
	s->at++;
	return scan_value(s);
}

/* Behind '{'. */
static int scan_object(struct scanner *s)
{
	__attribute__((cleanup(free_names))) struct names names = {0};

	skip_space(s);
	if (peek(s) == '}') {
		s->at++;
		return 0;
	}
	for (;;) {
		skip_space(s);
		if (scan_member(s, &names) != 0)
			return -1;
		skip_space(s);
		if (peek(s) == '}') {
			s->at++;
			return check_names(s, &names);
		}
		if (peek(s) != ',')
			return fail_here(s, "expected ',' or '}'");
		s->at++;
	}
}

/* Behind '['. */
static int scan_array(struct scanner *s)
{
	skip_space(s);
	if (peek(s) == ']') {
		s->at++;
		return 0;
	}
	for (;;) {
		if (scan_value(s) != 0)
			return -1;
		skip_space(s);
		if (peek(s) == ']') {
			s->at++;
			return 0;
		}
		if (peek(s) != ',')
			return fail_here(s, "expected ',' or ']'");
		s->at++;
	}
}

static size_t skip_digits(struct scanner *s)
{
	size_t start = s->at;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	return s->at - start;
}

/* Integers that no 64-bit type holds would be changed by json-c without a word. */
static int check_integer(struct scanner *s, size_t start, size_t end)
{
	bool negative = s->text[start] == '-';
	uint64_t value = 0;

	for (size_t i = start + negative; i < end; i++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s->text[i] - '0'), &value))
			return fail_at(s, start, "integer out of range");
	if (negative && value > (uint64_t)INT64_MAX + 1)
		return fail_at(s, start, "integer out of range");
	return 0;
}

static int scan_number(struct scanner *s)
{
	size_t start = s->at, end;

	if (peek(s) == '-')
		s->at++;
	if (peek(s) == '0')
		s->at++;
	else if (skip_digits(s) == 0)
		return fail_here(s, "expected a value");
	end = s->at;
	if (peek(s) == '.') {
		s->at++;
		if (skip_digits(s) == 0)
			return fail_here(s, "a fraction wants digits");
	}
	if ((peek(s) | 0x20) == 'e') {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		if (skip_digits(s) == 0)
			return fail_here(s, "an exponent wants digits");
	}
	return s->at == end ? check_integer(s, start, end) : 0;
}

static int scan_word(struct scanner *s, const char *word)
{
	size_t len = strlen(word);

	if (s->len - s->at < len || memcmp(s->text + s->at, word, len) != 0)
		return fail_here(s, "expected a value");
	s->at += len;
	return 0;
}

static int scan_nested(struct scanner *s)
{
	bool object = peek(s) == '{';
	int rc;

	if (s->depth == KT_JSON_MAX_DEPTH)
		return fail_here(s, "nested too deeply");
	s->depth++;
	s->at++;
	rc = object ? scan_object(s) : scan_array(s);
	s->depth--;
	return rc;
}

static int scan_value(struct scanner *s)
{
	struct name ignored;

	skip_space(s);
	switch (peek(s)) {
	case '{':
	case '[':
		return scan_nested(s);
	case '"':
		return scan_string(s, &ignored);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

int kt_json_scan(const char *text, size_t len, struct kt_error *e)
{
	struct scanner s = {.text = (const uint8_t *)text, .len = len, .e = e};

	if (scan_value(&s) != 0)
		return -1;
	skip_space(&s);
	if (s.at != s.len)
		return fail_at(&s, s.at, "something follows the end");
	return 0;
}
