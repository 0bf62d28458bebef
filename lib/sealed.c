/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed file as a structure, and writing it. Reading is in sealed-parse.c.
 */
#include "lib/sealed.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/hex.h"

/* A recipient's share of the text is a few KiB: a TPM slot carries a DER key, 24 PCR values a bank.
 */
#define RECIPIENT_TEXT_MAX 24576
#define HEADER_TEXT_MAX (4096 + KT_SEALED_RECIPIENTS_MAX * 2048)

struct kt_sealed *kt_sealed_new(void)
{
	return calloc(1, sizeof(struct kt_sealed));
}

static void recipient_fini(struct kt_recipient *recipient)
{
	free(recipient->slot);
	EVP_PKEY_free(recipient->key);
	EVP_PKEY_free(recipient->epk);
}

void kt_sealed_free(struct kt_sealed *sealed)
{
	if (sealed == NULL)
		return;
	for (size_t i = 0; i < sealed->count; i++)
		recipient_fini(&sealed->recipients[i]);
	free(sealed->protected_header);
	free(sealed->ciphertext);
	free(sealed);
}

int kt_sealed_check_text(const char *what, const char *text, struct kt_error *e)
{
	size_t len = strlen(text);

	if (len == 0 || len > KT_SEALED_TEXT_MAX || text[0] == ' ' || text[len - 1] == ' ')
		return kt_fail(e, KT_E_USAGE, "%s is not 1 to %d characters without outer blanks",
			what, KT_SEALED_TEXT_MAX);
	for (const char *p = text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			return kt_fail(e, KT_E_USAGE, "%s is not printable ASCII", what);
	return 0;
}

static int check_room(const struct kt_sealed *sealed, struct kt_error *e)
{
	if (sealed->count >= KT_SEALED_RECIPIENTS_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d recipients", KT_SEALED_RECIPIENTS_MAX);
	return 0;
}

int kt_sealed_add_tpm(struct kt_sealed *sealed, const TPM2B_PUBLIC *storage_key,
	const struct kt_slot_policy *words, struct kt_error *e)
{
	struct kt_recipient *new = &sealed->recipients[sealed->count];
	TPM2B_NAME name;
	TPM2B_DIGEST policy = {0};

	if (check_room(sealed, e) < 0 || kt_public_name(storage_key, &name, e) < 0 ||
		kt_slot_policy_digest(words, &policy, e) < 0)
		return -1;
	for (size_t i = 0; i < sealed->count; i++) {
		const struct kt_recipient *old = &sealed->recipients[i];

		if (old->kind == KT_RECIPIENT_TPM2 && kt_name_equal(&old->name, &name) &&
			old->policy.size == policy.size &&
			memcmp(old->policy.buffer, policy.buffer, policy.size) == 0)
			return kt_fail(e, KT_E_USAGE,
				"the same TPM with the same policy is a recipient already");
	}
	*new = (struct kt_recipient){
		.kind = KT_RECIPIENT_TPM2,
		.storage_key = *storage_key,
		.name = name,
		.policy = policy,
		.words = *words,
		.words_agree = true,
	};
	sealed->count++;
	return 0;
}

int kt_sealed_add_recovery(struct kt_sealed *sealed, EVP_PKEY *key, struct kt_error *e)
{
	struct kt_recipient *new = &sealed->recipients[sealed->count];
	char kid[KT_JWK_THUMBPRINT_SIZE];

	if (check_room(sealed, e) < 0 || kt_jwk_thumbprint(key, kid, e) < 0)
		return -1;
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_RECOVERY &&
			strcmp(sealed->recipients[i].kid, kid) == 0)
			return kt_fail(
				e, KT_E_USAGE, "the same recovery key is a recipient already");
	if (EVP_PKEY_up_ref(key) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot keep a recovery key");
	*new = (struct kt_recipient){.kind = KT_RECIPIENT_RECOVERY, .key = key};
	memcpy(new->kid, kid, sizeof(kid));
	sealed->count++;
	return 0;
}

void kt_sealed_remove(struct kt_sealed *sealed, size_t index)
{
	recipient_fini(&sealed->recipients[index]);
	sealed->count--;
	memmove(&sealed->recipients[index], &sealed->recipients[index + 1],
		(sealed->count - index) * sizeof(sealed->recipients[0]));
	memset(&sealed->recipients[sealed->count], 0, sizeof(sealed->recipients[0]));
}

static int write_b64url(
	struct kt_jsonw *w, const char *name, const void *data, size_t len, struct kt_error *e)
{
	auto_free char *text = NULL;

	if (kt_b64url_encode(data, len, &text, e) < 0)
		return -1;
	kt_jsonw_member(w, name, text);
	return 0;
}

/* A recipient as the protected header lists it. */
static int write_listed(
	struct kt_jsonw *w, const struct kt_recipient *recipient, struct kt_error *e)
{
	uint8_t public[sizeof(TPM2B_PUBLIC)];
	char policy[2 * sizeof(TPMU_HA) + 1];
	size_t len;

	kt_jsonw_begin_object(w);
	if (recipient->kind == KT_RECIPIENT_RECOVERY) {
		kt_jsonw_member(w, "kind", "recovery");
		kt_jsonw_name(w, "jwk");
		if (kt_jwk_write(recipient->key, w, e) < 0)
			return -1;
	} else {
		kt_hex_encode(recipient->policy.buffer, recipient->policy.size, policy);
		kt_jsonw_member(w, "kind", "tpm2");
		if (kt_public_marshal(&recipient->storage_key, public, &len, e) < 0 ||
			write_b64url(w, "public", public, len, e) < 0)
			return -1;
		kt_jsonw_member(w, "policy", policy);
	}
	kt_jsonw_end_object(w);
	return 0;
}

int kt_sealed_encode_header(struct kt_sealed *sealed, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	char *encoded;
	struct kt_jsonw w;

	if (kt_secret_new_unlocked(HEADER_TEXT_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "enc", KT_JWE_ENC);
	kt_jsonw_member(&w, "typ", KT_SEALED_TYP);
	kt_jsonw_member(&w, "name", sealed->name);
	kt_jsonw_member(&w, "purpose", sealed->purpose);
	kt_jsonw_member(&w, "kid", sealed->kid);
	kt_jsonw_name(&w, "iat");
	kt_jsonw_int(&w, sealed->iat);
	kt_jsonw_name(&w, "recipients");
	kt_jsonw_begin_array(&w);
	for (size_t i = 0; i < sealed->count; i++)
		if (write_listed(&w, &sealed->recipients[i], e) < 0)
			return -1;
	kt_jsonw_end_array(&w);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 ||
		kt_b64url_encode(kt_secret_bytes(text), kt_secret_len(text), &encoded, e) < 0)
		return kt_wrap(e, "protected header");
	free(sealed->protected_header);
	sealed->protected_header = encoded;
	return 0;
}

static int write_tpm_slot(
	struct kt_jsonw *w, const struct kt_recipient *recipient, struct kt_error *e)
{
	char parent[KT_NAME_TEXT_MAX];
	auto_free uint8_t *der = NULL;
	size_t len;

	kt_name_format(&recipient->name, parent);
	kt_jsonw_name(w, "header");
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "alg", KT_SEALED_ALG_TPM2);
	kt_jsonw_member(w, "parent", parent);
	kt_jsonw_name(w, "policy");
	kt_slot_policy_write(&recipient->words, w);
	kt_jsonw_end_object(w);
	if (kt_tss2key_to_der(recipient->slot, &der, &len, e) < 0)
		return -1;
	return write_b64url(w, "encrypted_key", der, len, e);
}

static int write_recovery_slot(
	struct kt_jsonw *w, const struct kt_recipient *recipient, struct kt_error *e)
{
	kt_jsonw_name(w, "header");
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "alg", KT_JWE_ALG_RECOVERY);
	kt_jsonw_member(w, "kid", recipient->kid);
	kt_jsonw_name(w, "epk");
	if (kt_jwk_write(recipient->epk, w, e) < 0)
		return -1;
	kt_jsonw_end_object(w);
	return write_b64url(w, "encrypted_key", recipient->wrapped, sizeof(recipient->wrapped), e);
}

