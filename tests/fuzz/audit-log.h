/* SPDX-License-Identifier: Apache-2.0 */
/* What tests and fuzzers of audit-verify share: text to a conclusion, without files and threads. */
#ifndef KT_TESTS_FUZZ_AUDIT_LOG_H
#define KT_TESTS_FUZZ_AUDIT_LOG_H

#include <stdlib.h>
#include <string.h>

#include "audit-verify/conclusion.h"
#include "audit-verify/cutter.h"

/* `text` as one file, given in pieces of `piece` bytes, cut into units of `unit_bytes`. -1: it
 * could not be cut, or judged. */
static inline int conclude_text(const struct kt_demands *demands, const char *text, size_t len,
	size_t piece, size_t unit_bytes, struct kt_conclusion *conclusion)
{
	const struct kt_unit_wishes wishes = {
		.ak = demands->ak,
		.accepted_head = demands->accepted.is_known ? demands->accepted.head : NULL,
		.pin_count = demands->pin_count,
		.pins = demands->pins,
		.entries = true,
		.decryptions = true,
	};
	auto_cutter struct kt_cutter *cutter = NULL;
	struct kt_unit *unit = NULL;
	struct kt_error e;
	size_t done = 0, room, n;
	char *place;

	if (kt_cutter_new(unit_bytes, &cutter, &e) < 0 || kt_cutter_begin_file(cutter, 0, &e) < 0)
		return -1;
	while (done < len || unit != NULL) {
		if (unit != NULL) {
			kt_unit_judge(unit, &wishes);
			if (!conclusion->is_over && kt_conclusion_add(conclusion, unit, &e) < 0)
				abort();
			kt_unit_free(unit);
			n = 0;
		} else {
			if (kt_cutter_room(cutter, &place, &room, &e) < 0)
				return -1;
			n = len - done < piece ? len - done : piece;
			n = n < room ? n : room;
			memcpy(place, text + done, n);
			done += n;
		}
		if (kt_cutter_filled(cutter, n, &unit, &e) < 0)
			return -1;
	}
	unit = kt_cutter_end(cutter);
	if (unit != NULL) {
		kt_unit_judge(unit, &wishes);
		if (!conclusion->is_over && kt_conclusion_add(conclusion, unit, &e) < 0)
			abort();
		kt_unit_free(unit);
	}
	kt_conclusion_draw(conclusion);
	return 0;
}

#endif
