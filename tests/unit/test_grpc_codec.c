/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of both services: golden bytes, limits, hostile input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/codec.h"
#include "lib/hex.h"

#define ID "id.kms.example"
#define BYTES_MAX 70000

static uint8_t bytes[BYTES_MAX];

static size_t from_hex(const char *hex)
{
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(hex, bytes, strlen(hex) / 2, &e), 0);
	return strlen(hex) / 2;
}

/* Appends field `number`, wire type 2. */
static size_t put_field(size_t at, unsigned number, const void *data, size_t len)
{
	bytes[at++] = (uint8_t)(number << 3 | 2);
	for (size_t n = len;; n >>= 7) {
		bytes[at++] = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
		if (n <= 0x7f)
			break;
	}
	memcpy(bytes + at, data, len);
	return at + len;
}

static void expect_frame(struct kt_frame *frame, const char *hex)
{
	char *text = malloc(2 * frame->len + 1);

	cr_assert_not_null(text);
	kt_hex_encode(frame->data, frame->len, text);
	cr_expect_str_eq(text, hex);
	free(text);
	kt_wipe_free(frame->data);
	*frame = (struct kt_frame){0};
}

static void expect_refused(enum kt_method method, size_t len, const char *what)
{
	struct kt_grpc_status s = {0};
	struct kt_request *r = NULL;

	cr_expect_eq(kt_codec_read(method, bytes, len, &r, &s), -1, "%s", what);
	cr_expect_eq(s.code, KT_GRPC_INVALID_ARGUMENT, "%s: %d", what, (int)s.code);
	cr_expect_null(r);
}

Test(grpc_codec, writes_the_golden_answers)
{
	static const uint8_t value[] = {1, 2};
	const struct kt_kms_status status = {.version = "v2", .healthz = "ok", .key_id = "K1"};
	struct kt_kms_encrypted encrypted = {.key_id = "K1",
		.record = {
			.size = sizeof(encrypted.record),
			.ciphertext = {(const uint8_t *)"CT", 2},
			.annotation_count = 1,
			.annotations = {{ID, {value, 2}}},
		}};
	struct kt_grpc_status s = {0};
	struct kt_frame frame = {0};

	cr_assert_eq(kt_codec_write_status(&status, &frame, &s), 0);
	expect_frame(&frame, "000000000c0a02763212026f6b1a024b31");
	cr_assert_eq(kt_codec_write_encrypted(&encrypted, &frame, &s), 0);
	expect_frame(
		&frame, "000000001e0a02435412024b311a140a0e69642e6b6d732e6578616d706c6512020102");
	cr_assert_eq(kt_codec_write_version(&frame, &s), 0);
	expect_frame(&frame, "000000001a0a077631626574613112086b6d732d7368696d1a05302e312e30");
	cr_assert_eq(kt_codec_write_bytes("abc", 3, &frame, &s), 0);
	expect_frame(&frame, "00000000050a03616263");
	cr_assert_eq(kt_codec_write_bytes(NULL, 0, &frame, &s), 0);
	expect_frame(&frame, "0000000000");
}

Test(grpc_codec, reads_the_golden_requests)
{
	struct kt_grpc_status s = {0};
	struct kt_request *r = NULL;
	size_t len = from_hex("0a040001020312027531");

	cr_assert_eq(kt_codec_read(KT_METHOD_V2_ENCRYPT, bytes, len, &r, &s), 0);
	cr_expect_str_eq(r->uid, "u1");
	cr_assert_eq(r->data.len, 4);
	cr_expect_arr_eq(r->data.data, "\0\1\2\3", 4);
	kt_request_free(r);

	len = from_hex("0a024354120275321a024b3122140a0e69642e6b6d732e6578616d706c6512020102");
	cr_assert_eq(kt_codec_read(KT_METHOD_V2_DECRYPT, bytes, len, &r, &s), 0);
	cr_expect_str_eq(r->uid, "u2");
	cr_expect_str_eq(r->key_id, "K1");
	cr_assert_eq(r->record.ciphertext.len, 2);
	cr_expect_arr_eq(r->record.ciphertext.data, "CT", 2);
	cr_assert_eq(r->record.annotation_count, 1);
	cr_expect_str_eq(r->record.annotations[0].name, ID);
	cr_assert_eq(r->record.annotations[0].value.len, 2);
	cr_expect_arr_eq(r->record.annotations[0].value.data, "\1\2", 2);
	cr_expect_eq(r->record.size, sizeof(r->record));
	kt_request_free(r);

	cr_assert_eq(kt_codec_read(KT_METHOD_V2_STATUS, NULL, 0, &r, &s), 0);
	kt_request_free(r);
}

