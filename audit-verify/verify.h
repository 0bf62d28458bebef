/* SPDX-License-Identifier: Apache-2.0 */
/* From files to a verdict: reading, cutting, judging with several threads. */
#ifndef KT_AUDIT_VERIFY_VERIFY_H
#define KT_AUDIT_VERIFY_VERIFY_H

#include "audit-verify/join.h"
#include "audit-verify/conclusion.h"

/* What to do; borrowed. */
struct kt_verification {
	char *const *paths; /* in the order of the log */
	size_t path_count;
	unsigned threads;     /* 1 or more */
	bool entries;	      /* print them on standard output */
	bool progress;	      /* on standard error */
	struct kt_join *join; /* NULL: none */
};

/* *verdict is initialised, with what is demanded, and gets concluded. What is wrong with the log is
 * in it; an error is what kept us from looking: KT_E_USAGE, KT_E_INTERNAL, KT_E_INPUT (damaged
 * gzip). */
KT_CHECKED int kt_verify(const struct kt_verification *verification, struct kt_conclusion *verdict,
	struct kt_error *e);

#endif
