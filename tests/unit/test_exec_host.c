/* SPDX-License-Identifier: Apache-2.0 */
/* exec-plugin as host: what it lends to modules, and what it takes from them. */
#include <string.h>

#include <criterion/criterion.h>

#include "exec-plugin/host.h"

#define NOW 1893456000

/* What the module of this test does next. */
static struct {
	const char *token, *certificate, *key;
	int64_t not_after;
	enum kt_result open_result, result;
	struct {
		const char *pattern, *password;
		int expected;
	} offers[4];
	const char *cache_key;
	int64_t cache_seconds;
	int64_t takes_seconds;
	int closed;
	bool state_at_close;
} plan;

static struct kt_exec_host host;
static int64_t clock_seconds;

static int64_t now(void)
{
	return clock_seconds;
}

static struct kt_secret *secret(const struct kt_host *h, const char *text)
{
	struct kt_secret *s;

	if (text == NULL)
		return NULL;
	s = h->secret_new(h->ctx, strlen(text) + 1);
	cr_assert_eq(h->secret_append(h->ctx, s, text, strlen(text)), 0);
	return s;
}

static enum kt_result open_planned(
	const struct kt_host *h, int argc, const char *const argv[], void **ret_state)
{
	(void)h;
	(void)argc;
	(void)argv;
	*ret_state = &plan;
	return plan.open_result;
}

static enum kt_result give_planned(void *state, const struct kt_host *h, struct kt_credential *out)
{
	cr_assert_eq(state, &plan);
	clock_seconds += plan.takes_seconds;
	cr_assert_eq(out->size, sizeof(*out));
	out->token = secret(h, plan.token);
	out->certificate = secret(h, plan.certificate);
	out->key = secret(h, plan.key);
	out->not_after = plan.not_after;
	for (size_t i = 0; i < 4 && plan.offers[i].password != NULL; i++)
		cr_expect_eq(h->offer_registry(h->ctx, plan.offers[i].pattern, "u",
				     secret(h, plan.offers[i].password)),
			plan.offers[i].expected, "%zu", i);
	if (plan.cache_seconds != 0)
		cr_expect_eq(h->image_cache(h->ctx, plan.cache_key, plan.cache_seconds), 0);
	return plan.result;
}

static void close_planned(void *state)
{
	plan.closed++;
	plan.state_at_close = state == &plan;
}

static const struct kt_module module = {.size = sizeof(module),
	.name = "mod",
	.open = open_planned,
	.credential = give_planned,
	.close = close_planned};

static enum kt_result call(struct kt_error *ret_reason)
{
	void *state = NULL;
	enum kt_result result = kt_exec_host_open(&host, &module, 0, NULL, &state, ret_reason);

	if (result == KT_OK)
		result = kt_exec_host_call(&host, &module, state, ret_reason);
	kt_exec_host_close(&module, state);
	return result;
}

static void init_exec(void)
{
	static const struct kt_execcred request = {.api_version = "v1",
		.interactive = false,
		.server = "https://k",
		.insecure_skip_tls_verify = true};

	memset(&plan, 0, sizeof(plan));
	clock_seconds = NOW;
	kt_exec_host_init_exec(&host, &request, now);
}

static void init_image(void)
{
	static const struct kt_credprovider request = {
		.api_version = "v1", .image = "r.io/team/app", .annotations = "{}"};

	memset(&plan, 0, sizeof(plan));
	clock_seconds = NOW;
	kt_exec_host_init_image(&host, &request, now);
}

static void fini(void)
{
	kt_exec_host_fini(&host);
}

static const char *item(enum kt_item item)
{
	const char *value = host.base.table.get_item(host.base.table.ctx, item);

	return value != NULL ? value : "(none)";
}

Test(exec_host, lends_the_request, .init = init_exec, .fini = fini)
{
	cr_expect_str_eq(item(KT_ITEM_REQUEST), "exec");
	cr_expect_str_eq(item(KT_ITEM_API_VERSION), "v1");
	cr_expect_str_eq(item(KT_ITEM_INTERACTIVE), "false");
	cr_expect_str_eq(item(KT_ITEM_SERVER), "https://k");
	cr_expect_str_eq(item(KT_ITEM_INSECURE_SKIP_TLS_VERIFY), "true");
	cr_expect_str_eq(item(KT_ITEM_CA_DATA), "(none)");
	cr_expect_str_eq(item(KT_ITEM_IMAGE), "(none)");
	cr_expect_null(host.base.table.offer_registry);
	cr_expect_not(kt_exec_host_is_image(&host));
}

Test(exec_host, lends_the_image, .init = init_image, .fini = fini)
{
	cr_expect_str_eq(item(KT_ITEM_REQUEST), "image");
	cr_expect_str_eq(item(KT_ITEM_IMAGE), "r.io/team/app");
	cr_expect_str_eq(item(KT_ITEM_ANNOTATIONS), "{}");
	cr_expect_str_eq(item(KT_ITEM_INTERACTIVE), "(none)");
	cr_expect(kt_exec_host_is_image(&host));
}

