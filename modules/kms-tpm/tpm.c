/* SPDX-License-Identifier: Apache-2.0 */
/* Pepper, PCRs and HMACs of the module's keys. */
#include "modules/kms-tpm/tpm.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/seal-explain.h"
#include "lib/tpm-hmac.h"
#include "lib/tpm-object.h"
#include "lib/tpm-pcr.h"

/* A connection and how many keys use it. */
struct line {
	struct kt_hmac *hmac;
	char *tcti; /* NULL: the default */
	size_t users;
};

struct kms_tpm_key {
	struct line *line;
	struct kt_keyfile file;
	size_t state; /* of the file: the one that was found last */
	struct kt_hmac_key key;
	struct kt_secret *pepper; /* NULL until it was unsealed */
};

/* The one that keys opened next will share, if they name the same TPM. */
static struct line *newest;

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void release_line(struct line *line)
{
	if (line == NULL || --line->users > 0)
		return;
	if (newest == line)
		newest = NULL;
	kt_hmac_free(line->hmac);
	free(line->tcti);
	free(line);
}
KT_AUTO(line, struct line *, release_line)
#define auto_line __attribute__((cleanup(kt_auto_line)))

static int share_line(const char *tcti, struct line **ret_line, struct kt_error *e)
{
	auto_line struct line *line = NULL;

	if (newest != NULL && is_same(newest->tcti, tcti)) {
		newest->users++;
		*ret_line = newest;
		return 0;
	}
	line = calloc(1, sizeof(*line));
	if (line == NULL)
		return kt_fail_memory(e);
	line->users = 1;
	line->tcti = tcti != NULL ? strdup(tcti) : NULL;
	if (tcti != NULL && line->tcti == NULL)
		return kt_fail_memory(e);
	if (kt_hmac_new(tcti, &line->hmac, e) < 0)
		return -1;
	newest = line;
	*ret_line = kt_take(line);
	return 0;
}

KT_AUTO(key, struct kms_tpm_key *, kms_tpm_close)
#define auto_key __attribute__((cleanup(kt_auto_key)))

int kms_tpm_open(const struct kt_keyfile *file, const char *tcti, struct kms_tpm_key **ret_key,
	struct kt_error *e)
{
	auto_key struct kms_tpm_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return kt_fail_memory(e);
	key->key.parent = file->parent;
	key->key.public = file->key_public;
	key->key.private = file->key_private;
	key->file = *file;
	if (kt_keyfile_key_policy(file, 0, &key->key.policy, e) < 0 ||
		share_line(tcti, &key->line, e) < 0)
		return -1;
	*ret_key = kt_take(key);
	return 0;
}

void kms_tpm_close(struct kms_tpm_key *key)
{
	if (key == NULL)
		return;
	if (key->line != NULL)
		kt_hmac_drop_key(key->line->hmac, &key->key);
	release_line(key->line);
	kt_secret_free(key->pepper);
	free(key);
}

void kms_tpm_set_deadline(struct kms_tpm_key *key, int64_t deadline_ms)
{
	kt_hmac_set_deadline(key->line->hmac, deadline_ms);
}

void kms_tpm_take_figures(struct kms_tpm_key *key, struct kt_tpm_figures *ret_figures)
{
	kt_hmac_take_figures(key->line->hmac, ret_figures);
}

/* Reads the PCRs of all states, in one command unless they are more than eight. */
static int read_pcrs(struct kt_tpm *tpm, const struct kt_keyfile *file, struct kt_pcr_set *ret_pcrs,
	struct kt_error *e)
{
	struct kt_pcr_set pcrs = {0};

	for (size_t s = 0; s < file->state_count; s++)
		for (size_t b = 0; b < file->states[s].count; b++)
			for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
				const struct kt_pcr_bank *bank = &file->states[s].banks[b];

				if ((bank->selected >> i & 1) != 0 &&
					kt_pcr_add(&pcrs, bank->alg, i, NULL, e) < 0)
					return -1;
			}
	if (kt_tpm_read_pcrs(tpm, &pcrs, e) < 0)
		return -1;
	*ret_pcrs = pcrs;
	return 0;
}

