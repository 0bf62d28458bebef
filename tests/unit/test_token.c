/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens, and the end of a JWT. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/b64.h"
#include "modules/cred-sealed/token.h"

static int check(const char *bytes, size_t len, size_t *ret_len, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;

	cr_assert_eq(kt_secret_from(bytes, len, &secret, e), 0);
	return kt_token_check(secret, ret_len, e);
}

Test(token, may_end_with_one_newline)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {{"abc", 3}, {"abc\n", 3}, {"k8s-aws-v1.aHR0cHM6~+/=", 23}, {"!", 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_error e;
		size_t len = 0;

		cr_assert_eq(check(cases[i].text, strlen(cases[i].text), &len, &e), 0, "%s", e.msg);
		cr_expect_eq(len, cases[i].len);
	}
}

Test(token, is_refused_if_a_header_could_not_carry_it)
{
	static const char *const texts[] = {"", "\n", "a\n\n", "a\r\n", "a b", " a", "a\tb",
		"a\x7f", "\xc3\xa9", "a\nX-Injected: 1"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct kt_error e = {0};
		size_t len = 0;

		cr_expect_eq(check(texts[i], strlen(texts[i]), &len, &e), -1, "%s", texts[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_eq(len, 0);
	}
}

Test(token, with_a_nul_byte_is_refused)
{
	struct kt_error e = {0};
	size_t len = 0;

	cr_expect_eq(check("a\0b", 3, &len, &e), -1);
	cr_expect_not_null(strstr(e.msg, "offset 1"), "%s", e.msg);
	cr_expect_null(strstr(e.msg, "a\\"), "%s", e.msg);
}

static int read_expiry(
	const char *claims, const char *format, int64_t *ret_expiry, struct kt_error *e)
{
	auto_free char *payload = NULL;
	char token[512];

	cr_assert_eq(kt_b64url_encode(claims, strlen(claims), &payload, e), 0);
	snprintf(token, sizeof(token), "eyJhbGciOiJub25lIn0.%s%s", payload, format);
	return kt_token_expiry(token, strlen(token), ret_expiry, e);
}

static int64_t expiry(const char *claims, const char *format)
{
	int64_t seconds = -1;
	struct kt_error e = {0};

	cr_expect_eq(read_expiry(claims, format, &seconds, &e), 0, "%s: %s", claims, e.msg);
	return seconds;
}

Test(token, of_jwt_form_tells_its_end)
{
	cr_expect_eq(expiry("{\"exp\":1893456000}", ".c2ln"), 1893456000);
	cr_expect_eq(expiry("{\"iss\":\"x\",\"exp\":1893456000.9}", ".c2ln"), 1893456000);
	cr_expect_eq(expiry(" {\"exp\":1893456000}\n", "."), 1893456000);
}

Test(token, that_ended_before_the_epoch_has_ended)
{
	static const char *const claims[] = {
		"{\"exp\":0}", "{\"exp\":-1}", "{\"exp\":0.5}", "{\"exp\":-1e300}", "{\"exp\":1}"};

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		cr_expect_eq(expiry(claims[i], ".c2ln"), 1, "%s", claims[i]);
}

Test(token, without_a_believable_end_has_none)
{
	static const char *const claims[] = {"{}", "{\"exp\":\"1893456000\"}", "{\"exp\":null}",
		"{\"exp\":1e300}", "{\"exp\":253402300800}", "[]", "x", "", "{", "}"};
	int64_t seconds = -1;
	struct kt_error e;

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		cr_expect_eq(expiry(claims[i], ".c2ln"), 0, "%s", claims[i]);
	cr_expect_eq(expiry("{\"exp\":1893456000}", ""), 0);
	cr_expect_eq(expiry("{\"exp\":1893456000}", ".a.b.c"), 0);
	cr_expect_eq(expiry("{\"exp\":1893456000}", "=.c2ln"), 0);
	cr_expect_eq(kt_token_expiry("a", 1, &seconds, &e), 0);
	cr_expect_eq(kt_token_expiry("..", 2, &seconds, &e), 0);
	cr_expect_eq(kt_token_expiry(".", 1, &seconds, &e), 0);
	cr_expect_eq(seconds, 0);
}

Test(token, whose_claims_cannot_be_read_is_refused_without_showing_them)
{
	static const char *const claims[] = {"{\"exp\":1893456000,\"exp\":2}",
		"{\"exp\":99999999999999999999999999}", "{\"hunter2\":\"\\u0000\"}", "{hunter2}"};

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct kt_error e = {0};
		int64_t seconds = -1;

		cr_expect_eq(read_expiry(claims[i], ".c2ln", &seconds, &e), -1, "%s", claims[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_not_null(strstr(e.msg, "claims"), "%s", e.msg);
		cr_expect_null(strstr(e.msg, "hunter2"), "%s", e.msg);
	}
}
