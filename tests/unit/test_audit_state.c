/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit-verify/state.h"

#define HEX32 "0011223344556677001122334455667700112233445566770011223344556677"

static int parse(const char *text, struct kt_accepted *accepted)
{
	struct kt_error e;

	return kt_state_parse(text, strlen(text), accepted, &e);
}

Test(audit_state, reads_what_it_writes)
{
	struct kt_accepted written = {.is_known = true,
		.entries = 7,
		.counts = {.counter = 1, .reset = 2, .restart = 3, .clock = 4}};
	char path[] = "/tmp/kt-state.XXXXXX";
	struct kt_accepted read;
	struct kt_error e;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	memset(written.head, 9, sizeof(written.head));
	cr_assert_eq(kt_state_write(path, &written, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_state_read(path, &read, &e), 0, "%s", e.msg);
	cr_expect_eq(memcmp(&read, &written, sizeof(read)), 0);
	unlink(path);
	cr_assert_eq(kt_state_read(path, &read, &e), 0);
	cr_expect(!read.is_known);
}

Test(audit_state, other_texts_are_refused)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"kind\":\"other\",\"version\":1}",
		"{\"kind\":\"kubetpm-audit-state\",\"version\":2}",
		"{\"kind\":\"kubetpm-audit-state\",\"version\":1,\"attestationKey\":\"00\"}",
		"{\"kind\":\"kubetpm-audit-state\",\"version\":1,\"attestationKey\":\"000b" HEX32
		"\",\"entries\":-1}",
	};
	struct kt_accepted accepted = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(parse(bad[i], &accepted), -1);
	cr_expect(!accepted.is_known);
}
