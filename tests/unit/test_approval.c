/* SPDX-License-Identifier: Apache-2.0 */
/* Approvals: signed, read, changed, and gathered from a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "lib/approvals.h"
#include "lib/auto.h"
#include "lib/hex.h"
#include "lib/io.h"
#include "lib/policy-signer.h"

#define UUID "97943e70-d1c1-4d4f-bbc5-7b29900eba71"
#define OTHER_UUID "00000000-0000-4000-8000-000000000000"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static EVP_PKEY *key, *other;
static char folder[] = "/tmp/kt-approval.XXXXXX";
static unsigned bad_count;

static void init(void)
{
	key = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	cr_assert(key != NULL && other != NULL);
	cr_assert_not_null(mkdtemp(folder));
}

static void fini(void)
{
	char command[128];

	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(approval, .init = init, .fini = fini);

static struct kt_approval make(const char *uuid, const char *pcrs, EVP_PKEY *by)
{
	struct kt_approval approval = {.created = "2026-11-26T10:00:00Z", .comment = "x \"y\""};
	struct kt_error e;

	memcpy(approval.key, uuid, strlen(uuid) + 1);
	cr_assert_eq(kt_pcr_parse(pcrs, &approval.pcrs, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_approval_sign(&approval, by, &e), 0, "%s", e.msg);
	return approval;
}

static char *format(const struct kt_approval *approval)
{
	struct kt_error e;
	char *text = NULL;

	cr_assert_eq(kt_approval_format(approval, &text, &e), 0, "%s", e.msg);
	return text;
}

Test(approval, is_read_as_it_was_written)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS ",11=" ONES, key), again;
	auto_free char *text = format(&approval), *second = NULL;
	struct kt_error e;

	cr_assert_eq(kt_approval_parse(text, strlen(text), &again, &e), 0, "%s", e.msg);
	second = format(&again);
	cr_expect_str_eq(text, second);
	cr_expect_str_eq(again.comment, "x \"y\"");
	cr_expect_eq(kt_approval_verify(&again, key, &e), 0);
	cr_expect_eq(kt_approval_verify(&again, other, &e), -1);
	cr_expect_eq(e.code, KT_E_EVIDENCE);
}

/* What tpm2_policypcr -l sha256:7 computes for zeros. */
Test(approval, approves_what_the_tpm_computes)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key);
	char hex[65];
	TPM2B_DIGEST policy;
	struct kt_error e;

	cr_assert_eq(kt_approval_policy(&approval, &policy, &e), 0);
	cr_assert_eq(policy.size, 32);
	kt_hex_encode(policy.buffer, policy.size, hex);
	cr_expect_str_eq(hex, "8b5682d81b29435d08d79278150611dc7e5923b2fefcce684a09577b40130a8b");
}

/* The signature is over what is hashed here by other means. */
Test(approval, the_signature_is_over_policy_and_uuid)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80] = {0x30, 0}, *out = der + 2;
	TPM2B_DIGEST policy;
	struct kt_error e;

	cr_assert_eq(kt_approval_policy(&approval, &policy, &e), 0);
	for (int i = 0; i < 2; i++) {
		const uint8_t *number = approval.signature + i * 32;
		size_t skip = 0, len;

		while (skip < 31 && number[skip] == 0)
			skip++;
		len = 32 - skip;
		*out++ = 0x02;
		*out++ = (uint8_t)(len + (number[skip] >> 7));
		if (number[skip] >> 7)
			*out++ = 0;
		memcpy(out, number + skip, len);
		out += len;
	}
	der[1] = (uint8_t)(out - der - 2);
	cr_assert_eq(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	cr_assert_eq(EVP_DigestVerifyUpdate(ctx, policy.buffer, policy.size), 1);
	cr_assert_eq(EVP_DigestVerifyUpdate(ctx, UUID, strlen(UUID)), 1);
	cr_expect_eq(EVP_DigestVerifyFinal(ctx, der, (size_t)(out - der)), 1);
	EVP_MD_CTX_free(ctx);
}

Test(approval, every_changed_byte_of_the_signature_counts)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key);
	struct kt_error e;

	for (size_t i = 0; i < sizeof(approval.signature); i++) {
		approval.signature[i] ^= 1;
		cr_expect_eq(kt_approval_verify(&approval, key, &e), -1, "byte %zu", i);
		approval.signature[i] ^= 1;
	}
	memset(approval.signature, 0, sizeof(approval.signature));
	cr_expect_eq(kt_approval_verify(&approval, key, &e), -1);
	memset(approval.signature, 0xff, sizeof(approval.signature));
	cr_expect_eq(kt_approval_verify(&approval, key, &e), -1);
}

Test(approval, another_key_or_state_is_not_approved)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key);
	struct kt_error e;

	memcpy(approval.key, OTHER_UUID, sizeof(OTHER_UUID));
	cr_expect_eq(kt_approval_verify(&approval, key, &e), -1);
	approval = make(UUID, "sha256:7=" ZEROS, key);
	approval.pcrs.banks[0].value[7][31] ^= 1;
	cr_expect_eq(kt_approval_verify(&approval, key, &e), -1);
	cr_expect_eq(e.code, KT_E_EVIDENCE);
}

