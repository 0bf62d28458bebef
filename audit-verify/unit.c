/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/unit.h"

#include <string.h>

#include "audit-verify/entry.h"

/* A unit that is being judged. */
struct work {
	struct kt_unit *unit;
	const struct kt_unit_wishes *wishes;
	struct kt_audit_replay replay;
	struct kt_place place;
	bool is_empty_file;	       /* so far */
	struct kt_audit_record intent; /* the last one that is no R; borrows from the text */
};

static void note(void *ctx, enum kt_audit_finding finding, const char *text)
{
	struct work *work = ctx;
	struct kt_unit *unit = work->unit;
	struct kt_found *found = &unit->found[unit->found_count];

	if (unit->found_count == KT_UNIT_FINDINGS_MAX) {
		unit->found_more++;
		unit->has_more[finding] = true;
		return;
	}
	found->finding = finding;
	found->place = work->place;
	snprintf(found->text, sizeof(found->text), "%s", text);
	unit->found_count++;
}

static int start(struct work *work, struct kt_error *e)
{
	struct kt_unit *unit = work->unit;
	struct kt_audit_record checkpoint;

	if (kt_audit_replay_init(&work->replay, e) < 0)
		return -1;
	work->replay.ak = work->wishes->ak;
	work->replay.report = note;
	work->replay.ctx = work;
	work->place = unit->start;
	if (unit->checkpoint == NULL)
		return 0;
	/* It was read when the text was cut, and is judged in the unit before. */
	if (kt_audit_record_parse(unit->checkpoint, unit->checkpoint_len, &checkpoint, e) < 0)
		return -1;
	return kt_audit_replay_seed(&work->replay, &checkpoint, unit->checkpoint,
		unit->checkpoint_len, unit->seq, kt_audit_keyset_hold(unit->keys), e);
}

static void end_file(struct work *work, bool is_torn)
{
	if (is_torn)
		note(work, KT_AUDIT_F_TRUNCATED, "the file ends in the middle of a line");
	else if (work->is_empty_file)
		note(work, KT_AUDIT_F_TRUNCATED, "the file is empty");
}

static void begin_file(struct work *work, const struct kt_unit_file *file)
{
	end_file(work, file->is_torn_before);
	work->is_empty_file = true;
	work->replay.file_begins = true;
	work->place.file = file->file;
	work->place.line = 1;
}

static void note_checkpoint(struct work *work, const struct kt_audit_record *record)
{
	struct kt_unit *unit = work->unit;
	const uint8_t *accepted = work->wishes->accepted_head;
	size_t len = record->checkpoint.nonce.len;

	unit->has_checkpoint = true;
	unit->last_ts = record->ts;
	if (len >= sizeof(unit->nonce))
		len = 0;
	memcpy(unit->nonce, record->checkpoint.nonce.text, len);
	unit->nonce[len] = '\0';
	if (accepted == NULL || memcmp(accepted, work->replay.head, KT_SHA256_BYTES) != 0)
		return;
	/* What was found before it was accepted with it. */
	unit->has_accepted = true;
	unit->accepted_findings = unit->found_count + unit->found_more;
	unit->found_count = 0;
	unit->found_more = 0;
	memset(unit->has_more, 0, sizeof(unit->has_more));
}

static void note_key(struct work *work)
{
	const struct kt_audit_keyset *keys = work->replay.keys;
	const uint8_t *name = keys->keys[keys->count - 1].name;

	for (size_t i = 0; i < work->wishes->pin_count; i++)
		if (memcmp(name, work->wishes->pins[i], KT_AUDIT_NAME_BYTES) == 0)
			work->unit->pins_seen |= UINT32_C(1) << i;
}

/* What people, or --join, want to know of an entry. */
static int note_entry(struct work *work, const struct kt_audit_record *record, struct kt_error *e)
{
	struct kt_unit *unit = work->unit;

	if (work->wishes->entries && record->type == KT_AUDIT_INTENT &&
		record->intent.op != KT_AUDIT_REDO && record->intent.op != KT_AUDIT_ATTEST)
		work->intent = *record;
	if (record->type == KT_AUDIT_INTENT && work->wishes->decryptions &&
		kt_entry_is_decryption(&work->replay) &&
		kt_entry_add_decryption(unit, record, &work->place, e) < 0)
		return -1;
	if (!work->wishes->entries)
		return 0;
	return kt_entry_describe(unit, &work->intent, record, e);
}

static int judge_line(struct work *work, const char *line, size_t len, struct kt_error *e)
{
	struct kt_audit_record record;
	bool begins = !work->replay.is_started;

	work->is_empty_file = false;
	if (kt_audit_replay_line(&work->replay, line, len, &record, e) < 0)
		return -1;
	if (begins) {
		work->unit->first_n = record.n;
		memcpy(work->unit->first_head, record.file.prev, KT_SHA256_BYTES);
		work->unit->first_counts = record.file.last;
	}
	if (record.type == KT_AUDIT_CHECKPOINT)
		note_checkpoint(work, &record);
	else if (record.type == KT_AUDIT_KEY)
		note_key(work);
	return note_entry(work, &record, e);
}

static int judge_lines(struct work *work, struct kt_error *e)
{
	struct kt_unit *unit = work->unit;
	const char *next = unit->text, *end = unit->text + unit->len, *newline;
	size_t file = 0;

	for (; next < end; next = newline + 1) {
		while (file < unit->file_count &&
			unit->files[file].offset == (size_t)(next - unit->text))
			begin_file(work, &unit->files[file++]);
		newline = memchr(next, '\n', (size_t)(end - next));
		if (judge_line(work, next, (size_t)(newline - next), e) < 0)
			return -1;
		unit->end = work->place;
		work->place.line++;
	}
	while (file < unit->file_count)
		begin_file(work, &unit->files[file++]);
	return 0;
}

static void finish(struct work *work)
{
	struct kt_unit *unit = work->unit;
	const struct kt_audit_replay *replay = &work->replay;

	unit->totals = replay->totals;
	unit->results = replay->results;
	unit->tier = replay->tier;
	unit->last = replay->last;
	memcpy(unit->head, replay->head, sizeof(unit->head));
	unit->is_open = kt_audit_replay_is_open(replay);
	unit->unattested = replay->unattested;
	unit->end_keys = kt_audit_keyset_hold(replay->keys);
}

void kt_unit_judge(struct kt_unit *unit, const struct kt_unit_wishes *wishes)
{
	struct work work = {.unit = unit, .wishes = wishes};
	struct kt_error e;
	int status = start(&work, &e);

	if (status == 0)
		status = judge_lines(&work, &e);
	if (status == 0)
		end_file(&work, unit->is_torn);
	if (status == 0 || work.replay.keys != NULL)
		finish(&work);
	if (status < 0 && e.code == KT_E_INPUT) {
		unit->is_malformed = true;
		note(&work, KT_AUDIT_F_MALFORMED, e.msg);
	} else if (status < 0) {
		unit->is_internal = true;
	}
	kt_audit_replay_clear(&work.replay);
}

void kt_unit_free(struct kt_unit *unit)
{
	if (unit == NULL)
		return;
	kt_audit_keyset_drop(unit->keys);
	kt_audit_keyset_drop(unit->end_keys);
	free(unit->decryptions);
	free(unit->entries);
	free(unit->checkpoint);
	free(unit->text);
	free(unit);
}
