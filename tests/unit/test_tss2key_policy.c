/* SPDX-License-Identifier: Apache-2.0 */
/* TSS2 key files: policies, in the draft's encodings and in others. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/tss2key.h"
#include "tests/unit/tss2key.h"

/* [1] SEQUENCE { SEQUENCE { [0] INTEGER code, [1] OCTET STRING octets } }, all short. */
static const char *policy_head(const char *code, const char *octets)
{
	static char head[1024];
	size_t code_len = strlen(code) / 2, len = strlen(octets) / 2;
	char step[512];

	cr_assert(len < 100);
	snprintf(step, sizeof(step), "a0%02zx02%02zx%sa1%02zx04%02zx%s", code_len + 2, code_len,
		code, len + 2, len, octets);
	snprintf(head, sizeof(head), SEALED "a1%02zx30%02zx30%02zx%s" OWNER, strlen(step) / 2 + 4,
		strlen(step) / 2 + 2, strlen(step) / 2, step);
	return head;
}

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SELECTION "00000001000b03800001" /* sha256:7,16 */

Test(tss2key_policy, reads_pcr_policies_in_three_forms)
{
	static const struct {
		const char *octets;
		UINT16 digest_size;
	} cases[] = {
		{"0020" DIGEST SELECTION, 32},
		{SELECTION DIGEST, 32},
		{"0000" SELECTION, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_free struct kt_tss2key *key = read_head(policy_head("017f", cases[i].octets));
		const struct kt_policy_step *step = &key->policy.steps[0];

		cr_assert_eq(key->policy.count, 1);
		cr_assert_eq(step->command, TPM2_CC_PolicyPCR);
		cr_expect_eq(step->pcr.digest.size, cases[i].digest_size);
		cr_expect_eq(step->pcr.selection.count, 1);
		cr_expect_eq(step->pcr.selection.pcrSelections[0].hash, TPM2_ALG_SHA256);
		cr_expect_eq(step->pcr.selection.pcrSelections[0].pcrSelect[0], 0x80);
		cr_expect_eq(step->pcr.selection.pcrSelections[0].pcrSelect[2], 0x01);
		if (cases[i].digest_size != 0)
			cr_expect_eq(step->pcr.digest.buffer[1], 0x11);
	}
}

Test(tss2key_policy, reads_alternatives)
{
	auto_free struct kt_tss2key *key =
		read_head(policy_head("0171", "00000002"
					      "0020" DIGEST "0020" DIGEST));
	const TPML_DIGEST *branches = &key->policy.steps[0].branches;

	cr_assert_eq(key->policy.count, 1);
	cr_assert_eq(key->policy.steps[0].command, TPM2_CC_PolicyOR);
	cr_assert_eq(branches->count, 2);
	cr_expect_eq(branches->digests[1].size, 32);
	cr_expect_eq(branches->digests[1].buffer[31], 0xff);
}

Test(tss2key_policy, refuses_alternatives_that_no_tpm_takes)
{
	static const char *const octets[] = {
		"",
		"00000000",
		"00000001"
		"0020" DIGEST,
		"00000002"
		"0020" DIGEST,
		"00000002"
		"0020" DIGEST "0020" DIGEST "00",
		"00000002"
		"0020" DIGEST "0000",
		"00000002"
		"0020" DIGEST "0014"
		"00112233445566778899aabbccddeeff00112233",
		"00000009"
		"0020" DIGEST "0020" DIGEST,
		"ffffffff"
		"0020" DIGEST "0020" DIGEST,
	};

	for (size_t i = 0; i < COUNT(octets); i++)
		expect_refused(policy_head("0171", octets[i]));
}

Test(tss2key_policy, refuses_pcr_policies_with_octets_to_spare)
{
	static const char *const octets[] = {
		"",
		"0000",
		"0020" DIGEST,
		SELECTION,
		DIGEST,
		"0020" DIGEST SELECTION "00",
		SELECTION DIGEST "00",
		"0000" SELECTION "00",
		"0000" SELECTION DIGEST,
		"001f" DIGEST SELECTION,
		"0014"
		"0011223344556677889900112233445566778899" SELECTION,
		"0020" DIGEST "00000000",
		"000000000000",
		"00000000" DIGEST,
		"0000"
		"00000011"
		"000b03800001",
		"0000"
		"00000001000b05800001ffff",
		"0000"
		"00000002000b03800001",
		"ffff" DIGEST SELECTION,
	};

	for (size_t i = 0; i < COUNT(octets); i++)
		expect_refused(policy_head("017f", octets[i]));
}

Test(tss2key_policy, reads_timer_policies_in_both_forms)
{
	static const struct {
		const char *octets;
		UINT16 size, offset, operation;
	} cases[] = {
		{"0008"
		 "00000000000186a0"
		 "0008"
		 "0009",
			8, 8, 9}, /* the draft */
		{"00000000000186a0"
		 "0008"
		 "0009",
			8, 8, 9}, /* openssl_tpm2_engine */
		{"0004"
		 "00000003"
		 "0010"
		 "0000",
			4, 16, 0},
		{"00000003"
		 "0010"
		 "0000",
			4, 16, 0},
		{"00020003"
		 "0010"
		 "0000",
			4, 16, 0}, /* not a size of 2 */
		{"0001"
		 "01"
		 "0018"
		 "0000",
			1, 24, 0},
		{"01"
		 "0018"
		 "0000",
			1, 24, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_free struct kt_tss2key *key = read_head(policy_head("016d", cases[i].octets));
		const struct kt_policy_step *step = &key->policy.steps[0];

		cr_assert_eq(step->command, TPM2_CC_PolicyCounterTimer);
		cr_expect_eq(step->counter.operand.size, cases[i].size, "%s", cases[i].octets);
		cr_expect_eq(step->counter.offset, cases[i].offset, "%s", cases[i].octets);
		cr_expect_eq(step->counter.operation, cases[i].operation, "%s", cases[i].octets);
	}
}

Test(tss2key_policy, refuses_timer_policies_that_no_tpm_takes)
{
	static const char *const octets[] = {
		"",
		"00080009",
		"0000"
		"0008"
		"0009",
		"000300000300100000",
		"0002000300100000ff",
		"00000003"
		"0010"
		"000c", /* operation */
		"00000003"
		"0016"
		"0000", /* beyond TPMS_TIME_INFO */
		"0008"
		"00000000000186a0"
		"0012"
		"0009",
		"0009"
		"0000000000000186a0"
		"0008"
		"0009",
	};

	for (size_t i = 0; i < COUNT(octets); i++)
		expect_refused(policy_head("016d", octets[i]));
}

Test(tss2key_policy, reads_the_plain_commands)
{
	static const struct {
		const char *code, *octets;
		TPM2_CC command;
	} cases[] = {
		{"016b", "", TPM2_CC_PolicyAuthValue},
		{"018c", "", TPM2_CC_PolicyPassword},
		{"016c", "0000015e", TPM2_CC_PolicyCommandCode},
		{"016f", "08", TPM2_CC_PolicyLocality},
		{"0151",
			"00000000"
			"000440000001"
			"0000",
			TPM2_CC_PolicySecret},
		{"0151",
			"81000010"
			"0022000b" DIGEST "0003616263",
			TPM2_CC_PolicySecret},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		auto_free struct kt_tss2key *key =
			read_head(policy_head(cases[i].code, cases[i].octets));
		const struct kt_policy_step *step = &key->policy.steps[0];

		cr_assert_eq(step->command, cases[i].command);
		if (step->command == TPM2_CC_PolicyCommandCode)
			cr_expect_eq(step->command_code, TPM2_CC_Unseal);
		if (step->command == TPM2_CC_PolicyLocality)
			cr_expect_eq(step->locality, TPMA_LOCALITY_TPM2_LOC_THREE);
		if (i == 5) {
			cr_expect_eq(step->secret.hint, 0x81000010);
			cr_expect_eq(step->secret.name.size, 34);
			cr_expect_arr_eq(step->secret.ref.buffer, "abc", 3);
		}
	}
}

Test(tss2key_policy, refuses_commands_that_are_damaged_or_without_form)
{
	static const struct {
		const char *code, *octets;
	} cases[] = {
		{"016b", "00"},
		{"018c", "00"},
		{"016c", ""},
		{"016c", "00015e"},
		{"016c", "0000015e00"},
		{"016f", ""},
		{"016f", "0808"},
		{"0151", ""},
		{"0151", "00000000"
			 "0000"
			 "0000"},
		{"0151", "00000000"
			 "000440000001"},
		{"0151", "00000000"
			 "000440000001"
			 "000000"},
		{"0151", "00000000"
			 "ffff40000001"
			 "0000"},
		{"016a", ""},
		{"016a", "0000"},
		{"016a", "ffff0000"},
		{"0149", ""},
		{"0171", ""},
		{"0160", ""},
		{"0192", ""},
		{"00", ""},
		{"0100017f", "0000" SELECTION},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		expect_refused(policy_head(cases[i].code, cases[i].octets));
}

Test(tss2key_policy, refuses_a_policy_that_is_not_shaped_as_one)
{
	static const char *const heads[] = {
		SEALED "a100" OWNER,
		SEALED "a1020400" OWNER,
		SEALED "a10430023000" OWNER,
		SEALED "a10830063004a1020400" OWNER,		     /* no code */
		SEALED "a10a30083006a0040202016b" OWNER,	     /* no octets */
		SEALED "a110300e300ca0040202016ba10204000500" OWNER, /* one element more */
		SEALED "a10e300c300aa0040202016ba1020200" OWNER,     /* INTEGER */
		SEALED "a10e300c300aa1020400a0040202016b" OWNER,     /* swapped */
		SEALED "a1023000"
		       "a1023000" OWNER,
	};

	for (size_t i = 0; i < COUNT(heads); i++)
		expect_refused(heads[i]);
}

Test(tss2key_policy, has_room_for_eight_commands)
{
#define STEP "300aa0040202016ba1020400" /* PolicyAuthValue */
#define FOUR STEP STEP STEP STEP
	auto_free struct kt_tss2key *key = read_head(SEALED "a1623060" FOUR FOUR OWNER);

	cr_expect_eq(key->policy.count, 8);
	expect_refused(SEALED "a16e306c" FOUR FOUR STEP OWNER);
}

Test(tss2key_policy, wants_a_signature_under_a_signed_policy)
{
	expect_refused(SEALED "a300" OWNER);
	expect_refused(SEALED "a30430023000" OWNER);
	expect_refused(SEALED "a3083006"
			      "3004a1023000" OWNER);
	expect_refused(SEALED "a3143012"
			      "3010a10e300c" STEP OWNER);
}

Test(tss2key_policy, writes_and_reads_the_most_there_can_be)
{
	auto_free struct kt_tss2key *key = read_golden("engine-signed.pem");
	auto_free struct kt_tss2key *again = new_key();
	auto_free uint8_t *der = NULL;
	size_t len;
	struct kt_error e;

	for (size_t i = 1; i < KT_TSS2KEY_AUTH_POLICIES_MAX; i++)
		key->auth_policies[i] = key->auth_policies[0];
	key->auth_policy_count = KT_TSS2KEY_AUTH_POLICIES_MAX;
	memset(key->auth_policies[7].name, 'n', sizeof(key->auth_policies[7].name) - 1);
	memset(key->description, 'd', sizeof(key->description) - 1);
	cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_tss2key_from_der(der, len, again, &e), 0, "%s", e.msg);
	cr_expect_eq(memcmp(key, again, sizeof(*key)), 0);
	key->auth_policy_count++;
	cr_expect_eq(kt_tss2key_to_der(key, &der, &len, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

Test(tss2key_policy, does_not_write_more_than_it_would_read)
{
	auto_free struct kt_tss2key *key = read_golden("engine-signed.pem");
	auto_free uint8_t *der = NULL;
	size_t len;
	struct kt_error e;

	for (size_t i = 1; i < KT_POLICY_STEPS_MAX; i++)
		key->auth_policies[0].policy.steps[i] = key->auth_policies[0].policy.steps[1];
	for (size_t i = 1; i < KT_POLICY_STEPS_MAX; i++)
		key->policy.steps[i] = key->policy.steps[0];
	key->policy.count = key->auth_policies[0].policy.count = KT_POLICY_STEPS_MAX;
	for (size_t i = 1; i < KT_TSS2KEY_AUTH_POLICIES_MAX; i++)
		key->auth_policies[i] = key->auth_policies[0];
	key->auth_policy_count = KT_TSS2KEY_AUTH_POLICIES_MAX;
	if (kt_tss2key_to_der(key, &der, &len, &e) == 0)
		cr_expect(len <= KT_TSS2KEY_MAX_BYTES);
	else
		cr_expect_eq(e.code, KT_E_INTERNAL);
}
