/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms-tpm: encrypts under a key that never leaves this machine's TPM. Each record has a key of its
 * own, from an HMAC that only the TPM can compute, over the record's random identifier; nothing
 * that is computed is kept. See kms-tpm(8).
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <kubetpm/module.h>

#include "lib/auto.h"
#include "lib/io.h"
#include "lib/jwk.h"
#include "lib/keyfile.h"
#include "lib/kms-record.h"
#include "lib/module.h"
#include "modules/kms-tpm/tpm.h"

#define CIPHERTEXT_MAX 1024
#define PLAINTEXT_MAX (CIPHERTEXT_MAX - KT_RECORD_OVERHEAD_BYTES)

struct state {
	struct kms_tpm_key *key;
	char *cluster;
	char uuid[KT_KEYFILE_UUID_SIZE];
	char version[KT_KEYFILE_VERSION_SIZE];
	EVP_PKEY *recovery; /* NULL: none */
	/* for one call, and wiped at its end */
	struct kt_secret *record_key, *plaintext;
	/* the record that was made last, or is being read */
	uint8_t id[KT_RECORD_ID_BYTES];
	uint8_t wrapped[KT_RECORD_RECOVERY_BYTES];
	uint8_t ciphertext[CIPHERTEXT_MAX];
};

static int read_recovery(const char *path, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len;

	if (path == NULL)
		return 0;
	/* Whoever could put his own in its place could read all that is written from then on. */
	if (kt_read_trusted_file(path, KT_KEY_FILE_MAX_BYTES, &data, &len, e) < 0)
		return -1;
	return kt_jwk_read_public(data, len, ret_key, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}

/* In the wrong state the key is kept, and each call refuses: Status says why, which a process that
 * is not there cannot. */
static int unseal_pepper(
	struct state *state, const struct kt_host *host, const char *path, struct kt_error *e)
{
	if (kms_tpm_unseal_pepper(state->key, e) == 0)
		return 0;
	if (e->code != KT_E_POLICY)
		return kt_wrap(e, "%s", path);
	host->log(host->ctx, KT_LOG_WARN, "%s cannot be used now: %s", path, e->msg);
	return 0;
}

static int open_key(struct state *state, const struct kt_host *host, int argc,
	const char *const argv[], struct kt_error *e)
{
	const char *path = kt_module_arg(argc, argv, "key");
	const char *cluster = host->get_item(host->ctx, KT_ITEM_CLUSTER);
	auto_free struct kt_keyfile *file = NULL;
	struct kms_tpm_place place;

	if (path == NULL || cluster == NULL || *cluster == '\0')
		return kt_fail(e, KT_E_USAGE, "%s is missing", path == NULL ? "key" : "cluster");
	state->cluster = strdup(cluster);
	if (state->cluster == NULL)
		return kt_fail_memory(e);
	if (kt_secret_new(KT_RECORD_KEY_BYTES, &state->record_key, e) < 0 ||
		kt_secret_new(PLAINTEXT_MAX, &state->plaintext, e) < 0)
		return -1;
	if (kt_keyfile_read(path, &file, e) < 0 ||
		read_recovery(kt_module_arg(argc, argv, "recovery"), &state->recovery, e) < 0)
		return -1;
	place = (struct kms_tpm_place){
		.tcti = host->get_item(host->ctx, KT_ITEM_TCTI),
		.policy_dir = kt_module_arg(argc, argv, "policy-dir"),
		.audit = kt_module_arg(argc, argv, "audit"),
		.endorsement_auth = kt_module_arg(argc, argv, "endorsement-auth-file"),
	};
	if (kms_tpm_open(file, &place, &state->key, e) < 0)
		return e->code == KT_E_REFUSED ? kt_wrap(e, "%s", path) : -1;
	memcpy(state->uuid, file->uuid, sizeof(state->uuid));
	kt_keyfile_version(file, state->version);
	return unseal_pepper(state, host, path, e);
}

/* Tells the host what the TPM was asked for this call, and what was wrong on the way. */
static void report(struct state *state, const struct kt_host *host)
{
	struct kt_tpm_figures figures;
	const char *warning;

	if (state->key == NULL)
		return;
	while ((warning = kms_tpm_next_warning(state->key)) != NULL)
		host->log(host->ctx, KT_LOG_WARN, "policy-dir: passed over: %s", warning);
	while ((warning = kms_tpm_next_audit_warning(state->key)) != NULL)
		host->log(host->ctx, KT_LOG_WARN, "audit: %s", warning);
	kms_tpm_take_figures(state->key, &figures);
	kt_module_count(host, KT_COUNT_COMMANDS, figures.commands);
	kt_module_count(host, KT_COUNT_RETRIES, figures.retries);
	kt_module_count(host, KT_COUNT_RECONNECTS, figures.reconnects);
	kt_module_count(host, KT_COUNT_BACKEND_US, figures.busy_us);
}

static enum kt_result open_state(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));
	struct kt_error e;
	int status;

	*ret_state = state;
	if (state == NULL) {
		kt_fail_memory(&e);
		return kt_module_fail(host, &e);
	}
	status = open_key(state, host, argc, argv, &e);
	report(state, host);
	return status == 0 ? KT_OK : kt_module_fail(host, &e);
}

