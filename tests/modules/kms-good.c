/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kms module as it should be, but for its cryptography: the key is the first line of a file, a
 * plaintext is XORed with it, and a sum over all that belongs together is the seal. `faults` names
 * a file that is read before every call: a word in it makes the module misbehave, for as long as it
 * stands there.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kubetpm/module.h>

#define ID_NAME "id.kubetpm.internal"
#define CIPHERTEXT_MAX 1024
#define SUM_BYTES 4

struct state {
	char key[64];
	char faults[4096];
	unsigned count; /* of encryptions: each gets another id */
	uint8_t id[4];
	uint8_t ciphertext[2 * CIPHERTEXT_MAX];
	uint8_t large[40000];
};

static const char *arg(int argc, const char *const argv[], const char *key)
{
	size_t len = strlen(key);

	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=')
			return argv[i] + len + 1;
	return NULL;
}

static int read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");
	int read;

	if (file == NULL)
		return -1;
	read = fgets(line, (int)size, file) != NULL;
	fclose(file);
	if (!read)
		return -1;
	line[strcspn(line, "\n")] = '\0';
	return line[0] != '\0' ? 0 : -1;
}

/* Is `word` the fault of the moment? */
static int faulty(const struct state *state, const char *word)
{
	char line[64];

	return state->faults[0] != '\0' && read_line(state->faults, line, sizeof(line)) == 0 &&
	       strcmp(line, word) == 0;
}

static enum kt_result open_state(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));
	const char *path = arg(argc, argv, "key"), *faults = arg(argc, argv, "faults");

	*ret_state = state;
	if (state == NULL || path == NULL)
		return KT_ERROR;
	if (faults != NULL)
		snprintf(state->faults, sizeof(state->faults), "%s", faults);
	if (read_line(path, state->key, sizeof(state->key)) < 0) {
		host->fail(host->ctx, KT_E_USAGE, "%s: no key in it", path);
		return KT_ERROR;
	}
	if (faulty(state, "print"))
		puts("rude words on standard output");
	host->log(host->ctx, KT_LOG_DEBUG, "opened %s for cluster %s", path,
		host->get_item(host->ctx, KT_ITEM_CLUSTER));
	return KT_OK;
}

static void close_state(void *state)
{
	free(state);
}

static enum kt_result kms_key(void *opaque, const struct kt_host *host, struct kt_kms_key *ret_key)
{
	const struct state *state = opaque;

	(void)host;
	snprintf(ret_key->key_name, sizeof(ret_key->key_name), "%s", state->key);
	snprintf(ret_key->version, sizeof(ret_key->version), "1");
	return KT_OK;
}

/* What the faults that any call may have come to; KT_OK if there is none. */
static enum kt_result common_fault(const struct state *state, const struct kt_host *host)
{
	if (faulty(state, "denied")) {
		host->fail(host->ctx, KT_E_POLICY, "sha256:7 is not what it was");
		return KT_DENIED;
	}
	if (faulty(state, "unavailable")) {
		host->fail(host->ctx, KT_E_TPM, "the TPM does not answer");
		return KT_UNAVAIL;
	}
	if (faulty(state, "speechless"))
		return KT_DENIED;
	return KT_OK;
}

static enum kt_result kms_status(void *state, const struct kt_host *host)
{
	return common_fault(state, host);
}