Test(exec_host, takes_a_credential_and_closes_the_module, .init = init_exec, .fini = fini)
{
	struct kt_error e = {0};

	plan.token = "a";
	plan.not_after = NOW + 100;
	cr_expect_eq(call(&e), KT_OK, "%s", e.msg);
	cr_expect(kt_exec_host_has_answer(&host));
	cr_expect_eq(host.credential.not_after, NOW + 100);
	cr_expect_eq(plan.closed, 1);
	cr_expect(plan.state_at_close);
}

Test(exec_host, closes_a_module_that_did_not_open, .init = init_exec, .fini = fini)
{
	struct kt_error e = {0};

	plan.token = "a";
	plan.open_result = KT_ERROR;
	cr_expect_eq(call(&e), KT_ERROR);
	cr_expect_not(kt_exec_host_has_answer(&host));
	cr_expect_eq(plan.closed, 1);
	plan.open_result = KT_PASS;
	cr_expect_eq(call(&e), KT_PASS);
	cr_expect_not(kt_exec_host_has_answer(&host));
}

Test(exec_host, drops_what_a_failed_module_left, .init = init_exec, .fini = fini)
{
	struct kt_error e = {0};

	plan.token = "a";
	plan.result = KT_DENIED;
	cr_expect_eq(call(&e), KT_DENIED);
	cr_expect_not(kt_exec_host_has_answer(&host));
	plan.result = KT_PASS;
	cr_expect_eq(call(&e), KT_PASS);
	cr_expect_not(kt_exec_host_has_answer(&host));
}

Test(exec_host, merges_token_and_certificate_and_ends_with_the_first, .init = init_exec,
	.fini = fini)
{
	struct kt_error e = {0};

	plan.token = "first";
	plan.not_after = NOW + 500;
	cr_assert_eq(call(&e), KT_OK);
	plan.token = "second";
	plan.not_after = NOW + 100;
	cr_assert_eq(call(&e), KT_OK);
	cr_expect_eq(host.credential.not_after, NOW + 500, "what does not count does not end it");
	plan.certificate = "cert";
	plan.key = "key";
	plan.not_after = NOW + 300;
	cr_assert_eq(call(&e), KT_OK);
	cr_expect_eq(host.credential.not_after, NOW + 300);
	cr_expect_arr_eq(kt_secret_bytes(host.credential.token), "first", 5);
	cr_expect_arr_eq(kt_secret_bytes(host.credential.key), "key", 3);
}

Test(exec_host, calls_an_expired_credential_a_failure, .init = init_exec, .fini = fini)
{
	static const int64_t ends[] = {NOW, NOW - 1, 1, -1};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct kt_error e = {0};

		plan.token = "hunter2";
		plan.not_after = ends[i];
		cr_expect_eq(call(&e), KT_ERROR, "%zu", i);
		cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
		cr_expect_not_null(strstr(e.msg, "mod: the credential expired at "), "%s", e.msg);
		cr_expect_null(strstr(e.msg, "hunter2"));
		cr_expect_not(kt_exec_host_has_answer(&host));
	}
}

Test(exec_host, asks_the_clock_after_the_module, .init = init_exec, .fini = fini)
{
	auto_secret struct kt_secret *answer = NULL;
	const char *end = "\"2030-01-01T00:01:20Z\"";
	struct kt_error e = {0};

	plan.token = "a";
	plan.not_after = NOW + 20;
	plan.takes_seconds = 20;
	cr_expect_eq(call(&e), KT_ERROR);
	cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
	plan.not_after = NOW + 41;
	clock_seconds = NOW;
	cr_assert_eq(call(&e), KT_OK);
	cr_assert_eq(kt_exec_host_answer(&host, &answer, &e), 0);
	cr_expect_not_null(memmem(kt_secret_bytes(answer), kt_secret_len(answer), end, strlen(end)),
		"a minute from then on");
}

