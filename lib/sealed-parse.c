/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a sealed file. Strict: what this program does not write is refused, because a member that
 * one reader believes and another ignores is how envelopes get forged.
 */
#include "lib/sealed.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/hex.h"

#define HEADER_B64_MAX 65536
#define KEY_B64_MAX 8192

static int check_members(struct json_object *object, const char *const *known, struct kt_error *e)
{
	json_object_object_foreach(object, name, value)
	{
		size_t i = 0;

		(void)value;
		while (known[i] != NULL && strcmp(known[i], name) != 0)
			i++;
		if (known[i] == NULL)
			return kt_fail(e, KT_E_INPUT, "unknown member \"%.40s\"", name);
	}
	return 0;
}

static int get_fixed(struct json_object *object, const char *name, uint8_t *ret_data, size_t want,
	struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len;

	if (kt_json_get_b64url(object, name, want, &data, &len, e) < 0)
		return -1;
	if (len != want)
		return kt_fail(e, KT_E_INPUT, "\"%s\" is not %zu bytes", name, want);
	memcpy(ret_data, data, want);
	return 0;
}

static int get_text(struct json_object *object, const char *name, char *ret_text, size_t size,
	struct kt_error *e)
{
	const char *value;

	if (kt_json_get_string(object, name, size - 1, &value, e) < 0)
		return -1;
	memcpy(ret_text, value, strlen(value) + 1);
	return 0;
}

static int parse_listed_tpm(
	struct json_object *object, struct kt_recipient *recipient, struct kt_error *e)
{
	static const char *const known[] = {"kind", "public", "policy", NULL};
	auto_free uint8_t *public = NULL;
	const char *policy;
	size_t len;

	recipient->kind = KT_RECIPIENT_TPM2;
	if (check_members(object, known, e) < 0 ||
		kt_json_get_b64url(object, "public", sizeof(TPM2B_PUBLIC), &public, &len, e) < 0 ||
		kt_public_unmarshal(public, len, &recipient->storage_key, e) < 0 ||
		kt_public_name(&recipient->storage_key, &recipient->name, e) < 0 ||
		kt_json_get_string(object, "policy", 2 * TPM2_SHA256_DIGEST_SIZE, &policy, e) < 0)
		return -1;
	recipient->policy.size = (UINT16)(strlen(policy) / 2);
	if (recipient->policy.size != 0 && recipient->policy.size != TPM2_SHA256_DIGEST_SIZE)
		return kt_fail(e, KT_E_INPUT, "\"policy\" is no SHA-256 policy digest");
	return kt_hex_decode(policy, recipient->policy.buffer, recipient->policy.size, e);
}

static int parse_listed(
	struct json_object *object, struct kt_recipient *recipient, struct kt_error *e)
{
	static const char *const known[] = {"kind", "jwk", NULL};
	struct json_object *jwk;
	const char *kind;

	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "not an object");
	if (kt_json_get_string(object, "kind", 32, &kind, e) < 0)
		return -1;
	if (strcmp(kind, "tpm2") == 0)
		return parse_listed_tpm(object, recipient, e);
	if (strcmp(kind, "recovery") != 0)
		return kt_fail(e, KT_E_INPUT, "unknown kind of recipient \"%s\"", kind);
	recipient->kind = KT_RECIPIENT_RECOVERY;
	if (check_members(object, known, e) < 0 || kt_json_get_object(object, "jwk", &jwk, e) < 0 ||
		kt_jwk_from_json(jwk, &recipient->key, e) < 0)
		return -1;
	return kt_jwk_thumbprint(recipient->key, recipient->kid, e);
}

static int parse_list(struct json_object *header, struct kt_sealed *sealed, struct kt_error *e)
{
	struct json_object *list;
	size_t count;

	if (kt_json_get_array(header, "recipients", KT_SEALED_RECIPIENTS_MAX, &list, e) < 0)
		return -1;
	count = json_object_array_length(list);
	if (count == 0)
		return kt_fail(e, KT_E_INPUT, "no recipients");
	for (size_t i = 0; i < count; i++) {
		sealed->count = i + 1; /* what is half-built gets freed with the rest */
		if (parse_listed(json_object_array_get_idx(list, i), &sealed->recipients[i], e) < 0)
			return kt_wrap(e, "recipient %zu", i);
	}
	return 0;
}

