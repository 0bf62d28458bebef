/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files that other implementations wrote (tests/data/tss2key/README), and damage to them.
 * That policies were understood shows in their digest, which the object carries.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/policy.h"
#include "lib/tpm-public.h"
#include "lib/tss2key.h"
#include "tests/unit/tss2key.h"

enum {
	DATA = 1,  /* sealed data, by its public area */
	EMPTY = 2, /* emptyAuth */
	RSA = 4,   /* rsaParent */
	LEGACY_FORM = 8,
	POLICY = 16,  /* has a policy */
	DIGEST = 32,  /* and each PolicyPCR in it has its digest */
	SIGNED = 64,  /* has one signed policy */
	SECRET = 128, /* to be imported */
};

static bool is_policy_of(const struct kt_policy *policy, const struct kt_tss2key *key)
{
	const TPMT_PUBLIC *area = &key->public.publicArea;
	TPM2B_DIGEST digest;
	struct kt_error e;

	cr_assert_eq(kt_policy_digest(area->nameAlg, policy, &digest, &e), 0, "%s", e.msg);
	return digest.size == area->authPolicy.size &&
	       memcmp(digest.buffer, area->authPolicy.buffer, digest.size) == 0;
}

/* A golden file and what is in it. */
static const struct golden {
	const char *name;
	enum kt_tss2key_type type;
	TPM2_HANDLE parent;
	TPM2_CC command; /* the one command of the policy, or 0 */
	unsigned is;
} goldens[] = {
	{"engine-owner.pem", 5, 0x40000001, 0, DATA | EMPTY},
	{"engine-persistent.pem", 5, 0x81000001, 0, DATA | EMPTY},
	{"engine-auth.pem", 5, 0x81000001, 0, DATA},
	{"engine-pcr.pem", 5, 0x81000001, TPM2_CC_PolicyPCR, DATA | EMPTY | POLICY | DIGEST},
	{"engine-pcr-sha384.pem", 5, 0x81000001, TPM2_CC_PolicyPCR, DATA | EMPTY | POLICY | DIGEST},
	{"engine-counter.pem", 5, 0x81000001, TPM2_CC_PolicyCounterTimer,
		DATA | EMPTY | POLICY | DIGEST},
	{"engine-locality.pem", 5, 0x81000001, TPM2_CC_PolicyLocality,
		DATA | EMPTY | POLICY | DIGEST},
	{"engine-secret.pem", 5, 0x81000001, TPM2_CC_PolicySecret, DATA | POLICY | DIGEST},
	{"engine-empty-policy.pem", 5, 0x81000001, 0, DATA | POLICY | DIGEST},
	{"engine-signed.pem", 5, 0x81000001, TPM2_CC_PolicyAuthorize,
		DATA | EMPTY | POLICY | DIGEST | SIGNED},
	{"engine-import.pem", 5, 0x81000001, 0, DATA | EMPTY | SECRET},
	{"engine-importable.pem", 4, 0x81000001, 0, EMPTY | SECRET},
	{"engine-loadable.pem", 3, 0x40000001, 0, EMPTY},
	{"engine-legacy.pem", 3, 0x81000001, 0, EMPTY | LEGACY_FORM},
	{"oracle-pcr.der", 5, 0x40000001, TPM2_CC_PolicyPCR, DATA | EMPTY | POLICY},
	{"oracle-persistent.der", 5, 0x81000002, TPM2_CC_PolicyPCR, DATA | EMPTY | POLICY},
	{"oracle-rsa.der", 5, 0x40000001, TPM2_CC_PolicyPCR, DATA | EMPTY | POLICY | RSA},
	{"oracle-signed.der", 5, 0x40000001, 0, DATA | EMPTY | SIGNED},
	/* Inverted: neither object has an auth value. */
	{"tools-encodeobject.pem", 3, 0x81000001, 0, DATA},
	{"tools-encodeobject-policy.pem", 3, 0x81000001, 0, DATA},
};

Test(tss2key_golden, reads_what_others_wrote)
{
	for (size_t i = 0; i < COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		auto_free struct kt_tss2key *key = read_golden(g->name);

		cr_expect_eq(key->type, g->type, "%s", g->name);
		cr_expect_eq(key->parent, g->parent, "%s", g->name);
		cr_expect_eq(key->empty_auth, (g->is & EMPTY) != 0, "%s", g->name);
		cr_expect_eq(key->rsa_parent, (g->is & RSA) != 0, "%s", g->name);
		cr_expect_eq(key->legacy, (g->is & LEGACY_FORM) != 0, "%s", g->name);
		cr_expect_eq(key->has_policy, (g->is & POLICY) != 0, "%s", g->name);
		cr_expect_eq(key->has_secret, (g->is & SECRET) != 0, "%s", g->name);
		cr_expect_eq(key->auth_policy_count, (g->is & SIGNED) != 0 ? 1 : 0, "%s", g->name);
		cr_expect_eq(
			kt_public_is_sealed_data(&key->public), (g->is & DATA) != 0, "%s", g->name);
		cr_assert_eq(key->policy.count, g->command != 0 ? 1 : 0, "%s", g->name);
		if (g->command != 0)
			cr_expect_eq(key->policy.steps[0].command, g->command, "%s", g->name);
		if ((g->is & DIGEST) != 0)
			cr_expect(is_policy_of(&key->policy, key), "%s", g->name);
	}
}

