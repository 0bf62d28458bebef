/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines on stderr for people. Library code only calls kt_debug(); main() prints the error, once;
 * kt_info() is for what a server does.
 * Under journald a line carries its priority as <n>.
 */
#ifndef KT_LIB_LOG_H
#define KT_LIB_LOG_H

#include <stdbool.h>

#include "lib/error.h"

/* `program` is borrowed for ever; `verbose` turns kt_debug() on. */
void kt_log_init(const char *program, bool verbose);

void kt_warn(const char *fmt, ...) KT_PRINTF(1, 2);
void kt_info(const char *fmt, ...) KT_PRINTF(1, 2);
void kt_debug(const char *fmt, ...) KT_PRINTF(1, 2);

/* "program: message"; returns the exit status, so that main() ends with return kt_report(&e); */
int kt_report(const struct kt_error *e);

#endif
