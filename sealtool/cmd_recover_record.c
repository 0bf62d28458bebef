/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool recover-record: opens what kube-apiserver kept in etcd, with an offline recovery key; no
 * TPM, no kms-shim, no API server. For the day on which the TPM is dead.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/b64.h"
#include "lib/etcd-record.h"
#include "lib/io.h"
#include "lib/key-id.h"
#include "lib/log.h"
#include "sealtool/sealtool.h"

#define INPUT_MAX_BYTES ((size_t)512 << 20)
#define PATH_MAX_BYTES 1024 /* of a key in etcd */
#define VALUES_MAX 1000000
#define CLEAR_PREFIX "k8s"

struct options {
	struct common common;
	const char *path;
	bool all;
};

static const struct kt_opt opts[] = {
	OPT_KEY(struct options, "the recovery private key (PEM or JWK)"),
	{"path", 0, "KEY", "the record's key in etcd, e.g. /registry/secrets/default/db",
		KT_OPT_TEXT, offsetof(struct options, path)},
	{"all", 0, NULL,
		"open all records of an 'etcdctl get -w json', into files below the folder -o",
		KT_OPT_FLAG, offsetof(struct options, all)},
	OPT_OUTPUT(struct options, "write the resource there (default: standard output)"),
	OPT_FORCE(struct options),
	OPT_JSON(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* Where a value lies; borrowed. */
struct value {
	const char *path; /* NULL: not known */
	const uint8_t *data;
	size_t len;
	bool raw; /* as a tool printed it */
};

static int read_input(const char *path, uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	if (strcmp(path, "-") == 0)
		return kt_read_all(
			STDIN_FILENO, INPUT_MAX_BYTES, "standard input", ret_data, ret_len, e);
	return kt_read_file(path, INPUT_MAX_BYTES, ret_data, ret_len, e);
}

/* 'etcdctl get --print-value-only' puts a newline behind the value. An EncryptedObject is none with
 * it; of a v1 record only decryption can tell. */
static bool may_end_early(const struct value *value)
{
	return value->raw && value->len > 0 && value->data[value->len - 1] == '\n';
}

static int parse_value(const struct value *value, struct kt_etcd_record *record, struct kt_error *e)
{
	struct kt_error ignored;

	if (kt_etcd_record_parse(value->data, value->len, record, e) == 0)
		return 0;
	return may_end_early(value) && kt_etcd_record_parse(
					       value->data, value->len - 1, record, &ignored) == 0
		       ? 0
		       : -1;
}

static int open_value(const struct value *value, EVP_PKEY *key, struct kt_secret **ret_plaintext,
	struct kt_error *e)
{
	auto_free struct kt_etcd_record *record = calloc(1, sizeof(*record));

	if (record == NULL)
		return kt_fail_memory(e);
	if (parse_value(value, record, e) < 0)
		return -1;
	if (value->path == NULL)
		return kt_fail(e, KT_E_USAGE,
			"which record is it? its key in etcd is authenticated with it: give "
			"--path, or the JSON of 'etcdctl get KEY -w json'");
	if (kt_etcd_record_open(record, key, value->path, ret_plaintext, e) == 0)
		return 0;
	if (e->code != KT_E_REFUSED || record->version != 1 || !may_end_early(value))
		return -1;
	record->data.len--;
	return kt_etcd_record_open(record, key, value->path, ret_plaintext, e);
}

/* What a record says of itself, without being opened. */
static int describe(const struct value *value, struct kt_jsonw *w, struct kt_error *e)
{
	auto_free struct kt_etcd_record *record = calloc(1, sizeof(*record));
	char hash[KT_KMS_KEY_ID_SIZE];

	if (record == NULL)
		return kt_fail_memory(e);
	kt_jsonw_begin_object(w);
	if (value->path != NULL)
		kt_jsonw_member(w, "path", value->path);
	kt_jsonw_name(w, "encrypted");
	kt_jsonw_bool(w, kt_etcd_is_kms(value->data, value->len));
	if (kt_etcd_is_kms(value->data, value->len)) {
		if (parse_value(value, record, e) < 0 ||
			kt_key_id_hash(record->kms.key_id, hash, e) < 0)
			return -1;
		kt_jsonw_member(w, "apiVersion", record->version == 2 ? "v2" : "v1");
		kt_jsonw_member(w, "provider", record->provider);
		kt_jsonw_member(w, "keyId", record->kms.key_id);
		kt_jsonw_member(w, "keyIdHash", hash);
		kt_jsonw_name(w, "recoverable");
		kt_jsonw_bool(w, kt_etcd_record_is_recoverable(record));
	}
	kt_jsonw_end_object(w);
	return 0;
}

/* A key's own folders below the output folder: nothing that leads out of it. */
static int check_path(const char *path, struct kt_error *e)
{
	const char *at = path;

	if (path[0] != '/' || strlen(path) > PATH_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "not a key of an API server: \"%.100s\"", path);
	while (*at != '\0') {
		size_t len;

		at++;
		len = strcspn(at, "/");
		if (len == 0 || len > 255 || (len == 1 && at[0] == '.') ||
			(len == 2 && at[0] == '.' && at[1] == '.'))
			return kt_fail(
				e, KT_E_INPUT, "not a key of an API server: \"%.100s\"", path);
		at += len;
	}
	return 0;
}

static int make_folders(char *path, struct kt_error *e)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int failed;

		*slash = '\0';
		failed = mkdir(path, 0700) != 0 && errno != EEXIST;
		if (failed)
			kt_fail_errno(e, KT_E_USAGE, "cannot make the folder %s", path);
		*slash = '/';
		if (failed)
			return -1;
	}
	return 0;
}

