/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges units with several threads, of which the caller's is one, and gives them back in order. At
 * most two units a thread are under way, so that the memory does not grow with the log.
 */
#ifndef KT_AUDIT_VERIFY_POOL_H
#define KT_AUDIT_VERIFY_POOL_H

#include "audit-verify/unit.h"

#define KT_POOL_THREADS_MAX 64

struct kt_pool;

/* `wishes` is borrowed. KT_E_INTERNAL. */
KT_CHECKED int kt_pool_new(unsigned threads, const struct kt_unit_wishes *wishes,
	struct kt_pool **ret_pool, struct kt_error *e);
/* Ends the threads, and frees units that were not taken. NULL is fine. */
void kt_pool_free(struct kt_pool *pool);
KT_AUTO(pool, struct kt_pool *, kt_pool_free)
#define auto_pool __attribute__((cleanup(kt_auto_pool)))

/* Takes a unit. There must be room. */
void kt_pool_put(struct kt_pool *pool, struct kt_unit *unit);

/* The next unit in order, judged, owned by the caller: waits for it, or judges one meanwhile, if
 * there is no room for more, or `all`; else NULL if it is not ready. NULL if there is none. */
struct kt_unit *kt_pool_take(struct kt_pool *pool, bool all);

#endif
