/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP requests, good and hostile. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/http-get.h"

/* The status, or 0 while more must come. */
static unsigned parse(const char *text, size_t len)
{
	struct kt_http_get request;

	return kt_http_get_parse(text, len, "/metrics", &request) ? request.status : 0;
}

Test(http_get, takes_what_clients_send)
{
	static const char *const good[] = {
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /metrics HTTP/1.0\r\n\r\n",
		"GET /metrics?collect[]=x HTTP/1.1\r\nHost:\r\nAccept: */*\r\n\r\n",
		"HEAD /metrics HTTP/1.1\r\nX: \xc3\xa4\t\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t len = strlen(good[i]);

		cr_expect_eq(parse(good[i], len), 200, "%s", good[i]);
		/* However little has come. */
		for (size_t n = 0; n < len; n++)
			cr_expect_eq(parse(good[i], n), 0, "%zu bytes of %s", n, good[i]);
	}
}

Test(http_get, head_has_no_body)
{
	const char get[] = "GET /metrics HTTP/1.1\r\n\r\n",
		   head[] = "HEAD /metrics HTTP/1.1\r\n\r\n";
	struct kt_http_get request;

	cr_assert(kt_http_get_parse(get, strlen(get), "/metrics", &request));
	cr_expect(request.body);
	cr_assert(kt_http_get_parse(head, strlen(head), "/metrics", &request));
	cr_expect(!request.body);
}

Test(http_get, refuses_the_rest)
{
	static const struct {
		unsigned status;
		const char *text;
	} cases[] = {
		{404, "GET / HTTP/1.1\r\n"},
		{404, "GET /metrics/ HTTP/1.1\r\n"},
		{404, "GET /metric HTTP/1.1\r\n"},
		{404, "GET /?/metrics HTTP/1.1\r\n"},
		{404, "POST /x HTTP/1.1\r\n"},
		{405, "POST /metrics HTTP/1.1\r\n"},
		{405, "get /metrics HTTP/1.1\r\n"},
		{405, "DELETE /metrics HTTP/1.0\r\n"},
		{505, "GET /metrics HTTP/2.0\r\n"},
		{505, "GET /metrics HTTP/1.2\r\n"},
		{400, "GET /metrics\r\n"},
		{400, "GET  /metrics HTTP/1.1\r\n"},
		{400, "GET /metrics HTTP/1.1 \r\n"},
		{400, "GET /metrics http/1.1\r\n"},
		{400, "GET metrics HTTP/1.1\r\n"},
		{400, "GET http://x/metrics HTTP/1.1\r\n"},
		{400, " GET /metrics HTTP/1.1\r\n"},
		{400, "G(T /metrics HTTP/1.1\r\n"},
		{400, "GET /metrics HTTP/1.1\n"},
		{400, "\r\n"},
		{400, "\n"},
		{505, "PRI * HTTP/2.0\r\n"},
		{400, "GET /metrics HTTP/1.1\r\nno colon\r\n"},
		{400, "GET /metrics HTTP/1.1\r\n: x\r\n"},
		{400, "GET /metrics HTTP/1.1\r\nA B: x\r\n"},
		{400, "GET /metrics HTTP/1.1\r\n folded: x\r\n"},
		{400, "GET /metrics HTTP/1.1\r\nA: \x01\r\n"},
		{400, "GET /metrics HTTP/1.1\r\nA: \x7f\r\n"},
		{400, "GET /metrics HTTP/1.1\r\nA: x\n"},
		{400, "GET /metrics HTTP/1.1\r\nA: x\rB: y\r\n"},
		{400, "GET /met\x01rics HTTP/1.1\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(parse(cases[i].text, strlen(cases[i].text)), cases[i].status, "%s",
			cases[i].text);
	cr_expect_eq(parse("GET /metrics\0 HTTP/1.1\r\n", 24), 400);
}

Test(http_get, a_head_has_an_end)
{
	char text[KT_HTTP_HEAD_MAX_BYTES + 64];
	int len = snprintf(text, sizeof(text), "GET /metrics HTTP/1.1\r\nA: ");

	memset(text + len, 'a', sizeof(text) - (size_t)len);
	cr_expect_eq(parse(text, KT_HTTP_HEAD_MAX_BYTES - 1), 0);
	cr_expect_eq(parse(text, KT_HTTP_HEAD_MAX_BYTES), 431);
	cr_expect_eq(parse(text, sizeof(text)), 431);
	/* A head that is just as long as allowed is good. */
	memcpy(text + KT_HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	cr_expect_eq(parse(text, KT_HTTP_HEAD_MAX_BYTES), 200);
}

Test(http_get, each_status_has_a_reason)
{
	static const unsigned all[] = {200, 400, 404, 405, 431, 505};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cr_expect_str_neq(kt_http_reason(all[i]), "Internal Server Error");
	cr_expect_str_eq(kt_http_reason(500), "Internal Server Error");
}
