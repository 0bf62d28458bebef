/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: what a person gets to read. */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "lib/error.h"

Test(error, failing_is_one_line)
{
	struct kt_error e = {0};

	cr_assert_eq(kt_fail(&e, KT_E_PIN, "wrong %s, %d left", "PIN", 3), -1);
	cr_assert_eq(e.code, KT_E_PIN);
	cr_assert_str_eq(e.msg, "wrong PIN, 3 left");
}

Test(error, errno_is_explained)
{
	struct kt_error e = {0};

	errno = ENOENT;
	cr_assert_eq(kt_fail_errno(&e, KT_E_USAGE, "cannot open %s", "x"), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
	cr_assert_str_eq(e.msg, "cannot open x: No such file or directory");
}

Test(error, openssl_reason_is_taken_and_the_queue_emptied)
{
	struct kt_error e = {0};

	ERR_clear_error();
	cr_assert_null(EVP_MD_fetch(NULL, "no-such-digest", NULL));
	cr_assert_eq(kt_fail_ssl(&e, KT_E_INTERNAL, "digest"), -1);
	cr_assert_str_eq(e.msg, "digest: unsupported");
	cr_assert_eq(ERR_peek_error(), 0);

	cr_assert_eq(kt_fail_ssl(&e, KT_E_INPUT, "nothing queued"), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_str_eq(e.msg, "nothing queued");
}

Test(error, context_goes_before_and_a_hint_behind)
{
	struct kt_error e = {0};

	kt_fail(&e, KT_E_POLICY, "PCR 7 differs");
	cr_assert_eq(kt_wrap(&e, "%s", "t.sealed"), -1);
	cr_assert_eq(kt_hint(&e, "try '%s'", "reseal"), -1);
	cr_assert_eq(e.code, KT_E_POLICY);
	cr_assert_str_eq(e.msg, "t.sealed: PCR 7 differs; try 'reseal'");
}

Test(error, a_message_may_be_part_of_its_own_successor)
{
	struct kt_error e = {0};

	kt_fail(&e, KT_E_INPUT, "inner");
	kt_fail(&e, KT_E_INPUT, "outer (%s)", e.msg);
	cr_assert_str_eq(e.msg, "outer (inner)");
}

Test(error, c1_controls_in_utf8_are_replaced)
{
	struct kt_error e;

	kt_fail(&e, KT_E_INPUT, "%s",
		"a\xc2\x9b"
		"31mb \xc2\xa0\xc3\xa9\xc2");
	cr_assert_str_eq(e.msg, "a??31mb \xc2\xa0\xc3\xa9\xc2");
}

Test(error, control_characters_are_replaced)
{
	struct kt_error e = {0};

	kt_fail(&e, KT_E_INPUT, "file \"a\nb\033[31m\x7f\"");
	cr_assert_str_eq(e.msg, "file \"a?b?[31m?\"");
	kt_wrap(&e, "in\rside");
	kt_hint(&e, "a\tb");
	cr_assert_str_eq(e.msg, "in?side: file \"a?b?[31m?\"; a?b");
}

Test(error, a_long_message_is_cut_not_overrun)
{
	struct {
		struct kt_error e;
		char guard[8];
	} box = {.guard = "guard"};
	char path[2 * sizeof(box.e.msg)];

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	kt_fail(&box.e, KT_E_INPUT, "%s", path);
	kt_wrap(&box.e, "%s", path);
	kt_hint(&box.e, "%s", path);
	cr_assert_eq(strlen(box.e.msg), sizeof(box.e.msg) - 1);
	cr_assert_str_eq(box.guard, "guard");
}

Test(error, exit_statuses_are_frozen)
{
	static const int codes[] = {KT_E_NONE, KT_E_INTERNAL, KT_E_USAGE, KT_E_POLICY, KT_E_TPM,
		KT_E_INPUT, KT_E_PIN, KT_E_LOCKOUT, KT_E_REFUSED, KT_E_NETWORK, KT_E_WRONG_TPM,
		KT_E_BUSY, KT_E_NOT_PROVISIONED, KT_E_REVOKED, KT_E_EVIDENCE};

	for (int i = 0; i < (int)(sizeof(codes) / sizeof(codes[0])); i++)
		cr_expect_eq(codes[i], i);
}
