/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log as a file that several processes append to: one lock, what others wrote, durable
 * lines, rotation. Knows nothing of the TPM.
 *
 * A file is PATH; rotated, it becomes PATH.000000, PATH.000001, … after its number, and stays as it
 * is. Whoever holds the lock has replayed all that is there, and is the only one to write.
 */
#ifndef KT_LIB_AUDIT_LOG_H
#define KT_LIB_AUDIT_LOG_H

#include "lib/audit-replay.h"

/* When files are rotated, unless `sealtool audit init` was told otherwise. */
#define KT_AUDIT_MAX_BYTES_DEFAULT (64 << 20)
#define KT_AUDIT_AGE_DEFAULT 0 /* seconds; 0: never for its age */

struct kt_audit_log;

/* The log that `sealtool audit init` began. `path` is copied. KT_E_NOT_PROVISIONED if there is
 * none, KT_E_REFUSED if it is no regular file. */
KT_CHECKED int kt_audit_log_open(
	const char *path, struct kt_audit_log **ret_log, struct kt_error *e);
/* NULL is fine. */
void kt_audit_log_close(struct kt_audit_log *log);

/* Waits for the lock, and replays what others wrote. `deadline_ms`: CLOCK_MONOTONIC, 0 for 30
 * seconds. KT_E_BUSY if somebody else keeps it, KT_E_EVIDENCE if the log was changed,
 * KT_E_INTERNAL. A line that a crash cut off is taken away: nobody acted on it. */
KT_CHECKED int kt_audit_log_lock(struct kt_audit_log *log, int64_t deadline_ms, struct kt_error *e);
void kt_audit_log_unlock(struct kt_audit_log *log);

/* With the lock held: the state after the last line. */
const struct kt_audit_replay *kt_audit_log_state(const struct kt_audit_log *log);

/* Appends a line, and waits for the disk if `durable`. On failure (KT_E_INTERNAL: full or broken
 * disk) the file is as it was before. */
KT_CHECKED int kt_audit_log_append(struct kt_audit_log *log, const struct kt_audit_record *record,
	bool durable, struct kt_error *e);

/* Is this file large or old enough, and does it end with a checkpoint? */
bool kt_audit_log_is_due(const struct kt_audit_log *log);
/* Then begins the next file. */
KT_CHECKED int kt_audit_log_rotate(struct kt_audit_log *log, struct kt_error *e);

/* Writes a whole new file, which must not exist yet: KT_E_REFUSED. For `sealtool audit init`. */
KT_CHECKED int kt_audit_log_create(
	const char *path, const char *text, size_t len, struct kt_error *e);

/* Milliseconds since the epoch. */
uint64_t kt_audit_now(void);

#endif
