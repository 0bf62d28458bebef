/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kms module inside the test, which answers as `plan` says and counts what it is asked. Its
 * ciphertext is the plaintext reversed, its annotation the name of its key.
 */
#ifndef KT_TESTS_UNIT_KMS_H
#define KT_TESTS_UNIT_KMS_H

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/kms.h"

#define CONF "module = fake\ncluster = prod\nkey = new\nold-key = old\n"

static struct {
	enum kt_result open, status, encrypt, decrypt;
	enum kt_code code;	/* what fail() is told, if not 0 */
	const char *open_fails; /* for this key alone */
	bool no_name, no_plaintext;
	void (*spoil)(struct kt_kms_record *record);
	unsigned opened, closed, asked;
	char uid[64], key_id[128];
	int64_t deadline_ms;
	uint64_t commands; /* that each call counts */
	char argv[4][128];
	int argc;
	char items[3][64];
} plan;

struct fake {
	char key[64];
	uint8_t ciphertext[70000];
};

static enum kt_result answer(const struct kt_host *host, enum kt_result result)
{
	if (result != KT_OK && plan.code != KT_E_NONE)
		host->fail(host->ctx, plan.code, "as planned");
	return result;
}

static void copy_item(const struct kt_host *host, unsigned index, enum kt_item item)
{
	const char *value = host->get_item(host->ctx, item);

	snprintf(plan.items[index], sizeof(plan.items[index]), "%s", value != NULL ? value : "-");
}

static enum kt_result fake_open(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	const char *key = strrchr(argv[0], '/');

	cr_assert_not_null(fake);
	*ret_state = fake;
	plan.opened++;
	plan.argc = argc;
	for (int i = 0; i < argc && i < 4; i++)
		snprintf(plan.argv[i], sizeof(plan.argv[i]), "%s", argv[i]);
	copy_item(host, 0, KT_ITEM_REQUEST);
	copy_item(host, 1, KT_ITEM_CLUSTER);
	copy_item(host, 2, KT_ITEM_TCTI);
	snprintf(fake->key, sizeof(fake->key), "%s", key != NULL ? key + 1 : argv[0]);
	if (plan.open_fails != NULL && strcmp(fake->key, plan.open_fails) == 0)
		return answer(host, KT_ERROR);
	return answer(host, plan.open);
}

static void fake_close(void *state)
{
	plan.closed++;
	free(state);
}

static enum kt_result fake_key(void *state, const struct kt_host *host, struct kt_kms_key *ret_key)
{
	const struct fake *fake = state;

	(void)host;
	if (!plan.no_name)
		snprintf(ret_key->key_name, sizeof(ret_key->key_name), "%s", fake->key);
	return KT_OK;
}

static enum kt_result fake_status(void *state, const struct kt_host *host)
{
	(void)state;
	plan.asked++;
	return answer(host, plan.status);
}

static void note_call(const struct kt_host *host, const struct kt_kms_call *call)
{
	plan.deadline_ms = call->deadline_ms;
	host->count(host->ctx, KT_COUNT_COMMANDS, plan.commands);
	cr_assert_eq(call->size, sizeof(*call));
	snprintf(plan.uid, sizeof(plan.uid), "%s", call->uid);
	snprintf(plan.key_id, sizeof(plan.key_id), "%s", call->key_id);
}

static enum kt_result fake_encrypt(void *state, const struct kt_host *host,
	const struct kt_kms_call *call, const void *plaintext, size_t len,
	struct kt_kms_record *out)
{
	const uint8_t *in = plaintext;
	struct fake *fake = state;

	note_call(host, call);
	for (size_t i = 0; i < len; i++)
		fake->ciphertext[i] = in[len - 1 - i];
	out->ciphertext = (struct kt_bytes){fake->ciphertext, len};
	out->annotations[0].name = "id.kubetpm.internal";
	out->annotations[0].value.data = (const uint8_t *)fake->key;
	out->annotations[0].value.len = strlen(fake->key);
	out->annotation_count = 1;
	if (plan.spoil != NULL)
		plan.spoil(out);
	return answer(host, plan.encrypt);
}

static enum kt_result fake_decrypt(void *state, const struct kt_host *host,
	const struct kt_kms_call *call, const struct kt_kms_record *record,
	struct kt_secret **ret_plaintext)
{
	const struct fake *fake = state;
	size_t len = record->ciphertext.len;

	note_call(host, call);
	if (record->annotation_count != 1 ||
		record->annotations[0].value.len != strlen(fake->key) ||
		memcmp(record->annotations[0].value.data, fake->key, strlen(fake->key)) != 0)
		return KT_DENIED;
	if (plan.no_plaintext)
		return KT_OK;
	*ret_plaintext = host->secret_new(host->ctx, len);
	for (size_t i = len; i > 0; i--)
		cr_assert_eq(host->secret_append(
				     host->ctx, *ret_plaintext, &record->ciphertext.data[i - 1], 1),
			0);
	return answer(host, plan.decrypt);
}

static const struct kt_param fake_params[] = {
	{"key", "a key", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"word", "a word", 0},
	{"file", "a file", KT_PARAM_FILE},
	{0},
};

static const struct kt_module fake_module = {
	.size = sizeof(fake_module),
	.name = "fake",
	.params = fake_params,
	.open = fake_open,
	.close = fake_close,
	.kms_key = fake_key,
	.kms_status = fake_status,
	.kms_encrypt = fake_encrypt,
	.kms_decrypt = fake_decrypt,
};

static inline int try_open(const char *text, const struct kt_module *module,
	struct kt_kms **ret_kms, struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;

	cr_assert_eq(
		kt_kms_conf_parse(text, strlen(text), "/etc/kms.conf", &conf, e), 0, "%s", e->msg);
	return kt_kms_open_module(conf, module, ret_kms, e);
}

static inline struct kt_kms *open_core(const char *text)
{
	struct kt_kms *kms = NULL;
	struct kt_error e;

	cr_assert_eq(try_open(text, &fake_module, &kms, &e), 0, "%s", e.msg);
	return kms;
}

#endif
