/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core. It trusts neither side: a request is checked before the module sees it, what the module
 * made before it leaves. The first key encrypts; all of them decrypt, each only what carries its
 * key_id.
 */
#include "kms-shim/kms.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/kms-v1.h"
#include "lib/kms-limits.h"
#include "lib/host.h"
#include "lib/key-id.h"
#include "lib/loader.h"
#include "lib/log.h"

#define STATUS_MAX_AGE_US 1000000
#define IDLE_FIRST_MS 1000
#define IDLE_AGAIN_MS 5000

struct key {
	void *state; /* the module's */
	char id[KT_KMS_KEY_ID_SIZE];
};

struct kt_kms {
	struct kt_host_base host;
	struct kt_module module;
	char *module_name, *cluster, *tcti, *version, *conf_path; /* owned */
	size_t key_count;
	struct key keys[1 + KT_KMS_OLD_KEYS_MAX]; /* the current one first */
	bool status_known;
	bool status_good;
	uint64_t status_at; /* when the question was asked, in microseconds */
	struct kt_error status_error;
	bool is_idle; /* the last call was kt_kms_idle() */
	struct kt_error idle_error;
	uint64_t module_time;
	int64_t deadline_ms;
	uint8_t *v1_cipher; /* owned: the last answer of kt_kms_encrypt_v1() */
};

static uint64_t now_us(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const struct kt_param *find_param(const struct kt_module *module, const char *name)
{
	for (const struct kt_param *p = module->params; p != NULL && p->key != NULL; p++)
		if (strcmp(p->key, name) == 0)
			return p;
	return NULL;
}

static bool has_line(const struct kt_kms_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->line_count; i++)
		if (strcmp(conf->lines[i].name, name) == 0)
			return true;
	return false;
}

static int check_lines(
	const struct kt_kms_conf *conf, const struct kt_module *module, struct kt_error *e)
{
	for (size_t i = 0; i < conf->line_count; i++)
		if (find_param(module, conf->lines[i].name) == NULL)
			return kt_fail(e, KT_E_USAGE,
				"%s:%u: neither kms-shim nor module %s knows \"%s\"", conf->path,
				conf->lines[i].number, conf->module, conf->lines[i].name);
	for (const struct kt_param *p = module->params; p != NULL && p->key != NULL; p++)
		if ((p->flags & KT_PARAM_REQUIRED) != 0 && strcmp(p->key, "key") != 0 &&
			!has_line(conf, p->key))
			return kt_fail(e, KT_E_USAGE, "%s: module %s needs \"%s = ...\"",
				conf->path, conf->module, p->key);
	if (find_param(module, "key") == NULL)
		return kt_fail(
			e, KT_E_USAGE, "%s: module %s takes no key", conf->path, conf->module);
	return 0;
}

static int check_module(
	const struct kt_kms_conf *conf, const struct kt_module *module, struct kt_error *e)
{
	if (module->kms_key == NULL || module->kms_status == NULL || module->kms_encrypt == NULL ||
		module->kms_decrypt == NULL)
		return kt_fail(
			e, KT_E_USAGE, "%s: module %s serves no keys", conf->path, conf->module);
	return check_lines(conf, module, e);
}

/* What open() gets: "name=value", files absolute. */
struct arguments {
	int count;
	char *values[1 + KT_KMS_MODULE_LINES_MAX]; /* owned */
};

static void free_arguments(struct arguments *arguments)
{
	for (int i = 0; i < arguments->count; i++)
		free(arguments->values[i]);
}

static int add_argument(struct arguments *arguments, const struct kt_kms_conf *conf,
	const struct kt_param *param, const char *value, struct kt_error *e)
{
	auto_free char *path = NULL;
	char *argument = NULL;

	if ((param->flags & KT_PARAM_FILE) != 0 && kt_kms_conf_join(conf->dir, value, &path, e) < 0)
		return -1;
	if (asprintf(&argument, "%s=%s", param->key, path != NULL ? path : value) < 0)
		return kt_fail_memory(e);
	arguments->values[arguments->count++] = argument;
	return 0;
}

