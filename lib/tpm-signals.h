/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals to end, while the TPM holds something of ours. The first one is noted: operations fail
 * soon, what is loaded gets flushed, and then the signal takes its course. A second one, or ten
 * seconds (a TPM may hang), end the program at once. Part of tpm.c; nobody else includes this.
 */
#ifndef KT_LIB_TPM_SIGNALS_H
#define KT_LIB_TPM_SIGNALS_H

#include "lib/error.h"

/* From now on SIGTERM, SIGINT, SIGHUP and SIGQUIT are noted, unless they were ignored. Not nested.
 */
KT_CHECKED int kt_signals_hold(struct kt_error *e);

/* The signal that was noted, or 0. */
int kt_signals_noted(void);

/* Undoes kt_signals_hold(), and raises what was noted. */
void kt_signals_release(void);

#endif
