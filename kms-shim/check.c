/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "kms-shim/client.h"
#include "kms-shim/worker.h"
#include "lib/json.h"
#include "lib/key-id.h"

#define SEED_BYTES 32 /* what an API server encrypts */
#define UID "kms-shim-check"
#define REPORT_MAX 16384
#define ONE_MACHINE                                                                                \
	"the key is in this machine's TPM alone: it serves one control-plane machine, and the "    \
	"Secrets are lost with that TPM unless kms.conf has a recovery key"

enum step { STATUS, ENCRYPT, DECRYPT, STEPS };

static const struct {
	const char *name;
	enum kt_method method;
} steps[STEPS] = {
	[STATUS] = {"status", KT_METHOD_V2_STATUS},
	[ENCRYPT] = {"encrypt", KT_METHOD_V2_ENCRYPT},
	[DECRYPT] = {"decrypt", KT_METHOD_V2_DECRYPT},
};

/* What is found out. */
struct check {
	const struct kt_kms_conf *conf;
	struct kt_client *client;
	struct kt_secret *seed;
	struct kt_reply *status, *encrypted, *decrypted;
	enum step at;
	int64_t us[STEPS];	      /* -1: not asked */
	struct kt_grpc_status answer; /* the last one */
};

static void fini(struct check *check)
{
	kt_client_close(check->client);
	kt_secret_free(check->seed);
	kt_reply_free(check->status);
	kt_reply_free(check->encrypted);
	kt_reply_free(check->decrypted);
}

/* google.rpc.Code to our exit status: the way back from kt_grpc_code_of(), as far as it is one. */
static enum kt_code code_of(enum kt_grpc_code code)
{
	switch (code) {
	case KT_GRPC_FAILED_PRECONDITION:
		return KT_E_POLICY;
	case KT_GRPC_UNAVAILABLE:
		return KT_E_TPM;
	case KT_GRPC_PERMISSION_DENIED:
		return KT_E_REFUSED;
	case KT_GRPC_RESOURCE_EXHAUSTED:
		return KT_E_BUSY;
	default:
		return KT_E_NETWORK;
	}
}

static int ask(struct check *check, enum step step, const struct kt_question *question,
	struct kt_reply **ret_reply, struct kt_error *e)
{
	struct kt_grpc_status status;
	struct kt_frame frame = {0};
	struct kt_bytes message = {0};
	int64_t begun = kt_now_us();
	int result;

	check->at = step;
	if (kt_codec_write_question(steps[step].method, question, &frame, &status) < 0)
		return kt_fail(e, KT_E_INTERNAL, "%s", status.text);
	result = kt_client_call(
		check->client, steps[step].method, &frame, &check->answer, &message, e);
	kt_wipe_free(frame.data);
	if (result < 0)
		return -1;
	check->us[step] = kt_now_us() - begun;
	if (check->answer.code != KT_GRPC_OK)
		return kt_fail(e, code_of(check->answer.code), "%s",
			check->answer.text[0] != '\0' ? check->answer.text
						      : "refused, without a reason");
	return kt_codec_read_reply(steps[step].method, message.data, message.len, ret_reply, e);
}

/* As k8s.io/apiserver checks it (server/options/encryptionconfig/config.go). */
static int check_status(struct check *check, struct kt_error *e)
{
	if (ask(check, STATUS, &(struct kt_question){0}, &check->status, e) < 0)
		return -1;
	if (strcmp(check->status->healthz, "ok") != 0)
		return kt_fail(e, KT_E_NETWORK, "healthz is \"%s\"", check->status->healthz);
	if (strcmp(check->status->version, check->conf->version) != 0)
		return kt_fail(e, KT_E_INPUT, "version is \"%s\", not \"%s\" as in %s",
			check->status->version, check->conf->version, check->conf->path);
	return 0;
}

static int check_round_trip(struct check *check, struct kt_error *e)
{
	struct kt_question question = {.uid = UID, .plaintext_len = SEED_BYTES};

	if (kt_secret_new(SEED_BYTES, &check->seed, e) < 0)
		return -1;
	if (getrandom(kt_secret_buffer(check->seed), SEED_BYTES, 0) != SEED_BYTES)
		return kt_fail_errno(e, KT_E_INTERNAL, "no random bytes");
	kt_secret_set_len(check->seed, SEED_BYTES);
	question.plaintext = kt_secret_bytes(check->seed);
	if (ask(check, ENCRYPT, &question, &check->encrypted, e) < 0)
		return -1;
	/* A rotation between the two is no fault. */
	if (strcmp(check->encrypted->key_id, check->status->key_id) != 0)
		return kt_fail(e, KT_E_BUSY,
			"Encrypt's key_id is not Status's: a rotation came between; ask again");
	question.key_id = check->encrypted->key_id;
	question.record = &check->encrypted->record;
	if (ask(check, DECRYPT, &question, &check->decrypted, e) < 0)
		return -1;
	if (check->decrypted->plaintext.len != SEED_BYTES ||
		memcmp(check->decrypted->plaintext.data, kt_secret_bytes(check->seed),
			SEED_BYTES) != 0)
		return kt_fail(e, KT_E_INPUT, "something else came back than was encrypted");
	return 0;
}

