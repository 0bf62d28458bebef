/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls are logged, and what the line says. */
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/call-log.h"

static const struct kt_grpc_status ok, refused = {KT_GRPC_INVALID_ARGUMENT, "no \"such\" key"};
static struct kt_call_log calls;

static uint64_t told; /* that were left out */

static bool wants(enum kt_method method, const struct kt_grpc_status *status, int64_t now_us)
{
	const struct kt_call_entry entry = {.method = method, .status = status};
	uint64_t left_out = 0;
	bool wanted = kt_call_log_wants(&calls, &entry, now_us, &left_out);

	told += left_out;
	return wanted;
}

Test(call_log, a_status_is_logged_when_it_is_news)
{
	cr_expect(wants(KT_METHOD_V2_STATUS, &ok, 1));
	cr_expect(!wants(KT_METHOD_V2_STATUS, &ok, 2));
	cr_expect(wants(KT_METHOD_V2_ENCRYPT, &ok, 3));
	cr_expect(wants(KT_METHOD_V2_ENCRYPT, &ok, 3));
	cr_expect(wants(KT_METHOD_V1_DECRYPT, &ok, 3));
	cr_expect(wants(KT_METHOD_V2_STATUS, &refused, 4));
	cr_expect(!wants(KT_METHOD_V2_STATUS, &refused, 5));
	cr_expect(wants(KT_METHOD_V2_STATUS, &ok, 6));
}

Test(call_log, all_are_all_and_none_is_none)
{
	calls.which = KT_LOG_CALLS_ALL;
	cr_expect(wants(KT_METHOD_V2_STATUS, &ok, 1));
	cr_expect(wants(KT_METHOD_V2_STATUS, &ok, 2));
	cr_expect(wants(KT_METHOD_V1_VERSION, &ok, 2));
	calls.which = KT_LOG_CALLS_NONE;
	cr_expect(!wants(KT_METHOD_V2_DECRYPT, &refused, 3));
	cr_expect(!wants(KT_METHOD_V2_STATUS, &ok, 3));
}

Test(call_log, failures_do_not_fill_the_log_and_are_told_of_later)
{
	int64_t now = 1000000;
	unsigned logged = 0;

	for (int i = 0; i < 1000; i++)
		logged += wants(KT_METHOD_V2_DECRYPT, &refused, now);
	cr_expect_eq(logged, 50);
	cr_expect_eq(calls.left_out, 950);
	/* What is good is logged all the same, and says how many are missing. */
	cr_expect_eq(told, 0);
	cr_expect(wants(KT_METHOD_V2_DECRYPT, &ok, now));
	cr_expect_eq(told, 950);
	cr_expect(!wants(KT_METHOD_V2_DECRYPT, &refused, now + 99999));
	/* Ten more a second. */
	logged = 0;
	for (int i = 0; i < 1000; i++)
		logged += wants(KT_METHOD_V2_DECRYPT, &refused, now + 1000000 + i);
	cr_expect_eq(logged, 10);
	cr_expect(wants(KT_METHOD_V2_DECRYPT, &refused, now + 100000000));
	cr_expect_eq(told, 950 + 1 + 990);
}

Test(call_log, the_line_is_one_and_cannot_be_forged)
{
	struct kt_answer_note note = {.uid = "a b\n\"result=OK\xff", .key_id = "abc"};
	struct kt_call_entry entry = {.method = KT_METHOD_V2_DECRYPT,
		.note = &note,
		.status = &refused,
		.us = 1873,
		.backend_us = 640,
		.commands = 3};
	char line[KT_CALL_LINE_SIZE];

	kt_call_log_format(&entry, line);
	/* sha256sum of "abc" (FIPS 180-4) */
	cr_expect_str_eq(line,
		"call method=v2.Decrypt uid=a?b??result?OK? "
		"key_id_hash=sha256:"
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
		"result=INVALID_ARGUMENT us=1873 tpm_us=640 commands=3 error=\"no 'such' key\"");
	memset(note.uid, 'u', KT_KMS_UID_MAX_BYTES);
	note.uid[KT_KMS_UID_MAX_BYTES] = '\0';
	note.key_id[0] = '\0';
	entry.status = &ok;
	kt_call_log_format(&entry, line);
	cr_expect_not_null(strstr(line, " key_id_hash=- result=OK us="));
	cr_expect_null(strstr(line, "error="));
	cr_expect_eq(strspn(strchr(line, '='), "=v2.Decrypt"), strlen("=v2.Decrypt"));
	cr_expect_eq(strspn(strstr(line, "uid=") + 4, "u"), KT_CALL_UID_MAX_BYTES);
	entry.note = NULL;
	kt_call_log_format(&entry, line);
	cr_expect_not_null(strstr(line, "uid=- key_id_hash=- "));
}