static int write_below(
	const char *folder, const char *path, const void *data, size_t len, struct kt_error *e)
{
	auto_free char *file = NULL;

	if (asprintf(&file, "%s%s", folder, path) < 0) {
		file = NULL;
		return kt_fail_memory(e);
	}
	if (make_folders(file, e) < 0)
		return -1;
	return kt_replace_file(file, data, len, 0600, e);
}

/* What was in the clear stays so, and is written too: the folder then has all that etcd had. */
static int recover_below(const struct value *value, EVP_PKEY *key, const char *folder,
	size_t *clear, struct kt_error *e)
{
	auto_secret struct kt_secret *plaintext = NULL;

	if (check_path(value->path, e) < 0)
		return -1;
	if (value->len >= strlen(CLEAR_PREFIX) &&
		(memcmp(value->data, CLEAR_PREFIX, sizeof(CLEAR_PREFIX)) == 0 ||
			value->data[0] == '{')) {
		++*clear;
		return write_below(folder, value->path, value->data, value->len, e);
	}
	if (open_value(value, key, &plaintext, e) < 0)
		return kt_wrap(e, "%s", value->path);
	return write_below(
		folder, value->path, kt_secret_bytes(plaintext), kt_secret_len(plaintext), e);
}

/* One of the objects in "kvs". *ret_path is owned by the caller, and *ret_data. */
static int read_kv(struct json_object *kv, char **ret_path, uint8_t **ret_data, size_t *ret_len,
	struct kt_error *e)
{
	auto_free uint8_t *path = NULL, *data = NULL;
	const char *key, *text;
	size_t path_len, len;

	if (kt_json_get_string(kv, "key", (size_t)2 * PATH_MAX_BYTES, &key, e) < 0 ||
		kt_json_get_string(kv, "value", 2 * KT_ETCD_VALUE_MAX_BYTES, &text, e) < 0)
		return -1;
	if (kt_b64_decode(key, strlen(key), &path, &path_len, e) < 0 ||
		kt_b64_decode(text, strlen(text), &data, &len, e) < 0)
		return -1;
	if (memchr(path, '\0', path_len) != NULL)
		return kt_fail(e, KT_E_INPUT, "a key with a NUL byte");
	*ret_path = strndup((const char *)path, path_len);
	if (*ret_path == NULL)
		return kt_fail_memory(e);
	*ret_data = kt_take(data);
	*ret_len = len;
	return 0;
}

/* What is done with each value of a JSON. */
typedef int each_fn(void *ctx, const struct value *value, struct kt_error *e);

/* One that fails does not keep the others from being tried; the last failure is returned, the ones
 * before it are said. *ret_good counts. */
static int for_each(
	struct json_object *kvs, each_fn *each, void *ctx, size_t *ret_good, struct kt_error *e)
{
	struct kt_error failure = {0};
	size_t good = 0;

	for (size_t i = 0; i < json_object_array_length(kvs); i++) {
		auto_free uint8_t *data = NULL;
		auto_free char *path = NULL;
		struct value value = {0};
		struct kt_error why;

		if (read_kv(json_object_array_get_idx(kvs, i), &path, &data, &value.len, &why) <
			0) {
			kt_wrap(&why, "value %zu", i + 1);
		} else {
			value.path = path;
			value.data = data;
			if (each(ctx, &value, &why) == 0) {
				good++;
				continue;
			}
		}
		if (failure.code != KT_E_NONE)
			kt_warn("%s", failure.msg);
		failure = why;
	}
	*ret_good = good;
	if (failure.code == KT_E_NONE)
		return 0;
	*e = failure;
	return -1;
}

