/* SPDX-License-Identifier: Apache-2.0 */
/* The framing of gRPC messages, cut in all ways, and the form of a status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/grpc-message.h"

static int feed(struct kt_grpc_message *m, const char *data, size_t len, struct kt_grpc_status *s)
{
	return kt_grpc_message_feed(m, (const uint8_t *)data, len, s);
}

Test(grpc_message, is_the_same_however_it_is_cut)
{
	static const char whole[] = "\0\0\0\0\x0b"
				    "hello world";
	const size_t len = sizeof(whole) - 1;

	for (size_t i = 0; i <= len; i++)
		for (size_t k = i; k <= len; k++) {
			struct kt_grpc_message m = {0};
			struct kt_grpc_status s = {0};

			cr_assert_eq(feed(&m, whole, i, &s), 0);
			cr_assert_eq(feed(&m, whole + i, k - i, &s), 0);
			cr_assert_eq(feed(&m, whole + k, len - k, &s), 0);
			cr_assert_eq(kt_grpc_message_end(&m, &s), 0);
			cr_assert_eq(m.len, 11);
			cr_assert_arr_eq(m.data, "hello world", 11);
			kt_grpc_message_fini(&m);
			cr_assert_null(m.data);
		}
}

Test(grpc_message, may_be_empty)
{
	struct kt_grpc_message m = {0};
	struct kt_grpc_status s = {0};

	cr_assert_eq(feed(&m, "\0\0\0\0\0", 5, &s), 0);
	cr_assert_eq(kt_grpc_message_end(&m, &s), 0);
	cr_assert_eq(m.len, 0);
	cr_assert_eq(feed(&m, "", 0, &s), 0);
	cr_assert_eq(feed(&m, "x", 1, &s), -1);
	cr_assert_eq(s.code, KT_GRPC_INTERNAL);
}

Test(grpc_message, is_refused_for_what_it_is)
{
	static const struct {
		const char *data;
		size_t len;
		enum kt_grpc_code code;
	} cases[] = {
		{"\1\0\0\0\0", 5, KT_GRPC_UNIMPLEMENTED},
		{"\2\0\0\0\0", 5, KT_GRPC_INTERNAL},
		{"\xff\0\0\0\0", 5, KT_GRPC_INTERNAL},
		{"\0\0\1\0\1", 5, KT_GRPC_RESOURCE_EXHAUSTED},
		{"\0\xff\xff\xff\xff", 5, KT_GRPC_RESOURCE_EXHAUSTED},
		{"\0\0\0\0\0\0\0\0\0\0", 10, KT_GRPC_INTERNAL},
		{"\0\0\0\0\1ab", 7, KT_GRPC_INTERNAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_grpc_message m = {0};
		struct kt_grpc_status s = {0};

		cr_expect_eq(feed(&m, cases[i].data, cases[i].len, &s), -1, "case %zu", i);
		cr_expect_eq(s.code, cases[i].code, "case %zu: %d", i, (int)s.code);
		cr_expect(s.text[0] != '\0', "case %zu", i);
		kt_grpc_message_fini(&m);
	}
}

Test(grpc_message, must_be_whole_at_the_end)
{
	static const char whole[] = "\0\0\0\0\3abc";

	for (size_t len = 0; len < 8; len++) {
		struct kt_grpc_message m = {0};
		struct kt_grpc_status s = {0};

		cr_assert_eq(feed(&m, whole, len, &s), 0);
		cr_expect_eq(kt_grpc_message_end(&m, &s), -1, "%zu bytes", len);
		cr_expect_eq(s.code, KT_GRPC_INTERNAL);
		kt_grpc_message_fini(&m);
	}
}

Test(grpc_message, may_have_64_KiB_and_takes_memory_as_it_comes)
{
	struct kt_grpc_message m = {0};
	struct kt_grpc_status s = {0};
	uint8_t *data = malloc(KT_KMS_MESSAGE_MAX_BYTES);
	uint8_t prefix[KT_GRPC_PREFIX_BYTES];

	cr_assert_not_null(data);
	for (size_t i = 0; i < KT_KMS_MESSAGE_MAX_BYTES; i++)
		data[i] = (uint8_t)(i * 7);
	kt_grpc_prefix(prefix, KT_KMS_MESSAGE_MAX_BYTES);
	cr_assert_arr_eq(prefix, "\0\0\1\0\0", 5);
	cr_assert_eq(kt_grpc_message_feed(&m, prefix, sizeof(prefix), &s), 0);
	cr_assert_eq(m.size, 0, "announced bytes take no memory");
	for (size_t i = 0; i < KT_KMS_MESSAGE_MAX_BYTES; i += 1024)
		cr_assert_eq(kt_grpc_message_feed(&m, data + i, 1024, &s), 0);
	cr_assert_eq(kt_grpc_message_end(&m, &s), 0);
	cr_assert_arr_eq(m.data, data, KT_KMS_MESSAGE_MAX_BYTES);
	kt_grpc_message_fini(&m);
	free(data);
}

Test(grpc_message, status_texts_are_percent_encoded)
{
	char out[KT_GRPC_PERCENT_MAX_BYTES];
	struct kt_grpc_status s;
	char longest[sizeof(s.text)];

	kt_grpc_percent_encode("PCR 7 is not what it was: 50% \xc3\xa4\n", out);
	cr_assert_str_eq(out, "PCR 7 is not what it was: 50%25 %C3%A4%0A");
	memset(longest, '\xff', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	kt_grpc_percent_encode(longest, out);
	cr_assert_eq(strlen(out), 3 * (sizeof(longest) - 1));
	cr_assert_str_eq(out + strlen(out) - 3, "%FF");
}

Test(grpc_message, a_failure_never_becomes_success)
{
	struct kt_error e = {.code = KT_E_NONE};
	struct kt_grpc_status s = {0};

	snprintf(e.msg, sizeof(e.msg), "a module that forgot the code");
	cr_assert_eq(kt_grpc_fail_error(&s, &e), -1);
	cr_assert_eq(s.code, KT_GRPC_INTERNAL);
	memset(e.msg, 'x', sizeof(e.msg) - 1);
	e.msg[sizeof(e.msg) - 1] = '\0';
	e.code = KT_E_POLICY;
	cr_assert_eq(kt_grpc_fail_error(&s, &e), -1);
	cr_assert_eq(s.code, KT_GRPC_FAILED_PRECONDITION);
	cr_assert_eq(strlen(s.text), sizeof(s.text) - 1);
}

Test(grpc_message, status_texts_are_decoded_as_far_as_they_are_text)
{
	static const struct {
		const char *value, *text;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"50%25 of%20it", "50% of it"},
		{"a%0Ab%C3%a4", "a?b??"},
		{"%", "%"},
		{"%4", "%4"},
		{"%zz", "%zz"},
		{"x\x01y\xff", "x?y?"},
	};
	char text[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		kt_grpc_percent_decode(cases[i].value, strlen(cases[i].value), text, sizeof(text));
		cr_expect_str_eq(text, cases[i].text);
	}
	kt_grpc_percent_decode("0123456789", 10, text, 5);
	cr_expect_str_eq(text, "0123");
}
