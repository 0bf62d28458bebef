/* SPDX-License-Identifier: Apache-2.0 */
/* ExecCredential: what clients send, what they get, and what is refused. */
#include <string.h>

#include <criterion/criterion.h>

#include "exec-plugin/execcred.h"

#define V1 "client.authentication.k8s.io/v1"
#define V1BETA1 "client.authentication.k8s.io/v1beta1"
#define NOW 1893456000 /* 2030-01-01T00:00:00Z */

static int parse(const char *text, struct kt_execcred *ret_request, struct kt_error *e)
{
	return kt_execcred_parse(text, strlen(text), ret_request, e);
}

Test(execcred, reads_what_kubectl_sends)
{
	struct kt_execcred request = {0};
	struct kt_error e;

	cr_assert_eq(
		parse("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":{"
		      "\"cluster\":{\"server\":\"https://k:6443/"
		      "prefix\",\"tls-server-name\":\"api\","
		      "\"certificate-authority-data\":\"LS0tCg==\",\"proxy-url\":\"http://p:3128\","
		      "\"disable-compression\":true,\"config\":{\"audience\":\"k\",\"n\":[1,2.5,"
		      "null,"
		      "\"\\u003c\"]}},\"interactive\":true}}\n",
			&request, &e),
		0, "%s", e.msg);
	cr_expect_str_eq(request.api_version, V1);
	cr_expect(request.interactive);
	cr_expect_str_eq(request.server, "https://k:6443/prefix");
	cr_expect_str_eq(request.tls_server_name, "api");
	cr_expect_str_eq(request.ca_data, "---\n");
	cr_expect_str_eq(request.proxy_url, "http://p:3128");
	cr_expect_not(request.insecure_skip_tls_verify);
	cr_expect_str_eq(request.config, "{\"audience\":\"k\",\"n\":[1,2.5,null,\"<\"]}");
	kt_execcred_fini(&request);
}

Test(execcred, takes_little_for_granted)
{
	static const char *const texts[] = {
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\"}",
		"{\"apiVersion\":\"" V1BETA1 "\",\"kind\":\"ExecCredential\",\"spec\":{}}",
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\",\"spec\":null,"
		"\"status\":null,\"unknown\":{\"a\":[1]}}",
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\",\"spec\":{"
		"\"interactive\":null,\"cluster\":null,\"response\":{\"code\":401}}}",
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\",\"spec\":{"
		"\"cluster\":{\"server\":null,\"config\":null}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct kt_execcred request = {0};
		struct kt_error e;

		cr_assert_eq(parse(texts[i], &request, &e), 0, "%s: %s", texts[i], e.msg);
		cr_expect_str_eq(request.api_version, V1BETA1);
		cr_expect_not(request.interactive);
		cr_expect_null(request.server);
		cr_expect_null(request.config);
		cr_expect_null(request.ca_data);
		kt_execcred_fini(&request);
	}
}

Test(execcred, refuses_instead_of_guessing)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", ""},
		{"null", ""},
		{"[]", ""},
		{"{", ""},
		{"{}", "kind"},
		{"{\"kind\":\"ExecCredential\"}", "apiVersion"},
		{"{\"kind\":\"Pod\",\"apiVersion\":\"" V1 "\"}", "not ExecCredential"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/"
		 "v1alpha1\"}",
			V1BETA1},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"v1\"}", V1 " and "},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":[\"" V1 "\"]}", "apiVersion"},
		{"{\"kind\":\"ExecCredential\",\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\"}",
			"came before"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":[]}", "spec"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"interactive\":1}}",
			"interactive"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"interactive\":\"true\"}}",
			"interactive"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"cluster\":\"c\"}}",
			"cluster"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"cluster\":{\"server\":1}}}",
			"spec.cluster"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"cluster\":{\"disable-compression\":\"no\"}}}",
			"disable-compression"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":[]}", "status"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"cluster\":{\"certificate-authority-data\":\"!\"}}}",
			"certificate-authority-data"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		 "\",\"spec\":{\"cluster\":{\"certificate-authority-data\":\"AAAA\"}}}",
			"not PEM"},
		{"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"} x", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_execcred request = {0};
		struct kt_error e = {0};

		cr_expect_eq(parse(cases[i].text, &request, &e), -1, "%s", cases[i].text);
		cr_expect_eq(e.code, KT_E_INPUT, "%s: %s", cases[i].text, e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s: %s", cases[i].text, e.msg);
		cr_expect_null(request.root);
	}
}