struct recovery {
	EVP_PKEY *key;
	const char *folder;
	size_t clear;
};

static int recover_each(void *ctx, const struct value *value, struct kt_error *e)
{
	struct recovery *recovery = ctx;

	return recover_below(value, recovery->key, recovery->folder, &recovery->clear, e);
}

/* In a folder that others can write, what is written could be led elsewhere. */
static int make_output(const char *path, struct kt_error *e)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &st) != 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot make the folder %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s is no folder of yours that nobody else can write: Secrets in the clear "
			"are to go there; choose another",
			path);
	return 0;
}

static int recover_all(const struct options *options, struct json_object *kvs, struct kt_error *e)
{
	auto_pkey EVP_PKEY *key = NULL;
	struct recovery recovery = {0};
	size_t good;
	int status;

	if (is_stdout(&options->common))
		return kt_fail(e, KT_E_USAGE, "--all: into which folder? give -o FOLDER");
	if (read_recovery_key(&options->common, &key, e) < 0)
		return -1;
	if (make_output(options->common.output, e) < 0)
		return -1;
	recovery.key = key;
	recovery.folder = options->common.output;
	status = for_each(kvs, recover_each, &recovery, &good, e);
	fprintf(stderr, "%zu of %zu values written below %s; %zu of them were in the clear\n", good,
		json_object_array_length(kvs), recovery.folder, recovery.clear);
	return status;
}

static int describe_each(void *ctx, const struct value *value, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	(void)ctx;
	if (start_json(&w, &text, e) < 0 || describe(value, &w, e) < 0)
		return value->path != NULL ? kt_wrap(e, "%s", value->path) : -1;
	return finish_json(&w, text, e);
}

static int recover_one(const struct options *options, const struct value *value, struct kt_error *e)
{
	auto_secret struct kt_secret *plaintext = NULL;
	auto_pkey EVP_PKEY *key = NULL;

	if (options->common.json)
		return describe_each(NULL, value, e);
	if (options->common.key == NULL)
		return kt_fail(e, KT_E_USAGE, "--key is needed: the recovery private key");
	if (check_secret_output(&options->common, e) < 0 ||
		read_recovery_key(&options->common, &key, e) < 0 ||
		open_value(value, key, &plaintext, e) < 0)
		return -1;
	return write_secret(&options->common, plaintext, e);
}

static int run_json(const struct options *options, struct json_object *kvs, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	auto_free char *path = NULL;
	struct value value = {0};
	size_t good;

	if (options->path != NULL)
		return kt_fail(e, KT_E_USAGE, "--path: the JSON says which record it is");
	if (options->common.json)
		return for_each(kvs, describe_each, NULL, &good, e);
	if (options->common.key == NULL)
		return kt_fail(e, KT_E_USAGE, "--key is needed: the recovery private key");
	if (options->all)
		return recover_all(options, kvs, e);
	if (json_object_array_length(kvs) != 1)
		return kt_fail(e, KT_E_USAGE, "%zu values are in it: give --all -o FOLDER",
			json_object_array_length(kvs));
	if (read_kv(json_object_array_get_idx(kvs, 0), &path, &data, &value.len, e) < 0)
		return -1;
	value.path = path;
	value.data = data;
	return recover_one(options, &value, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}

static int run_raw(
	const struct options *options, const uint8_t *data, size_t len, struct kt_error *e)
{
	const struct value value = {.path = options->path, .data = data, .len = len, .raw = true};

	if (options->all)
		return kt_fail(e, KT_E_USAGE, "--all takes the JSON of 'etcdctl get -w json'");
	return recover_one(options, &value, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	auto_json struct json_object *object = NULL;
	struct json_object *kvs = NULL;
	struct options options = {0};
	auto_free uint8_t *data = NULL;
	size_t len;
	bool done;
	int first;

	if (parse_options(&verb_recover_record, argc, argv, &options, &options.common, &first,
		    &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (read_input(argv[first], &data, &len, e) < 0)
		return -1;
	if (len == 0 || data[0] != '{')
		return run_raw(&options, data, len, e) < 0 ? kt_wrap(e, "%s", argv[first]) : 0;
	if (kt_json_parse((const char *)data, len, &object, e) < 0 ||
		kt_json_get_array(object, "kvs", VALUES_MAX, &kvs, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	return run_json(&options, kvs, e) < 0 ? kt_wrap(e, "%s", argv[first]) : 0;
}

const struct kt_verb verb_recover_record = {
	.command = {PROGRAM, "recover-record", "FILE|-",
		"open what kms-shim encrypted in etcd, with a recovery key", opts, 1, 1},
	.run = run,
};