static int call_open(struct kt_kms *kms, const struct kt_kms_conf *conf, const char *value,
	void **ret_state, struct kt_error *e)
{
	__attribute__((cleanup(free_arguments))) struct arguments arguments = {0};
	const char *argv[1 + KT_KMS_MODULE_LINES_MAX];
	enum kt_result result;

	if (kms->module.open == NULL)
		return 0;
	if (add_argument(&arguments, conf, find_param(&kms->module, "key"), value, e) < 0)
		return -1;
	for (size_t i = 0; i < conf->line_count; i++)
		if (add_argument(&arguments, conf, find_param(&kms->module, conf->lines[i].name),
			    conf->lines[i].value, e) < 0)
			return -1;
	for (int i = 0; i < arguments.count; i++)
		argv[i] = arguments.values[i];
	kt_host_enter(&kms->host, kms->module_name);
	result = kms->module.open(&kms->host.table, arguments.count, argv, ret_state);
	return result == KT_OK ? 0 : kt_host_failure(&kms->host, result, e);
}

static int name_key(struct kt_kms *kms, struct key *key, const char *epoch, struct kt_error *e)
{
	struct kt_kms_key what = {.size = sizeof(what)};
	enum kt_result result;

	kt_host_enter(&kms->host, kms->module_name);
	result = kms->module.kms_key(key->state, &kms->host.table, &what);
	if (result != KT_OK)
		return kt_host_failure(&kms->host, result, e);
	if (what.key_name[0] == '\0' ||
		memchr(what.key_name, '\0', sizeof(what.key_name)) == NULL ||
		memchr(what.version, '\0', sizeof(what.version)) == NULL)
		return kt_fail(e, KT_E_INTERNAL, "%s: gives its key no name", kms->module_name);
	return kt_key_id(&(struct kt_key_id_parts){.cluster = kms->cluster,
				 .module = kms->module_name,
				 .key_name = what.key_name,
				 .version = what.version,
				 .epoch = epoch},
		key->id, e);
}

static int open_key(struct kt_kms *kms, const struct kt_kms_conf *conf,
	const struct kt_kms_conf_key *wanted, struct kt_error *e)
{
	struct key *key = &kms->keys[kms->key_count];

	/* From here on close() is called for it, also when open() fails half-way. */
	kms->key_count++;
	if (call_open(kms, conf, wanted->key, &key->state, e) < 0 ||
		name_key(kms, key, wanted->epoch, e) < 0)
		return kt_wrap(e, "%s:%u", conf->path, wanted->number);
	for (const struct key *other = kms->keys; other < key; other++)
		if (strcmp(other->id, key->id) == 0)
			return kt_fail(e, KT_E_USAGE,
				"%s:%u: this key, with this epoch, was named before", conf->path,
				wanted->number);
	return 0;
}

static int copy_texts(struct kt_kms *kms, const struct kt_kms_conf *conf, struct kt_error *e)
{
	kms->module_name = strdup(conf->module);
	kms->cluster = strdup(conf->cluster);
	kms->version = strdup(conf->version);
	kms->conf_path = strdup(conf->path);
	kms->tcti = conf->tcti != NULL ? strdup(conf->tcti) : NULL;
	if (kms->module_name == NULL || kms->cluster == NULL || kms->version == NULL ||
		kms->conf_path == NULL || (conf->tcti != NULL && kms->tcti == NULL))
		return kt_fail_memory(e);
	return 0;
}

int kt_kms_open_module(const struct kt_kms_conf *conf, const struct kt_module *module,
	struct kt_kms **ret_kms, struct kt_error *e)
{
	auto_kms struct kt_kms *kms = calloc(1, sizeof(*kms));

	if (kms == NULL)
		return kt_fail_memory(e);
	kms->module = *module;
	if (check_module(conf, module, e) < 0 || copy_texts(kms, conf, e) < 0)
		return -1;
	kt_host_init(&kms->host);
	kms->host.items[KT_ITEM_REQUEST] = "kms";
	kms->host.items[KT_ITEM_CLUSTER] = kms->cluster;
	kms->host.items[KT_ITEM_TCTI] = kms->tcti;
	if (open_key(kms, conf, &conf->key, e) < 0)
		return -1;
	for (size_t i = 0; i < conf->old_key_count; i++)
		if (open_key(kms, conf, &conf->old_keys[i], e) < 0)
			return -1;
	*ret_kms = kt_take(kms);
	return 0;
}

