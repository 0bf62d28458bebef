/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and opening sealed files. The content key is what TPMs and recovery keys hold; the secret
 * itself is only ever encrypted under it.
 */
#include "lib/seal.h"

#include <string.h>

#include "lib/io.h"
#include "lib/seal-approve.h"
#include "lib/seal-explain.h"
#include "lib/tpm-object.h"
#include "lib/wrap.h"

static int parse_file(const char *path, const uint8_t *text, size_t len,
	struct kt_sealed **ret_sealed, struct kt_error *e)
{
	if (kt_sealed_parse((const char *)text, len, ret_sealed, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}

int kt_seal_read(const char *path, struct kt_sealed **ret_sealed, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (kt_read_file(path, KT_SEALED_FILE_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return parse_file(path, text, len, ret_sealed, e);
}

int kt_seal_write(const char *path, const struct kt_sealed *sealed, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;

	if (kt_sealed_serialize(sealed, &text, e) < 0)
		return -1;
	return kt_replace_file(path, kt_secret_bytes(text), kt_secret_len(text), 0600, e);
}

bool kt_seal_is_local(const struct kt_recipient *recipient, const struct kt_parent *srk)
{
	return srk != NULL && kt_name_equal(&recipient->name, &srk->name);
}

static struct kt_tss2key *new_slot(const struct kt_recipient *recipient, struct kt_error *e)
{
	struct kt_tss2key *slot = kt_tss2key_new();

	if (slot == NULL) {
		kt_fail_memory(e);
		return NULL;
	}
	slot->type = KT_TSS2KEY_SEALED;
	slot->empty_auth = !recipient->words.pin;
	slot->has_policy = recipient->policy.size != 0;
	slot->parent = KT_SRK_HANDLE;
	if (kt_slot_policy_steps(&recipient->words, &slot->policy, e) < 0) {
		free(slot);
		return NULL;
	}
	return slot;
}

static int make_local_slot(struct kt_recipient *recipient, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_secret *pin, const struct kt_secret *cek,
	struct kt_tss2key *slot, struct kt_error *e)
{
	if (recipient->words.pin && pin == NULL)
		return kt_fail(e, KT_E_PIN,
			"the slot has a PIN; give it with --pin or --pin-file (pin-file= in a "
			"profile)");
	return kt_object_seal(tpm, srk, cek, &recipient->policy, recipient->words.pin ? pin : NULL,
		&slot->public, &slot->private, e);
}

static int make_remote_slot(struct kt_recipient *recipient, const struct kt_secret *cek,
	struct kt_tss2key *slot, struct kt_error *e)
{
	struct kt_wrapped wrapped;

	if (recipient->words.pin)
		return kt_fail(e, KT_E_REFUSED,
			"a slot of another machine has a PIN, which only that machine can set "
			"anew; "
			"change the file there, or remove that recipient first");
	if (kt_wrap_sealed_data(&recipient->storage_key, cek, &recipient->policy, &wrapped, e) < 0)
		return -1;
	slot->has_secret = true;
	slot->public = wrapped.public;
	slot->private = wrapped.duplicate;
	slot->secret = wrapped.seed;
	return 0;
}

static int make_tpm_slot(struct kt_recipient *recipient, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_secret *pin, const struct kt_secret *cek,
	struct kt_error *e)
{
	auto_free struct kt_tss2key *slot = NULL;

	if (!recipient->words_agree)
		return kt_fail(e, KT_E_REFUSED,
			"a slot's policy in words is not the policy of its digest, so it cannot be "
			"made anew; remove that recipient, and look who changed the file");
	slot = new_slot(recipient, e);
	if (slot == NULL)
		return -1;
	if (kt_seal_is_local(recipient, srk)) {
		if (make_local_slot(recipient, tpm, srk, pin, cek, slot, e) < 0)
			return -1;
	} else if (make_remote_slot(recipient, cek, slot, e) < 0) {
		return -1;
	}
	free(recipient->slot);
	recipient->slot = kt_take(slot);
	return 0;
}

static int make_recovery_slot(
	struct kt_recipient *recipient, const struct kt_secret *cek, struct kt_error *e)
{
	EVP_PKEY *epk;

	if (kt_jwe_wrap(recipient->key, cek, &epk, recipient->wrapped, e) < 0)
		return -1;
	EVP_PKEY_free(recipient->epk);
	recipient->epk = epk;
	return 0;
}

int kt_seal_encrypt(struct kt_sealed *sealed, struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *pin, const struct kt_secret *secret, struct kt_error *e)
{
	auto_secret struct kt_secret *cek = NULL;
	uint8_t *ciphertext;

	if (kt_secret_len(secret) == 0 || kt_secret_len(secret) > KT_SEALED_SECRET_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "a secret has 1 to %zu bytes, not %zu",
			KT_SEALED_SECRET_MAX_BYTES, kt_secret_len(secret));
	if (kt_jwe_new_cek(&cek, e) < 0)
		return -1;
	for (size_t i = 0; i < sealed->count; i++) {
		struct kt_recipient *recipient = &sealed->recipients[i];

		if (recipient->kind == KT_RECIPIENT_RECOVERY) {
			if (make_recovery_slot(recipient, cek, e) < 0)
				return -1;
		} else if (make_tpm_slot(recipient, tpm, srk, pin, cek, e) < 0) {
			return -1;
		}
	}
	if (kt_sealed_encode_header(sealed, e) < 0 ||
		kt_jwe_encrypt(cek, sealed->protected_header, secret, sealed->iv, &ciphertext,
			sealed->tag, e) < 0)
		return -1;
	free(sealed->ciphertext);
	sealed->ciphertext = ciphertext;
	sealed->ciphertext_len = kt_secret_len(secret);
	return 0;
}

static bool has_recovery(const struct kt_sealed *sealed)
{
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_RECOVERY)
			return true;
	return false;
}

static int open_slot(const struct kt_sealed *sealed, size_t index, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_seal_means *means, struct kt_secret **ret_cek,
	struct kt_error *e)
{
	const struct kt_recipient *recipient = &sealed->recipients[index];
	const struct kt_object object = {
		.public = &recipient->slot->public,
		.private = &recipient->slot->private,
		.seed = recipient->slot->has_secret ? &recipient->slot->secret : NULL,
	};
	const struct kt_object_auth auth = {.value = recipient->words.pin ? means->pin : NULL};
	struct kt_policy policy = {0};

	if (!recipient->words_agree)
		return kt_fail(e, KT_E_INPUT,
			"the slot's policy in words is not the policy of its digest: the file was "
			"changed");
	if (recipient->words.pin && means->pin == NULL)
		return kt_fail(e, KT_E_PIN,
			"the slot has a PIN; give it with --pin or --pin-file (pin-file= in a "
			"profile)");
	if (kt_slot_policy_steps(&recipient->words, &policy, e) < 0)
		return -1;
	if (recipient->words.is_signed &&
		kt_seal_approve(tpm, &recipient->words, means->policy_dir, &policy, e) < 0)
		return -1;
	if (kt_object_unseal(tpm, srk, &object, &policy, &auth, ret_cek, e) == 0)
		return 0;
	/* The parent's Name fits, so "not made by this TPM" means that the bytes were changed. */
	if (e->code == KT_E_WRONG_TPM)
		return kt_fail(e, KT_E_INPUT, "the slot is damaged: the TPM does not recognise it");
	return kt_seal_explain(tpm, &recipient->words, has_recovery(sealed), e);
}

/* May another slot of this machine still open, after one failed like this? */
static bool worth_another_slot(enum kt_code code)
{
	return code == KT_E_POLICY || code == KT_E_PIN || code == KT_E_LOCKOUT ||
	       code == KT_E_INPUT || code == KT_E_USAGE;
}

static int fail_no_slot(
	const struct kt_sealed *sealed, const struct kt_parent *srk, struct kt_error *e)
{
	char here[KT_NAME_TEXT_MAX], there[KT_NAME_TEXT_MAX];
	size_t machines = 0;

	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2 && machines++ == 0)
			kt_name_format(&sealed->recipients[i].name, there);
	kt_name_format(&srk->name, here);
	if (machines == 0)
		kt_fail(e, KT_E_WRONG_TPM, "no slot for any TPM");
	else
		kt_fail(e, KT_E_WRONG_TPM,
			"made for another machine, or the storage key was replaced: this machine's "
			"storage key is %s, the file is for %s%s",
			here, there, machines > 1 ? " and others" : "");
	if (!has_recovery(sealed))
		return kt_hint(e, "there is no recovery slot, so only that TPM can open it");
	return kt_hint(e, "a recovery key opens it ('sealtool recover --key'), or makes a slot for "
			  "this machine ('sealtool recipient add --key')");
}

static size_t count_local(const struct kt_sealed *sealed, const struct kt_parent *srk)
{
	size_t count = 0;

	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2 &&
			kt_seal_is_local(&sealed->recipients[i], srk))
			count++;
	return count;
}

/* What trying one slot after the other has come to. */
struct attempts {
	size_t local; /* slots of this machine */
	bool pin_tried;
	bool give_up;
	struct kt_error error; /* of all that were tried */
};

static void note_attempt(struct attempts *attempts, size_t slot, struct kt_error *failure)
{
	attempts->pin_tried =
		attempts->pin_tried || failure->code == KT_E_PIN || failure->code == KT_E_LOCKOUT;
	attempts->give_up = !worth_another_slot(failure->code);
	if (attempts->local > 1)
		kt_wrap(failure, "slot %zu", slot);
	if (attempts->error.code == KT_E_NONE)
		attempts->error = *failure;
	else
		kt_hint(&attempts->error, "%s", failure->msg);
}

/* Tries the slots with, or those without a PIN. 0 if one opened. */
static int try_slots(const struct kt_sealed *sealed, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_seal_means *means, bool with_pin,
	struct attempts *attempts, size_t *ret_slot, struct kt_secret **ret_cek)
{
	for (size_t i = 0; i < sealed->count && !attempts->give_up; i++) {
		const struct kt_recipient *recipient = &sealed->recipients[i];
		struct kt_error failure = {0};

		if (recipient->kind != KT_RECIPIENT_TPM2 || !kt_seal_is_local(recipient, srk) ||
			recipient->words.pin != with_pin || (with_pin && attempts->pin_tried))
			continue;
		if (open_slot(sealed, i, tpm, srk, means, ret_cek, &failure) == 0) {
			*ret_slot = i;
			return 0;
		}
		note_attempt(attempts, i, &failure);
	}
	return -1;
}

/* A PIN that is given is tried first, so that it is proven where it can be; else last. */
static int open_cek(const struct kt_sealed *sealed, struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_seal_means *means, size_t *ret_slot, struct kt_secret **ret_cek,
	struct kt_error *e)
{
	struct attempts attempts = {.local = count_local(sealed, srk)};
	bool first = means->pin != NULL;