Test(grpc_codec, v1beta1_names_its_version)
{
	static const enum kt_method methods[] = {
		KT_METHOD_V1_VERSION, KT_METHOD_V1_ENCRYPT, KT_METHOD_V1_DECRYPT};

	for (size_t i = 0; i < 3; i++) {
		struct kt_grpc_status s = {0};
		struct kt_request *r = NULL;
		size_t len = put_field(0, 1, "v1beta1", 7);

		len = put_field(len, 2, "ping", 4);
		cr_assert_eq(kt_codec_read(methods[i], bytes, len, &r, &s), 0);
		if (i > 0) {
			cr_assert_eq(r->data.len, 4);
			cr_expect_arr_eq(r->data.data, "ping", 4);
		}
		kt_request_free(r);
		expect_refused(methods[i], put_field(0, 1, "v1", 2), "another version");
		expect_refused(methods[i], 0, "no version");
	}
}

Test(grpc_codec, the_last_of_doubled_fields_counts_and_unknown_ones_are_skipped)
{
	struct kt_grpc_status s = {0};
	struct kt_request *r = NULL;
	uint8_t entry[64];
	size_t len, entry_len;

	len = put_field(0, 1, "first", 5);
	len = put_field(len, 15, "unknown", 7);
	len = put_field(len, 1, "last", 4);
	cr_assert_eq(kt_codec_read(KT_METHOD_V2_ENCRYPT, bytes, len, &r, &s), 0);
	cr_assert_eq(r->data.len, 4);
	cr_expect_arr_eq(r->data.data, "last", 4);
	kt_request_free(r);

	entry_len = put_field(put_field(0, 1, "a.b", 3), 2, "one", 3);
	memcpy(entry, bytes, entry_len);
	len = put_field(0, 4, entry, entry_len);
	entry[entry_len - 1] = 'E';
	len = put_field(len, 4, entry, entry_len);
	len = put_field(len, 4, "", 0);
	cr_assert_eq(kt_codec_read(KT_METHOD_V2_DECRYPT, bytes, len, &r, &s), 0);
	cr_assert_eq(r->record.annotation_count, 2);
	cr_assert_eq(r->record.annotations[0].value.len, 3);
	cr_expect_arr_eq(r->record.annotations[0].value.data, "onE", 3);
	cr_expect_str_eq(r->record.annotations[1].name, "", "absent members are empty");
	kt_request_free(r);
}

