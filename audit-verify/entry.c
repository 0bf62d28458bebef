/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/certificate.h"
#include "lib/rfc3339.h"

#define LINE_MAX_BYTES 2048

bool kt_entry_is_decryption(const struct kt_audit_replay *replay)
{
	return replay->pending_count > 0 &&
	       replay->pending[replay->pending_count - 1].op == KT_AUDIT_DECRYPT;
}

static void copy_uid(const struct kt_audit_text *uid, char ret_text[KT_AUDIT_UID_MAX + 1])
{
	size_t len = uid->len <= KT_AUDIT_UID_MAX ? uid->len : KT_AUDIT_UID_MAX;

	memcpy(ret_text, uid->text, len);
	ret_text[len] = '\0';
}

int kt_entry_add_decryption(struct kt_unit *unit, const struct kt_audit_record *intent,
	const struct kt_place *place, struct kt_error *e)
{
	struct kt_decryption *d;

	if (unit->decryption_count == unit->decryption_capacity) {
		size_t capacity = unit->decryption_capacity * 2 + 64;
		struct kt_decryption *more = realloc(unit->decryptions, capacity * sizeof(*more));

		if (more == NULL)
			return kt_fail_memory(e);
		unit->decryptions = more;
		unit->decryption_capacity = capacity;
	}
	d = &unit->decryptions[unit->decryption_count++];
	d->n = intent->n;
	d->ts = intent->ts;
	d->place = *place;
	copy_uid(&intent->intent.uid, d->uid);
	return 0;
}

static int append(struct kt_unit *unit, const char *text, struct kt_error *e)
{
	size_t len = strlen(text);

	if (unit->entries_len + len + 1 > unit->entries_capacity) {
		size_t capacity = unit->entries_capacity * 2 + LINE_MAX_BYTES;
		char *more = realloc(unit->entries, capacity);

		if (more == NULL)
			return kt_fail_memory(e);
		unit->entries = more;
		unit->entries_capacity = capacity;
	}
	memcpy(unit->entries + unit->entries_len, text, len + 1);
	unit->entries_len += len;
	return 0;
}

static void format_time(uint64_t ts, char ret_text[KT_RFC3339_SIZE])
{
	struct kt_error ignored;

	if (kt_rfc3339_format((int64_t)(ts / 1000), ret_text, &ignored) < 0)
		snprintf(ret_text, KT_RFC3339_SIZE, "?");
}

/* Serial, subject and end; control characters of the subject are escaped by OpenSSL. */
static void describe_certificate(const struct kt_audit_record *intent,
	const uint8_t signature[KT_AUDIT_POINT_BYTES], char *text, size_t size)
{
	uint8_t tbs[KT_CERT_TBS_MAX_BYTES];
	char end[KT_RFC3339_SIZE] = "?";
	struct kt_cert_words words;
	struct kt_error ignored;
	size_t len;

	if (kt_audit_unhex(&intent->intent.tbs, tbs, sizeof(tbs), &len) < 0 ||
		kt_cert_describe(tbs, len, signature, &words, &ignored) < 0) {
		snprintf(text, size, "cannot be read");
		return;
	}
	format_time((uint64_t)words.not_after * 1000, end);
	snprintf(text, size, "serial %s, %s, until %s", words.serial, words.subject, end);
}

static const char *op_name(enum kt_audit_op op)
{
	switch (op) {
	case KT_AUDIT_ENCRYPT:
		return "encrypt";
	case KT_AUDIT_DECRYPT:
		return "decrypt";
	default:
		return "";
	}
}

static int describe_result(struct kt_unit *unit, const struct kt_audit_record *intent,
	const struct kt_audit_record *record, struct kt_error *e)
{
	char line[LINE_MAX_BYTES], time[KT_RFC3339_SIZE], what[LINE_MAX_BYTES / 2];
	char uid[KT_AUDIT_UID_MAX + 1];

	format_time(intent->ts, time);
	if (record->result.is_signature) {
		describe_certificate(intent, record->result.signature, what, sizeof(what));
		snprintf(line, sizeof(line), "%" PRIu64 "  %s  certificate  %s\n", record->n, time,
			what);
		return append(unit, line, e);
	}
	copy_uid(&intent->intent.uid, uid);
	snprintf(line, sizeof(line), "%" PRIu64 "  %s  %s  key %" PRIu64 "  uid %s%s\n", record->n,
		time, op_name(intent->intent.op), intent->intent.key, uid,
		record->n != intent->n ? "  (again, after a crash)" : "");
	return append(unit, line, e);
}

int kt_entry_describe(struct kt_unit *unit, const struct kt_audit_record *intent,
	const struct kt_audit_record *record, struct kt_error *e)
{
	char line[LINE_MAX_BYTES], time[KT_RFC3339_SIZE];

	switch (record->type) {
	case KT_AUDIT_RESULT:
		return describe_result(unit, intent, record, e);
	case KT_AUDIT_BOOT:
		format_time(record->ts, time);
		snprintf(line, sizeof(line),
			"-  %s  reset or restart: resetCount %" PRIu64 ", restartCount %" PRIu64
			"\n",
			time, record->boot.reset, record->boot.restart);
		return append(unit, line, e);
	case KT_AUDIT_GAP:
		format_time(record->ts, time);
		snprintf(line, sizeof(line), "-  %s  %s, %" PRIu64 " intents\n", time,
			kt_audit_why_name(record->gap.why), record->gap.count);
		return append(unit, line, e);
	default:
		return 0;
	}
}
