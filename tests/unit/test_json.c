/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what the scan lets through, what the getters insist on, and what the writer writes. */
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "lib/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int scan(const char *text, struct kt_error *e)
{
	return kt_json_scan(text, strlen(text), e);
}

static struct json_object *tree_of(const char *text)
{
	struct json_object *object = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_json_parse(text, strlen(text), &object, &e), 0, "%s: %s", text, e.msg);
	return object;
}

static struct kt_secret *secret_of(const char *text)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, &e), 0);
	return secret;
}

Test(json, scan_accepts_what_rfc_8259_does)
{
	static const char *const good[] = {"{}", "[]", " { } ", "\t[\r\n]\n", "0", "-0", "1",
		"-1.5e+10", "1E5", "0.0e-0", "1e400", "9223372036854775807", "-9223372036854775808",
		"18446744073709551615", "true", "false", "null", "\"\"", "\"\x7f\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"", "\"\\ud83d\\ude00\"",
		"\"\xf0\x9f\x98\x80\"",
		"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"",
		"{\"a\":1,\"b\":{\"a\":2}}", "[1,[2,[3]],\"x\",null]", "{\"\":0}",
		"{\"a\":0,\"A\":0,\"\\u0061b\":0,\"\xc3\xa9\":0,\"e\\u0301\":0}"};

	for (size_t i = 0; i < COUNT(good); i++) {
		struct kt_error e = {0};

		cr_expect_eq(scan(good[i], &e), 0, "%s: %s", good[i], e.msg);
	}
}

struct refusal {
	const char *text;
	size_t at;
	const char *why;
};

static void expect_refusals(const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct kt_error e = {0};
		char expected[128];

		snprintf(expected, sizeof(expected), "not valid JSON at byte %zu: %s", cases[i].at,
			cases[i].why);
		cr_expect_eq(scan(cases[i].text, &e), -1, "accepted %s", cases[i].text);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_str_eq(e.msg, expected);
	}
}

Test(json, scan_says_where_the_grammar_is_broken)
{
	static const struct refusal cases[] = {
		{"", 0, "the text ends too early"},
		{"  ", 2, "the text ends too early"},
		{"{", 1, "the text ends too early"},
		{"{\"a\"", 4, "the text ends too early"},
		{"{\"a\":", 5, "the text ends too early"},
		{"{\"a\":1", 6, "the text ends too early"},
		{"[1", 2, "the text ends too early"},
		{"\"abc", 4, "the text ends too early"},
		{"\"abc\\", 5, "the text ends too early"},
		{"tru", 0, "expected a value"},
		{"True", 0, "expected a value"},
		{"nulL", 0, "expected a value"},
		{"NaN", 0, "expected a value"},
		{"-", 1, "the text ends too early"},
		{"-Infinity", 1, "expected a value"},
		{"+1", 0, "expected a value"},
		{".5", 0, "expected a value"},
		{"1.", 2, "the text ends too early"},
		{"[1.]", 3, "a fraction wants digits"},
		{"[1e+]", 4, "an exponent wants digits"},
		{"01", 1, "something follows the end"},
		{"0x10", 1, "something follows the end"},
		{"[01]", 2, "expected ',' or ']'"},
		{"{}{}", 2, "something follows the end"},
		{"{} x", 3, "something follows the end"},
		{"[1,]", 3, "expected a value"},
		{"[,1]", 1, "expected a value"},
		{"[1 2]", 3, "expected ',' or ']'"},
		{"[1}", 2, "expected ',' or ']'"},
		{"{\"a\":1,}", 7, "expected a string"},
		{"{a:1}", 1, "expected a string"},
		{"{'a':1}", 1, "expected a string"},
		{"{\"a\" 1}", 5, "expected ':'"},
		{"{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"},
		{"/* c */ {}", 0, "expected a value"},
		{"{} // c", 3, "something follows the end"},
		{"\xef\xbb\xbf{}", 0, "expected a value"},
		{"\v1", 0, "expected a value"},
	};

	expect_refusals(cases, COUNT(cases));
}