	if (attempts.local == 0)
		return fail_no_slot(sealed, srk, e);
	if (try_slots(sealed, tpm, srk, means, first, &attempts, ret_slot, ret_cek) == 0 ||
		try_slots(sealed, tpm, srk, means, !first, &attempts, ret_slot, ret_cek) == 0)
		return 0;
	*e = attempts.error;
	return -1;
}

static int decrypt(const struct kt_sealed *sealed, const struct kt_secret *cek,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	return kt_jwe_decrypt(cek, sealed->protected_header, sealed->iv, sealed->ciphertext,
		sealed->ciphertext_len, sealed->tag, ret_secret, e);
}

int kt_seal_open_tpm(const struct kt_sealed *sealed, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_seal_means *means, size_t *ret_slot,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_secret struct kt_secret *cek = NULL;
	size_t slot;

	if (open_cek(sealed, tpm, srk, means, &slot, &cek, e) < 0 ||
		decrypt(sealed, cek, ret_secret, e) < 0)
		return -1;
	if (ret_slot != NULL)
		*ret_slot = slot;
	return 0;
}

int kt_seal_open_recovery(const struct kt_sealed *sealed, EVP_PKEY *key,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	char kid[KT_JWK_THUMBPRINT_SIZE];

	if (kt_jwk_thumbprint(key, kid, e) < 0)
		return -1;
	for (size_t i = 0; i < sealed->count; i++) {
		const struct kt_recipient *recipient = &sealed->recipients[i];
		auto_secret struct kt_secret *cek = NULL;

		if (recipient->kind != KT_RECIPIENT_RECOVERY || strcmp(recipient->kid, kid) != 0)
			continue;
		if (kt_jwe_unwrap(key, recipient->epk, recipient->wrapped, &cek, e) < 0)
			return -1;
		return decrypt(sealed, cek, ret_secret, e);
	}
	return kt_fail(e, KT_E_INPUT,
		"no slot for this recovery key (kid %s); 'sealtool show' lists the slots", kid);
}

int kt_sealed_open(const char *path, const char *purpose, const char *tcti,
	const struct kt_seal_means *means, struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent srk;
	size_t len;

	/* A sealed file does not tell who made it: anybody can seal for this TPM. */
	if (kt_read_trusted_file(path, KT_SEALED_FILE_MAX_BYTES, &text, &len, e) < 0 ||
		parse_file(path, text, len, &sealed, e) < 0)
		return -1;
	if (strcmp(sealed->purpose, purpose) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s: sealed for purpose \"%s\", not \"%s\"; seal it anew for this purpose",
			path, sealed->purpose, purpose);
	if (kt_tpm_open(tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		kt_seal_open_tpm(sealed, tpm, &srk, means, NULL, ret_secret, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}
