/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines decryptions up with a kube-apiserver's audit log (audit.k8s.io/v1 Event, a JSON object a
 * line) by time: which of them no request explains. One-sided evidence: the API server keeps what
 * it has opened, so that most requests need no decryption, and one that falls into the time of a
 * request need not be its.
 */
#ifndef KT_AUDIT_VERIFY_JOIN_H
#define KT_AUDIT_VERIFY_JOIN_H

#include "audit-verify/unit.h"

#define KT_JOIN_LINE_MAX ((size_t)4 << 20)
#define KT_JOIN_SLACK_S 5 /* clocks, and the fraction of a second that is dropped */
#define KT_JOIN_LISTED_MAX 100

struct kt_join;

/* Reads the log ("-" and gzip as kt_input_open()); `resources`: those that are encrypted, e.g.
 * "secrets". KT_E_INPUT for a line that is no JSON object. */
KT_CHECKED int kt_join_read(const char *path, const char *const *resources, size_t count,
	struct kt_join **ret_join, struct kt_error *e);
/* NULL is fine. */
void kt_join_free(struct kt_join *join);
KT_AUTO(join, struct kt_join *, kt_join_free)
#define auto_join __attribute__((cleanup(kt_auto_join)))

/* One line of it. Pure; fuzzed. */
KT_CHECKED int kt_join_event(
	struct kt_join *join, const char *line, size_t len, struct kt_error *e);
KT_CHECKED int kt_join_new(
	const char *const *resources, size_t count, struct kt_join **ret_join, struct kt_error *e);
/* After the last line. */
void kt_join_sort(struct kt_join *join);

/* A decryption of the log. */
void kt_join_decryption(struct kt_join *join, const struct kt_decryption *decryption);

struct kt_join_result {
	uint64_t events;      /* of the API server that could have needed a decryption */
	uint64_t explained;   /* decryptions in the time of one */
	uint64_t unexplained; /* in nobody's time */
	uint64_t outside;     /* before or after what the API server's log has */
	size_t listed;	      /* of `unexplained`, in `list` */
	const struct kt_decryption *list; /* borrowed */
};
void kt_join_result(const struct kt_join *join, struct kt_join_result *ret_result);

#endif
