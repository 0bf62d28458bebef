/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/call-log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/key-id.h"

#define FAILURES_BURST 50
#define FAILURES_PER_SECOND 10

/* False if there are none left. */
static bool take_token(struct kt_call_log *log, int64_t now_us)
{
	int64_t more = (now_us - log->filled_us) * FAILURES_PER_SECOND / 1000000;

	if (log->filled_us == 0 || more >= FAILURES_BURST) {
		log->tokens = FAILURES_BURST;
		log->filled_us = now_us;
	} else if (more > 0) {
		log->tokens += (unsigned)more;
		if (log->tokens > FAILURES_BURST)
			log->tokens = FAILURES_BURST;
		log->filled_us += more * 1000000 / FAILURES_PER_SECOND;
	}
	if (log->tokens == 0)
		return false;
	log->tokens--;
	return true;
}

static bool is_news(struct kt_call_log *log, enum kt_grpc_code code)
{
	bool news = !log->status_known || log->status != code;

	log->status_known = true;
	log->status = code;
	return news;
}

bool kt_call_log_wants(struct kt_call_log *log, const struct kt_call_entry *entry, int64_t now_us,
	uint64_t *ret_left_out)
{
	enum kt_grpc_code code = entry->status->code;

	if (log->which == KT_LOG_CALLS_NONE)
		return false;
	if (log->which == KT_LOG_CALLS_DEFAULT && entry->method == KT_METHOD_V2_STATUS &&
		!is_news(log, code))
		return false;
	if (log->which == KT_LOG_CALLS_DEFAULT && entry->method == KT_METHOD_V1_VERSION &&
		code == KT_GRPC_OK)
		return false;
	if (code != KT_GRPC_OK && !take_token(log, now_us)) {
		log->left_out++;
		return false;
	}
	*ret_left_out = log->left_out;
	log->left_out = 0;
	return true;
}

/* One word, whatever it was. */
static void copy_uid(const char *uid, char out[KT_CALL_UID_MAX_BYTES + 1])
{
	size_t len = strnlen(uid, KT_CALL_UID_MAX_BYTES);

	for (size_t i = 0; i < len; i++) {
		char c = uid[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-_.:/", c) != NULL;

		out[i] = plain ? c : '?';
	}
	out[len] = '\0';
}

/* Quotes in the sentence would end it too early for whoever parses the line. */
static void copy_text(const char *text, char *out, size_t size)
{
	size_t len = strnlen(text, size - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = text[i] == '"' ? '\'' : text[i];
	out[len] = '\0';
}

void kt_call_log_format(const struct kt_call_entry *entry, char ret_line[KT_CALL_LINE_SIZE])
{
	char uid[KT_CALL_UID_MAX_BYTES + 1] = "", hash[KT_KMS_KEY_ID_SIZE] = "";
	char text[sizeof(entry->status->text)];
	struct kt_error ignored;
	int len;

	if (entry->note != NULL)
		copy_uid(entry->note->uid, uid);
	/* A client's key_id can be anything; its hash cannot. */
	if (entry->note != NULL && entry->note->key_id[0] != '\0' &&
		kt_key_id_hash(entry->note->key_id, hash, &ignored) < 0)
		hash[0] = '\0';
	len = snprintf(ret_line, KT_CALL_LINE_SIZE,
		"call method=%s uid=%s key_id_hash=%s result=%s us=%" PRId64 " tpm_us=%" PRIu64
		" commands=%" PRIu64,
		kt_method_name(entry->method), uid[0] != '\0' ? uid : "-",
		hash[0] != '\0' ? hash : "-", kt_grpc_code_name(entry->status->code), entry->us,
		entry->backend_us, entry->commands);
	if (entry->status->code == KT_GRPC_OK || len < 0 || len >= KT_CALL_LINE_SIZE)
		return;
	copy_text(entry->status->text, text, sizeof(text));
	snprintf(ret_line + len, KT_CALL_LINE_SIZE - (size_t)len, " error=\"%s\"", text);
}
