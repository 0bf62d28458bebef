/* SPDX-License-Identifier: Apache-2.0 */
/* key_ids: a vector that another implementation computed, and that every part counts. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/key-id.h"

#define GOLDEN "sha256:a24a6841727bc7041a20c4d0c195e55463ac57005fc787eeb36a796f86b33560"
#define GOLDEN_HASH "sha256:a744d23ad2487dad515b24c332189e2a2ddac1bbead176874c05c60a4ef73285"

static const struct kt_key_id_parts golden = {
	.cluster = "prod",
	.module = "kms-tpm",
	.key_name = "97943e70-d1c1-4d4f-bbc5-7b29900eba71",
	.version = "a8d2d7fe1d30b18cbbc4a98319244a4f",
	.epoch = "0",
};

Test(key_id, never_changes)
{
	char id[KT_KMS_KEY_ID_SIZE], hash[KT_KMS_KEY_ID_SIZE];
	struct kt_error e = {0};

	cr_assert_eq(kt_key_id(&golden, id, &e), 0, "%s", e.msg);
	cr_expect_str_eq(id, GOLDEN);
	cr_assert_eq(kt_key_id_hash(id, hash, &e), 0, "%s", e.msg);
	cr_expect_str_eq(hash, GOLDEN_HASH);
}

Test(key_id, each_part_counts)
{
	struct kt_key_id_parts parts[5];
	char id[KT_KMS_KEY_ID_SIZE];
	struct kt_error e = {0};

	for (size_t i = 0; i < 5; i++)
		parts[i] = golden;
	parts[0].cluster = "prod2";
	parts[1].module = "kms-tpn";
	parts[2].key_name = "";
	parts[3].version = "";
	parts[4].epoch = "1";
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(kt_key_id(&parts[i], id, &e), 0, "%s", e.msg);
		cr_expect_str_neq(id, GOLDEN, "part %zu", i);
	}
}

Test(key_id, parts_do_not_run_into_each_other)
{
	const struct kt_key_id_parts a = {"ab", "c", "d", "e", "f"}, b = {"a", "bc", "d", "e", "f"};
	char id_a[KT_KMS_KEY_ID_SIZE], id_b[KT_KMS_KEY_ID_SIZE];
	struct kt_error e = {0};

	cr_assert_eq(kt_key_id(&a, id_a, &e), 0);
	cr_assert_eq(kt_key_id(&b, id_b, &e), 0);
	cr_expect_str_neq(id_a, id_b);
}
