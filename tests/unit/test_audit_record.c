/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/audit-record.h"

#define H8 "00112233"
#define H64 H8 H8 H8 H8 H8 H8 H8 H8
#define H128 H64 H64

static int parse(const char *line, struct kt_audit_record *record)
{
	struct kt_error e;
	int status = kt_audit_record_parse(line, strlen(line), record, &e);

	if (status < 0)
		cr_expect_eq(e.code, KT_E_INPUT);
	return status;
}

static const char *const good[] = {
	"{\"t\":\"G\",\"v\":1,\"seq\":3,\"prev\":\"" H64
	"\",\"n\":7,\"ts\":1,\"tier\":\"A\",\"ak\":"
	"\"" H128 "\",\"counter\":1,\"reset\":2,\"restart\":3,\"clock\":4,\"max\":5,\"age\":6}",
	"{\"t\":\"G\",\"v\":1,\"seq\":0,\"prev\":\"" H64
	"\",\"n\":0,\"ts\":1,\"tier\":\"B\",\"ak\":"
	"\"" H128 "\",\"counter\":1,\"reset\":2,\"restart\":3,\"clock\":4,\"max\":5,\"age\":6}",
	"{\"t\":\"G\",\"v\":1,\"seq\":0,\"prev\":\"" H64
	"\",\"n\":0,\"ts\":1,\"tier\":\"C\",\"ak\":"
	"\"" H128 "\",\"counter\":0,\"reset\":2,\"restart\":3,\"clock\":4,\"max\":5,\"age\":6}",
	"{\"t\":\"A\",\"raw\":\"0010\"}",
	"{\"t\":\"K\",\"k\":0,\"ts\":1,\"type\":\"hmac\",\"pub\":\"00\",\"policy\":[[\"0000016c\","
	"\"00000155\"]],\"att\":\"00\",\"sig\":\"" H128
	"\",\"cluster\":\"a%20b\",\"key_id\":\"k\"}",
	"{\"t\":\"K\",\"k\":255,\"ts\":1,\"type\":\"p256\",\"pub\":\"\",\"policy\":[[\"0000017f\","
	"\"\"],[\"0000016c\",\"0000015d\"]],\"att\":\"\",\"sig\":\"" H128
	"\",\"cluster\":\"\",\"key_id\":\"\"}",
	"{\"t\":\"B\",\"ts\":1,\"reset\":2,\"restart\":0}",
	"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"E\",\"k\":0,\"uid\":\"\",\"id\":\"" H64
	"\",\"rnd\":\"" H64 "\"}",
	"{\"t\":\"I\",\"n\":9223372036854775807,\"ts\":1,\"op\":\"D\",\"k\":0,\"uid\":\"x\",\"id\":"
	"\"" H64 "\"}",
	"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"R\"}",
	"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"C\"}",
	"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"S\",\"k\":0,\"tbs\":\"3000\"}",
	"{\"t\":\"O\",\"n\":0,\"rp\":\"" H64 "\"}",
	"{\"t\":\"O\",\"n\":0,\"sig\":\"" H128 "\"}",
	"{\"t\":\"X\",\"ts\":1,\"why\":\"not-executed\",\"count\":1}",
	"{\"t\":\"X\",\"ts\":1,\"why\":\"lost\",\"count\":0}",
	"{\"t\":\"X\",\"ts\":1,\"why\":\"taken\",\"count\":0}",
	"{\"t\":\"C\",\"n\":0,\"ts\":1,\"nonce\":\"c0ffee\",\"head\":\"" H64
	"\",\"att\":\"ff\",\"sig\":\"" H128 "\"}",
	"{\"t\":\"C\",\"n\":0,\"ts\":1,\"nonce\":\"\",\"head\":\"" H64
	"\",\"uses\":7,\"att\":\"ff\",\"sig\":\"" H128 "\"}",
};
#define GOOD_COUNT (sizeof(good) / sizeof(good[0]))

Test(audit_record, what_is_read_is_what_is_written)
{
	static char line[KT_AUDIT_LINE_MAX];
	struct kt_audit_record record;
	struct kt_error e;
	size_t len;

	for (size_t i = 0; i < GOOD_COUNT; i++) {
		cr_assert_eq(parse(good[i], &record), 0, "%s", good[i]);
		cr_assert_eq(kt_audit_record_format(&record, line, &len, &e), 0);
		cr_expect_eq(len, strlen(good[i]));
		cr_expect_eq(memcmp(line, good[i], len), 0, "%s", good[i]);
	}
}