static int parse_header(struct kt_sealed *sealed, struct kt_error *e)
{
	static const char *const known[] = {
		"enc", "typ", "name", "purpose", "kid", "iat", "recipients", NULL};
	auto_free uint8_t *text = NULL;
	auto_json struct json_object *header = NULL;
	const char *typ, *enc;
	size_t len;

	if (kt_b64url_decode(sealed->protected_header, strlen(sealed->protected_header), &text,
		    &len, e) < 0 ||
		kt_json_parse((const char *)text, len, &header, e) < 0 ||
		kt_json_get_string(header, "typ", 64, &typ, e) < 0 ||
		kt_json_get_string(header, "enc", 64, &enc, e) < 0)
		return -1;
	if (strcmp(typ, KT_SEALED_TYP) != 0 || strcmp(enc, KT_JWE_ENC) != 0)
		return kt_fail(e, KT_E_INPUT, "a JWE, but no kubetpm sealed file");
	if (check_members(header, known, e) < 0 ||
		get_text(header, "name", sealed->name, sizeof(sealed->name), e) < 0 ||
		get_text(header, "purpose", sealed->purpose, sizeof(sealed->purpose), e) < 0 ||
		get_text(header, "kid", sealed->kid, sizeof(sealed->kid), e) < 0 ||
		kt_json_get_int(header, "iat", 0, INT64_C(253402300799), &sealed->iat, e) < 0)
		return -1;
	if (kt_sealed_check_text("name", sealed->name, e) < 0 ||
		kt_sealed_check_text("purpose", sealed->purpose, e) < 0) {
		e->code = KT_E_INPUT;
		return -1;
	}
	return parse_list(header, sealed, e);
}

/* The slot's object must be what the protected header says: sealed data under that policy, which
 * nothing but the policy opens (a policy beside userWithAuth would be decoration). */
static int check_slot_object(const struct kt_recipient *recipient, struct kt_error *e)
{
	const TPMT_PUBLIC *object = &recipient->slot->public.publicArea;
	bool user_with_auth = (object->objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0;

	if (recipient->slot->type != KT_TSS2KEY_SEALED ||
		!kt_public_is_sealed_data(&recipient->slot->public))
		return kt_fail(e, KT_E_INPUT, "the slot holds no sealed data object");
	if (object->authPolicy.size != recipient->policy.size ||
		memcmp(object->authPolicy.buffer, recipient->policy.buffer,
			recipient->policy.size) != 0)
		return kt_fail(e, KT_E_INPUT,
			"the slot's object has another policy than the protected header lists");
	if (user_with_auth != (recipient->policy.size == 0))
		return kt_fail(e, KT_E_INPUT,
			"the slot's object can be opened beside its policy (userWithAuth)");
	return 0;
}

static int parse_tpm_slot(struct json_object *object, struct json_object *header,
	struct kt_recipient *recipient, struct kt_error *e)
{
	static const char *const known[] = {"alg", "parent", "policy", NULL};
	struct json_object *words;
	auto_free uint8_t *der = NULL;
	const char *parent;
	TPM2B_NAME name;
	TPM2B_DIGEST digest = {0};
	size_t len;

	if (check_members(header, known, e) < 0 ||
		kt_json_get_string(header, "parent", KT_NAME_TEXT_MAX, &parent, e) < 0 ||
		kt_name_parse(parent, &name, e) < 0)
		return -1;
	if (!kt_name_equal(&name, &recipient->name))
		return kt_fail(
			e, KT_E_INPUT, "\"parent\" is not the storage key of the protected header");
	if (kt_json_get_object(header, "policy", &words, e) < 0 ||
		kt_slot_policy_from_json(words, &recipient->words, e) < 0 ||
		kt_slot_policy_digest(&recipient->words, &digest, e) < 0 ||
		kt_json_get_b64url(object, "encrypted_key", KEY_B64_MAX, &der, &len, e) < 0)
		return -1;
	recipient->words_agree = digest.size == recipient->policy.size &&
				 memcmp(digest.buffer, recipient->policy.buffer, digest.size) == 0;
	recipient->slot = kt_tss2key_new();
	if (recipient->slot == NULL)
		return kt_fail_memory(e);
	if (kt_tss2key_from_der(der, len, recipient->slot, e) < 0)
		return kt_wrap(e, "\"encrypted_key\"");
	return check_slot_object(recipient, e);
}

static int parse_recovery_slot(struct json_object *object, struct json_object *header,
	struct kt_recipient *recipient, struct kt_error *e)
{
	static const char *const known[] = {"alg", "kid", "epk", NULL};
	struct json_object *epk;
	const char *kid;

	if (check_members(header, known, e) < 0 ||
		kt_json_get_string(header, "kid", KT_JWK_THUMBPRINT_SIZE, &kid, e) < 0)
		return -1;
	if (strcmp(kid, recipient->kid) != 0)
		return kt_fail(
			e, KT_E_INPUT, "\"kid\" is not the recovery key of the protected header");
	if (kt_json_get_object(header, "epk", &epk, e) < 0 ||
		kt_jwk_from_json(epk, &recipient->epk, e) < 0)
		return kt_wrap(e, "\"epk\"");
	return get_fixed(
		object, "encrypted_key", recipient->wrapped, sizeof(recipient->wrapped), e);
}

static int parse_slot(
	struct json_object *object, struct kt_recipient *recipient, struct kt_error *e)
{
	static const char *const known[] = {"header", "encrypted_key", NULL};
	bool tpm = recipient->kind == KT_RECIPIENT_TPM2;
	struct json_object *header;
	const char *alg;

	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "not an object");
	if (check_members(object, known, e) < 0 ||
		kt_json_get_object(object, "header", &header, e) < 0 ||
		kt_json_get_string(header, "alg", 64, &alg, e) < 0)
		return -1;
	if (strcmp(alg, tpm ? KT_SEALED_ALG_TPM2 : KT_JWE_ALG_RECOVERY) != 0)
		return kt_fail(e, KT_E_INPUT, "\"alg\" does not fit the protected header");
	return (tpm ? parse_tpm_slot : parse_recovery_slot)(object, header, recipient, e);
}

