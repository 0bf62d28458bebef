/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines on stderr. Each is one write(), so that lines of programs that share a terminal or a log do
 * not mix. What cannot be written is lost: there is nobody left to tell.
 */
#include "lib/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/io.h"

static const char *log_program = "kubetpm";
static bool log_verbose;
static bool log_priorities;

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of what the service was started with,
 * which tells whether stderr is still that. */
static bool stderr_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(ours, sizeof(ours), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev,
		(uint64_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void kt_log_init(const char *program, bool verbose)
{
	log_program = program;
	log_verbose = verbose;
	log_priorities = stderr_is_journal();
	/* tpm2-tss prints lines of its own for every failure that we explain better. */
	if (setenv("TSS2_LOG", "all+NONE", 0) != 0)
		return;
}

static void print_line(int priority, const char *word, const char *message)
{
	struct kt_error ignored;
	char line[sizeof(ignored.msg) + 128];
	char prefix[8] = "";
	int len;

	if (log_priorities)
		snprintf(prefix, sizeof(prefix), "<%d>", priority);
	len = snprintf(line, sizeof(line) - 1, "%s%.64s: %s%s", prefix, log_program, word, message);
	if (len < 0)
		return;
	if ((size_t)len > sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len++] = '\n';
	if (kt_write_all(STDERR_FILENO, line, (size_t)len, "stderr", &ignored) != 0)
		return;
}

/* Through a struct kt_error, which replaces what could drive a terminal. */
KT_PRINTF(3, 0)
static void print_formatted(int priority, const char *word, const char *fmt, va_list args)
{
	struct kt_error clean;
	char message[sizeof(clean.msg)];

	vsnprintf(message, sizeof(message), fmt, args);
	kt_fail(&clean, KT_E_INTERNAL, "%s", message);
	print_line(priority, word, clean.msg);
}

void kt_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_formatted(LOG_WARNING, "warning: ", fmt, args);
	va_end(args);
}

void kt_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_formatted(LOG_INFO, "", fmt, args);
	va_end(args);
}

void kt_debug(const char *fmt, ...)
{
	va_list args;

	if (!log_verbose)
		return;
	va_start(args, fmt);
	print_formatted(LOG_DEBUG, "debug: ", fmt, args);
	va_end(args);
}

int kt_report(const struct kt_error *e)
{
	print_line(LOG_ERR, "", e->msg);
	/* A failure must never end as success, whatever a module put there. */
	return e->code != KT_E_NONE ? (int)e->code : (int)KT_E_INTERNAL;
}
