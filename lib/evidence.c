/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/b64.h"

#define LINE_CHARS 64
#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----\n"

static const char *const names[KT_EVIDENCE_BLOCKS] = {
	[KT_EVIDENCE_REQUEST] = "CERTIFICATE REQUEST",
	[KT_EVIDENCE_EK] = "TPM EK PUBLIC",
	[KT_EVIDENCE_AK] = "TPM AK PUBLIC",
	[KT_EVIDENCE_SECRET] = "TPM CHALLENGE SECRET",
	[KT_EVIDENCE_QUOTE] = "TPM QUOTE",
	[KT_EVIDENCE_SIGNATURE] = "TPM QUOTE SIGNATURE",
	[KT_EVIDENCE_PCRS] = "TPM PCR VALUES",
};

const char *kt_evidence_block_name(enum kt_evidence_block block)
{
	return names[block];
}

struct text {
	const char *next, *end;
};

/* Is exactly this next? */
static bool take(struct text *t, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(t->end - t->next) < len || memcmp(t->next, word, len) != 0)
		return false;
	t->next += len;
	return true;
}

static bool take_boundary(struct text *t, const char *kind, enum kt_evidence_block block)
{
	struct text copy = *t;

	if (!take(&copy, kind) || !take(&copy, names[block]) || !take(&copy, DASHES))
		return false;
	*t = copy;
	return true;
}

/* Lines of 64 characters, the last one of 1 to 64, joined. */
static int take_body(struct text *t, char *ret_body, size_t *ret_len, struct kt_error *e)
{
	size_t len = 0;
	bool last = false;

	while (t->next < t->end && *t->next != '-') {
		const char *newline = memchr(t->next, '\n', (size_t)(t->end - t->next));
		size_t line = newline != NULL ? (size_t)(newline - t->next) : 0;

		if (line == 0 || line > LINE_CHARS || last)
			return kt_fail(e, KT_E_INPUT, "a PEM line that is not of 64 characters");
		memcpy(ret_body + len, t->next, line);
		len += line;
		last = line < LINE_CHARS;
		t->next += line + 1;
	}
	if (len == 0)
		return kt_fail(e, KT_E_INPUT, "an empty PEM block");
	*ret_len = len;
	return 0;
}

/* The next block, of a kind behind `*block`, which becomes its. */
static int take_block(
	struct text *t, int *block, char *body, struct kt_evidence *evidence, struct kt_error *e)
{
	size_t len;

	for (++*block; *block < KT_EVIDENCE_BLOCKS; ++*block)
		if (take_boundary(t, BEGIN, (enum kt_evidence_block) * block))
			break;
	if (*block == KT_EVIDENCE_BLOCKS)
		return kt_fail(e, KT_E_INPUT,
			"not a PEM block that is known here, one twice, or out of order");
	if (take_body(t, body, &len, e) < 0 ||
		kt_b64_decode(body, len, &evidence->blocks[*block].data,
			&evidence->blocks[*block].len, e) < 0)
		return kt_wrap(e, "block %s", names[*block]);
	if (!take_boundary(t, END, (enum kt_evidence_block) * block))
		return kt_fail(e, KT_E_INPUT, "block %s has no end", names[*block]);
	return 0;
}

int kt_evidence_read(
	const void *text, size_t len, struct kt_evidence *ret_evidence, struct kt_error *e)
{
	struct text t = {text, (const char *)text + len};
	auto_evidence struct kt_evidence evidence = {0};
	auto_free char *body = NULL;
	int block = -1;

	if (len == 0 || len > KT_EVIDENCE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "a request of %zu bytes, not 1 to %d", len,
			KT_EVIDENCE_MAX_BYTES);
	body = malloc(len);
	if (body == NULL)
		return kt_fail_memory(e);
	while (t.next < t.end)
		if (take_block(&t, &block, body, &evidence, e) < 0)
			return -1;
	if (evidence.blocks[KT_EVIDENCE_REQUEST].data == NULL)
		return kt_fail(e, KT_E_INPUT, "no block %s", names[KT_EVIDENCE_REQUEST]);
	*ret_evidence = evidence;
	memset(&evidence, 0, sizeof(evidence));
	return 0;
}

void kt_evidence_clear(struct kt_evidence *evidence)
{
	for (size_t i = 0; i < KT_EVIDENCE_BLOCKS; i++) {
		free(evidence->blocks[i].data);
		evidence->blocks[i].data = NULL;
	}
}

static int write_block(FILE *out, const struct kt_evidence *evidence, enum kt_evidence_block block,
	struct kt_error *e)
{
	auto_free char *body = NULL;
	size_t len;

	if (kt_b64_encode(evidence->blocks[block].data, evidence->blocks[block].len, &body, e) < 0)
		return -1;
	len = strlen(body);
	fprintf(out, BEGIN "%s" DASHES, names[block]);
	for (size_t i = 0; i < len; i += LINE_CHARS)
		fprintf(out, "%.*s\n", LINE_CHARS, body + i);
	fprintf(out, END "%s" DASHES, names[block]);
	return 0;
}

int kt_evidence_write(const struct kt_evidence *evidence, char **ret_text, struct kt_error *e)
{
	auto_free char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int status = 0;

	if (out == NULL)
		return kt_fail_memory(e);
	for (int i = 0; i < KT_EVIDENCE_BLOCKS && status == 0; i++)
		if (evidence->blocks[i].data != NULL)
			status = write_block(out, evidence, (enum kt_evidence_block)i, e);
	if (fclose(out) != 0 && status == 0)
		status = kt_fail_memory(e);
	if (status == 0)
		*ret_text = kt_take(text);
	return status;
}

/* After its length in 32 bits. */
static void add(struct kt_sha256 *hash, const void *data, size_t len)
{
	kt_sha256_add_u32(hash, (uint32_t)len);
	kt_sha256_add(hash, data, len);
}

static void add_text(struct kt_sha256 *hash, const char *text)
{
	add(hash, text, strlen(text));
}

void kt_evidence_commitment(const char *uid, const uint8_t ak_name[KT_AUDIT_NAME_BYTES],
	const void *secret, size_t secret_len, uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	add_text(&hash, "kubetpm.internal/attest/1/challenge");
	add_text(&hash, uid);
	add(&hash, ak_name, KT_AUDIT_NAME_BYTES);
	add(&hash, secret, secret_len);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_evidence_qualify(
	const struct kt_evidence_binding *binding, uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;
	char number[32];

	snprintf(number, sizeof(number), "%" PRId64, binding->expiration);
	kt_sha256_start(&hash);
	add_text(&hash, "kubetpm.internal/attest/1/quote");
	add_text(&hash, binding->uid);
	add(&hash, binding->secret, binding->secret_len);
	add(&hash, binding->request, binding->request_len);
	add_text(&hash, binding->signer);
	kt_sha256_add_u32(&hash, (uint32_t)binding->usage_count);
	for (size_t i = 0; i < binding->usage_count; i++)
		add_text(&hash, binding->usages[i]);
	add_text(&hash, number);
	kt_sha256_finish(&hash, ret_hash);
}
