/* SPDX-License-Identifier: Apache-2.0 */
/* Pepper, PCRs and HMACs of the module's keys. */
#include "modules/kms-tpm/tpm.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "lib/audit-hmac.h"
#include "lib/log.h"
#include "lib/pin.h"
#include "lib/seal-explain.h"
#include "lib/tpm-hmac.h"
#include "lib/tpm-object.h"
#include "lib/tpm-pcr.h"
#include "modules/kms-tpm/states.h"

/* How long the log is waited for when nobody waits for us. */
#define PATIENCE_MS 3000

/* A connection and how many keys use it; and their audit log, if there is one. */
struct line {
	struct kt_hmac *hmac;
	char *tcti; /* NULL: the default */
	char *audit_path;
	struct kt_audit *audit; /* NULL: nothing is audited */
	struct kt_secret *endorsement_auth;
	int64_t deadline_ms;
	struct kms_tpm_key *keys; /* a list */
	size_t users;
};

struct kms_tpm_key {
	struct line *line;
	struct kms_tpm_key *next; /* on the same line */
	struct kt_policy shown;	  /* the key's policy, as the audit log shows it */
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
	kt_audit_close(line->audit);
	kt_secret_free(line->endorsement_auth);
	free(line->audit_path);
	free(line->tcti);
	free(line);
}
KT_AUTO(line, struct line *, release_line)
#define auto_line __attribute__((cleanup(kt_auto_line)))

static int copy_text(const char *text, char **ret_copy, struct kt_error *e)
{
	*ret_copy = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret_copy != NULL ? 0 : kt_fail_memory(e);
}

static int open_audit(struct line *line, const struct kms_tpm_place *place, struct kt_error *e)
{
	if (place->audit == NULL)
		return 0;
	if (place->endorsement_auth != NULL &&
		kt_pin_read_file(
			place->endorsement_auth, KT_AUTH_MAX_BYTES, &line->endorsement_auth, e) < 0)
		return -1;
	return kt_audit_open(place->audit, line->endorsement_auth, &line->audit, e);
}

static int share_line(const struct kms_tpm_place *place, struct line **ret_line, struct kt_error *e)
{
	auto_line struct line *line = NULL;

	if (newest != NULL && is_same(newest->tcti, place->tcti) &&
		is_same(newest->audit_path, place->audit)) {
		newest->users++;
		*ret_line = newest;
		return 0;
	}
	line = calloc(1, sizeof(*line));
	if (line == NULL)
		return kt_fail_memory(e);
	line->users = 1;
	if (copy_text(place->tcti, &line->tcti, e) < 0 ||
		copy_text(place->audit, &line->audit_path, e) < 0 ||
		open_audit(line, place, e) < 0 || kt_hmac_new(place->tcti, &line->hmac, e) < 0)
		return -1;
	newest = line;
	*ret_line = kt_take(line);
	return 0;
}

KT_AUTO(key, struct kms_tpm_key *, kms_tpm_close)
#define auto_key __attribute__((cleanup(kt_auto_key)))

/* What an audit log shows of a key cannot be made up later. */
static int check_file(
	const struct kt_keyfile *file, const struct kms_tpm_place *place, struct kt_error *e)
{
	if (file->type != KT_KEYFILE_HMAC)
		return kt_fail(e, KT_E_USAGE,
			"the key is not of type hmac ('sealtool key new --type hmac')");
	if (place->audit != NULL && !file->has_creation)
		return kt_fail(e, KT_E_REFUSED,
			"the key cannot be audited: it was made before keys were for that; make "
			"one "
			"with 'sealtool key new', and rotate to it");
	if (place->audit == NULL && file->is_counted)
		return kt_fail(e, KT_E_REFUSED,
			"the key is for audit logs of tier b: a use that is not in the log would "
			"look like one that it hides; give audit=FILE");
	return 0;
}

static void join_line(struct kms_tpm_key *key)
{
	key->next = key->line->keys;
	key->line->keys = key;
}

static void leave_line(struct kms_tpm_key *key)
{
	struct kms_tpm_key **link = &key->line->keys;

	while (*link != NULL && *link != key)
		link = &(*link)->next;
	if (*link == key)
		*link = key->next;
}

int kms_tpm_open(const struct kt_keyfile *file, const struct kms_tpm_place *place,
	struct kms_tpm_key **ret_key, struct kt_error *e)
{
	auto_key struct kms_tpm_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return kt_fail_memory(e);
	key->key.parent = file->parent;
	key->key.public = file->key_public;
	key->key.private = file->key_private;
	key->file = *file;
	if (check_file(file, place, e) < 0 ||
		kt_keyfile_key_policy(&key->file, 0, &key->shown, e) < 0 ||
		kms_tpm_states_new(&key->file, place->policy_dir, &key->states, e) < 0 ||
		share_line(place, &key->line, e) < 0)
		return -1;
	/* With a single state there is nothing to look for. */
	if (!file->is_signed && file->state_count == 1) {
		if (kms_tpm_states_key_policy(key->states, &key->key.policy, e) < 0)
			return -1;
		key->has_state = true;
	}
	join_line(key);
	*ret_key = kt_take(key);
	return 0;
}

