/* SPDX-License-Identifier: Apache-2.0 */
/* The kubelet's requests, and answers that it decodes strictly. */
#include <string.h>

#include <criterion/criterion.h>

#include "exec-plugin/credprovider.h"
#include "exec-plugin/image.h"

#define V1 "credentialprovider.kubelet.k8s.io/v1"
#define V1BETA1 "credentialprovider.kubelet.k8s.io/v1beta1"
#define V1ALPHA1 "credentialprovider.kubelet.k8s.io/v1alpha1"

static struct kt_secret *secret(const char *text)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, &e), 0, "%s", e.msg);
	return secret;
}

static int parse(const char *text, struct kt_credprovider *ret_request, struct kt_error *e)
{
	auto_secret struct kt_secret *bytes = secret(text);

	return kt_credprovider_parse(bytes, ret_request, e);
}

Test(credprovider, reads_what_the_kubelet_sends)
{
	static const char *const versions[] = {V1, V1BETA1, V1ALPHA1};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct kt_credprovider request = {0};
		struct kt_error e;
		char text[512];

		snprintf(text, sizeof(text),
			"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"%s\",\"image\":"
			"\"r.io/team/app\",\"serviceAccountToken\":\"eyJ.e30.x\","
			"\"serviceAccountAnnotations\":{\"r.io/role\":\"puller\"},\"new\":[]}\n",
			versions[i]);
		cr_assert_eq(parse(text, &request, &e), 0, "%s", e.msg);
		cr_expect_str_eq(request.api_version, versions[i]);
		cr_expect_str_eq(request.image, "r.io/team/app");
		cr_expect_not(json_object_object_get_ex(request.root, "serviceAccountToken", NULL),
			"the token stays while modules run");
		cr_expect_str_eq(request.annotations, "{\"r.io/role\":\"puller\"}");
		kt_credprovider_fini(&request);
	}
}

Test(credprovider, refuses_what_is_no_request)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"x", ""},
		{"{}", "kind"},
		{"{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\"}",
			"not CredentialProviderRequest"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"v1\",\"image\":\"a\"}",
			V1},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1 "\"}", "image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":null}",
			"image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"\"}",
			"image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a b\"}",
			"is no image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\\n\"}",
			"is no image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"https://r.io/a\"}",
			"is no image"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\",\"serviceAccountToken\":{}}",
			"serviceAccountToken"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\",\"serviceAccountAnnotations\":{\"a\":1}}",
			"serviceAccountAnnotations"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\",\"serviceAccountAnnotations\":[]}",
			"serviceAccountAnnotations"},
		{"{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
		 "\",\"image\":\"a\",\"image\":\"b\"}",
			""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_credprovider request = {0};
		struct kt_error e = {0};

		cr_expect_eq(parse(cases[i].text, &request, &e), -1, "%s", cases[i].text);
		cr_expect_eq(e.code, KT_E_INPUT, "%s", e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s", e.msg);
		cr_expect_null(request.root);
	}
}

Test(credprovider, never_repeats_the_token_of_a_request)
{
	struct kt_credprovider request = {0};
	struct kt_error e = {0};

	cr_expect_eq(parse("{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"x\",\"image\":"
			   "\"a\","
			   "\"serviceAccountToken\":\"hunter2\"}",
			     &request, &e),
		-1);
	cr_expect_null(strstr(e.msg, "hunter2"));
}

