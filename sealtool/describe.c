/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed file in words. Nothing here is verified but what needs no key: the policy digest is
 * recomputed from the words; whether the header is authentic only shows when the file is opened.
 */
#include "sealtool/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/hex.h"
#include "lib/rfc3339.h"

static void json_tpm(struct kt_jsonw *w, const struct kt_recipient *recipient)
{
	char name[KT_NAME_TEXT_MAX], digest[2 * sizeof(TPMU_HA) + 1];

	kt_name_format(&recipient->name, name);
	kt_hex_encode(recipient->policy.buffer, recipient->policy.size, digest);
	kt_jsonw_member(w, "kind", "tpm2");
	kt_jsonw_member(w, "parent", name);
	kt_jsonw_name(w, "importable");
	kt_jsonw_bool(w, recipient->slot->has_secret);
	kt_jsonw_name(w, "policy");
	kt_slot_policy_write(&recipient->words, w);
	kt_jsonw_member(w, "policyDigest", digest);
	kt_jsonw_name(w, "wordsAgree");
	kt_jsonw_bool(w, recipient->words_agree);
}

static int json_recovery(
	struct kt_jsonw *w, const struct kt_recipient *recipient, struct kt_error *e)
{
	kt_jsonw_member(w, "kind", "recovery");
	kt_jsonw_member(w, "alg", KT_JWE_ALG_RECOVERY);
	kt_jsonw_member(w, "kid", recipient->kid);
	kt_jsonw_name(w, "jwk");
	return kt_jwk_write(recipient->key, w, e);
}

static int print_json(const struct kt_sealed *sealed, const char *when, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "name", sealed->name);
	kt_jsonw_member(&w, "purpose", sealed->purpose);
	kt_jsonw_member(&w, "kid", sealed->kid);
	kt_jsonw_member(&w, "sealedAt", when);
	kt_jsonw_name(&w, "bytes");
	kt_jsonw_int(&w, (int64_t)sealed->ciphertext_len);
	kt_jsonw_name(&w, "recipients");
	kt_jsonw_begin_array(&w);
	for (size_t i = 0; i < sealed->count; i++) {
		kt_jsonw_begin_object(&w);
		kt_jsonw_name(&w, "slot");
		kt_jsonw_int(&w, (int64_t)i);
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2)
			json_tpm(&w, &sealed->recipients[i]);
		else if (json_recovery(&w, &sealed->recipients[i], e) < 0)
			return -1;
		kt_jsonw_end_object(&w);
	}
	kt_jsonw_end_array(&w);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static void print_needed_pcrs(const struct kt_pcr_set *pcrs)
{
	char hex[2 * TPM2_SHA512_DIGEST_SIZE + 1];

	for (size_t b = 0; b < pcrs->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			const struct kt_pcr_bank *bank = &pcrs->banks[b];

			if ((bank->known >> i & 1) == 0)
				continue;
			kt_hex_encode(bank->value[i], kt_pcr_bank_size(bank->alg), hex);
			printf("         needs PCR %u (%s) = %s\n", i, kt_pcr_bank_name(bank->alg),
				hex);
		}
}

/* The Name by which approvals call it. */
static void name_signer(const struct kt_slot_policy *words, char ret_text[KT_NAME_TEXT_MAX])
{
	struct kt_error ignored;
	TPM2B_PUBLIC public;
	TPM2B_NAME name;

	ret_text[0] = '\0';
	kt_signer_public_of_point(words->signer, &public);
	if (kt_public_name(&public, &name, &ignored) == 0)
		kt_name_format(&name, ret_text);
}

static void print_tpm(size_t index, const struct kt_recipient *recipient)
{
	char name[KT_NAME_TEXT_MAX], digest[2 * sizeof(TPMU_HA) + 1], signer[KT_NAME_TEXT_MAX];

	kt_name_format(&recipient->name, name);
	kt_hex_encode(recipient->policy.buffer, recipient->policy.size, digest);
	printf("slot %zu:  TPM with storage key %s%s\n", index, name,
		recipient->slot->has_secret ? " (made elsewhere, to be imported)" : "");
	name_signer(&recipient->words, signer);
	print_needed_pcrs(&recipient->words.pcrs);
	if (recipient->words.is_signed)
		printf("         needs a state that this key approves for %s: %s\n",
			recipient->words.approved_for, signer);
	if (recipient->words.pin)
		printf("         needs a PIN\n");
	if (recipient->policy.size == 0)
		printf("         needs nothing but this TPM: no policy\n");
	else
		printf("         policy digest %s\n", digest);
	if (!recipient->words_agree)
		printf("         WARNING: these words do not give this digest: the file was "
		       "changed\n");
}

static void print_text(const struct kt_sealed *sealed, const char *when)
{
	printf("name:    %s\npurpose: %s\nkid:     %s\nsealed:  %s\nsecret:  %zu bytes\n",
		sealed->name, sealed->purpose, sealed->kid, when, sealed->ciphertext_len);
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2)
			print_tpm(i, &sealed->recipients[i]);
		else
			printf("slot %zu:  recovery key %s (P-256, %s)\n", i,
				sealed->recipients[i].kid, KT_JWE_ALG_RECOVERY);
}

int describe_sealed(const struct kt_sealed *sealed, bool json, struct kt_error *e)
{
	char when[KT_RFC3339_SIZE];

	if (kt_rfc3339_format(sealed->iat, when, e) < 0)
		return -1;
	if (json)
		return print_json(sealed, when, e);
	print_text(sealed, when);
	return 0;
}

int check_words(const struct kt_sealed *sealed, struct kt_error *e)
{
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2 &&
			!sealed->recipients[i].words_agree)
			return kt_fail(e, KT_E_INPUT,
				"slot %zu: the policy in words is not the policy of its digest: "
				"the "
				"file was changed",
				i);
	return 0;
}
