/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error values: formatting and context. Never prints and never allocates. Text that comes from
 * outside (file names, TPM strings) may carry control characters; they are replaced, so that a
 * message stays one line and cannot drive a terminal.
 */
#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

/* C0 controls and DEL, and the C1 controls, which UTF-8 writes as C2 80 to C2 9F. */
static void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

KT_PRINTF(3, 0)
static void set(struct kt_error *e, enum kt_code code, const char *fmt, va_list args)
{
	char text[sizeof(e->msg)];

	vsnprintf(text, sizeof(text), fmt, args);
	make_printable(text);
	memcpy(e->msg, text, sizeof(text));
	e->code = code;
}

static void append(struct kt_error *e, const char *separator, const char *text)
{
	size_t used = strlen(e->msg);

	snprintf(e->msg + used, sizeof(e->msg) - used, "%s%s", separator, text);
	make_printable(e->msg + used);
}

int kt_fail(struct kt_error *e, enum kt_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set(e, code, fmt, args);
	va_end(args);
	return -1;
}

int kt_fail_errno(struct kt_error *e, enum kt_code code, const char *fmt, ...)
{
	int number = errno;
	va_list args;

	va_start(args, fmt);
	set(e, code, fmt, args);
	va_end(args);
	append(e, ": ", strerror(number));
	return -1;
}

int kt_fail_ssl(struct kt_error *e, enum kt_code code, const char *fmt, ...)
{
	unsigned long number = ERR_peek_error();
	const char *reason = number != 0 ? ERR_reason_error_string(number) : NULL;
	va_list args;

	va_start(args, fmt);
	set(e, code, fmt, args);
	va_end(args);
	if (reason != NULL)
		append(e, ": ", reason);
	ERR_clear_error();
	return -1;
}

int kt_fail_memory(struct kt_error *e)
{
	return kt_fail(e, KT_E_INTERNAL, "out of memory");
}

int kt_wrap(struct kt_error *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	va_list args;

	memcpy(old, e->msg, sizeof(old));
	va_start(args, fmt);
	set(e, e->code, fmt, args);
	va_end(args);
	append(e, ": ", old);
	return -1;
}

int kt_hint(struct kt_error *e, const char *fmt, ...)
{
	char hint[sizeof(e->msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(hint, sizeof(hint), fmt, args);
	va_end(args);
	append(e, "; ", hint);
	return -1;
}
