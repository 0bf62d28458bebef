/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict for people, and for machines. */
#ifndef KT_AUDIT_VERIFY_REPORT_H
#define KT_AUDIT_VERIFY_REPORT_H

#include "audit-verify/join.h"
#include "audit-verify/conclusion.h"

/* `paths`: the files, as they are numbered; `join` may be NULL. */
struct kt_report {
	const struct kt_conclusion *verdict;
	char *const *paths;
	size_t path_count;
	const struct kt_join *join;
};

/* On standard output. KT_E_INTERNAL. */
void kt_report_text(const struct kt_report *report);
KT_CHECKED int kt_report_json(const struct kt_report *report, struct kt_error *e);

/* Why it is not complete, in one line: fills *e with kt_conclusion_code(). Returns -1. */
int kt_report_failure(const struct kt_report *report, struct kt_error *e);

#endif
