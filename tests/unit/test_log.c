/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on stderr: their form, and that nothing in them can drive a terminal or forge a second
 * line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/log.h"

/* Sends stderr to a temporary file until the test is over. */
static FILE *capture(void)
{
	FILE *file = tmpfile();

	cr_assert_not_null(file);
	cr_assert_geq(dup2(fileno(file), STDERR_FILENO), 0);
	return file;
}

static void expect_text(FILE *file, const char *expected)
{
	char text[4096];

	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	cr_assert_str_eq(text, expected);
}

Test(log, a_report_is_one_line_and_the_exit_status)
{
	auto_file FILE *file = capture();
	struct kt_error e;

	kt_log_init("sealtool", false);
	kt_fail(&e, KT_E_POLICY, "t.sealed: PCR 7 differs\nsealtool: forged");
	cr_assert_eq(kt_report(&e), 3);
	expect_text(file, "sealtool: t.sealed: PCR 7 differs?sealtool: forged\n");
}

Test(log, a_failure_without_a_code_is_not_a_success)
{
	auto_file FILE *file = capture();
	struct kt_error e = {.msg = "odd"};

	kt_log_init("sealtool", false);
	cr_assert_eq(kt_report(&e), 1);
	expect_text(file, "sealtool: odd\n");
}

Test(log, debug_lines_appear_only_when_asked_for)
{
	auto_file FILE *file = capture();

	kt_log_init("exec-plugin", false);
	kt_debug("not %s", "seen");
	kt_warn("%s", "care\033[2J");
	kt_log_init("exec-plugin", true);
	kt_debug("seen %d", 1);
	expect_text(file, "exec-plugin: warning: care?[2J\nexec-plugin: debug: seen 1\n");
}

Test(log, a_long_message_is_cut_but_ends_its_line)
{
	auto_file FILE *file = capture();
	char message[3000], text[4096];
	size_t len;

	memset(message, 'm', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	kt_log_init("sealtool", false);
	kt_warn("%s", message);
	rewind(file);
	len = fread(text, 1, sizeof(text), file);
	cr_assert_gt(len, 1000);
	cr_assert_lt(len, 1200);
	cr_assert_eq(text[len - 1], '\n');
}

Test(log, lines_carry_a_priority_only_if_stderr_is_the_journal)
{
	auto_file FILE *file = capture();
	char stream[64];
	struct stat st;
	struct kt_error e;

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev,
		(uint64_t)st.st_ino);
	cr_assert_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	kt_log_init("kms-shim", true);
	kt_warn("one");
	kt_debug("two");
	kt_fail(&e, KT_E_TPM, "three");
	cr_assert_eq(kt_report(&e), 4);
	snprintf(stream, sizeof(stream), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev,
		(uint64_t)st.st_ino + 1);
	cr_assert_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	kt_log_init("kms-shim", true);
	kt_warn("four");
	expect_text(file, "<4>kms-shim: warning: one\n<7>kms-shim: debug: two\n<3>kms-shim: three\n"
			  "kms-shim: warning: four\n");
}
