/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/cutter.h"

#include <string.h>

#define ROOM_MIN 65536

struct kt_cutter {
	size_t unit_bytes;
	struct kt_unit *unit; /* being filled */
	size_t scanned;	      /* up to here its text has whole lines that were looked at */
	size_t cut;	      /* behind its last checkpoint; 0: none */
	struct kt_place place, cut_place; /* of the lines that begin there */
	/* at `scanned`, and at `cut` */
	uint64_t seq, cut_seq;
	struct kt_audit_keyset *keys, *cut_keys;
	size_t checkpoint, checkpoint_len; /* the line that ends at `cut` */
	size_t cut_files;		   /* of the unit's files, those that begin before `cut` */
};

static int new_unit(struct kt_unit **ret_unit, struct kt_error *e)
{
	struct kt_unit *unit = calloc(1, sizeof(*unit));

	if (unit == NULL)
		return kt_fail_memory(e);
	unit->capacity = KT_CUTTER_UNIT_BYTES + 2 * ROOM_MIN;
	unit->text = malloc(unit->capacity);
	if (unit->text == NULL) {
		free(unit);
		return kt_fail_memory(e);
	}
	*ret_unit = unit;
	return 0;
}

int kt_cutter_new(size_t unit_bytes, struct kt_cutter **ret_cutter, struct kt_error *e)
{
	auto_cutter struct kt_cutter *cutter = calloc(1, sizeof(*cutter));

	if (cutter == NULL)
		return kt_fail_memory(e);
	if (new_unit(&cutter->unit, e) < 0 || kt_audit_keyset_new(&cutter->keys, e) < 0)
		return -1;
	cutter->unit_bytes = unit_bytes;
	cutter->place.line = cutter->unit->start.line = 1;
	*ret_cutter = kt_take(cutter);
	return 0;
}

void kt_cutter_free(struct kt_cutter *cutter)
{
	if (cutter == NULL)
		return;
	kt_unit_free(cutter->unit);
	kt_audit_keyset_drop(cutter->keys);
	kt_audit_keyset_drop(cutter->cut_keys);
	free(cutter);
}

/* What is behind the last whole line of a file was cut off. */
static bool drop_rest(struct kt_cutter *cutter)
{
	bool is_torn = cutter->unit->len > cutter->scanned;

	cutter->unit->len = cutter->scanned;
	return is_torn;
}

int kt_cutter_begin_file(struct kt_cutter *cutter, size_t file, struct kt_error *e)
{
	struct kt_unit *unit = cutter->unit;
	bool is_torn = drop_rest(cutter);

	if (unit->file_count == KT_UNIT_FILES_MAX)
		return kt_fail(e, KT_E_INPUT,
			"%d files in a row have no checkpoint: these are no audit logs",
			KT_UNIT_FILES_MAX);
	unit->files[unit->file_count++] = (struct kt_unit_file){unit->len, file, is_torn};
	cutter->place = (struct kt_place){file, 1};
	return 0;
}

int kt_cutter_room(struct kt_cutter *cutter, char **ret_place, size_t *ret_room, struct kt_error *e)
{
	struct kt_unit *unit = cutter->unit;

	if (unit->len > KT_CUTTER_UNIT_MAX)
		return kt_fail(e, KT_E_INPUT,
			"no checkpoint in %zu bytes (up to file %zu, line %llu): this is no audit "
			"log",
			(size_t)KT_CUTTER_UNIT_MAX, cutter->place.file + 1,
			(unsigned long long)cutter->place.line);
	if (unit->capacity - unit->len < ROOM_MIN) {
		size_t capacity = unit->capacity * 2;
		char *more = realloc(unit->text, capacity);

		if (more == NULL)
			return kt_fail_memory(e);
		unit->text = more;
		unit->capacity = capacity;
	}
	*ret_place = unit->text + unit->len;
	*ret_room = unit->capacity - unit->len;
	return 0;
}

static bool has_type(const char *line, size_t len, char type)
{
	static const char start[] = "{\"t\":\"";

	return len > sizeof(start) && memcmp(line, start, sizeof(start) - 1) == 0 &&
	       line[sizeof(start) - 1] == type;
}

/* Keys and number of the file; what is wrong with these lines is found when the unit is judged. */
static int note_head_or_key(
	struct kt_cutter *cutter, const char *line, size_t len, struct kt_error *e)
{
	struct kt_audit_record record;
	struct kt_error ignored;