static int64_t soon(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + PATIENCE_MS;
}

/* While there is a key, what was cut off can still be repeated. */
static void say_farewell(struct kms_tpm_key *key)
{
	struct kt_error e;

	if (key->line->audit == NULL || key->line->users > 1)
		return;
	kms_tpm_set_deadline(key, soon());
	if (kms_tpm_idle(key, &e) < 0)
		kt_debug("%s", e.msg);
}

void kms_tpm_close(struct kms_tpm_key *key)
{
	if (key == NULL)
		return;
	if (key->line != NULL) {
		say_farewell(key);
		leave_line(key);
		kt_hmac_drop_key(key->line->hmac, &key->key);
	}
	release_line(key->line);
	kms_tpm_states_free(key->states);
	kt_secret_free(key->pepper);
	free(key);
}

void kms_tpm_set_deadline(struct kms_tpm_key *key, int64_t deadline_ms)
{
	key->line->deadline_ms = deadline_ms;
	kt_hmac_set_deadline(key->line->hmac, deadline_ms);
}

const char *kms_tpm_next_warning(struct kms_tpm_key *key)
{
	return kms_tpm_states_next_warning(key->states);
}

const char *kms_tpm_next_audit_warning(struct kms_tpm_key *key)
{
	return key->line->audit != NULL ? kt_audit_next_warning(key->line->audit) : NULL;
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

/* For kt_audit_hmac: the key that a crash left something of. */
static int find_key(void *ctx, const uint8_t name[KT_AUDIT_NAME_BYTES],
	struct kt_hmac_key **ret_key, struct kt_error *e)
{
	const struct line *line = ctx;
	TPM2B_NAME own;

	for (struct kms_tpm_key *key = line->keys; key != NULL; key = key->next) {
		if (kt_public_name(&key->key.public, &own, e) < 0)
			return -1;
		if (own.size != KT_AUDIT_NAME_BYTES ||
			memcmp(own.name, name, KT_AUDIT_NAME_BYTES) != 0)
			continue;
		if (!key->has_state && kms_tpm_check(key, e) < 0)
			return -1;
		*ret_key = &key->key;
		return 0;
	}
	return 0;
}

static struct kt_audit_hmac audit_of(struct line *line)
{
	return (struct kt_audit_hmac){
		.audit = line->audit,
		.hmac = line->hmac,
		.find = find_key,
		.ctx = line,
		.deadline_ms = line->deadline_ms,
	};
}

int kms_tpm_idle(struct kms_tpm_key *key, struct kt_error *e)
{
	struct kt_audit_hmac with = audit_of(key->line);

	with.deadline_ms = soon();
	return key->line->audit == NULL ? 0 : kt_audit_hmac_idle(&with, e);
}

static int use_audited(struct kms_tpm_key *key, const struct kms_tpm_use *use,
	uint8_t id[KT_RECORD_ID_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	const struct kt_audit_hmac with = audit_of(key->line);
	const struct kt_audit_call call = {
		use->is_new ? KT_AUDIT_ENCRYPT : KT_AUDIT_DECRYPT, use->uid};
	const struct kt_audit_hmac_key audited = {
		.key = &key->key,
		.entrant = {.type = KT_AUDIT_HMAC,
			.public = &key->key.public,
			.policy = &key->shown,
			.creation = &key->file.creation,
			.cluster = use->cluster,
			.key_id = use->key_id},
	};

	return kt_audit_hmac_compute(&with, &audited, &call, id, ret_output, e);
}

static int use_key(struct kms_tpm_key *key, const struct kms_tpm_use *use,
	uint8_t id[KT_RECORD_ID_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	uint8_t input[KT_HMAC_BYTES];

	if (key->line->audit != NULL)
		return use_audited(key, use, id, ret_output, e);
	if (use->is_new && kt_record_new_id(id, e) < 0)
		return -1;
	kt_record_input(use->cluster, use->key_id, id, input);
	return kt_hmac_compute(key->line->hmac, &key->key, input, ret_output, e);
}

/* Where the TPM refuses, either the PCRs are in another of the states now, or the check says which
 * of them changed. */
static int compute(struct kms_tpm_key *key, const struct kms_tpm_use *use,
	uint8_t id[KT_RECORD_ID_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	if ((!key->has_state || kms_tpm_states_have_changed(key->states)) &&
		kms_tpm_check(key, e) < 0)
		return -1;
	if (use_key(key, use, id, ret_output, e) == 0)
		return 0;
	if (e->code != KT_E_POLICY || kms_tpm_check(key, e) < 0)
		return -1;
	return use_key(key, use, id, ret_output, e);
}

int kms_tpm_record_key(struct kms_tpm_key *key, const struct kms_tpm_use *use,
	uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *record_key, struct kt_error *e)
{
	uint8_t output[KT_HMAC_BYTES];
	int status;

	if (kms_tpm_unseal_pepper(key, e) < 0 || compute(key, use, id, output, e) < 0)
		return -1;
	status = kt_record_key(output, key->pepper, id, record_key, e);
	OPENSSL_cleanse(output, sizeof(output));
	return status;
}
