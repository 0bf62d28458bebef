/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the module ABI that every program shares: the table of functions, the items of
 * the request, the reason a module gives for a failure. A program that serves more (images, keys)
 * embeds struct kt_host_base as its first member and fills in its own functions.
 */
#ifndef KT_LIB_HOST_H
#define KT_LIB_HOST_H

#include <kubetpm/module.h>

#include "lib/error.h"

#define KT_HOST_ITEMS_MAX 32	/* room above the highest enum kt_item */
#define KT_HOST_COUNTERS_MAX 16 /* the same for enum kt_counter */

/* What `ctx` of the table points to. Plain values; nothing to free. */
struct kt_host_base {
	struct kt_host table;
	const char *module;		      /* whose lines log() prints; borrowed */
	const char *items[KT_HOST_ITEMS_MAX]; /* borrowed; NULL: the request has none */
	bool failed;			      /* fail() was called: `failure` counts */
	struct kt_error failure;
	uint64_t counts[KT_HOST_COUNTERS_MAX]; /* what modules counted, by enum kt_counter */
};

/* Fills the table; no items, no module yet. The functions for images are NULL. */
void kt_host_init(struct kt_host_base *base);

/* `module` is about to be called: its name, borrowed, for log lines; forgets the last failure. */
void kt_host_enter(struct kt_host_base *base, const char *module);

/* Why the module answered `result` (not KT_OK, not KT_PASS): what it told fail(), or a sentence of
 * ours if it said nothing; prefixed with its name. Returns -1. */
int kt_host_failure(const struct kt_host_base *base, enum kt_result result, struct kt_error *e);

#endif