Test(credprovider, has_a_limit)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_credprovider request = {0};
	struct kt_error e;

	cr_assert_eq(kt_secret_new(KT_CREDPROVIDER_MAX_BYTES + 1, &text, &e), 0);
	kt_secret_set_len(text, KT_CREDPROVIDER_MAX_BYTES + 1);
	cr_expect_eq(kt_credprovider_parse(text, &request, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

static void expect_answer(const struct kt_offers *offers, const char *expected)
{
	auto_secret struct kt_secret *answer = NULL;
	struct kt_error e;

	cr_assert_eq(kt_credprovider_write(V1, offers, &answer, &e), 0, "%s", e.msg);
	cr_expect_eq(kt_secret_len(answer), strlen(expected));
	cr_expect_arr_eq(kt_secret_bytes(answer), expected, strlen(expected), "%.*s",
		(int)kt_secret_len(answer), (const char *)kt_secret_bytes(answer));
}

#define HEAD "{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"" V1 "\","

Test(credprovider, says_that_it_has_nothing)
{
	struct kt_offers offers = {0};

	expect_answer(
		&offers, HEAD "\"cacheKeyType\":\"Image\",\"cacheDuration\":\"0s\",\"auth\":{}}\n");
}

Test(credprovider, answers_in_the_order_of_the_offers)
{
	struct kt_offers offers = {0};
	struct kt_error e;

	cr_assert_eq(kt_offers_add(&offers, "r.io", "u\"", secret("p\\"), &e), 0);
	cr_assert_eq(kt_offers_add(&offers, "*.io", "v", secret("q"), &e), 0);
	expect_answer(&offers,
		HEAD "\"cacheKeyType\":\"Registry\",\"cacheDuration\":\"10m0s\",\"auth\":{"
		     "\"r.io\":{\"username\":\"u\\\"\",\"password\":\"p\\\\\"},"
		     "\"*.io\":{\"username\":\"v\",\"password\":\"q\"}}}\n");
	kt_offers_fini(&offers);
}

Test(credprovider, keeps_the_first_offer_of_a_pattern)
{
	struct kt_offers offers = {0};
	struct kt_error e;

	cr_assert_eq(kt_offers_add(&offers, "r.io", "u", secret("first"), &e), 0);
	cr_assert_eq(kt_offers_add(&offers, "r.io", "v", secret("second"), &e), 0);
	expect_answer(&offers,
		HEAD "\"cacheKeyType\":\"Registry\",\"cacheDuration\":\"10m0s\",\"auth\":{"
		     "\"r.io\":{\"username\":\"u\",\"password\":\"first\"}}}\n");
	kt_offers_fini(&offers);
}

Test(credprovider, has_room_for_so_many_offers)
{
	struct kt_offers offers = {0};
	struct kt_error e;
	char pattern[16];

	for (int i = 0; i < KT_OFFERS_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "r%d.io", i);
		cr_assert_eq(kt_offers_add(&offers, pattern, "u", secret("p"), &e), 0);
	}
	cr_expect_eq(kt_offers_add(&offers, "more.io", "u", secret("p"), &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	kt_offers_truncate(&offers, 1);
	cr_expect_eq(offers.count, 1);
	kt_offers_fini(&offers);
}

Test(credprovider, prints_durations_as_go_does)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "\"0s\""},
		{45, "\"45s\""},
		{60, "\"1m0s\""},
		{600, "\"10m0s\""},
		{3599, "\"59m59s\""},
		{3600, "\"1h0m0s\""},
		{90061, "\"25h1m1s\""},
		{KT_CACHE_MAX_SECONDS, "\"87600h0m0s\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_secret struct kt_secret *answer = NULL;
		struct kt_offers offers = {0};
		struct kt_error e;

		cr_assert_eq(kt_offers_add(&offers, "r.io", "u", secret("p"), &e), 0);
		cr_assert_eq(kt_offers_cache(&offers, NULL, cases[i].seconds, &e), 0);
		cr_assert_eq(kt_credprovider_write(V1, &offers, &answer, &e), 0);
		cr_expect_not_null(memmem(kt_secret_bytes(answer), kt_secret_len(answer),
					   cases[i].text, strlen(cases[i].text)),
			"%s", cases[i].text);
		kt_offers_fini(&offers);
	}
}

Test(credprovider, caches_as_narrowly_and_as_shortly_as_anyone_asks)
{
	struct kt_offers offers = {0};
	struct kt_error e;

	cr_assert_eq(kt_offers_cache(&offers, "Global", 100, &e), 0);
	cr_expect_eq(offers.cache_key, KT_CACHE_GLOBAL);
	cr_assert_eq(kt_offers_cache(&offers, "Registry", 200, &e), 0);
	cr_assert_eq(kt_offers_cache(&offers, "Global", 50, &e), 0);
	cr_expect_eq(offers.cache_key, KT_CACHE_REGISTRY);
	cr_expect_eq(offers.cache_seconds, 50);
	kt_offers_narrow(&offers, KT_CACHE_IMAGE);
	kt_offers_narrow(&offers, KT_CACHE_GLOBAL);
	cr_expect_eq(offers.cache_key, KT_CACHE_IMAGE);
	cr_expect_eq(kt_offers_cache(&offers, "image", 1, &e), -1);
	cr_expect_eq(kt_offers_cache(&offers, "", 1, &e), -1);
	cr_expect_eq(kt_offers_cache(&offers, "Image", -1, &e), -1);
	cr_expect_eq(kt_offers_cache(&offers, "Image", KT_CACHE_MAX_SECONDS + 1, &e), -1);
	cr_expect_eq(offers.cache_seconds, 50);
}

Test(credprovider, does_not_answer_with_bytes_that_are_no_text)
{
	struct kt_offers offers = {0};
	struct kt_secret *answer = NULL;
	struct kt_error e;

	cr_assert_eq(kt_offers_add(&offers, "r.io", "u", secret("\xff"), &e), 0);
	cr_expect_eq(kt_credprovider_write(V1, &offers, &answer, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_not_null(strstr(e.msg, "r.io"), "%s", e.msg);
	cr_expect_null(answer);
	kt_offers_fini(&offers);
}

Test(credprovider, locks_no_more_memory_than_the_answer_takes)
{
	auto_secret struct kt_secret *answer = NULL;
	struct kt_offers offers = {0};
	char password[8192];
	struct kt_error e;

	memset(password, 'p', sizeof(password) - 1);
	password[sizeof(password) - 1] = '\0';
	cr_assert_eq(kt_offers_add(&offers, "r.io", "u", secret(password), &e), 0);
	cr_assert_eq(kt_credprovider_write(V1, &offers, &answer, &e), 0);
	cr_expect_lt(kt_secret_capacity(answer), sizeof(password) + 1024);
	kt_offers_fini(&offers);
}
