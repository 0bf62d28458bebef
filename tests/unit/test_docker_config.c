/* SPDX-License-Identifier: Apache-2.0 */
/* docker's config.json, as the kubelet reads it. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "modules/cred-sealed/docker-config.h"

Test(docker_config, makes_patterns_of_keys_as_the_kubelet_does)
{
	static const struct {
		const char *key, *pattern;
	} cases[] = {
		{"https://index.docker.io/v1/", "index.docker.io"},
		{"index.docker.io/v1/", "index.docker.io"},
		{"https://index.docker.io/v1", "index.docker.io/v1"},
		{"http://r.io:5000/v2/", "r.io:5000"},
		{"https://r.io/v2/team", "r.io/team"},
		{"r.io", "r.io"},
		{"r.io/", "r.io"},
		{"r.io/team/", "r.io/team/"},
		{"*.example.com:5000/team", "*.example.com:5000/team"},
		{"https://", ""},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *pattern = NULL;
		struct kt_error e;

		cr_assert_eq(kt_docker_pattern(cases[i].key, &pattern, &e), 0);
		cr_expect_str_eq(pattern, cases[i].pattern, "%s", cases[i].key);
	}
}

/* What was visited, as "pattern user password;". */
struct seen {
	char text[512];
	size_t asked;
	const char *wanted; /* NULL: all */
	bool fail;
};

static int wants(void *ctx, size_t number, const char *pattern)
{
	struct seen *seen = ctx;

	cr_expect_eq(number, ++seen->asked);
	if (strchr(pattern, '@') != NULL)
		return -1;
	return seen->wanted == NULL || strcmp(seen->wanted, pattern) == 0;
}

static int take(void *ctx, const char *pattern, const char *username,
	const struct kt_secret *password, struct kt_error *e)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text);

	if (seen->fail)
		return kt_fail(e, KT_E_NETWORK, "told to fail");
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s %s %.*s;", pattern, username,
		(int)kt_secret_len(password), (const char *)kt_secret_bytes(password));
	return 0;
}

static int visit(const char *text, struct seen *seen, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	const struct kt_docker_visitor visitor = {.ctx = seen, .wants = wants, .take = take};

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, e), 0);
	return kt_docker_config_visit(secret, &visitor, e);
}

Test(docker_config, reads_auth_and_members)
{
	struct seen seen = {0};
	struct kt_error e;

	/* dXNlcjpwYTpzcw== is user:pa:ss; line ends within it do not count, as in Go */
	cr_assert_eq(
		visit("{\"auths\":{"
		      "\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYTpzcw==\"},"
		      "\"r.io\":{\"username\":\"bob\",\"password\":\"secret\",\"email\":\"b@x\"},"
		      "\"s.io\":{\"auth\":\"dXNlcjpwYTpzcw\",\"username\":\"not\",\"password\":"
		      "\"these\"},"
		      "\"t.io\":{\"auth\":\"\",\"username\":\"eve\",\"password\":\"p\"},"
		      "\"u.io\":{\"auth\":\"dXNlc\\r\\njpwYTpzcw==\\n\"}},"
		      "\"HttpHeaders\":{\"User-Agent\":\"x\"},\"credsStore\":\"pass\"}",
			&seen, &e),
		0, "%s", e.msg);
	cr_expect_str_eq(seen.text, "index.docker.io user pa:ss;r.io bob secret;s.io user pa:ss;"
				    "t.io eve p;u.io user pa:ss;");
}

Test(docker_config, decodes_only_what_is_wanted)
{
	struct seen seen = {.wanted = "r.io"};
	struct kt_error e;

	cr_assert_eq(visit("{\"auths\":{\"q.io\":{\"auth\":\"!!!\"},\"r.io\":{\"auth\":\"dTpw\"},"
			   "\"s.io\":{}}}",
			     &seen, &e),
		0, "%s", e.msg);
	cr_expect_str_eq(seen.text, "r.io u p;");
}

Test(docker_config, refuses_what_it_cannot_use)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", ""},
		{"[]", ""},
		{"{}", "auths"},
		{"{\"auths\":[]}", "auths"},
		{"{\"auths\":null}", "auths"},
		{"{\"auths\":{\"r.io\":null}}", "auths, entry 1: not an object"},
		{"{\"auths\":{\"r.io\":\"dTpw\"}}", "auths, entry 1: not an object"},
		{"{\"auths\":{\"r.io\":{}}}", "auths, entry 1 (r.io): neither auth nor"},
		{"{\"auths\":{\"r.io\":{\"identitytoken\":\"t\"}}}", "neither auth nor"},
		{"{\"auths\":{\"r.io\":{\"username\":\"u\"}}}", "neither auth nor"},
		{"{\"auths\":{\"r.io\":{\"auth\":1}}}", "auth"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"dXNlcg==\"}}}", "not user:password"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"d\"}}}", "auth"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"dTpw \"}}}", "auth"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"dTo=\"}}}", "the password is empty"},
		{"{\"auths\":{\"r.io\":{\"username\":\"u\",\"password\":\"\"}}}",
			"the password is empty"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"dTo=\",\"identitytoken\":\"t\"}}}",
			"has an identitytoken"},
		{"{\"auths\":{\"q@q\":{},\"r.io/team\":{\"auth\":\"dTr/\"}}}",
			"auths, entry 2 (r.io): auth is not UTF-8"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"AHU6cA==\"}}}", "NUL"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"dTpw\"},\"r.io\":{\"auth\":\"dTpw\"}}}", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = {0};
		struct kt_error e = {0};

		cr_expect_eq(visit(cases[i].text, &seen, &e), -1, "%s", cases[i].text);
		cr_expect_eq(e.code, KT_E_INPUT, "%s: %s", cases[i].text, e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s: %s", cases[i].text, e.msg);
		cr_expect_str_eq(seen.text, "");
	}
}

Test(docker_config, never_repeats_a_name_that_may_be_a_secret)
{
	static const char *const texts[] = {
		"{\"auths\":{\"https://bob:hunter2@r.io\":null}}",
		"{\"auths\":{\"https://bob:hunter2@r.io\":7}}",
		"{\"auths\":{\"https://bob:hunter2@r.io\":{},\"q.io\":1}}",
		"{\"auths\":{\"hunter2@r.io\":{},\"hunter2@r.io\":{}}}",
		"{\"auths\":{\"r.io/hunter2\":{}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct seen seen = {0};
		struct kt_error e = {0};

		cr_expect_eq(visit(texts[i], &seen, &e), -1, "%s", texts[i]);
		cr_expect_null(strstr(e.msg, "hunter2"), "%s", e.msg);
	}
}

Test(docker_config, stops_where_the_visitor_fails)
{
	struct seen seen = {.fail = true};
	struct kt_error e;

	cr_expect_eq(visit("{\"auths\":{\"r.io\":{\"auth\":\"dTpw\"}}}", &seen, &e), -1);
	cr_expect_eq(e.code, KT_E_NETWORK);
}