static bool is_one_machines(const struct check *check)
{
	return strcmp(check->conf->module, "kms-tpm") == 0;
}

static void print_text(const struct check *check, const char *hash, const struct kt_error *failure)
{
	for (enum step step = STATUS; step < STEPS; step++)
		if (step < check->at || (step == check->at && failure == NULL))
			printf("%-8s ok    %" PRId64 ".%03" PRId64 " ms\n", steps[step].name,
				check->us[step] / 1000, check->us[step] % 1000);
	if (failure != NULL)
		printf("%-8s FAIL  %s\n", steps[check->at].name,
			check->answer.code != KT_GRPC_OK ? kt_grpc_code_name(check->answer.code)
							 : failure->msg);
	if (check->status == NULL)
		return;
	printf("key_id   %s\nmetrics  %s\n", check->status->key_id, hash);
	if (is_one_machines(check))
		printf("note     " ONE_MACHINE "\n");
}

static void write_json(const struct check *check, const char *hash, const struct kt_error *failure,
	struct kt_jsonw *w)
{
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "status", failure == NULL ? "ok" : "failed");
	if (failure != NULL) {
		kt_jsonw_member(w, "check", steps[check->at].name);
		if (check->answer.code != KT_GRPC_OK)
			kt_jsonw_member(w, "code", kt_grpc_code_name(check->answer.code));
		kt_jsonw_member(w, "message", failure->msg);
	}
	if (check->status != NULL) {
		kt_jsonw_member(w, "version", check->status->version);
		kt_jsonw_member(w, "healthz", check->status->healthz);
		kt_jsonw_member(w, "keyId", check->status->key_id);
		kt_jsonw_member(w, "keyIdHash", hash);
	}
	kt_jsonw_name(w, "microseconds");
	kt_jsonw_begin_object(w);
	for (enum step step = STATUS; step < STEPS; step++)
		if (check->us[step] >= 0) {
			kt_jsonw_name(w, steps[step].name);
			kt_jsonw_int(w, check->us[step]);
		}
	kt_jsonw_end_object(w);
	if (is_one_machines(check))
		kt_jsonw_member(w, "note", ONE_MACHINE);
	kt_jsonw_end_object(w);
}

static int print_json(const struct check *check, const char *hash, const struct kt_error *failure,
	struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (kt_secret_new_unlocked(REPORT_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	write_json(check, hash, failure, &w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(text, "\n", 1, e) < 0)
		return -1;
	return kt_secret_write(text, STDOUT_FILENO, "standard output", e);
}

static int report(const struct check *check, const struct kt_check_options *options,
	const struct kt_error *failure, struct kt_error *e)
{
	char hash[KT_KMS_KEY_ID_SIZE] = "";

	if (check->status != NULL && kt_key_id_hash(check->status->key_id, hash, e) < 0)
		return -1;
	if (options->json)
		return print_json(check, hash, failure, e);
	print_text(check, hash, failure);
	return fflush(stdout) == 0 ? 0 : kt_fail_errno(e, KT_E_INTERNAL, "standard output");
}

int kt_check(
	const struct kt_kms_conf *conf, const struct kt_check_options *options, struct kt_error *e)
{
	__attribute__((cleanup(fini))) struct check check = {.conf = conf, .us = {-1, -1, -1}};
	struct kt_error failure = {0};
	int result;

	if (conf->listen == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: no line \"listen = unix:///PATH\"", conf->path);
	result = kt_client_open(
		conf->listen, kt_now_us() + options->timeout_us, &check.client, &failure);
	if (result == 0)
		result = check_status(&check, &failure);
	if (result == 0 && !options->status_only)
		result = check_round_trip(&check, &failure);
	if (report(&check, options, result < 0 ? &failure : NULL, e) < 0)
		return -1;
	if (result == 0)
		return 0;
	*e = failure;
	return kt_wrap(e, "%s", steps[check.at].name);
}
