/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a TPM: opening and closing it, and what every command shares (retry, cleaning
 * up). The capabilities built on it have a header each: tpm-key.h, tpm-session.h, tpm-object.h,
 * tpm-policy.h, tpm-pcr.h, tpm-info.h.
 *
 * Nothing is left behind: kt_tpm_close() flushes every session and transient object that was made.
 * From kt_tpm_open() to kt_tpm_close() the first SIGTERM, SIGINT, SIGHUP or SIGQUIT is noted,
 * operations fail soon, and the signal takes its course once all is flushed; a second one, or ten
 * seconds without an end, kill at once. One connection at a time in a process.
 */
#ifndef KT_LIB_TPM_H
#define KT_LIB_TPM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/auto.h"
#include "lib/error.h"

/* Used when neither --tcti nor KUBETPM_TCTI is given. */
#define KT_TPM_DEFAULT_TCTI "device:/dev/tpmrm0"

struct kt_tpm;

/* Opens "NAME:CONFIG" (tpm2-tss TCTI loader); NULL means $KUBETPM_TCTI, else KT_TPM_DEFAULT_TCTI.
 * On a swtpm unix socket, which has no resource manager, waits for its turn (a lock on the socket's
 * folder) for up to 30 seconds; for a place at tpm2-abrmd up to 10. KT_E_USAGE if NAME is a path,
 * KT_E_TPM, KT_E_BUSY. Owned by the caller. */
KT_CHECKED int kt_tpm_open(const char *tcti, struct kt_tpm **ret_tpm, struct kt_error *e);

/* What a connection cost, so far. */
struct kt_tpm_figures {
	uint64_t commands;   /* sent, those that were retried too */
	uint64_t retries;    /* how often the TPM was too busy, or had no room */
	uint64_t reconnects; /* connections made because one before was lost */
	uint64_t busy_us;    /* between a command and its response, all together */
};

/* The same for a program that lives long: its signals are its own, and it takes no time to wait
 * where nobody may be coming back. The connection starts with the turn on a swtpm socket taken;
 * kt_tpm_pause() gives it to others, also while objects and sessions of ours stay in the TPM, and
 * kt_tpm_resume() waits for it again. Both do nothing on other connections. What passes is added to
 * *figures, which has to outlive the connection. */
KT_CHECKED int kt_tpm_open_for_long(const char *tcti, struct kt_tpm_figures *figures,
	struct kt_tpm **ret_tpm, struct kt_error *e);
void kt_tpm_pause(struct kt_tpm *tpm);
KT_CHECKED int kt_tpm_resume(struct kt_tpm *tpm, struct kt_error *e);

/* Until when waiting makes sense: CLOCK_MONOTONIC in milliseconds; 0: no limit but our own. No
 * command is broken off by it; none is retried, and no turn waited for, beyond it. */
void kt_tpm_set_deadline(struct kt_tpm *tpm, int64_t deadline_ms);

/* Flushes what is loaded, closes the connection, lets signals through again. NULL is fine. */
void kt_tpm_close(struct kt_tpm *tpm);
KT_AUTO(tpm, struct kt_tpm *, kt_tpm_close)
#define auto_tpm __attribute__((cleanup(kt_auto_tpm)))

#endif
