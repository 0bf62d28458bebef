/* SPDX-License-Identifier: Apache-2.0 */
/* TSS2 key files, DER: each element and its variants. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/hex.h"
#include "lib/tpm-public.h"
#include "lib/tss2key.h"
#include "tests/unit/tss2key.h"

Test(tss2key, writes_elements_as_the_draft_has_them)
{
	auto_free struct kt_tss2key *key = read_head(SEALED "a0030101ff" SRK);
	auto_free uint8_t *der = NULL;
	uint8_t expected[4096];
	size_t len, expected_len = build(SEALED "a0030101ff" SRK, expected);
	struct kt_error e;

	cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0);
	cr_assert_eq(len, expected_len);
	cr_expect_arr_eq(der, expected, len);
	free(kt_take(der));
	/* emptyAuth is there also when it is FALSE; description and rsaParent when they say
	 * something. */
	key->empty_auth = false;
	key->parent = TPM2_RH_OWNER;
	key->rsa_parent = true;
	memcpy(key->description, "abc", 4);
	expected_len = build(SEALED "a003010100"
				    "a4050c03616263"
				    "a5030101ff" OWNER,
		expected);
	cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0);
	cr_assert_eq(len, expected_len);
	cr_expect_arr_eq(der, expected, len);
}

Test(tss2key, reads_a_parent_in_both_forms)
{
	static const struct {
		const char *head;
		TPM2_HANDLE parent;
	} cases[] = {
		{SEALED "02050081000001", 0x81000001},
		{SEALED "020481000001", 0x81000001},
		{SEALED "020481ffffff", 0x81ffffff},
		{SEALED "020440000001", TPM2_RH_OWNER},
		{SEALED "020440000007", TPM2_RH_NULL},
		{SEALED "02044000000b", TPM2_RH_ENDORSEMENT},
		{SEALED "02044000000c", TPM2_RH_PLATFORM},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_free struct kt_tss2key *key = read_head(cases[i].head);

		cr_expect_eq(key->parent, cases[i].parent);
	}
}

Test(tss2key, refuses_parents_that_are_none)
{
	static const char *const heads[] = {
		SEALED "02050080000000",
		SEALED "020480000001", /* transient */
		SEALED "020440000009",
		SEALED "02044000000a", /* password session, lockout */
		SEALED "020100",
		SEALED "02047fffffff",
		SEALED "020401800001", /* NV index */
		SEALED "0206000081000001",
		SEALED "0200",
		SEALED "0203810000",
		SEALED "02050181000001",
		SEALED "0205ff81000001",
		SEALED "0a0440000001",
		SEALED "",
	};

	for (size_t i = 0; i < COUNT(heads); i++)
		expect_refused(heads[i]);
}