	if (kt_audit_record_parse(line, len, &record, &ignored) < 0)
		return 0;
	if (record.type == KT_AUDIT_KEY)
		return kt_audit_keyset_add(&cutter->keys, &record, &ignored) < 0 &&
				       ignored.code == KT_E_INTERNAL
			       ? kt_fail_memory(e)
			       : 0;
	kt_audit_keyset_drop(cutter->keys);
	cutter->keys = NULL;
	cutter->seq = record.file.seq;
	return kt_audit_keyset_new(&cutter->keys, e);
}

static bool is_checkpoint(const char *line, size_t len)
{
	struct kt_audit_record record;
	struct kt_error ignored;

	return has_type(line, len, KT_AUDIT_CHECKPOINT) &&
	       kt_audit_record_parse(line, len, &record, &ignored) == 0;
}

static void note_checkpoint(struct kt_cutter *cutter, size_t start, size_t len)
{
	cutter->checkpoint = start;
	cutter->checkpoint_len = len;
	cutter->cut = start + len + 1;
	cutter->cut_place = (struct kt_place){cutter->place.file, cutter->place.line + 1};
	cutter->cut_seq = cutter->seq;
	cutter->cut_files = cutter->unit->file_count;
	kt_audit_keyset_drop(cutter->cut_keys);
	cutter->cut_keys = kt_audit_keyset_hold(cutter->keys);
}

static int scan(struct kt_cutter *cutter, struct kt_error *e)
{
	const struct kt_unit *unit = cutter->unit;
	const char *text = unit->text, *newline;

	while ((newline = memchr(text + cutter->scanned, '\n', unit->len - cutter->scanned)) !=
		NULL) {
		const char *line = text + cutter->scanned;
		size_t len = (size_t)(newline - line);

		if ((has_type(line, len, KT_AUDIT_FILE) || has_type(line, len, KT_AUDIT_KEY)) &&
			note_head_or_key(cutter, line, len, e) < 0)
			return -1;
		if (is_checkpoint(line, len))
			note_checkpoint(cutter, cutter->scanned, len);
		cutter->scanned += len + 1;
		cutter->place.line++;
	}
	return 0;
}

static int copy_checkpoint(const struct kt_cutter *cutter, struct kt_unit *next, struct kt_error *e)
{
	next->checkpoint = malloc(cutter->checkpoint_len);
	if (next->checkpoint == NULL)
		return kt_fail_memory(e);
	next->checkpoint_len = cutter->checkpoint_len;
	memcpy(next->checkpoint, cutter->unit->text + cutter->checkpoint, cutter->checkpoint_len);
	return 0;
}

/* What is behind the cut goes on to the next unit. */
static void move_rest(struct kt_cutter *cutter, struct kt_unit *next)
{
	struct kt_unit *unit = cutter->unit;

	next->len = unit->len - cutter->cut;
	memcpy(next->text, unit->text + cutter->cut, next->len);
	for (size_t i = cutter->cut_files; i < unit->file_count; i++) {
		next->files[next->file_count] = unit->files[i];
		next->files[next->file_count++].offset -= cutter->cut;
	}
	next->start = cutter->cut_place;
	next->seq = cutter->cut_seq;
	next->keys = kt_take(cutter->cut_keys);
	unit->len = cutter->cut;
	unit->file_count = cutter->cut_files;
	cutter->scanned -= cutter->cut;
	cutter->cut = 0;
}

static int cut(struct kt_cutter *cutter, struct kt_unit **ret_unit, struct kt_error *e)
{
	struct kt_unit *next;

	if (new_unit(&next, e) < 0)
		return -1;
	if (next->capacity < cutter->unit->len - cutter->cut + ROOM_MIN) {
		free(next->text);
		next->capacity = cutter->unit->len - cutter->cut + ROOM_MIN;
		next->text = malloc(next->capacity);
	}
	if (next->text == NULL || copy_checkpoint(cutter, next, e) < 0) {
		kt_unit_free(next);
		return kt_fail_memory(e);
	}
	move_rest(cutter, next);
	*ret_unit = cutter->unit;
	cutter->unit = next;
	return 0;
}

int kt_cutter_filled(
	struct kt_cutter *cutter, size_t len, struct kt_unit **ret_unit, struct kt_error *e)
{
	*ret_unit = NULL;
	cutter->unit->len += len;
	if (scan(cutter, e) < 0)
		return -1;
	if (cutter->cut < cutter->unit_bytes)
		return 0;
	return cut(cutter, ret_unit, e);
}

struct kt_unit *kt_cutter_end(struct kt_cutter *cutter)
{
	struct kt_unit *unit = cutter->unit;

	unit->is_torn = drop_rest(cutter);
	if (unit->len == 0 && unit->file_count == 0 && !unit->is_torn)
		return NULL;
	return kt_take(cutter->unit);
}