int kt_kms_open(const struct kt_kms_conf *conf, const char *module_dir, struct kt_kms **ret_kms,
	struct kt_error *e)
{
	struct kt_module module;

	if (kt_module_load(module_dir, conf->module, &module, e) < 0)
		return -1;
	return kt_kms_open_module(conf, &module, ret_kms, e);
}

int kt_kms_reload(const struct kt_kms *kms, const struct kt_kms_conf *conf, struct kt_kms **ret_kms,
	struct kt_kms_conf **ret_conf, struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *new_conf = NULL;

	if (kt_kms_conf_reread(conf, &new_conf, e) < 0 ||
		kt_kms_open_module(new_conf, &kms->module, ret_kms, e) < 0)
		return -1;
	*ret_conf = kt_take(new_conf);
	return 0;
}

void kt_kms_close(struct kt_kms *kms)
{
	if (kms == NULL)
		return;
	for (size_t i = 0; i < kms->key_count && kms->module.close != NULL; i++)
		kms->module.close(kms->keys[i].state);
	free(kms->module_name);
	free(kms->cluster);
	free(kms->tcti);
	free(kms->version);
	free(kms->conf_path);
	free(kms->v1_cipher);
	free(kms);
}

uint64_t kt_kms_module_time(const struct kt_kms *kms)
{
	return kms->module_time;
}

/* Begins a call of the module's, and returns when. */
void kt_kms_set_deadline(struct kt_kms *kms, int64_t deadline_ms)
{
	kms->deadline_ms = deadline_ms;
}

int kt_kms_key_hashes(
	const struct kt_kms *kms, struct kt_key_hashes *ret_hashes, struct kt_error *e)
{
	for (size_t i = 0; i < kms->key_count; i++)
		if (kt_key_id_hash(kms->keys[i].id, ret_hashes->hashes[i], e) < 0)
			return -1;
	ret_hashes->count = kms->key_count;
	return 0;
}

void kt_kms_take_counts(struct kt_kms *kms, struct kt_kms_counts *ret_counts)
{
	uint64_t *counts = kms->host.counts;

	*ret_counts = (struct kt_kms_counts){
		.commands = counts[KT_COUNT_COMMANDS],
		.retries = counts[KT_COUNT_RETRIES],
		.reconnects = counts[KT_COUNT_RECONNECTS],
		.backend_us = counts[KT_COUNT_BACKEND_US],
	};
	memset(counts, 0, sizeof(kms->host.counts));
}

static uint64_t enter(struct kt_kms *kms)
{
	kt_host_enter(&kms->host, kms->module_name);
	kms->is_idle = false;
	return now_us();
}

/* Ends it. What failed for another reason than the record makes the next Status ask again. */
static int leave(struct kt_kms *kms, uint64_t begun, enum kt_result result, struct kt_error *e)
{
	kms->module_time = now_us() - begun;
	if (result == KT_OK)
		return 0;
	kt_host_failure(&kms->host, result, e);
	if (e->code != KT_E_INPUT && e->code != KT_E_REFUSED)
		kms->status_known = false;
	return -1;
}

static void ask_status(struct kt_kms *kms)
{
	uint64_t begun = enter(kms);
	enum kt_result result = kms->module.kms_status(kms->keys[0].state, &kms->host.table);

	kms->status_good = leave(kms, begun, result, &kms->status_error) == 0;
	kms->status_at = begun;
	kms->status_known = true;
}

int kt_kms_idle_after_ms(const struct kt_kms *kms)
{
	if (kms->module.kms_idle == NULL)
		return -1;
	return kms->is_idle ? IDLE_AGAIN_MS : IDLE_FIRST_MS;
}