Test(tss2key_golden, reads_signed_policies)
{
	auto_free struct kt_tss2key *engine = read_golden("engine-signed.pem");
	auto_free struct kt_tss2key *oracle = read_golden("oracle-signed.der");
	const struct kt_tss2key_auth_policy *policy = &engine->auth_policies[0];

	cr_expect_str_eq(policy->name, "first");
	cr_assert_eq(policy->policy.count, 2);
	cr_expect_eq(policy->policy.steps[0].command, TPM2_CC_PolicyPCR);
	cr_expect_eq(policy->policy.steps[0].pcr.digest.size, 32);
	cr_expect_eq(policy->policy.steps[1].authorize.signature.sigAlg, TPM2_ALG_ECDSA);
	cr_expect_eq(engine->policy.steps[0].authorize.signature.sigAlg, TPM2_ALG_NULL);
	cr_expect_eq(policy->policy.steps[1].authorize.ref.size, 32);
	cr_expect(is_policy_of(&policy->policy, engine));
	policy = &oracle->auth_policies[0];
	cr_expect_str_eq(policy->name, "default");
	cr_assert_eq(policy->policy.count, 2);
	cr_expect_eq(policy->policy.steps[0].pcr.digest.size, 0, "whatever the TPM holds");
	cr_expect_eq(policy->policy.steps[1].authorize.signature.sigAlg, TPM2_ALG_RSASSA);
	cr_expect_eq(policy->policy.steps[1].authorize.ref.size, 0);
}

Test(tss2key_golden, writes_the_draft_form_of_all_it_reads)
{
	for (size_t i = 0; i < COUNT(goldens); i++) {
		auto_free struct kt_tss2key *key = read_golden(goldens[i].name);
		auto_free struct kt_tss2key *again = new_key();
		auto_free uint8_t *der = NULL;
		auto_free char *pem = NULL;
		size_t len;
		struct kt_error e;

		if (key->legacy) {
			cr_expect_eq(kt_tss2key_to_der(key, &der, &len, &e), -1);
			cr_expect_eq(e.code, KT_E_INTERNAL);
			continue;
		}
		cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0, "%s", e.msg);
		cr_assert_eq(kt_tss2key_from_der(der, len, again, &e), 0, "%s", e.msg);
		cr_expect_eq(memcmp(key, again, sizeof(*key)), 0, "%s", goldens[i].name);
		memset(again, 0, sizeof(*again));
		cr_assert_eq(kt_tss2key_to_pem(key, &pem, &e), 0, "%s", e.msg);
		cr_assert_eq(kt_tss2key_from_file((const uint8_t *)pem, strlen(pem), again, &e), 0);
		cr_expect_eq(memcmp(key, again, sizeof(*key)), 0, "%s", goldens[i].name);
	}
}

Test(tss2key_golden, refuses_every_truncation_and_every_surplus)
{
	static const char *const names[] = {
		"engine-signed.pem", "engine-pcr.pem", "engine-import.pem"};

	for (size_t i = 0; i < COUNT(names); i++) {
		auto_free struct kt_tss2key *key = read_golden(names[i]);
		auto_free uint8_t *der = NULL;
		uint8_t longer[4096] = {0};
		size_t len;
		struct kt_error e;

		cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0);
		for (size_t n = 0; n < len; n++) {
			auto_free uint8_t *cut = malloc(n + 1);

			cr_assert_not_null(cut);
			memcpy(cut, der, n);
			cr_expect_eq(kt_tss2key_from_der(cut, n, key, &e), -1, "%zu", n);
			cr_expect_eq(e.code, KT_E_INPUT);
		}
		memcpy(longer, der, len);
		cr_expect_eq(kt_tss2key_from_der(longer, len + 1, key, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
}

Test(tss2key_golden, survives_every_changed_octet)
{
	auto_free struct kt_tss2key *key = read_golden("engine-signed.pem");
	auto_free uint8_t *der = NULL;
	size_t len, accepted = 0;
	struct kt_error e;

	cr_assert_eq(kt_tss2key_to_der(key, &der, &len, &e), 0);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			der[i] ^= (uint8_t)(1U << bit);
			if (kt_tss2key_from_der(der, len, key, &e) == 0)
				accepted++;
			else
				cr_expect_eq(e.code, KT_E_INPUT);
			der[i] ^= (uint8_t)(1U << bit);
		}
	}
	/* Keys, digests and signatures are octets of any value; all framing is noticed. */
	cr_expect(accepted > 0 && accepted < len * 8 - len);
}