static void close_state(void *ctx)
{
	struct state *state = ctx;

	if (state == NULL)
		return;
	kms_tpm_close(state->key);
	EVP_PKEY_free(state->recovery);
	kt_secret_free(state->record_key);
	kt_secret_free(state->plaintext);
	free(state->cluster);
	free(state);
}

static enum kt_result kms_key(void *ctx, const struct kt_host *host, struct kt_kms_key *ret_key)
{
	const struct state *state = ctx;

	(void)host;
	memcpy(ret_key->key_name, state->uuid, sizeof(state->uuid));
	memcpy(ret_key->version, state->version, sizeof(state->version));
	return KT_OK;
}

static enum kt_result kms_status(void *ctx, const struct kt_host *host)
{
	struct state *state = ctx;
	struct kt_error e;
	int status = kms_tpm_check(state->key, &e);

	if (status == 0)
		status = kms_tpm_unseal_pepper(state->key, &e);
	report(state, host);
	return status == 0 ? KT_OK : kt_module_fail(host, &e);
}

static void wipe(struct kt_secret *secret)
{
	OPENSSL_cleanse(kt_secret_buffer(secret), kt_secret_capacity(secret));
	kt_secret_set_len(secret, 0);
}

static void add_annotation(
	struct kt_kms_record *record, const char *name, const uint8_t *data, size_t len)
{
	record->annotations[record->annotation_count++] =
		(struct kt_kms_annotation){.name = name, .value = {data, len}};
}

static struct kms_tpm_use use_of(
	const struct state *state, const struct kt_kms_call *call, bool is_new)
{
	return (struct kms_tpm_use){
		.is_new = is_new,
		.cluster = state->cluster,
		.key_id = call->key_id,
		.uid = call->uid,
	};
}

static int encrypt(struct state *state, const struct kt_kms_call *call, const void *plaintext,
	size_t len, struct kt_kms_record *out, struct kt_error *e)
{
	const struct kms_tpm_use use = use_of(state, call, true);
	struct kt_secret *key = state->record_key;
	struct kt_span bound = {state->wrapped, 0};

	if (len == 0 || len > PLAINTEXT_MAX)
		return kt_fail(e, KT_E_INPUT, "a plaintext has 1 to %d bytes, not %zu",
			PLAINTEXT_MAX, len);
	if (call->key_id == NULL)
		return kt_fail(e, KT_E_INTERNAL, "the host gives the key no key_id");
	if (kms_tpm_record_key(state->key, &use, state->id, key, e) < 0)
		return -1;
	if (state->recovery != NULL) {
		if (kt_record_wrap(state->recovery, key, state->wrapped, e) < 0)
			return -1;
		bound.len = sizeof(state->wrapped);
	}
	if (kt_record_seal(key, bound, plaintext, len, state->ciphertext, e) < 0)
		return -1;
	out->ciphertext = (struct kt_bytes){state->ciphertext, len + KT_RECORD_OVERHEAD_BYTES};
	out->annotation_count = 0;
	add_annotation(out, KT_RECORD_ANNOTATION_ID, state->id, sizeof(state->id));
	if (state->recovery != NULL)
		add_annotation(out, KT_RECORD_ANNOTATION_RECOVERY, state->wrapped, bound.len);
	return 0;
}

static enum kt_result kms_encrypt(void *ctx, const struct kt_host *host,
	const struct kt_kms_call *call, const void *plaintext, size_t plaintext_len,
	struct kt_kms_record *out)
{
	struct state *state = ctx;
	struct kt_error e;
	int status;

	kms_tpm_set_deadline(state->key, call->deadline_ms);
	status = encrypt(state, call, plaintext, plaintext_len, out, &e);
	kms_tpm_set_deadline(state->key, 0);
	report(state, host);
	wipe(state->record_key);
	return status == 0 ? KT_OK : kt_module_fail(host, &e);
}