void kt_kms_idle(struct kt_kms *kms)
{
	uint64_t begun = enter(kms);
	enum kt_result result = kms->module.kms_idle(kms->keys[0].state, &kms->host.table);
	struct kt_error e = {0};

	if (leave(kms, begun, result, &e) < 0 && strcmp(e.msg, kms->idle_error.msg) != 0)
		kt_warn("%s", e.msg);
	kms->idle_error = e;
	kms->is_idle = true;
}

int kt_kms_status(struct kt_kms *kms, struct kt_kms_status *ret_status, struct kt_error *e)
{
	kms->module_time = 0;
	if (!kms->status_known || now_us() - kms->status_at >= STATUS_MAX_AGE_US)
		ask_status(kms);
	if (!kms->status_good)
		return kt_fail(e, kms->status_error.code, "%s", kms->status_error.msg);
	*ret_status = (struct kt_kms_status){kms->version, "ok", kms->keys[0].id};
	return 0;
}

/* It goes into logs. */
static int check_uid(const char *uid, struct kt_error *e)
{
	if (strnlen(uid, KT_KMS_UID_MAX_BYTES + 1) > KT_KMS_UID_MAX_BYTES)
		return kt_fail(
			e, KT_E_INPUT, "the uid has more than %d bytes", KT_KMS_UID_MAX_BYTES);
	for (const char *p = uid; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return kt_fail(e, KT_E_INPUT, "the uid has a control character");
	return 0;
}

int kt_kms_encrypt(struct kt_kms *kms, const char *uid, const void *plaintext, size_t len,
	struct kt_kms_encrypted *ret_encrypted, struct kt_error *e)
{
	const struct key *key = &kms->keys[0];
	const struct kt_kms_call call = {.size = sizeof(call),
		.uid = uid,
		.key_id = key->id,
		.deadline_ms = kms->deadline_ms};
	struct kt_kms_record record = {.size = sizeof(record)};
	enum kt_result result;
	uint64_t begun;

	kms->module_time = 0;
	if (check_uid(uid, e) < 0)
		return -1;
	if (len == 0 || len > KT_KMS_MESSAGE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "the plaintext has %zu bytes, not 1 to %d", len,
			KT_KMS_MESSAGE_MAX_BYTES);
	begun = enter(kms);
	result = kms->module.kms_encrypt(
		key->state, &kms->host.table, &call, plaintext, len, &record);
	if (leave(kms, begun, result, e) < 0)
		return -1;
	if (kt_kms_record_check(&record, KT_E_INTERNAL, e) < 0)
		return kt_wrap(e, "%s made a record that no API server takes", kms->module_name);
	ret_encrypted->key_id = key->id;
	ret_encrypted->record = record;
	return 0;
}

static const struct key *find_key(const struct kt_kms *kms, const char *key_id)
{
	for (size_t i = 0; i < kms->key_count; i++)
		if (strcmp(kms->keys[i].id, key_id) == 0)
			return &kms->keys[i];
	return NULL;
}

static int check_request(struct kt_kms *kms, const char *uid, const char *key_id,
	const struct kt_kms_record *record, const struct key **ret_key, struct kt_error *e)
{
	const struct key *key;

	if (check_uid(uid, e) < 0 || kt_kms_record_check(record, KT_E_INPUT, e) < 0)
		return -1;
	if (*key_id == '\0')
		return kt_fail(e, KT_E_INPUT, "there is no key_id");
	key = find_key(kms, key_id);
	if (key == NULL)
		return kt_fail(e, KT_E_INPUT,
			"no key here has the key_id %.80s; name it as old-key in %s", key_id,
			kms->conf_path);
	*ret_key = key;
	return 0;
}

int kt_kms_decrypt(struct kt_kms *kms, const char *uid, const char *key_id,
	const struct kt_kms_record *record, struct kt_secret **ret_plaintext, struct kt_error *e)
{
	struct kt_kms_call call = {
		.size = sizeof(call), .uid = uid, .deadline_ms = kms->deadline_ms};
	auto_secret struct kt_secret *plaintext = NULL;
	const struct key *key = NULL;
	enum kt_result result;
	uint64_t begun;

	kms->module_time = 0;
	if (check_request(kms, uid, key_id, record, &key, e) < 0)
		return -1;
	call.key_id = key->id;
	begun = enter(kms);
	result = kms->module.kms_decrypt(key->state, &kms->host.table, &call, record, &plaintext);
	if (leave(kms, begun, result, e) < 0)
		return -1;
	if (plaintext == NULL || kt_secret_len(plaintext) == 0 ||
		kt_secret_len(plaintext) > KT_KMS_MESSAGE_MAX_BYTES)
		return kt_fail(e, KT_E_INTERNAL, "%s made no plaintext of 1 to %d bytes",
			kms->module_name, KT_KMS_MESSAGE_MAX_BYTES);
	*ret_plaintext = kt_take(plaintext);
	return 0;
}

int kt_kms_encrypt_v1(struct kt_kms *kms, const void *plaintext, size_t len,
	struct kt_bytes *ret_cipher, struct kt_error *e)
{
	struct kt_kms_encrypted encrypted;
	uint8_t *cipher = NULL;
	size_t cipher_len;

	if (kt_kms_encrypt(kms, "", plaintext, len, &encrypted, e) < 0 ||
		kt_kms_v1_pack(encrypted.key_id, &encrypted.record, &cipher, &cipher_len, e) < 0)
		return -1;
	free(kms->v1_cipher);
	kms->v1_cipher = cipher;
	*ret_cipher = (struct kt_bytes){cipher, cipher_len};
	return 0;
}

int kt_kms_decrypt_v1(struct kt_kms *kms, const void *cipher, size_t len,
	struct kt_secret **ret_plaintext, struct kt_error *e)
{
	struct kt_kms_v1 v1;

	kms->module_time = 0;
	if (kt_kms_v1_unpack(cipher, len, &v1, e) < 0)
		return -1;
	return kt_kms_decrypt(kms, "", v1.key_id, &v1.record, ret_plaintext, e);
}

static const struct {
	enum kt_grpc_code code;
	const char *name;
} code_names[] = {
	{KT_GRPC_OK, "OK"},
	{KT_GRPC_INVALID_ARGUMENT, "INVALID_ARGUMENT"},
	{KT_GRPC_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"},
	{KT_GRPC_NOT_FOUND, "NOT_FOUND"},
	{KT_GRPC_PERMISSION_DENIED, "PERMISSION_DENIED"},
	{KT_GRPC_RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"},
	{KT_GRPC_FAILED_PRECONDITION, "FAILED_PRECONDITION"},
	{KT_GRPC_UNIMPLEMENTED, "UNIMPLEMENTED"},
	{KT_GRPC_INTERNAL, "INTERNAL"},
	{KT_GRPC_UNAVAILABLE, "UNAVAILABLE"},
};

const char *kt_grpc_code_name(enum kt_grpc_code code)
{
	for (size_t i = 0; i < sizeof(code_names) / sizeof(code_names[0]); i++)
		if (code_names[i].code == code)
			return code_names[i].name;
	return "UNKNOWN";
}

/* UNAVAILABLE is what may pass by itself; FAILED_PRECONDITION what somebody has to do something
 * about first. */
enum kt_grpc_code kt_grpc_code_of(enum kt_code code)
{
	switch (code) {
	case KT_E_NONE:
		return KT_GRPC_OK;
	case KT_E_INPUT:
		return KT_GRPC_INVALID_ARGUMENT;
	case KT_E_REFUSED:
		return KT_GRPC_PERMISSION_DENIED;
	case KT_E_TPM:
	case KT_E_LOCKOUT:
	case KT_E_NETWORK:
	case KT_E_BUSY:
		return KT_GRPC_UNAVAILABLE;
	case KT_E_USAGE:
	case KT_E_POLICY:
	case KT_E_PIN:
	case KT_E_WRONG_TPM:
	case KT_E_NOT_PROVISIONED:
	case KT_E_REVOKED:
	case KT_E_EVIDENCE:
		return KT_GRPC_FAILED_PRECONDITION;
	case KT_E_INTERNAL:
		break;
	}
	return KT_GRPC_INTERNAL;
}
