/* SPDX-License-Identifier: Apache-2.0 */
/* The table that modules call back through, from both sides. */
#include <stddef.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/host.h"
#include "lib/module.h"
#include "lib/secret.h"

static struct kt_host_base base;

static void init(void)
{
	kt_host_init(&base);
	kt_host_enter(&base, "mod");
}

TestSuite(host, .init = init);

Test(host, lends_items)
{
	const struct kt_host *host = &base.table;

	base.items[KT_ITEM_SERVER] = "https://k";
	cr_expect_str_eq(host->get_item(host->ctx, KT_ITEM_SERVER), "https://k");
	cr_expect_null(host->get_item(host->ctx, KT_ITEM_IMAGE));
	cr_expect_null(host->get_item(host->ctx, (enum kt_item)0));
	cr_expect_null(host->get_item(host->ctx, (enum kt_item)KT_HOST_ITEMS_MAX));
	cr_expect_null(host->get_item(host->ctx, (enum kt_item) - 1));
}

Test(host, serves_no_images_by_itself)
{
	cr_expect_null(base.table.image_matches);
	cr_expect_null(base.table.offer_registry);
	cr_expect_null(base.table.image_cache);
	cr_expect_eq(base.table.size, sizeof(struct kt_host));
}

Test(host, keeps_the_last_reason_of_a_failure)
{
	const struct kt_host *host = &base.table;
	struct kt_error e = {0};

	host->fail(host->ctx, KT_E_TPM, "first");
	host->fail(host->ctx, KT_E_POLICY, "PCR %d\nchanged", 7);
	cr_expect_eq(kt_host_failure(&base, KT_DENIED, &e), -1);
	cr_expect_eq(e.code, KT_E_POLICY);
	cr_expect_str_eq(e.msg, "mod: PCR 7?changed");
}

Test(host, forgets_the_reason_of_the_module_before)
{
	const struct kt_host *host = &base.table;
	struct kt_error e = {0};

	host->fail(host->ctx, KT_E_TPM, "first");
	kt_host_enter(&base, "next");
	cr_expect_eq(kt_host_failure(&base, KT_UNAVAIL, &e), -1);
	cr_expect_str_eq(e.msg, "next: unavailable, without a reason");
}

Test(host, has_a_reason_where_the_module_gave_none)
{
	static const struct {
		int result;
		enum kt_code code;
	} cases[] = {{KT_DENIED, KT_E_REFUSED}, {KT_UNAVAIL, KT_E_NETWORK},
		{KT_ERROR, KT_E_INTERNAL}, {99, KT_E_INTERNAL}, {-1, KT_E_INTERNAL}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_error e = {0};

		cr_expect_eq(kt_host_failure(&base, (enum kt_result)cases[i].result, &e), -1);
		cr_expect_eq(e.code, cases[i].code);
	}
}

Test(host, takes_no_code_outside_the_frozen_list)
{
	static const int codes[] = {0, -1, 15, 256};
	const struct kt_host *host = &base.table;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct kt_error e = {0};

		host->fail(host->ctx, (enum kt_code)codes[i], "x");
		cr_expect_eq(kt_host_failure(&base, KT_ERROR, &e), -1);
		cr_expect_eq(e.code, KT_E_INTERNAL, "%d", codes[i]);
	}
}

Test(host, adds_up_what_modules_count)
{
	struct kt_host *host = &base.table;

	kt_module_count(host, KT_COUNT_RETRIES, 2);
	kt_module_count(host, KT_COUNT_RETRIES, 40);
	kt_module_count(host, (enum kt_counter)KT_HOST_COUNTERS_MAX, 1);
	kt_module_count(host, (enum kt_counter) - 1, 1);
	for (int i = 0; i < KT_HOST_COUNTERS_MAX; i++)
		cr_expect_eq(base.counts[i], i == KT_COUNT_RETRIES ? 42 : 0);
	/* A host of an older header ends before it, or leaves it out. */
	host->size = offsetof(struct kt_host, count);
	kt_module_count(host, KT_COUNT_RETRIES, 1);
	host->size = sizeof(*host);
	host->count = NULL;
	kt_module_count(host, KT_COUNT_RETRIES, 1);
	cr_expect_eq(base.counts[KT_COUNT_RETRIES], 42);
}