int kt_sealed_serialize(
	const struct kt_sealed *sealed, struct kt_secret **ret_text, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;
	size_t capacity = strlen(sealed->protected_header) +
			  kt_b64url_encoded_len(sealed->ciphertext_len) + 1024 +
			  sealed->count * RECIPIENT_TEXT_MAX;

	if (kt_secret_new_unlocked(capacity, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "protected", sealed->protected_header);
	kt_jsonw_name(&w, "recipients");
	kt_jsonw_begin_array(&w);
	for (size_t i = 0; i < sealed->count; i++) {
		const struct kt_recipient *recipient = &sealed->recipients[i];

		kt_jsonw_begin_object(&w);
		if ((recipient->kind == KT_RECIPIENT_TPM2 ? write_tpm_slot : write_recovery_slot)(
			    &w, recipient, e) < 0)
			return -1;
		kt_jsonw_end_object(&w);
	}
	kt_jsonw_end_array(&w);
	if (write_b64url(&w, "iv", sealed->iv, sizeof(sealed->iv), e) < 0 ||
		write_b64url(&w, "ciphertext", sealed->ciphertext, sealed->ciphertext_len, e) < 0 ||
		write_b64url(&w, "tag", sealed->tag, sizeof(sealed->tag), e) < 0)
		return -1;
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(text, "\n", 1, e) < 0)
		return -1;
	if (kt_secret_len(text) > KT_SEALED_FILE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "the sealed file would pass %zu bytes",
			KT_SEALED_FILE_MAX_BYTES);
	*ret_text = kt_take(text);
	return 0;
}