/* The annotations that encrypt() makes, and no other: a record has only what it was given. */
static int read_annotations(const struct kt_kms_record *record, const uint8_t **ret_id,
	struct kt_span *ret_bound, struct kt_error *e)
{
	const struct kt_kms_annotation *id = NULL, *recovery = NULL;

	for (size_t i = 0; i < record->annotation_count; i++) {
		const struct kt_kms_annotation *a = &record->annotations[i];

		if (id == NULL && strcmp(a->name, KT_RECORD_ANNOTATION_ID) == 0)
			id = a;
		else if (recovery == NULL && strcmp(a->name, KT_RECORD_ANNOTATION_RECOVERY) == 0)
			recovery = a;
		else
			return kt_fail(e, KT_E_REFUSED,
				"the record does not verify: it has an annotation that we did not "
				"give it");
	}
	if (id == NULL || id->value.len != KT_RECORD_ID_BYTES)
		return kt_fail(e, KT_E_REFUSED,
			"the record does not verify: no annotation " KT_RECORD_ANNOTATION_ID
			" of %d bytes",
			KT_RECORD_ID_BYTES);
	if (recovery != NULL && recovery->value.len != KT_RECORD_RECOVERY_BYTES)
		return kt_fail(e, KT_E_REFUSED,
			"the record does not verify: its annotation " KT_RECORD_ANNOTATION_RECOVERY
			" is malformed");
	*ret_id = id->value.data;
	if (recovery != NULL)
		*ret_bound = (struct kt_span){recovery->value.data, recovery->value.len};
	return 0;
}

/* Into state->plaintext. */
static int decrypt(struct state *state, const struct kt_kms_call *call,
	const struct kt_kms_record *record, struct kt_error *e)
{
	const struct kms_tpm_use use = use_of(state, call, false);
	struct kt_secret *key = state->record_key;
	struct kt_span bound = {"", 0};
	const uint8_t *id;

	if (read_annotations(record, &id, &bound, e) < 0)
		return -1;
	/* Before the TPM is asked. */
	if (record->ciphertext.len <= KT_RECORD_OVERHEAD_BYTES ||
		record->ciphertext.len > CIPHERTEXT_MAX)
		return kt_fail(e, KT_E_REFUSED, "a ciphertext of %zu bytes is none of ours",
			record->ciphertext.len);
	if (call->key_id == NULL)
		return kt_fail(e, KT_E_INTERNAL, "the host gives the key no key_id");
	memcpy(state->id, id, sizeof(state->id));
	if (kms_tpm_record_key(state->key, &use, state->id, key, e) < 0)
		return -1;
	return kt_record_open(
		key, bound, record->ciphertext.data, record->ciphertext.len, state->plaintext, e);
}

static enum kt_result kms_decrypt(void *ctx, const struct kt_host *host,
	const struct kt_kms_call *call, const struct kt_kms_record *record,
	struct kt_secret **ret_plaintext)
{
	struct state *state = ctx;
	struct kt_error e;
	int status;

	kms_tpm_set_deadline(state->key, call->deadline_ms);
	status = decrypt(state, call, record, &e);
	kms_tpm_set_deadline(state->key, 0);
	report(state, host);
	if (status == 0)
		status = kt_module_give(host, kt_secret_bytes(state->plaintext),
			kt_secret_len(state->plaintext), ret_plaintext, &e);
	wipe(state->record_key);
	wipe(state->plaintext);
	return status == 0 ? KT_OK : kt_module_fail(host, &e);
}

static enum kt_result kms_idle(void *ctx, const struct kt_host *host)
{
	struct state *state = ctx;
	struct kt_error e;
	int status = kms_tpm_idle(state->key, &e);

	report(state, host);
	return status == 0 ? KT_OK : kt_module_fail(host, &e);
}

static const struct kt_param params[] = {
	{"key", "the TPM key file, from sealtool key new", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"policy-dir", "folder of approvals, for keys that work in approved states", KT_PARAM_FILE},
	{"audit", "audit log, from sealtool audit init: each use of the key is in it",
		KT_PARAM_FILE},
	{"endorsement-auth-file", "with audit: the endorsement hierarchy's authorisation value",
		KT_PARAM_FILE},
	{"recovery", "public key that each record's key is wrapped to as well", KT_PARAM_FILE},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "kms-tpm",
	.summary = "the key that encrypts Secrets is in this machine's TPM",
	.params = params,
	.open = open_state,
	.close = close_state,
	.kms_key = kms_key,
	.kms_status = kms_status,
	.kms_encrypt = kms_encrypt,
	.kms_decrypt = kms_decrypt,
	.kms_idle = kms_idle,
};

KT_MODULE(module)