Test(host, keeps_secrets_within_their_room)
{
	const struct kt_host *host = &base.table;
	struct kt_secret *secret = host->secret_new(host->ctx, 4);

	cr_assert_not_null(secret);
	cr_expect_eq(host->secret_append(host->ctx, secret, "abc", 3), 0);
	cr_expect_eq(host->secret_append(host->ctx, secret, "de", 2), -1);
	cr_expect_eq(kt_secret_len(secret), 3);
	cr_expect_eq(host->secret_append(host->ctx, NULL, "a", 1), -1);
	host->secret_free(host->ctx, secret);
	host->secret_free(host->ctx, NULL);
	cr_expect_null(host->secret_new(host->ctx, 0));
	cr_expect_null(host->secret_new(host->ctx, KT_SECRET_MAX_BYTES + 1));
}

Test(host, hears_of_a_modules_error_with_the_right_result)
{
	static const struct {
		enum kt_code code;
		enum kt_result result;
	} cases[] = {
		{KT_E_INTERNAL, KT_ERROR},
		{KT_E_USAGE, KT_ERROR},
		{KT_E_POLICY, KT_DENIED},
		{KT_E_TPM, KT_UNAVAIL},
		{KT_E_INPUT, KT_ERROR},
		{KT_E_PIN, KT_DENIED},
		{KT_E_LOCKOUT, KT_DENIED},
		{KT_E_REFUSED, KT_DENIED},
		{KT_E_NETWORK, KT_UNAVAIL},
		{KT_E_WRONG_TPM, KT_DENIED},
		{KT_E_BUSY, KT_UNAVAIL},
		{KT_E_NOT_PROVISIONED, KT_ERROR},
		{KT_E_REVOKED, KT_DENIED},
		{KT_E_EVIDENCE, KT_DENIED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_error e = {.code = cases[i].code, .msg = "100%s"}, seen = {0};

		cr_expect_eq(kt_module_fail(&base.table, &e), cases[i].result, "%d", cases[i].code);
		cr_expect_eq(kt_host_failure(&base, cases[i].result, &seen), -1);
		cr_expect_eq(seen.code, cases[i].code);
		cr_expect_str_eq(seen.msg, "mod: 100%s");
	}
}

Test(host, is_given_copies_of_secrets)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_module_give(&base.table, "abc", 3, &secret, &e), 0);
	cr_expect_eq(kt_secret_len(secret), 3);
	cr_expect_arr_eq(kt_secret_bytes(secret), "abc", 3);
	kt_secret_free(secret);
	secret = NULL;
	cr_assert_eq(kt_module_give(&base.table, "", 0, &secret, &e), 0);
	cr_expect_eq(kt_secret_len(secret), 0);
	kt_secret_free(secret);
	secret = NULL;
	cr_expect_eq(kt_module_give(&base.table, "x", KT_SECRET_MAX_BYTES + 1, &secret, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
	cr_expect_null(secret);
}

Test(host, modules_find_their_arguments_by_whole_keys)
{
	static const char *const argv[] = {"file=a=b", "file-2=c", "as="};

	cr_expect_str_eq(kt_module_arg(3, argv, "file"), "a=b");
	cr_expect_str_eq(kt_module_arg(3, argv, "file-2"), "c");
	cr_expect_str_eq(kt_module_arg(3, argv, "as"), "");
	cr_expect_null(kt_module_arg(3, argv, "fil"));
	cr_expect_null(kt_module_arg(0, argv, "file"));
}
