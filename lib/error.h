/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error convention. A fallible function returns 0 or -1 and takes a struct kt_error as its
 * last argument, which it fills on failure and leaves alone on success. Outputs are named ret_*,
 * stand just before the error, and are written only on success. No allocation: it works when memory
 * is what failed.
 */
#ifndef KT_LIB_ERROR_H
#define KT_LIB_ERROR_H

#include <kubetpm/module.h> /* enum kt_code: the frozen exit statuses */

struct kt_error {
	enum kt_code code;
	char msg[1024];
};

#define KT_CHECKED __attribute__((warn_unused_result))
#define KT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Each fills *e and returns -1, so that failing is one line: return kt_fail(e, ...); */
int kt_fail(struct kt_error *e, enum kt_code code, const char *fmt, ...) KT_PRINTF(3, 4);

/* Appends ": " and strerror(errno). */
int kt_fail_errno(struct kt_error *e, enum kt_code code, const char *fmt, ...) KT_PRINTF(3, 4);

/* Appends the first reason of OpenSSL's error queue, which is emptied. Code KT_E_INTERNAL unless
 * the caller knows that input is to blame. */
int kt_fail_ssl(struct kt_error *e, enum kt_code code, const char *fmt, ...) KT_PRINTF(3, 4);

/* Out of memory: KT_E_INTERNAL. */
int kt_fail_memory(struct kt_error *e);

/* Puts "context: " before the message that is there; the code stays. */
int kt_wrap(struct kt_error *e, const char *fmt, ...) KT_PRINTF(2, 3);

/* Puts "; hint" behind the message that is there; the code stays. */
int kt_hint(struct kt_error *e, const char *fmt, ...) KT_PRINTF(2, 3);

#endif