static void seal(const struct state *state, const char *key_id, const uint8_t *in, size_t len,
	const uint8_t id[4], uint8_t sum[SUM_BYTES])
{
	uint32_t h = 2166136261u; /* FNV-1a: no cryptography, but every byte counts */

	for (const char *p = state->key; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (const char *p = key_id; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (size_t i = 0; i < 4; i++)
		h = (h ^ id[i]) * 16777619u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ in[i]) * 16777619u;
	memcpy(sum, &h, SUM_BYTES);
}

static void mix(const struct state *state, const uint8_t *in, size_t len, uint8_t *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[i] ^ (uint8_t)state->key[i % strlen(state->key)];
}

/* As if each record took a command of a TPM. */
static void count(const struct kt_host *host)
{
	if (host->size >= offsetof(struct kt_host, count) + sizeof(host->count))
		host->count(host->ctx, KT_COUNT_COMMANDS, 1);
}

/* The answers that no API server would take. */
static void spoil(struct state *state, struct kt_kms_record *out)
{
	if (faulty(state, "empty"))
		out->ciphertext.len = 0;
	if (faulty(state, "long"))
		out->ciphertext.len = CIPHERTEXT_MAX + 1;
	if (faulty(state, "slash"))
		out->annotations[0].name = "id.kubetpm.internal/id";
	if (faulty(state, "many"))
		out->annotation_count = KT_KMS_ANNOTATIONS_MAX + 1;
	if (faulty(state, "large"))
		out->annotations[0].value = (struct kt_bytes){state->large, sizeof(state->large)};
}

static enum kt_result kms_encrypt(void *opaque, const struct kt_host *host,
	const struct kt_kms_call *call, const void *plaintext, size_t len,
	struct kt_kms_record *out)
{
	struct state *state = opaque;
	enum kt_result result = common_fault(state, host);

	if (result != KT_OK)
		return result;
	if (len > CIPHERTEXT_MAX - SUM_BYTES) {
		host->fail(host->ctx, KT_E_INPUT, "a plaintext of %zu bytes is too long", len);
		return KT_ERROR;
	}
	count(host);
	state->count++;
	memcpy(state->id, &state->count, sizeof(state->id));
	mix(state, plaintext, len, state->ciphertext);
	seal(state, call->key_id, state->ciphertext, len, state->id, state->ciphertext + len);
	out->ciphertext = (struct kt_bytes){state->ciphertext, len + SUM_BYTES};
	out->annotation_count = 1;
	out->annotations[0].name = ID_NAME;
	out->annotations[0].value = (struct kt_bytes){state->id, sizeof(state->id)};
	spoil(state, out);
	return KT_OK;
}

static enum kt_result refuse(const struct kt_host *host)
{
	host->fail(host->ctx, KT_E_INPUT, "the record was changed, or is another key's");
	return KT_DENIED;
}

static enum kt_result kms_decrypt(void *opaque, const struct kt_host *host,
	const struct kt_kms_call *call, const struct kt_kms_record *record,
	struct kt_secret **ret_plaintext)
{
	struct state *state = opaque;
	enum kt_result result = common_fault(state, host);
	const struct kt_bytes *in = &record->ciphertext;
	uint8_t sum[SUM_BYTES], plain[CIPHERTEXT_MAX];
	size_t len = in->len - SUM_BYTES;

	if (result != KT_OK)
		return result;
	count(host);
	if (in->len <= SUM_BYTES || record->annotation_count != 1 ||
		strcmp(record->annotations[0].name, ID_NAME) != 0 ||
		record->annotations[0].value.len != sizeof(state->id))
		return refuse(host);
	seal(state, call->key_id, in->data, len, record->annotations[0].value.data, sum);
	if (memcmp(sum, in->data + len, SUM_BYTES) != 0)
		return refuse(host);
	if (faulty(state, "nothing"))
		return KT_OK;
	mix(state, in->data, len, plain);
	*ret_plaintext = host->secret_new(host->ctx, len);
	if (*ret_plaintext == NULL)
		return KT_ERROR;
	return host->secret_append(host->ctx, *ret_plaintext, plain, len) == 0 ? KT_OK : KT_ERROR;
}

static const struct kt_param params[] = {
	{"key", "a file whose first line is the key", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"faults", "a file whose first line is a fault", KT_PARAM_FILE},
	{"word", "anything", 0},
	{0},
};

static const struct kt_module kms_good = {
	.size = sizeof(kms_good),
	.name = "kms-good",
	.summary = "a toy key",
	.params = params,
	.open = open_state,
	.close = close_state,
	.kms_key = kms_key,
	.kms_status = kms_status,
	.kms_encrypt = kms_encrypt,
	.kms_decrypt = kms_decrypt,
};

KT_MODULE(kms_good)