Test(grpc_codec, refuses_what_is_no_text)
{
	static const struct {
		const char *data;
		size_t len;
		bool good;
	} cases[] = {
		{"plain", 5, true},
		{"\xc3\xa4", 2, true},
		{"\xe2\x82\xac", 3, true},
		{"\xf0\x9f\x94\x91", 4, true},
		{"\xf4\x8f\xbf\xbf", 4, true},
		{"\xed\x9f\xbf", 3, true},
		{"a\0b", 3, false},
		{"\0", 1, false},
		{"\x80", 1, false},
		{"\xc3", 1, false},
		{"\xe2\x82", 2, false},
		{"\xf0\x9f\x94", 3, false},
		{"\xc0\x80", 2, false},
		{"\xc1\xbf", 2, false},
		{"\xe0\x80\x80", 3, false},
		{"\xe0\x9f\xbf", 3, false},
		{"\xf0\x80\x80\x80", 4, false},
		{"\xed\xa0\x80", 3, false},
		{"\xf4\x90\x80\x80", 4, false},
		{"\xf5\x80\x80\x80", 4, false},
		{"\xff", 1, false},
		{"\xc3\x28", 2, false},
		{"\xe2\x28\xa1", 3, false},
		{"\xe2\x82\x28", 3, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_grpc_status s = {0};
		struct kt_request *r = NULL;
		size_t len = put_field(0, 2, cases[i].data, cases[i].len);
		int result = kt_codec_read(KT_METHOD_V2_ENCRYPT, bytes, len, &r, &s);

		cr_expect_eq(result, cases[i].good ? 0 : -1, "case %zu", i);
		if (result == 0)
			cr_expect_eq(strlen(r->uid), cases[i].len);
		kt_request_free(r);
	}
}

Test(grpc_codec, holds_to_the_limits)
{
	static char big[BYTES_MAX - 100];
	struct kt_grpc_status s = {0};
	struct kt_request *r = NULL;
	char name[32];
	size_t len;

	memset(big, 'x', sizeof(big));
	cr_assert_eq(kt_codec_read(KT_METHOD_V2_DECRYPT, bytes,
			     put_field(0, 3, big, KT_KMS_KEY_ID_MAX_BYTES), &r, &s),
		0);
	cr_expect_eq(strlen(r->key_id), KT_KMS_KEY_ID_MAX_BYTES);
	kt_request_free(r);
	expect_refused(KT_METHOD_V2_DECRYPT, put_field(0, 3, big, KT_KMS_KEY_ID_MAX_BYTES + 1),
		"a long key_id");
	expect_refused(KT_METHOD_V2_DECRYPT, put_field(0, 1, big, KT_KMS_CIPHERTEXT_MAX_BYTES + 1),
		"a long ciphertext");
	expect_refused(
		KT_METHOD_V2_DECRYPT, put_field(0, 2, big, KT_KMS_UID_MAX_BYTES + 1), "a long uid");
	len = put_field(0, 1, big, KT_KMS_FQDN_MAX_BYTES + 1);
	memcpy(big, bytes, len);
	expect_refused(KT_METHOD_V2_DECRYPT, put_field(0, 4, big, len), "a long annotation name");
	memset(big, 'x', sizeof(big));
	len = put_field(0, 2, big, KT_KMS_ANNOTATIONS_MAX_BYTES + 1);
	memcpy(big, bytes, len);
	expect_refused(KT_METHOD_V2_DECRYPT, put_field(0, 4, big, len), "large annotations");
	len = 0;
	for (int i = 0; i <= KT_KMS_ANNOTATIONS_MAX; i++) {
		snprintf(name, sizeof(name), "%c%ca%d.b", 10, 4, i);
		len = put_field(len, 4, name, 6);
	}
	expect_refused(KT_METHOD_V2_DECRYPT, len, "many annotations");
}

Test(grpc_codec, refuses_what_is_no_message)
{
	static const char *const cases[] = {"0a", "0a05", "0a0561", "0affffffff0f", "0801",
		"0d00000000", "ff", "0f", "07", "ffffffffffffffffffffff", "12028061",
		"0a0161120261"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect_refused(KT_METHOD_V2_ENCRYPT, from_hex(cases[i]), cases[i]);
		expect_refused(KT_METHOD_V2_DECRYPT, from_hex(cases[i]), cases[i]);
	}
}

/* The other side: what we write as an answer is read as one, and a question as a request. */
Test(grpc_codec, a_client_reads_what_a_server_writes)
{
	const struct kt_kms_encrypted encrypted = {.key_id = "key",
		.record = {.size = sizeof(encrypted.record),
			.ciphertext = {(const uint8_t *)"cipher", 6},
			.annotation_count = 1,
			.annotations = {{ID, {(const uint8_t *)"v", 1}}}}};
	const struct kt_kms_status status = {"v2", "ok", "key"};
	struct kt_grpc_status s = {0};
	struct kt_frame frame = {0};
	struct kt_reply *reply = NULL;
	struct kt_request *request = NULL;
	struct kt_question question = {.uid = "uid-1", .key_id = "key"};
	struct kt_error e;

	cr_assert_eq(kt_codec_write_status(&status, &frame, &s), 0);
	cr_assert_eq(
		kt_codec_read_reply(KT_METHOD_V2_STATUS, frame.data + 5, frame.len - 5, &reply, &e),
		0, "%s", e.msg);
	cr_expect_str_eq(reply->version, "v2");
	cr_expect_str_eq(reply->healthz, "ok");
	cr_expect_str_eq(reply->key_id, "key");
	kt_reply_free(reply);
	kt_wipe_free(frame.data);

	cr_assert_eq(kt_codec_write_encrypted(&encrypted, &frame, &s), 0);
	cr_assert_eq(kt_codec_read_reply(
			     KT_METHOD_V2_ENCRYPT, frame.data + 5, frame.len - 5, &reply, &e),
		0, "%s", e.msg);
	kt_wipe_free(frame.data);
	question.record = &reply->record;
	cr_assert_eq(kt_codec_write_question(KT_METHOD_V2_DECRYPT, &question, &frame, &s), 0);
	cr_assert_eq(
		kt_codec_read(KT_METHOD_V2_DECRYPT, frame.data + 5, frame.len - 5, &request, &s),
		0);
	cr_expect_str_eq(request->uid, "uid-1");
	cr_expect_str_eq(request->key_id, "key");
	cr_expect_eq(request->record.ciphertext.len, 6);
	cr_expect_str_eq(request->record.annotations[0].name, ID);
	kt_request_free(request);
	kt_reply_free(reply);
	kt_wipe_free(frame.data);
	cr_expect_eq(kt_codec_write_question(KT_METHOD_V1_VERSION, &question, &frame, &s), -1);
}

Test(grpc_codec, a_client_refuses_what_an_api_server_would)
{
	char long_key[KT_KMS_KEY_ID_MAX_BYTES + 1];
	struct kt_reply *reply = NULL;
	struct kt_error e;
	size_t len;

	memset(long_key, 'k', sizeof(long_key));
	len = put_field(0, 3, long_key, sizeof(long_key));

	cr_expect_eq(kt_codec_read_reply(KT_METHOD_V2_STATUS, bytes, len, &reply, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	/* No key_id, no ciphertext, a name with a slash, no message at all. */
	len = put_field(0, 1, "v2", 2);
	cr_expect_eq(kt_codec_read_reply(KT_METHOD_V2_STATUS, bytes, len, &reply, &e), -1);
	len = put_field(0, 2, "key", 3);
	cr_expect_eq(kt_codec_read_reply(KT_METHOD_V2_ENCRYPT, bytes, len, &reply, &e), -1);
	len = put_field(put_field(put_field(0, 1, "c", 1), 2, "key", 3), 3,
		"\x0a\x05"
		"a/b.c",
		7);
	cr_expect_eq(kt_codec_read_reply(KT_METHOD_V2_ENCRYPT, bytes, len, &reply, &e), -1);
	cr_expect_eq(
		kt_codec_read_reply(KT_METHOD_V2_DECRYPT, (const uint8_t *)"\xff", 1, &reply, &e),
		-1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_null(reply);
}
