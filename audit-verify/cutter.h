/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream of log text into units. Knows as much of it as that takes: where lines end, which
 * of them are checkpoints, and which keys a file has at a checkpoint. Pure.
 */
#ifndef KT_AUDIT_VERIFY_CUTTER_H
#define KT_AUDIT_VERIFY_CUTTER_H

#include "audit-verify/unit.h"

#define KT_CUTTER_UNIT_BYTES ((size_t)256 << 10) /* from so many on, at the next checkpoint */
#define KT_CUTTER_UNIT_MAX ((size_t)8 << 20)	 /* without any */

struct kt_cutter;

/* `unit_bytes`: KT_CUTTER_UNIT_BYTES, or less for tests; 1: at each checkpoint. */
KT_CHECKED int kt_cutter_new(size_t unit_bytes, struct kt_cutter **ret_cutter, struct kt_error *e);
/* NULL is fine. */
void kt_cutter_free(struct kt_cutter *cutter);
KT_AUTO(cutter, struct kt_cutter *, kt_cutter_free)
#define auto_cutter __attribute__((cleanup(kt_auto_cutter)))

/* What follows is of another file, number `file`. KT_E_INTERNAL. */
KT_CHECKED int kt_cutter_begin_file(struct kt_cutter *cutter, size_t file, struct kt_error *e);

/* Room for the next bytes of the file: *ret_room, at least a page. KT_E_INPUT if there is no
 * checkpoint in too many bytes: cutting is over then. */
KT_CHECKED int kt_cutter_room(
	struct kt_cutter *cutter, char **ret_place, size_t *ret_room, struct kt_error *e);

/* `len` bytes were put there. *ret_unit is one that is ready, owned by the caller, or NULL. */
KT_CHECKED int kt_cutter_filled(
	struct kt_cutter *cutter, size_t len, struct kt_unit **ret_unit, struct kt_error *e);

/* The end of all: the last unit, owned by the caller; NULL if there is nothing left. */
struct kt_unit *kt_cutter_end(struct kt_cutter *cutter);

#endif