/* Puts the PCRs that differ into the message of a refusal. */
static int explain(struct kt_tpm *tpm, const struct kms_tpm_key *key, struct kt_error *e)
{
	const struct kt_slot_policy words = {.pcrs = key->file.states[key->state]};

	if (kt_seal_explain(tpm, &words, false, e) < 0 && key->file.state_count > 1)
		return kt_hint(e, "and none of the other states fits (%zu in the key file)",
			key->file.state_count);
	return -1;
}

/* Finds the state that the PCRs are in now, beginning with the one that was found last, and makes
 * the key's policy that of it. */
static int find_state(struct kt_tpm *tpm, struct kms_tpm_key *key, struct kt_error *e)
{
	const struct kt_keyfile *file = &key->file;
	struct kt_pcr_set present;
	char text[256];

	if (read_pcrs(tpm, file, &present, e) < 0)
		return -1;
	for (size_t i = 0; i < file->state_count; i++) {
		size_t state = (key->state + i) % file->state_count;

		if (kt_pcr_describe_difference(&file->states[state], &present, text, sizeof(text)) >
			0)
			continue;
		key->state = state;
		return i > 0 ? kt_keyfile_key_policy(file, state, &key->key.policy, e) : 0;
	}
	kt_fail(e, KT_E_POLICY, "policy not satisfied");
	return explain(tpm, key, e);
}

static int unseal(struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	struct kms_tpm_key *key = ctx;
	const struct kt_object object = {&key->file.pepper_public, &key->file.pepper_private, NULL};
	const struct kt_object_auth auth = {0};
	auto_secret struct kt_secret *pepper = NULL;
	struct kt_policy policy = {0};

	if (kt_parent_check_name(srk, &key->key.parent, e) < 0 ||
		(key->file.state_count > 1 && find_state(tpm, key, e) < 0) ||
		kt_keyfile_pepper_policy(&key->file, key->state, &policy, e) < 0)
		return -1;
	if (kt_object_unseal(tpm, srk, &object, &policy, &auth, &pepper, e) < 0) {
		if (e->code == KT_E_POLICY)
			return explain(tpm, key, e);
		/* The parent's Name fits, so "not made by this TPM" means changed bytes. */
		return e->code == KT_E_WRONG_TPM
			       ? kt_fail(e, KT_E_INPUT,
					 "the pepper is damaged: the TPM does not recognise it")
			       : -1;
	}
	if (kt_secret_len(pepper) != KT_KEYFILE_PEPPER_BYTES)
		return kt_fail(e, KT_E_INPUT, "the pepper does not have %d bytes",
			KT_KEYFILE_PEPPER_BYTES);
	key->pepper = kt_take(pepper);
	return 0;
}

int kms_tpm_unseal_pepper(struct kms_tpm_key *key, struct kt_error *e)
{
	if (key->pepper != NULL)
		return 0;
	return kt_hmac_run(key->line->hmac, unseal, key, e);
}

static int check(struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	struct kms_tpm_key *key = ctx;

	if (kt_parent_check_name(srk, &key->key.parent, e) < 0)
		return -1;
	return find_state(tpm, key, e);
}

int kms_tpm_check(struct kms_tpm_key *key, struct kt_error *e)
{
	return kt_hmac_run(key->line->hmac, check, key, e);
}

/* Where the TPM refuses, either the PCRs are in another of the states now, or the check says which
 * of them changed. */
static int compute(struct kms_tpm_key *key, const uint8_t input[KT_HMAC_BYTES],
	uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	struct kt_hmac *hmac = key->line->hmac;

	if (kt_hmac_compute(hmac, &key->key, input, ret_output, e) == 0)
		return 0;
	if (e->code != KT_E_POLICY || kms_tpm_check(key, e) < 0)
		return -1;
	return kt_hmac_compute(hmac, &key->key, input, ret_output, e);
}

int kms_tpm_record_key(struct kms_tpm_key *key, const char *cluster, const char *key_id,
	const uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *record_key, struct kt_error *e)
{
	uint8_t input[KT_HMAC_BYTES], output[KT_HMAC_BYTES];
	int status;

	if (kms_tpm_unseal_pepper(key, e) < 0 ||
		kt_record_input(cluster, key_id, id, input, e) < 0 ||
		compute(key, input, output, e) < 0)
		return -1;
	status = kt_record_key(output, key->pepper, id, record_key, e);
	OPENSSL_cleanse(output, sizeof(output));
	return status;
}