static int parse_slots(struct json_object *file, struct kt_sealed *sealed, struct kt_error *e)
{
	struct json_object *slots;

	if (kt_json_get_array(file, "recipients", KT_SEALED_RECIPIENTS_MAX, &slots, e) < 0)
		return -1;
	if (json_object_array_length(slots) != sealed->count)
		return kt_fail(
			e, KT_E_INPUT, "not as many slots as recipients in the protected header");
	for (size_t i = 0; i < sealed->count; i++) {
		struct kt_recipient *recipient = &sealed->recipients[i];

		if (parse_slot(json_object_array_get_idx(slots, i), recipient, e) < 0)
			return kt_wrap(e, "slot %zu", i);
		/* Approvals are for this file, and no other. */
		if (recipient->words.is_signed &&
			strcmp(recipient->words.approved_for, sealed->kid) != 0)
			recipient->words_agree = false;
	}
	return 0;
}

/* A file of another kind gets a better answer than a parser's. */
static int check_looks(const char *text, size_t len, struct kt_error *e)
{
	static const char tss2[] = "TSS2 PRIVATE KEY";

	if (len > 0 && text[0] == '{')
		return 0;
	if (memmem(text, len < 4096 ? len : 4096, tss2, strlen(tss2)) != NULL)
		return kt_fail(e, KT_E_INPUT,
			"a TSS2 key file, not a sealed file: 'sealtool import' opens it");
	return kt_fail(e, KT_E_INPUT, "not a sealed file");
}

int kt_sealed_parse(const char *text, size_t len, struct kt_sealed **ret_sealed, struct kt_error *e)
{
	static const char *const known[] = {
		"protected", "recipients", "iv", "ciphertext", "tag", NULL};
	auto_json struct json_object *file = NULL;
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	const char *header;

	if (sealed == NULL)
		return kt_fail_memory(e);
	if (len > KT_SEALED_FILE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %zu bytes", KT_SEALED_FILE_MAX_BYTES);
	if (check_looks(text, len, e) < 0 || kt_json_parse(text, len, &file, e) < 0 ||
		check_members(file, known, e) < 0 ||
		kt_json_get_string(file, "protected", HEADER_B64_MAX, &header, e) < 0)
		return -1;
	sealed->protected_header = strdup(header);
	if (sealed->protected_header == NULL)
		return kt_fail_memory(e);
	if (parse_header(sealed, e) < 0)
		return kt_wrap(e, "protected header");
	if (parse_slots(file, sealed, e) < 0 ||
		get_fixed(file, "iv", sealed->iv, sizeof(sealed->iv), e) < 0 ||
		get_fixed(file, "tag", sealed->tag, sizeof(sealed->tag), e) < 0 ||
		kt_json_get_b64url(file, "ciphertext", KT_SEALED_SECRET_MAX_BYTES,
			&sealed->ciphertext, &sealed->ciphertext_len, e) < 0)
		return -1;
	if (sealed->ciphertext_len == 0)
		return kt_fail(e, KT_E_INPUT, "\"ciphertext\" is empty");
	*ret_sealed = kt_take(sealed);
	return 0;
}