Test(exec_host, refuses_what_cannot_be_a_credential, .init = init_exec, .fini = fini)
{
	static const struct {
		const char *token, *certificate, *key, *message;
	} cases[] = {
		{"", NULL, NULL, "empty"},
		{NULL, "", "k", "empty"},
		{NULL, "c", "", "empty"},
		{"hunter2 ", NULL, NULL, "blank"},
		{"hunter2\nX-Evil: 1", NULL, NULL, "control"},
		{"hunter2\x7f", NULL, NULL, "control"},
		{"hunter2\xc3\xa9", NULL, NULL, "non-ASCII"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_error e = {0};

		plan.token = cases[i].token;
		plan.certificate = cases[i].certificate;
		plan.key = cases[i].key;
		cr_expect_eq(call(&e), KT_ERROR, "%zu", i);
		cr_expect_eq(e.code, KT_E_INPUT, "%zu: %s", i, e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s", e.msg);
		cr_expect_null(strstr(e.msg, "hunter2"));
		cr_expect_not(kt_exec_host_has_answer(&host));
	}
}

Test(exec_host, refuses_half_a_pair, .init = init_exec, .fini = fini)
{
	struct kt_error e = {0};

	plan.token = "a";
	plan.key = "key";
	cr_expect_eq(call(&e), KT_ERROR);
	cr_expect_eq(e.code, KT_E_INTERNAL);
	cr_expect_not(kt_exec_host_has_answer(&host));
}

Test(exec_host, refuses_a_credential_for_an_image, .init = init_image, .fini = fini)
{
	struct kt_error e = {0};

	plan.token = "a";
	cr_expect_eq(call(&e), KT_ERROR);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

static void expect_cache(enum kt_cache_key key, size_t count)
{
	cr_expect_eq(host.offers.cache_key, key, "cache key %d", host.offers.cache_key);
	cr_expect_eq(host.offers.count, count);
}

Test(exec_host, keeps_offers_that_match, .init = init_image, .fini = fini)
{
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 1;
	plan.offers[1].pattern = "q.io";
	plan.offers[1].password = "p";
	plan.offers[1].expected = 0;
	plan.offers[2].pattern = "r.io:port";
	plan.offers[2].password = "p";
	plan.offers[2].expected = -1;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_REGISTRY, 1);
	cr_expect_str_eq(host.offers.offers[0].pattern, "r.io");
}

Test(exec_host, caches_by_image_where_a_path_decided, .init = init_image, .fini = fini)
{
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 1;
	plan.offers[1].pattern = "r.io/other";
	plan.offers[1].password = "p";
	plan.offers[1].expected = 0;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_IMAGE, 1);
}

Test(exec_host, caches_globally_only_if_every_module_says_so, .init = init_image, .fini = fini)
{
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 1;
	plan.cache_key = "Global";
	plan.cache_seconds = 90;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_GLOBAL, 1);
	plan.offers[0].pattern = "*.io";
	plan.cache_key = NULL;
	plan.cache_seconds = 100;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_REGISTRY, 2);
	cr_expect_eq(host.offers.cache_seconds, 90);
}

Test(exec_host, drops_offers_of_a_failed_module, .init = init_image, .fini = fini)
{
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 1;
	plan.result = KT_UNAVAIL;
	cr_expect_eq(call(&e), KT_UNAVAIL);
	cr_expect_eq(host.offers.count, 0);
}

Test(exec_host, forgets_what_a_failed_module_said_about_caching, .init = init_image, .fini = fini)
{
	static const enum kt_result results[] = {KT_DENIED, KT_UNAVAIL, KT_ERROR, KT_PASS};
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 1;
	plan.cache_key = "Image";
	plan.cache_seconds = 1;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		plan.result = results[i];
		cr_expect_eq(call(&e), results[i]);
		expect_cache(KT_CACHE_UNSET, 0);
		cr_expect_not(host.offers.has_cache_seconds);
		cr_expect_eq(host.offers.cache_seconds, 0);
	}
	plan.result = KT_OK;
	plan.cache_key = "Global";
	plan.cache_seconds = 90;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_GLOBAL, 1);
	cr_expect_eq(host.offers.cache_seconds, 90);
}

Test(exec_host, remembers_that_a_path_decided_also_of_a_module_that_passed, .init = init_image,
	.fini = fini)
{
	struct kt_error e = {0};

	plan.offers[0].pattern = "r.io/other";
	plan.offers[0].password = "p";
	plan.offers[0].expected = 0;
	plan.result = KT_PASS;
	cr_expect_eq(call(&e), KT_PASS);
	plan.offers[0].pattern = "r.io";
	plan.offers[0].expected = 1;
	plan.result = KT_OK;
	cr_expect_eq(call(&e), KT_OK);
	expect_cache(KT_CACHE_IMAGE, 1);
}

Test(exec_host, survives_odd_calls, .init = init_image, .fini = fini)
{
	const struct kt_host *h = &host.base.table;

	cr_expect_eq(h->image_matches(h->ctx, NULL), -1);
	cr_expect_eq(h->offer_registry(h->ctx, NULL, "u", secret(h, "p")), -1);
	cr_expect_eq(h->offer_registry(h->ctx, "r.io", NULL, secret(h, "p")), -1);
	cr_expect_eq(h->offer_registry(h->ctx, "r.io", "u", NULL), -1);
	cr_expect_eq(h->offer_registry(h->ctx, "r.io", "u", secret(h, "")), -1);
	cr_expect_eq(h->image_cache(h->ctx, "Never", 1), -1);
	cr_expect_eq(h->image_matches(h->ctx, "r.io/team"), 1);
	cr_expect_eq(h->image_matches(h->ctx, "r.io/other"), 0);
}

Test(exec_host, answers_in_the_form_of_the_request, .init = init_image, .fini = fini)
{
	auto_secret struct kt_secret *answer = NULL;
	const char *head = "{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"v1\"";
	struct kt_error e;

	cr_assert_eq(kt_exec_host_answer(&host, &answer, &e), 0);
	cr_expect_arr_eq(kt_secret_bytes(answer), head, strlen(head));
}