Test(approval, no_part_is_missing)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key), again;
	auto_free char *text = format(&approval);
	struct kt_error e;

	/* Less its last newline it is whole. */
	for (size_t len = 0; len + 1 < strlen(text); len++)
		cr_expect_eq(kt_approval_parse(text, len, &again, &e), -1, "%zu", len);
}

Test(approval, a_policy_that_asks_for_one_gets_it)
{
	struct kt_approval approval = make(UUID, "sha256:7=" ZEROS, key);
	struct kt_policy policy = {.count = 2}, full = {.count = KT_POLICY_STEPS_MAX};
	TPM2B_DIGEST before, after;
	TPM2B_PUBLIC signer;
	struct kt_error e;

	cr_assert_eq(kt_signer_public(key, &signer, &e), 0);
	kt_approval_step(&signer, UUID, &policy.steps[0]);
	policy.steps[1].command = TPM2_CC_PolicyCommandCode;
	policy.steps[1].command_code = TPM2_CC_HMAC;
	full.steps[0] = policy.steps[0];
	cr_assert_eq(kt_policy_digest(TPM2_ALG_SHA256, &policy, &before, &e), 0);
	cr_assert_eq(kt_approval_apply(&approval, &policy, &e), 0);
	cr_assert_eq(policy.count, 3);
	cr_expect_eq(policy.steps[0].command, TPM2_CC_PolicyPCR);
	cr_expect_eq(policy.steps[1].command, TPM2_CC_PolicyAuthorize);
	cr_expect_eq(policy.steps[1].authorize.signature.sigAlg, TPM2_ALG_ECDSA);
	cr_expect_eq(policy.steps[2].command_code, TPM2_CC_HMAC);
	cr_assert_eq(kt_policy_digest(TPM2_ALG_SHA256, &policy, &after, &e), 0);
	cr_expect_arr_eq(before.buffer, after.buffer, 32);
	/* One that begins with something else, and one without room. */
	cr_expect_eq(kt_approval_apply(&approval, &policy, &e), -1);
	cr_expect_eq(kt_approval_apply(&approval, &full, &e), -1);
}

static void put(const char *name, const char *text, mode_t mode)
{
	char path[128];
	struct kt_error e;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	cr_assert_eq(kt_replace_file(path, text, strlen(text), mode, &e), 0, "%s", e.msg);
}

static void put_approval(const char *name, const struct kt_approval *approval)
{
	auto_free char *text = format(approval);

	put(name, text, 0644);
}

static void bad(void *ctx, const struct kt_error *e)
{
	(void)ctx;
	cr_expect_not_null(strstr(e->msg, "/bad-"), "%s", e->msg);
	bad_count++;
}

Test(approval, a_folder_gives_those_that_are_for_the_key)
{
	struct kt_approval now = make(UUID, "sha256:7=" ZEROS ",11=" ZEROS, key),
			   later = make(UUID, "sha256:7=" ONES, key),
			   foreign = make(OTHER_UUID, "sha256:7=" ONES, key),
			   stranger = make(UUID, "sha256:7=" ONES, other), forged = now;
	struct kt_approvals approvals = {0};
	struct kt_pcr_set selection, present;
	struct kt_error e;

	forged.signature[5] ^= 1;
	put_approval("1.json", &now);
	put_approval("2.json", &later);
	put_approval("3.json", &foreign);
	put_approval("4.json", &stranger);
	put_approval("bad-forged.json", &forged);
	put("bad-empty.json", "", 0644);
	put("bad-mode.json", "{}", 0666);
	put_approval(".5.json", &later);
	put_approval("6.txt", &later);
	cr_assert_eq(
		kt_approvals_read(folder, UUID, key, bad, NULL, &approvals, &e), 0, "%s", e.msg);
	cr_expect_eq(bad_count, 3);
	cr_assert_eq(approvals.count, 2);
	cr_assert_eq(kt_approvals_selection(&approvals, &selection, &e), 0);
	cr_expect_eq(selection.banks[0].selected, 1U << 7 | 1U << 11);
	cr_assert_eq(kt_pcr_parse("sha256:7=" ONES ",11=" ONES, &present, &e), 0);
	cr_expect_eq(kt_approvals_find(&approvals, &present), &approvals.list[1]);
	cr_assert_eq(kt_pcr_parse("sha256:7=" ZEROS ",11=" ONES, &present, &e), 0);
	cr_expect_null(kt_approvals_find(&approvals, &present));
	cr_expect_eq(kt_approvals_nearest(&approvals, &present), &approvals.list[0]);
	/* A folder that is gone leaves what is known. */
	cr_expect_eq(kt_approvals_read("/no/such", UUID, key, bad, NULL, &approvals, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_eq(approvals.count, 2);
	kt_approvals_fini(&approvals);
	cr_expect_null(kt_approvals_nearest(&approvals, &present));
}