Test(execcred, has_a_limit)
{
	auto_free char *text = calloc(1, KT_EXECCRED_MAX_BYTES + 1);
	struct kt_execcred request = {0};
	struct kt_error e;

	cr_assert_not_null(text);
	memset(text, ' ', KT_EXECCRED_MAX_BYTES + 1);
	cr_expect_eq(kt_execcred_parse(text, KT_EXECCRED_MAX_BYTES + 1, &request, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

static struct kt_secret *secret(const char *text)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, &e), 0, "%s", e.msg);
	return secret;
}

static void expect_answer(
	const char *version, const struct kt_credential *credential, const char *expected)
{
	auto_secret struct kt_secret *answer = NULL;
	struct kt_error e;

	cr_assert_eq(kt_execcred_write(version, credential, NOW, &answer, &e), 0, "%s", e.msg);
	cr_expect_eq(kt_secret_len(answer), strlen(expected));
	cr_expect_arr_eq(kt_secret_bytes(answer), expected, strlen(expected), "%.*s",
		(int)kt_secret_len(answer), (const char *)kt_secret_bytes(answer));
}

Test(execcred, answers_with_a_token)
{
	auto_secret struct kt_secret *token = secret("a\"b\\c");
	struct kt_credential credential = {.token = token};

	expect_answer(V1, &credential,
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{"
		"\"token\":\"a\\\"b\\\\c\"}}\n");
	credential.not_after = NOW + 600;
	expect_answer(V1BETA1, &credential,
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\",\"status\":{"
		"\"expirationTimestamp\":\"2030-01-01T00:10:00Z\",\"token\":\"a\\\"b\\\\c\"}}\n");
}

Test(execcred, never_answers_with_a_time_that_is_about_to_pass)
{
	static const int64_t soon[] = {1, NOW - 1, NOW, NOW + 59, NOW + 60};
	auto_secret struct kt_secret *token = secret("t");

	for (size_t i = 0; i < sizeof(soon) / sizeof(soon[0]); i++) {
		struct kt_credential credential = {.token = token, .not_after = soon[i]};

		expect_answer(V1, &credential,
			"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{"
			"\"expirationTimestamp\":\"2030-01-01T00:01:00Z\",\"token\":\"t\"}}\n");
	}
}

Test(execcred, answers_with_a_certificate_and_its_key)
{
	auto_secret struct kt_secret *certificate = secret("CERT\n");
	auto_secret struct kt_secret *key = secret("KEY\n");
	auto_secret struct kt_secret *token = secret("t");
	struct kt_credential credential = {.certificate = certificate, .key = key};

	expect_answer(V1, &credential,
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{"
		"\"clientCertificateData\":\"CERT\\n\",\"clientKeyData\":\"KEY\\n\"}}\n");
	credential.token = token;
	expect_answer(V1, &credential,
		"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
		"\",\"status\":{\"token\":\"t\","
		"\"clientCertificateData\":\"CERT\\n\",\"clientKeyData\":\"KEY\\n\"}}\n");
}

Test(execcred, does_not_answer_with_half_a_credential)
{
	auto_secret struct kt_secret *some = secret("x");
	auto_secret struct kt_secret *binary = secret("\xff\xfe");
	const struct {
		struct kt_credential credential;
		enum kt_code code;
	} cases[] = {
		{{.certificate = some}, KT_E_INPUT},
		{{.key = some}, KT_E_INPUT},
		{{.token = some, .key = some}, KT_E_INPUT},
		{{.not_after = NOW + 600}, KT_E_INTERNAL},
		{{.token = binary}, KT_E_INPUT},
		{{.token = some, .not_after = INT64_MAX}, KT_E_INPUT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_secret *answer = NULL;
		struct kt_error e = {0};

		cr_expect_eq(kt_execcred_write(V1, &cases[i].credential, NOW, &answer, &e), -1,
			"%zu", i);
		cr_expect_eq(e.code, cases[i].code, "%zu: %s", i, e.msg);
		cr_expect_null(answer);
	}
}

/* Each byte that JSON writes differently, and none more. */
Test(execcred, locks_no_more_memory_than_the_answer_takes)
{
	char text[12001];
	struct kt_error e;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i < 256 ? (char)(i % 127 + 1) : 'c';
	text[sizeof(text) - 1] = '\0';
	for (size_t round = 0; round < 2; round++) {
		auto_secret struct kt_secret *certificate = secret(text);
		auto_secret struct kt_secret *answer = NULL;
		struct kt_credential credential = {.certificate = certificate, .key = certificate};

		cr_assert_eq(kt_execcred_write(V1, &credential, NOW, &answer, &e), 0, "%s", e.msg);
		if (round == 0)
			cr_expect_lt(kt_secret_capacity(answer), kt_secret_len(answer) + 512);
		memset(text, '\x01', sizeof(text) - 1);
	}
}