Test(json, scan_refuses_strings_that_programs_read_differently)
{
	static const struct refusal cases[] = {
		{"\"a\nb\"", 2, "raw control character in a string"},
		{"\"\x01\"", 1, "raw control character in a string"},
		{"\"\\x41\"", 2, "unknown escape"},
		{"\"\\'\"", 2, "unknown escape"},
		{"\"\\u12g4\"", 3, "\\u wants four hex digits"},
		{"\"\\u12", 3, "\\u wants four hex digits"},
		{"\"\\u0000\"", 3, "a NUL character is not accepted"},
		{"\"\\ud83d\"", 3, "lone surrogate"},
		{"\"\\ud83dx\"", 3, "lone surrogate"},
		{"\"\\ude00\"", 3, "lone surrogate"},
		{"\"\\ude00\\ude00\"", 3, "lone surrogate"},
		{"\"\\ud83d\\u0041\"", 9, "lone surrogate"},
		{"\"\\ud83d\\ud83d\"", 9, "lone surrogate"},
		{"\"\x80\"", 1, "not UTF-8"},
		{"\"\xc0\x80\"", 1, "not UTF-8"},
		{"\"\xc1\xbf\"", 1, "not UTF-8"},
		{"\"\xe0\x9f\xbf\"", 1, "not UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "not UTF-8"},
		{"\"\xf0\x8f\xbf\xbf\"", 1, "not UTF-8"},
		{"\"\xf4\x90\x80\x80\"", 1, "not UTF-8"},
		{"\"\xf5\x80\x80\x80\"", 1, "not UTF-8"},
		{"\"\xc3\"", 1, "not UTF-8"},
		{"\"\xe2\x82\"", 1, "not UTF-8"},
		{"\"\xff\"", 1, "not UTF-8"},
		{"\"a\xe2\x82", 2, "not UTF-8"},
	};
	struct kt_error e;

	expect_refusals(cases, COUNT(cases));
	cr_assert_eq(kt_json_scan("\"a\0b\"", 5, &e), -1, "accepted a raw NUL");
	cr_assert_eq(kt_json_scan("{}\0", 3, &e), -1, "accepted a NUL behind the end");
}

Test(json, scan_refuses_integers_beyond_64_bits)
{
	static const struct refusal cases[] = {
		{"18446744073709551616", 0, "integer out of range"},
		{"-9223372036854775809", 0, "integer out of range"},
		{"[1, 99999999999999999999999999999999]", 4, "integer out of range"},
	};

	expect_refusals(cases, COUNT(cases));
}

Test(json, scan_refuses_doubled_names_however_they_are_written)
{
	static const struct refusal cases[] = {
		{"{\"a\":1,\"a\":2}", 8, "a member of this name came before"},
		{"{\"a\":1,\"\\u0061\":2}", 8, "a member of this name came before"},
		{"{\"\\u0061\":1,\"a\":2}", 13, "a member of this name came before"},
		{"{\"a\":1,\"b\":2,\"c\":3,\"a\":4}", 20, "a member of this name came before"},
		{"{\"\":1,\"\":2}", 7, "a member of this name came before"},
		{"{\"\\/\":1,\"/\":2}", 9, "a member of this name came before"},
		{"{\"\\n\":1,\"\\u000A\":2}", 9, "a member of this name came before"},
		{"{\"\xc3\xa9\":1,\"\\u00e9\":2}", 9, "a member of this name came before"},
		{"{\"\\u20ac\":1,\"\xe2\x82\xac\":2}", 13, "a member of this name came before"},
		{"{\"\xf0\x9f\x98\x80\":1,\"\\uD83D\\uDE00\":2}", 11,
			"a member of this name came before"},
		{"[{\"x\":{\"b\":0,\"b\":0}}]", 14, "a member of this name came before"},
	};

	expect_refusals(cases, COUNT(cases));
}

/* `depth` arrays with a number in the innermost, NUL-terminated. */
static void nest(char *text, size_t depth)
{
	memset(text, '[', depth);
	text[depth] = '1';
	memset(text + depth + 1, ']', depth);
	text[2 * depth + 1] = '\0';
}

Test(json, depth_is_bounded)
{
	static char text[200100];
	struct kt_error e = {0};

	nest(text, KT_JSON_MAX_DEPTH);
	cr_assert_eq(scan(text, &e), 0, "%s", e.msg);
	nest(text, KT_JSON_MAX_DEPTH + 1);
	cr_assert_eq(scan(text, &e), -1);
	cr_assert_str_eq(e.msg, "not valid JSON at byte 32: nested too deeply");
	nest(text, 100000);
	cr_assert_eq(scan(text, &e), -1);
}

Test(json, the_deepest_tree_is_parsed)
{
	static char text[256];
	auto_json struct json_object *object = NULL;

	memcpy(text, "{\"a\":", 5);
	nest(text + 5, KT_JSON_MAX_DEPTH - 1);
	text[strlen(text)] = '}';
	object = tree_of(text);
	cr_assert_str_eq(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), text);
}

