/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --state: the last checkpoint that was accepted, so that a log that was cut off or
 * rolled back since is noticed. JSON; it must lie where whoever writes the log cannot write.
 */
#ifndef KT_AUDIT_VERIFY_STATE_H
#define KT_AUDIT_VERIFY_STATE_H

#include "audit-verify/conclusion.h"

/* A file that is not there is a state in which nothing was accepted. KT_E_INPUT if malformed,
 * KT_E_REFUSED if others can write it. */
KT_CHECKED int kt_state_read(
	const char *path, struct kt_accepted *ret_accepted, struct kt_error *e);

/* The text of the file. Pure; fuzzed. KT_E_INPUT. */
KT_CHECKED int kt_state_parse(
	const char *text, size_t len, struct kt_accepted *ret_accepted, struct kt_error *e);

KT_CHECKED int kt_state_write(
	const char *path, const struct kt_accepted *accepted, struct kt_error *e);

#endif
