/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields of a call. */
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/call.h"

struct pair {
	const char *name, *value;
};

#define GOOD_COUNT 9
static const struct pair good[GOOD_COUNT] = {
	{":method", "POST"},
	{":scheme", "http"},
	{":path", "/v2.KeyManagementService/Decrypt"},
	{":authority", "localhost"},
	{"content-type", "application/grpc"},
	{"user-agent", "grpc-go/1.81.1"},
	{"te", "trailers"},
	{"grpc-accept-encoding", "gzip"},
	{"grpc-timeout", "2999987u"},
};

static void put(struct kt_call *call, const char *name, const char *value)
{
	kt_call_header(
		call, (const uint8_t *)name, strlen(name), (const uint8_t *)value, strlen(value));
}

/* The good request with one field replaced (value NULL: left out). */
static struct kt_call with(const char *name, const char *value)
{
	struct kt_call call = {0};

	for (size_t i = 0; i < GOOD_COUNT; i++) {
		if (strcmp(good[i].name, name) != 0)
			put(&call, good[i].name, good[i].value);
		else if (value != NULL)
			put(&call, name, value);
	}
	return call;
}

Test(grpc_call, is_what_an_api_server_sends)
{
	struct kt_call call = with("", NULL);

	put(&call, "hasleader", "true");
	cr_assert_eq(kt_call_check(&call), 0);
	cr_assert_eq(call.method, KT_METHOD_V2_DECRYPT);
	cr_assert_str_eq(kt_method_name(call.method), "v2.Decrypt");
	cr_assert_eq(call.timeout_us, 2999987);
	cr_assert(!call.malformed);
}

Test(grpc_call, names_one_of_six_methods)
{
	static const struct {
		const char *path;
		enum kt_method method;
	} cases[] = {
		{"/v2.KeyManagementService/Status", KT_METHOD_V2_STATUS},
		{"/v2.KeyManagementService/Encrypt", KT_METHOD_V2_ENCRYPT},
		{"/v1beta1.KeyManagementService/Version", KT_METHOD_V1_VERSION},
		{"/v1beta1.KeyManagementService/Encrypt", KT_METHOD_V1_ENCRYPT},
		{"/v1beta1.KeyManagementService/Decrypt", KT_METHOD_V1_DECRYPT},
		{"/v1beta1.KeyManagementService/Status", KT_METHOD_NONE},
		{"/v2.KeyManagementService/status", KT_METHOD_NONE},
		{"/v2.KeyManagementService/Statusx", KT_METHOD_NONE},
		{"/v2.KeyManagementService/", KT_METHOD_NONE},
		{"/", KT_METHOD_NONE},
		{"", KT_METHOD_NONE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_call call = with(":path", cases[i].path);
		bool known = cases[i].method != KT_METHOD_NONE;

		cr_expect_eq(kt_call_check(&call), known ? 0 : -1, "%s", cases[i].path);
		cr_expect_eq(call.method, cases[i].method, "%s", cases[i].path);
		cr_expect_eq(call.status.code, known ? KT_GRPC_OK : KT_GRPC_UNIMPLEMENTED);
		cr_expect(!call.malformed);
	}
}

Test(grpc_call, takes_every_authority_there_was)
{
	static const char *const values[] = {"/var/run/kmsplugin/kms.sock",
		"%2Fvar%2Frun%2Fkmsplugin%2Fkms.sock", "localhost", "", NULL};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct kt_call call = with(":authority", values[i]);

		cr_expect_eq(kt_call_check(&call), 0, "%zu", i);
	}
}

Test(grpc_call, is_refused_with_an_answer)
{
	static const struct {
		const char *name, *value;
		enum kt_grpc_code code;
		unsigned http;
	} cases[] = {
		{":method", "GET", KT_GRPC_INTERNAL, 405},
		{"content-type", "application/json", KT_GRPC_INTERNAL, 415},
		{"content-type", "application/grpc-web", KT_GRPC_INTERNAL, 415},
		{"content-type", "application/grp", KT_GRPC_INTERNAL, 415},
		{"content-type", NULL, KT_GRPC_INTERNAL, 415},
		{"grpc-timeout", "soon", KT_GRPC_INVALID_ARGUMENT, 200},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_call call = with(cases[i].name, cases[i].value);

		cr_expect_eq(kt_call_check(&call), -1, "case %zu", i);
		cr_expect(!call.malformed, "case %zu", i);
		cr_expect_eq(call.status.code, cases[i].code, "case %zu", i);
		cr_expect_eq(call.http_status, cases[i].http, "case %zu", i);
	}
}

Test(grpc_call, may_name_a_subtype)
{
	static const char *const values[] = {
		"application/grpc+proto", "application/grpc;charset=utf-8", "application/grpc"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct kt_call call = with("content-type", values[i]);

		cr_expect_eq(kt_call_check(&call), 0, "%s", values[i]);
	}
}

Test(grpc_call, is_malformed_as_http_says)
{
	static const struct pair more[] = {
		{":path", "/again"},
		{":status", "200"},
		{":late", "x"},
		{"te", "gzip"},
		{"connection", "close"},
		{"transfer-encoding", "chunked"},
		{"upgrade", "h2c"},
		{"keep-alive", "1"},
		{"proxy-connection", "x"},
		{"Upper", "x"},
		{"", "x"},
		{"a b", "x"},
		{"a:b", "x"},
		{"x", "a\rb"},
		{"x", "a\nb"},
		{"grpc-timeout", "1S"},
		{"content-type", "application/grpc"},
	};
	static const char *const needed[] = {":method", ":scheme", ":path"};

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct kt_call call = with("", NULL);

		put(&call, more[i].name, more[i].value);
		cr_expect_eq(kt_call_check(&call), -1, "%s", more[i].name);
		cr_expect(call.malformed, "%s: %s", more[i].name, more[i].value);
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		struct kt_call call = with(needed[i], NULL);

		cr_expect_eq(kt_call_check(&call), -1, "%s", needed[i]);
		cr_expect(call.malformed, "%s", needed[i]);
	}
}

Test(grpc_call, with_too_many_fields_is_refused_not_reset)
{
	struct kt_call call = {0};

	for (unsigned i = 0; i < 1000; i++)
		put(&call, "x-filler", "0123456789");
	for (size_t i = 0; i < GOOD_COUNT; i++)
		put(&call, good[i].name, good[i].value);
	cr_assert_eq(kt_call_check(&call), -1);
	cr_assert(!call.malformed);
	cr_assert_eq(call.status.code, KT_GRPC_RESOURCE_EXHAUSTED);
}

Test(grpc_call, timeouts_are_read_to_the_microsecond)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: malformed */
	} cases[] = {
		{"1H", 3600000000},
		{"2M", 120000000},
		{"3S", 3000000},
		{"4m", 4000},
		{"5u", 5},
		{"6000n", 6},
		{"1n", 1},
		{"0u", 1},
		{"00000001S", 1000000},
		{"000000001S", -1},
		{"99999999H", 99999999LL * 3600000000LL},
		{"99999999u", 99999999},
		{"123456789u", -1},
		{"", -1},
		{"u", -1},
		{"1", -1},
		{"1s", -1},
		{"-1S", -1},
		{"+1S", -1},
		{" 1S", -1},
		{"1.5S", -1},
		{"1 S", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t us = -1;
		int result = kt_call_parse_timeout(cases[i].text, strlen(cases[i].text), &us);

		cr_expect_eq(result, cases[i].us == -1 ? -1 : 0, "%s", cases[i].text);
		cr_expect_eq(us, cases[i].us, "%s", cases[i].text);
	}
}