/* An object of `count` members with long common beginnings, as an attacker would write it. */
static char *many_members(int count, int doubled)
{
	size_t size = (size_t)count * 64 + 64, len = 1;
	char *text = malloc(size);

	cr_assert_not_null(text);
	text[0] = '{';
	for (int i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, size - len, "%s\"%037d%07d\":0",
			i > 0 ? "," : "", 0, doubled && i == count - 1 ? 0 : i);
	snprintf(text + len, size - len, "}");
	return text;
}

Test(json, many_members_take_no_quadratic_time)
{
	auto_free char *fine = many_members(65536, 0);
	auto_free char *doubled = many_members(65536, 1);
	auto_free char *too_many = many_members(65537, 0);
	struct kt_error e = {0};
	clock_t start = clock();

	cr_expect_eq(scan(fine, &e), 0, "%s", e.msg);
	cr_expect_eq(scan(doubled, &e), -1);
	cr_expect_not_null(strstr(e.msg, "came before"));
	cr_expect_eq(scan(too_many, &e), -1);
	cr_expect_not_null(strstr(e.msg, "too many members"));
	/* Well below a second; comparing all pairs would take minutes. */
	cr_expect_lt(clock() - start, 20 * CLOCKS_PER_SEC);
}

Test(json, parse_wants_an_object)
{
	static const char *const bad[] = {
		"[]", "1", "\"{}\"", "null", " [{}]", "", "{}x", "{\"a\":1,\"a\":2}"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json_object *object = NULL;
		struct kt_error e = {0};

		cr_expect_eq(kt_json_parse(bad[i], strlen(bad[i]), &object, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_null(object);
	}
}

Test(json, parse_reads_no_further_than_it_is_told)
{
	auto_json struct json_object *object = NULL;
	struct kt_error e;

	cr_assert_eq(kt_json_parse(" {\"a\":true} ,,,", 12, &object, &e), 0);
	cr_assert_eq(json_object_object_length(object), 1);
}

Test(json, messages_never_repeat_the_text)
{
	static const char *const secrets[] = {"SECRET", "{\"SECRET\"}",
		"{\"SECRET\":1,\"SECRET\":1}", "\"SECRET\\q\"", "{\"a\":SECRET}"};

	for (size_t i = 0; i < COUNT(secrets); i++) {
		struct kt_error e = {0};

		cr_expect_eq(scan(secrets[i], &e), -1);
		cr_expect_null(strstr(e.msg, "SECRET"));
	}
}

static const char sample[] = "{\"o\":{\"x\":1},\"a\":[1,2,3],\"s\":\"text\",\"n\":null,\"t\":true,"
			     "\"i\":-5,\"d\":1.0,\"b\":\"AQID\"}";

Test(json, getters_find_what_is_there)
{
	auto_json struct json_object *object = tree_of(sample);
	struct json_object *value = NULL;
	const char *text = NULL;
	auto_free uint8_t *data = NULL;
	size_t len;
	int64_t number;
	bool flag = false;
	struct kt_error e = {0};

	cr_expect_eq(kt_json_get_object(object, "o", &value, &e), 0);
	cr_expect(json_object_is_type(value, json_type_object));
	cr_expect_eq(kt_json_get_array(object, "a", 3, &value, &e), 0);
	cr_expect_eq(json_object_array_length(value), 3);
	cr_expect_eq(kt_json_get_string(object, "s", 4, &text, &e), 0);
	cr_expect_str_eq(text, "text");
	cr_expect_eq(kt_json_get_bool_opt(object, "t", false, &flag, &e), 0);
	cr_expect(flag);
	cr_expect_eq(kt_json_get_int(object, "i", -5, -5, &number, &e), 0);
	cr_expect_eq(number, -5);
	cr_expect_eq(kt_json_get_b64url(object, "b", 3, &data, &len, &e), 0);
	cr_expect_eq(len, 3);
	cr_expect_arr_eq(data, "\x01\x02\x03", 3);
}

Test(json, optional_getters_take_missing_and_null_for_absent)
{
	static const char *const names[] = {"n", "missing"};
	auto_json struct json_object *object = tree_of(sample);

	for (size_t i = 0; i < COUNT(names); i++) {
		struct json_object *value = object;
		const char *text = "x";
		bool flag = false;
		struct kt_error e;

		cr_expect_eq(kt_json_get_object_opt(object, names[i], &value, &e), 0);
		cr_expect_null(value);
		cr_expect_eq(kt_json_get_string_opt(object, names[i], 9, &text, &e), 0);
		cr_expect_null(text);
		cr_expect_eq(kt_json_get_bool_opt(object, names[i], true, &flag, &e), 0);
		cr_expect(flag);
	}
}

Test(json, getters_name_what_they_missed)
{
	auto_json struct json_object *object = tree_of(sample);
	struct json_object *value = NULL;
	const char *text = NULL;
	uint8_t *data = NULL;
	int64_t number = 0;
	size_t len;
	bool flag;
	struct kt_error e = {0};

#define EXPECT_FAILURE(call, message)                                                              \
	cr_expect_eq(call, -1);                                                                    \
	cr_expect_eq(e.code, KT_E_INPUT);                                                          \
	cr_expect_str_eq(e.msg, message)

	EXPECT_FAILURE(kt_json_get_object(object, "q", &value, &e), "\"q\" is missing");
	EXPECT_FAILURE(kt_json_get_object(object, "n", &value, &e), "\"n\" is null");
	EXPECT_FAILURE(kt_json_get_object(object, "a", &value, &e), "\"a\" is not an object");
	EXPECT_FAILURE(kt_json_get_object_opt(object, "s", &value, &e), "\"s\" is not an object");
	EXPECT_FAILURE(kt_json_get_array(object, "o", 9, &value, &e), "\"o\" is not an array");
	EXPECT_FAILURE(
		kt_json_get_array(object, "a", 2, &value, &e), "\"a\" has more than 2 elements");
	EXPECT_FAILURE(kt_json_get_string(object, "i", 9, &text, &e), "\"i\" is not a string");
	EXPECT_FAILURE(
		kt_json_get_string(object, "s", 3, &text, &e), "\"s\" is longer than 3 bytes");
	EXPECT_FAILURE(kt_json_get_string_opt(object, "t", 9, &text, &e), "\"t\" is not a string");
	EXPECT_FAILURE(
		kt_json_get_bool_opt(object, "i", true, &flag, &e), "\"i\" is not true or false");
	EXPECT_FAILURE(kt_json_get_int(object, "d", 0, 9, &number, &e), "\"d\" is not an integer");
	EXPECT_FAILURE(kt_json_get_int(object, "t", 0, 9, &number, &e), "\"t\" is not an integer");
	EXPECT_FAILURE(kt_json_get_int(object, "i", -4, 9, &number, &e), "\"i\" is out of range");
	EXPECT_FAILURE(kt_json_get_int(object, "i", -9, -6, &number, &e), "\"i\" is out of range");
	EXPECT_FAILURE(kt_json_get_b64url(object, "b", 2, &data, &len, &e),
		"\"b\" is longer than 3 bytes");
	EXPECT_FAILURE(kt_json_get_string(NULL, "x", 9, &text, &e),
		"no object where \"x\" should be in one");
#undef EXPECT_FAILURE
	cr_expect_null(value);
	cr_expect_null(text);
	cr_expect_null(data);
}

Test(json, integers_are_exact_to_the_last)
{
	static const struct {
		const char *text;
		int64_t value;
		int rc;
	} cases[] = {
		{"{\"i\":9223372036854775807}", INT64_MAX, 0},
		{"{\"i\":-9223372036854775808}", INT64_MIN, 0},
		{"{\"i\":9223372036854775808}", 0, -1},
		{"{\"i\":18446744073709551615}", 0, -1},
		{"{\"i\":1e3}", 0, -1},
		{"{\"i\":-0}", 0, 0},
		{"{\"i\":\"1\"}", 0, -1},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_json struct json_object *object = tree_of(cases[i].text);
		int64_t value = 0;
		struct kt_error e;

		cr_expect_eq(kt_json_get_int(object, "i", INT64_MIN, INT64_MAX, &value, &e),
			cases[i].rc, "%s", cases[i].text);
		cr_expect_eq(value, cases[i].value);
	}
}

Test(json, a_tree_of_secrets_is_overwritten)
{
	auto_secret struct kt_secret *text = secret_of(
		"{\"a\":[{\"token\":\"a-long-secret-that-lies-on-the-heap-of-json-c\"}]}");
	struct json_object *object = NULL;
	struct json_object *token;
	const char *bytes;
	struct kt_error e;

	cr_assert_eq(kt_json_parse_secret(text, &object, &e), 0);
	token = json_object_object_get(
		json_object_array_get_idx(json_object_object_get(object, "a"), 0), "token");
	bytes = json_object_get_string(token);
	cr_assert_eq(strncmp(bytes, "a-long-secret", 13), 0);
	json_object_get(token); /* keeps its memory beyond the tree's end */
	kt_json_wipe(object);
	for (size_t i = 0; i < strlen("a-long-secret-that-lies-on-the-heap-of-json-c"); i++)
		cr_assert_eq(bytes[i], 0);
	json_object_put(token);
	kt_json_wipe(NULL);
}

static struct kt_jsonw start(struct kt_secret **ret_out, size_t capacity)
{
	struct kt_jsonw w;
	struct kt_error e;

	cr_assert_eq(kt_secret_new(capacity, ret_out, &e), 0);
	kt_jsonw_init(&w, *ret_out);
	return w;
}

static void expect_written(const struct kt_secret *out, const char *text)
{
	cr_assert_eq(kt_secret_len(out), strlen(text), "%.*s", (int)kt_secret_len(out),
		(const char *)kt_secret_bytes(out));
	cr_assert_arr_eq(kt_secret_bytes(out), text, strlen(text));
}

Test(json, writer_puts_commas_where_they_belong)
{
	auto_secret struct kt_secret *out = NULL;
	auto_secret struct kt_secret *token = secret_of("to\"ken");
	struct kt_jsonw w = start(&out, 4096);
	struct kt_error e;

	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "kind", "ExecCredential");
	kt_jsonw_name(&w, "list");
	kt_jsonw_begin_array(&w);
	kt_jsonw_int(&w, INT64_MIN);
	kt_jsonw_bool(&w, true);
	kt_jsonw_begin_array(&w);
	kt_jsonw_end_array(&w);
	kt_jsonw_begin_object(&w);
	kt_jsonw_end_object(&w);
	kt_jsonw_raw(&w, "null");
	kt_jsonw_end_array(&w);
	kt_jsonw_name(&w, "token");
	kt_jsonw_secret(&w, token);
	kt_jsonw_end_object(&w);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	expect_written(out,
		"{\"kind\":\"ExecCredential\",\"list\":[-9223372036854775808,true,[],{},"
		"null],\"token\":\"to\\\"ken\"}");
}

Test(json, writer_escapes_so_that_the_reader_gets_the_same)
{
	static const char every[] = "\x01\x02\x07\b\t\n\v\f\r\x1b\x1f \"\\/\x7f"
				    "\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80";
	auto_secret struct kt_secret *out = NULL;
	auto_json_wipe struct json_object *object = NULL;
	struct kt_jsonw w = start(&out, 4096);
	const char *back = NULL;
	struct kt_error e;

	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, every, every);
	kt_jsonw_end_object(&w);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	cr_assert_eq(kt_json_parse_secret(out, &object, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_json_get_string(object, every, 100, &back, &e), 0);
	cr_assert_str_eq(back, every);
}

Test(json, writer_uses_the_short_escapes)
{
	auto_secret struct kt_secret *out = NULL;
	struct kt_jsonw w = start(&out, 4096);
	struct kt_error e;

	kt_jsonw_string(&w, "\"\\\b\f\n\r\t\x01\x1f/");
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	expect_written(out, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\"");
}

Test(json, writer_refuses_what_is_not_text)
{
	static const char *const bad[] = {"\x80", "ok\xc3", "\xed\xa0\x80", "\xff"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		auto_secret struct kt_secret *out = NULL;
		struct kt_jsonw w = start(&out, 100);
		struct kt_error e = {0};

		kt_jsonw_string(&w, bad[i]);
		cr_expect_eq(kt_jsonw_end(&w, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_str_eq(e.msg, "cannot be written as JSON: text that is not UTF-8");
	}
}

Test(json, writer_refuses_a_secret_with_a_nul)
{
	auto_secret struct kt_secret *out = NULL;
	auto_secret struct kt_secret *token = NULL;
	struct kt_jsonw w = start(&out, 100);
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_from("a\0b", 3, &token, &e), 0);
	kt_jsonw_secret(&w, token);
	cr_assert_eq(kt_jsonw_end(&w, &e), -1);
	cr_assert_str_eq(e.msg, "cannot be written as JSON: text with a NUL byte");
}

Test(json, writer_keeps_the_first_failure)
{
	auto_secret struct kt_secret *out = NULL;
	struct kt_jsonw w = start(&out, 10);
	struct kt_error e = {0};

	kt_jsonw_begin_array(&w);
	kt_jsonw_string(&w, "12345");
	cr_assert_not(w.failed);
	kt_jsonw_string(&w, "678");
	kt_jsonw_string(&w, "\xff");
	kt_jsonw_end_array(&w);
	cr_assert_eq(kt_jsonw_end(&w, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_str_eq(e.msg, "JSON text: secret data is longer than 10 bytes");
}
