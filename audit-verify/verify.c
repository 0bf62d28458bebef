/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/verify.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit-verify/cutter.h"
#include "audit-verify/input.h"
#include "audit-verify/pool.h"
#include "lib/io.h"

#define PROGRESS_MS 100
#define BAR_WIDTH 40

/* A verification under way. */
struct run {
	const struct kt_verification *v;
	struct kt_conclusion *verdict;
	struct kt_pool *pool;
	struct kt_cutter *cutter;
	uint64_t all_bytes, done_bytes; /* on disk; of the files before this one */
	int64_t shown_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show_progress(struct run *run, const struct kt_input *input)
{
	char bar[BAR_WIDTH + 1];
	uint64_t done, all;
	int filled;

	if (!run->v->progress || now_ms() - run->shown_ms < PROGRESS_MS)
		return;
	run->shown_ms = now_ms();
	kt_input_progress(input, &done, &all);
	done += run->done_bytes;
	filled = run->all_bytes > 0 && done <= run->all_bytes
			 ? (int)(done * BAR_WIDTH / run->all_bytes)
			 : BAR_WIDTH;
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '=', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %llu of %llu MiB, %llu entries ", bar,
		(unsigned long long)(done >> 20), (unsigned long long)(run->all_bytes >> 20),
		(unsigned long long)run->verdict->entries);
}

static void end_progress(const struct run *run)
{
	if (run->v->progress && run->shown_ms != 0)
		fprintf(stderr, "\r%*s\r", BAR_WIDTH + 60, "");
}

/* A unit that is judged, in order. Behind a malformed line nothing counts. */
static int take_unit(struct run *run, struct kt_unit *unit, struct kt_error *e)
{
	if (run->verdict->is_over)
		return 0;
	if (kt_conclusion_add(run->verdict, unit, e) < 0)
		return -1;
	for (size_t i = 0; i < unit->decryption_count; i++)
		kt_join_decryption(run->v->join, &unit->decryptions[i]);
	if (unit->entries_len == 0)
		return 0;
	return kt_write_all(STDOUT_FILENO, unit->entries, unit->entries_len, "standard output", e);
}

/* What is ready; with `all`, everything. */
static int drain(struct run *run, bool all, struct kt_error *e)
{
	struct kt_unit *unit;
	int status;

	while ((unit = kt_pool_take(run->pool, all)) != NULL) {
		status = take_unit(run, unit, e);
		kt_unit_free(unit);
		if (status < 0)
			return -1;
	}
	return 0;
}

static int read_file(struct run *run, struct kt_input *input, struct kt_error *e)
{
	struct kt_unit *unit;
	char *place;
	size_t room, len;

	for (;;) {
		if (kt_cutter_room(run->cutter, &place, &room, e) < 0 ||
			kt_input_read(input, place, room, &len, e) < 0)
			return -1;
		if (len == 0 || run->verdict->is_over)
			return 0;
		if (kt_cutter_filled(run->cutter, len, &unit, e) < 0)
			return -1;
		while (unit != NULL) {
			kt_pool_put(run->pool, unit);
			if (drain(run, false, e) < 0 ||
				kt_cutter_filled(run->cutter, 0, &unit, e) < 0)
				return -1;
		}
		show_progress(run, input);
	}
}

static int read_files(struct run *run, struct kt_error *e)
{
	for (size_t i = 0; i < run->v->path_count && !run->verdict->is_over; i++) {
		auto_input struct kt_input *input = NULL;

		if (kt_input_open(run->v->paths[i], &input, e) < 0 ||
			kt_cutter_begin_file(run->cutter, i, e) < 0 || read_file(run, input, e) < 0)
			return -1;
		run->done_bytes += kt_input_size(run->v->paths[i]);
	}
	return 0;
}

static int read_all(struct run *run, struct kt_error *e)
{
	struct kt_unit *unit;

	if (read_files(run, e) < 0)
		return -1;
	unit = kt_cutter_end(run->cutter);
	if (unit != NULL)
		kt_pool_put(run->pool, unit);
	return drain(run, true, e);
}

int kt_verify(const struct kt_verification *verification, struct kt_conclusion *verdict,
	struct kt_error *e)
{
	const struct kt_demands *demands = verdict->demands;
	const struct kt_unit_wishes wishes = {
		.ak = demands->ak,
		.accepted_head = demands->accepted.is_known ? demands->accepted.head : NULL,
		.pin_count = demands->pin_count,
		.pins = demands->pins,
		.entries = verification->entries,
		.decryptions = verification->join != NULL,
	};
	auto_cutter struct kt_cutter *cutter = NULL;
	auto_pool struct kt_pool *pool = NULL;
	struct run run = {.v = verification, .verdict = verdict};
	int status;

	if (kt_cutter_new(KT_CUTTER_UNIT_BYTES, &cutter, e) < 0 ||
		kt_pool_new(verification->threads, &wishes, &pool, e) < 0)
		return -1;
	run.cutter = cutter;
	run.pool = pool;
	for (size_t i = 0; i < verification->path_count; i++)
		run.all_bytes += kt_input_size(verification->paths[i]);
	status = read_all(&run, e);
	end_progress(&run);
	if (status == 0)
		kt_conclusion_draw(verdict);
	return status;
}
