/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs: what is made is valid, and what is not one is not taken for one. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/uuid.h"

Test(uuid, a_new_one_is_valid_random_and_says_so)
{
	char a[KT_UUID_SIZE], b[KT_UUID_SIZE];
	struct kt_error e = {0};

	for (int i = 0; i < 50; i++) {
		cr_assert_eq(kt_uuid_new(a, &e), 0, "%s", e.msg);
		cr_assert_eq(kt_uuid_new(b, &e), 0, "%s", e.msg);
		cr_expect(kt_uuid_is_valid(a), "%s", a);
		cr_expect_eq(a[14], '4', "%s", a);
		cr_expect(strchr("89ab", a[19]) != NULL, "%s", a);
		cr_expect_str_neq(a, b);
	}
}

Test(uuid, anything_else_is_refused)
{
	static const char *const bad[] = {
		"",
		"97943e70-d1c1-4d4f-bbc5-7b29900eba7",
		"97943e70-d1c1-4d4f-bbc5-7b29900eba711",
		"97943e70-d1c1-4d4f-bbc5-7b29900eba7g",
		"97943E70-d1c1-4d4f-bbc5-7b29900eba71",
		"97943e70d1c14d4fbbc57b29900eba71",
		"97943e7-0d1c1-4d4f-bbc5-7b29900eba71",
		"97943e70-d1c1-4d4f-bbc5-7b29900eba71 ",
		"97943e70-d1c1-4d4f-bbc5",
		"97943e70-d1c1-4d4f-bbc5-",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(kt_uuid_is_valid(bad[i]), "%s", bad[i]);
	cr_expect(kt_uuid_is_valid("97943e70-d1c1-4d4f-bbc5-7b29900eba71"));
}