Test(audit_record, no_character_can_be_left_out_or_added)
{
	char line[1024];
	struct kt_audit_record record;

	for (size_t i = 0; i < GOOD_COUNT; i++) {
		size_t len = strlen(good[i]);

		/* A text, or a number, may be shorter: those have their own test. */
		for (size_t cut = 0; cut < len; cut++) {
			struct kt_error e;

			cr_expect_eq(kt_audit_record_parse(good[i], cut, &record, &e), -1);
		}
		snprintf(line, sizeof(line), "%s ", good[i]);
		cr_expect_eq(parse(line, &record), -1);
		snprintf(line, sizeof(line), " %s", good[i]);
		cr_expect_eq(parse(line, &record), -1);
	}
}

Test(audit_record, other_forms_are_refused)
{
	static const char *const bad[] = {
		"{\"t\":\"C\",\"n\":0,\"ts\":1,\"nonce\":\"\",\"head\":\"" H64
		"\",\"uses\":07,\"att\":\"ff\",\"sig\":\"" H128 "\"}",
		"{\"t\":\"C\",\"n\":0,\"ts\":1,\"nonce\":\"\",\"head\":\"" H64
		"\",\"att\":\"ff\",\"uses\":7,\"sig\":\"" H128 "\"}",
		"{\"t\":\"G\",\"v\":1,\"seq\":0,\"prev\":\"" H64
		"\",\"n\":0,\"ts\":1,\"tier\":\"D\",\"ak\":\"" H128
		"\",\"counter\":1,\"reset\":2,\"restart\":3,\"clock\":4,\"max\":5,\"age\":6}",
		"",
		"{}",
		"{\"t\":\"Z\"}",
		"{\"t\":\"A\",\"raw\":\"001\"}",
		"{\"t\":\"A\",\"raw\":\"00AF\"}",
		"{\"t\":\"B\",\"ts\":01,\"reset\":2,\"restart\":0}",
		"{\"t\":\"B\",\"ts\":-1,\"reset\":2,\"restart\":0}",
		"{\"t\":\"B\",\"ts\":9223372036854775808,\"reset\":2,\"restart\":0}",
		"{\"t\":\"B\",\"ts\":,\"reset\":2,\"restart\":0}",
		"{\"t\":\"B\",\"reset\":2,\"ts\":1,\"restart\":0}",
		"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"X\"}",
		"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"D\",\"k\":0,\"uid\":\"a b\",\"id\":\"" H64
		"\"}",
		"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"D\",\"k\":0,\"uid\":\"%41\",\"id\":\"" H64
		"\"}",
		"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"D\",\"k\":0,\"uid\":\"%c3\",\"id\":\"" H64
		"\"}",
		"{\"t\":\"I\",\"n\":0,\"ts\":1,\"op\":\"D\",\"k\":0,\"uid\":\"%C\",\"id\":\"" H64
		"\"}",
		"{\"t\":\"X\",\"ts\":1,\"why\":\"other\",\"count\":1}",
		"{\"t\":\"K\",\"k\":256,\"ts\":1,\"type\":\"hmac\",\"pub\":\"00\",\"policy\":[["
		"\"0000016c\","
		"\"00000155\"]],\"att\":\"00\",\"sig\":\"" H128
		"\",\"cluster\":\"\",\"key_id\":\"\"}",
		"{\"t\":\"K\",\"k\":0,\"ts\":1,\"type\":\"p256\",\"pub\":\"00\",\"policy\":[["
		"\"0000016c\","
		"\"0000015d\"]],\"att\":\"00\",\"sig\":\"" H128
		"\",\"cluster\":\"x\",\"key_id\":\"\"}",
		"{\"t\":\"K\",\"k\":0,\"ts\":1,\"type\":\"hmac\",\"pub\":\"00\",\"policy\":[],"
		"\"att\":\"00\","
		"\"sig\":\"" H128 "\",\"cluster\":\"\",\"key_id\":\"\"}",
	};
	struct kt_audit_record record;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(parse(bad[i], &record), -1, "%s", bad[i]);
}

Test(audit_record, any_bytes_can_be_a_text)
{
	uint8_t bytes[256];
	char text[3 * 256 + 1], back[3 * 256 + 1];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	kt_audit_escape(bytes, sizeof(bytes), text);
	cr_expect_eq(strpbrk(text, " \"\\\n"), NULL);
	cr_expect_eq(kt_audit_unescape(&(struct kt_audit_text){text, strlen(text)}, back),
		sizeof(bytes));
	cr_expect_eq(memcmp(back, bytes, sizeof(bytes)), 0);
}

Test(audit_record, a_line_that_is_too_long_is_not_written)
{
	static char line[KT_AUDIT_LINE_MAX], hex[KT_AUDIT_LINE_MAX + 1];
	struct kt_audit_record record = {.type = KT_AUDIT_SET};
	struct kt_error e;
	size_t len;

	memset(hex, '0', KT_AUDIT_LINE_MAX);
	record.set.raw = (struct kt_audit_text){hex, KT_AUDIT_LINE_MAX};
	cr_expect_eq(kt_audit_record_format(&record, line, &len, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}
