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
#include "modules/kms-tpm/states.h"

/* A connection and how many keys use it. */
struct line {
	struct kt_hmac *hmac;
	char *tcti; /* NULL: the default */
	size_t users;
};

struct kms_tpm_key {
	struct line *line;
	struct kt_keyfile file;
	struct kms_tpm_states *states;
	bool has_state; /* the key's policy is that of a state which was found */
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

int kms_tpm_open(const struct kt_keyfile *file, const char *policy_dir, const char *tcti,
	struct kms_tpm_key **ret_key, struct kt_error *e)
{
	auto_key struct kms_tpm_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return kt_fail_memory(e);
	key->key.parent = file->parent;
	key->key.public = file->key_public;
	key->key.private = file->key_private;
	key->file = *file;
	if (kms_tpm_states_new(&key->file, policy_dir, &key->states, e) < 0 ||
		share_line(tcti, &key->line, e) < 0)
		return -1;
	/* With a single state there is nothing to look for. */
	if (!file->is_signed && file->state_count == 1) {
		if (kms_tpm_states_key_policy(key->states, &key->key.policy, e) < 0)
			return -1;
		key->has_state = true;
	}
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
	kms_tpm_states_free(key->states);
	kt_secret_free(key->pepper);
	free(key);
}

void kms_tpm_set_deadline(struct kms_tpm_key *key, int64_t deadline_ms)
{
	kt_hmac_set_deadline(key->line->hmac, deadline_ms);
}

const char *kms_tpm_next_warning(struct kms_tpm_key *key)
{
	return kms_tpm_states_next_warning(key->states);
}

void kms_tpm_take_figures(struct kms_tpm_key *key, struct kt_tpm_figures *ret_figures)
{
	kt_hmac_take_figures(key->line->hmac, ret_figures);
}

/* Puts the PCRs that differ into the message of a refusal. */
static int explain(struct kt_tpm *tpm, const struct kms_tpm_key *key, struct kt_error *e)
{
	const char *folder = kms_tpm_states_folder(key->states);
	size_t count = kms_tpm_states_count(key->states);
	const struct kt_pcr_set *pcrs = kms_tpm_states_pcrs(key->states);

	if (pcrs == NULL) {
		kt_fail(e, KT_E_POLICY, "policy not satisfied: no state is approved for this key");
		return kt_hint(e,
			"sign one with 'sealtool policy sign --for %s', and put it into %s",
			key->file.uuid, folder);
	}
	if (kt_seal_explain(tpm, &(struct kt_slot_policy){.pcrs = *pcrs}, false, e) < 0 &&
		count > 1)
		return folder != NULL
			       ? kt_hint(e,
					 "and none of the other approvals in %s fits (%zu in all)",
					 folder, count)
			       : kt_hint(e,
					 "and none of the other states fits (%zu in the key file)",
					 count);
	return -1;
}

/* The PCRs of all states, read in one command unless they are more than eight. */
static int look(struct kt_tpm *tpm, struct kms_tpm_key *key, bool *ret_found, struct kt_error *e)
{
	struct kt_pcr_set pcrs;
	bool changed;

	if (kms_tpm_states_selection(key->states, &pcrs, e) < 0)
		return -1;
	if (!kt_pcr_is_empty(&pcrs) && kt_tpm_read_pcrs(tpm, &pcrs, e) < 0)
		return -1;
	*ret_found = kms_tpm_states_choose(key->states, &pcrs, &changed);
	if (!*ret_found || (!changed && key->has_state))
		return 0;
	if (kms_tpm_states_key_policy(key->states, &key->key.policy, e) < 0)
		return -1;
	key->key.approval.known = false;
	key->has_state = true;
	return 0;
}

/* Finds the state that the PCRs are in now, and makes the key's policy that of it. An approval that
 * was put into the folder since is found too; one that was taken away counts no more. */
static int find_state(struct kt_tpm *tpm, struct kms_tpm_key *key, struct kt_error *e)
{
	bool found = false;

	if (kms_tpm_states_have_changed(key->states) && kms_tpm_states_reread(key->states))
		key->has_state = false;
	if (look(tpm, key, &found, e) < 0)
		return -1;
	if (!found && kms_tpm_states_reread(key->states) && look(tpm, key, &found, e) < 0)
		return -1;
	if (found)
		return 0;
	/* Of literal states the TPM itself keeps account. */
	key->has_state = key->has_state && kms_tpm_states_folder(key->states) == NULL;
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
		((kms_tpm_states_folder(key->states) != NULL ||
			 kms_tpm_states_count(key->states) > 1) &&
			find_state(tpm, key, e) < 0) ||
		kms_tpm_states_pepper_policy(key->states, &policy, e) < 0)
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

	if ((!key->has_state || kms_tpm_states_have_changed(key->states)) &&
		kms_tpm_check(key, e) < 0)
		return -1;
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