Test(tss2key, takes_any_octet_but_zero_for_true)
{
	static const struct {
		const char *head;
		bool empty_auth;
	} cases[] = {
		{SEALED "a0030101ff" OWNER, true},
		{SEALED "a003010101" OWNER, true},
		{SEALED "a003010180" OWNER, true},
		{SEALED "a003010100" OWNER, false},
		{SEALED OWNER, false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_free struct kt_tss2key *key = read_head(cases[i].head);

		cr_expect_eq(key->empty_auth, cases[i].empty_auth, "%s", cases[i].head);
	}
	expect_refused(SEALED "a0020100" OWNER);
	expect_refused(SEALED "a0040102ffff" OWNER);
	expect_refused(SEALED "a0030201ff" OWNER);
	expect_refused(SEALED "8001ff" OWNER);
}

Test(tss2key, forgets_an_rsa_parent_beside_a_handle)
{
	auto_free struct kt_tss2key *owner = read_head(SEALED "a503010101" OWNER);
	auto_free struct kt_tss2key *srk = read_head(SEALED "a503010101" SRK);

	cr_expect(owner->rsa_parent);
	cr_expect_not(srk->rsa_parent);
}

Test(tss2key, steps_over_tags_of_the_future)
{
	static const char *const heads[] = {
		SEALED EMPTY_AUTH "a6030101ff" OWNER,
		SEALED EMPTY_AUTH "a5030101ffa600a7020500"
				  "be04deadbeef" OWNER,
		SEALED EMPTY_AUTH "a900" OWNER,
	};

	for (size_t i = 0; i < COUNT(heads); i++) {
		auto_free struct kt_tss2key *key = read_head(heads[i]);

		cr_expect(key->empty_auth);
		cr_expect_eq(key->parent, TPM2_RH_OWNER);
	}
}

Test(tss2key, wants_elements_once_and_in_order)
{
	static const char *const heads[] = {
		SEALED EMPTY_AUTH EMPTY_AUTH OWNER,
		SEALED "a4050c03616263" EMPTY_AUTH OWNER,
		SEALED "a600" EMPTY_AUTH OWNER,
		SEALED "a600a600" OWNER,
		SEALED "a700a600" OWNER,
		SEALED OWNER EMPTY_AUTH,
		SEALED OWNER OWNER,
		EMPTY_AUTH SEALED OWNER,
		SEALED SEALED OWNER,
		SEALED "8600" OWNER,
		SEALED "bf1f00" OWNER,
		SEALED OWNER "0400",
		OWNER,
		"",
	};

	for (size_t i = 0; i < COUNT(heads); i++)
		expect_refused(heads[i]);
}

Test(tss2key, knows_four_types)
{
	static const char *const heads[] = {
		"06066781050a0101" OWNER,
		"06066781050a0106" OWNER,
		"06056781050a01" OWNER,
		"06056781050a03" OWNER,
		"06076781050a010500" OWNER,
		"0600" OWNER,
		"06092a864886f70d010101" OWNER,
	};

	for (size_t i = 0; i < COUNT(heads); i++)
		expect_refused(heads[i]);
}

#define SECRET "a20604040002aabb"

Test(tss2key, wants_a_secret_where_one_is_needed)
{
	auto_free struct kt_tss2key *sealed = read_head(SEALED SECRET OWNER);
	auto_free struct kt_tss2key *importable = read_head(IMPORTABLE SECRET OWNER);

	cr_expect(sealed->has_secret);
	cr_expect(importable->has_secret);
	cr_expect_eq(sealed->secret.size, 2);
	cr_expect_eq(sealed->secret.secret[1], 0xbb);
	expect_refused(IMPORTABLE OWNER);
	expect_refused(LOADABLE SECRET OWNER);
	expect_refused(SEALED "a20604040003aabb" OWNER);
	expect_refused(SEALED "a20604040001aabb" OWNER);
	expect_refused(SEALED "a20404020000" OWNER);
	expect_refused(SEALED "a2020400" OWNER);
}

Test(tss2key, reads_the_legacy_form_without_a_parent)
{
	auto_free struct kt_tss2key *golden = read_golden("engine-loadable.pem");
	auto_free struct kt_tss2key *key = new_key();
	uint8_t public[sizeof(TPM2B_PUBLIC)], der[1024] = {0x30}, *at = der + 2;
	size_t public_len = 0;
	struct kt_error e;

	cr_assert_eq(kt_public_marshal(&golden->public, public, &public_len, &e), 0);
	cr_assert_eq(kt_hex_decode(LEGACY, at, 7, &e), 0);
	at += 7;
	memcpy(at, (const uint8_t[]){0xa2, (uint8_t)(public_len + 2), 4, (uint8_t)public_len}, 4);
	memcpy(at + 4, public, public_len);
	at += 4 + public_len;
	memcpy(at, (const uint8_t[]){4, 4, 0, 2, 0xaa, 0xbb}, 6);
	at += 6;
	cr_assert(at - der < 2 + 128);
	der[1] = (uint8_t)(at - der - 2);
	cr_assert_eq(kt_tss2key_from_der(der, (size_t)(at - der), key, &e), 0, "%s", e.msg);
	cr_expect(key->legacy);
	cr_expect_eq(key->parent, TPM2_RH_OWNER);
	cr_expect_eq(key->private.size, 2);
	expect_refused(LEGACY OWNER);
}

Test(tss2key, refuses_text_that_cannot_be_shown)
{
	char head[2048];
	size_t len;
	static const char *const texts[] = {"a4040c026180", "a4030c0100", "a4030c010a",
		"a4030c011b", "a4030c017f", "a4040c02c080", "a4050c03eda080", "a4020400"};
	auto_free struct kt_tss2key *key = read_head(SEALED "a4060c0461c3a962" OWNER);

	cr_expect_str_eq(key->description, "a\xc3\xa9"
					   "b");
	for (size_t i = 0; i < COUNT(texts); i++) {
		snprintf(head, sizeof(head), SEALED "%s" OWNER, texts[i]);
		expect_refused(head);
	}
	/* One byte more than there is room for, with its NUL. */
	len = (size_t)snprintf(head, sizeof(head), SEALED "a48201040c820100");
	memset(head + len, '6', 512);
	snprintf(head + len + 512, sizeof(head) - len - 512, OWNER);
	expect_refused(head);
}

Test(tss2key, has_a_limit)
{
	auto_free uint8_t *big = calloc(1, KT_TSS2KEY_MAX_BYTES + 1);
	auto_free struct kt_tss2key *key = new_key();
	struct kt_error e;

	cr_assert_not_null(big);
	big[0] = 0x30;
	big[1] = 0x82;
	big[2] = 0x3f;
	big[3] = 0xfd;
	cr_expect_eq(kt_tss2key_from_file(big, KT_TSS2KEY_MAX_BYTES + 1, key, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(kt_tss2key_from_der(big, KT_TSS2KEY_MAX_BYTES + 1, key, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(kt_tss2key_from_file(big, 0, key, &e), -1);
	cr_expect_eq(kt_tss2key_from_file(big, 1, key, &e), -1);
}
