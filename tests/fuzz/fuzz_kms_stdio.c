/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines over a module that does no cryptography: each line has one reply, which is JSON; and
 * what Encrypt replied, Decrypt opens.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "kms-shim/stdio.h"
#include "lib/json.h"

#define CONF "module = fake\ncluster = prod\nkey = new\nold-key = old\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char keys[2][8]; /* the states: a key's name */
static unsigned key_count;
static uint8_t ciphertext[KT_KMS_CIPHERTEXT_MAX_BYTES];

static enum kt_result fake_open(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	(void)host;
	assert(argc == 1 && key_count < 2);
	snprintf(keys[key_count], sizeof(keys[0]), "%s", argv[0] + strlen("key="));
	*ret_state = keys[key_count++];
	return KT_OK;
}

static enum kt_result fake_key(void *state, const struct kt_host *host, struct kt_kms_key *ret_key)
{
	(void)host;
	snprintf(ret_key->key_name, sizeof(ret_key->key_name), "%s", (const char *)state);
	return KT_OK;
}

static enum kt_result fake_status(void *state, const struct kt_host *host)
{
	(void)state;
	(void)host;
	return KT_OK;
}

static enum kt_result fake_encrypt(void *state, const struct kt_host *host,
	const struct kt_kms_call *call, const void *plaintext, size_t len,
	struct kt_kms_record *out)
{
	(void)host;
	assert(strlen(call->uid) <= KT_KMS_UID_MAX_BYTES);
	assert(len > 0 && len <= KT_KMS_MESSAGE_MAX_BYTES);
	if (len > sizeof(ciphertext))
		return KT_ERROR;
	memcpy(ciphertext, plaintext, len);
	out->ciphertext = (struct kt_bytes){ciphertext, len};
	out->annotations[0].name = "id.kubetpm.internal";
	out->annotations[0].value = (struct kt_bytes){state, strlen(state)};
	out->annotation_count = 1;
	return KT_OK;
}

static enum kt_result fake_decrypt(void *state, const struct kt_host *host,
	const struct kt_kms_call *call, const struct kt_kms_record *record,
	struct kt_secret **ret_plaintext)
{
	(void)state;
	assert(strlen(call->uid) <= KT_KMS_UID_MAX_BYTES);
	*ret_plaintext = host->secret_new(host->ctx, record->ciphertext.len);
	return host->secret_append(host->ctx, *ret_plaintext, record->ciphertext.data,
		       record->ciphertext.len) == 0
		       ? KT_OK
		       : KT_ERROR;
}

static const struct kt_param params[] = {{"key", "a key", KT_PARAM_REQUIRED}, {0}};
static const struct kt_module module = {
	.size = sizeof(module),
	.name = "fake",
	.params = params,
	.open = fake_open,
	.kms_key = fake_key,
	.kms_status = fake_status,
	.kms_encrypt = fake_encrypt,
	.kms_decrypt = fake_decrypt,
};

static struct kt_kms *core(void)
{
	static struct kt_kms *kms;
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	struct kt_error e;

	if (kms != NULL)
		return kms;
	assert(kt_kms_conf_parse(CONF, strlen(CONF), "kms.conf", &conf, &e) == 0);
	assert(kt_kms_open_module(conf, &module, &kms, &e) == 0);
	return kms;
}

/* *ret_reply is one JSON object. */
static void ask(
	const void *text, size_t len, struct kt_secret *reply, struct json_object **ret_json)
{
	auto_secret struct kt_secret *line = NULL;
	const char *bytes = kt_secret_bytes(reply);
	struct kt_error e;

	assert(kt_secret_from(text, len, &line, &e) == 0);
	assert(kt_stdio_answer(core(), line, reply, &e) == 0);
	len = kt_secret_len(reply);
	assert(memchr(bytes, '\n', len) == bytes + len - 1);
	assert(kt_json_parse(bytes, len - 1, ret_json, &e) == 0);
}

static void check_decrypts(struct json_object *encrypted, const char *plaintext)
{
	auto_secret struct kt_secret *reply = NULL;
	auto_json struct json_object *request = NULL;
	auto_json struct json_object *decrypted = NULL;
	const char *text;
	struct kt_error e;

	assert(json_object_deep_copy(encrypted, &request, NULL) == 0);
	assert(json_object_object_add(request, "method", json_object_new_string("Decrypt")) == 0);
	text = json_object_to_json_string(request);
	assert(kt_secret_new(KT_STDIO_REPLY_MAX_BYTES, &reply, &e) == 0);
	ask(text, strlen(text), reply, &decrypted);
	assert(kt_json_get_string(decrypted, "plaintext", 4096, &text, &e) == 0);
	assert(strcmp(text, plaintext) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_secret struct kt_secret *reply = NULL;
	auto_json struct json_object *json = NULL;
	auto_json struct json_object *request = NULL;
	const char *plaintext;
	struct kt_error e;

	assert(kt_secret_new(KT_STDIO_REPLY_MAX_BYTES, &reply, &e) == 0);
	ask(data, size, reply, &json);
	if (json_object_object_get(json, "ciphertext") == NULL)
		return 0;
	assert(kt_json_parse((const char *)data, size, &request, &e) == 0);
	assert(kt_json_get_string(request, "plaintext", 4096, &plaintext, &e) == 0);
	check_decrypts(json, plaintext);
	return 0;
}
