/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines: each request gets one reply, whatever it is, and the next one is served. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "kms.h"
#include "kms-shim/stdio.h"
#include "lib/b64.h"
#include "lib/json.h"

/* The reply to one line, without its newline; owned by the caller. */
static char *ask(struct kt_kms *kms, const char *text, size_t len)
{
	auto_secret struct kt_secret *line = NULL, *reply = NULL;
	struct kt_error e;
	char *copy;

	cr_assert_eq(kt_secret_from(text, len, &line, &e), 0);
	cr_assert_eq(kt_secret_new(KT_STDIO_REPLY_MAX_BYTES, &reply, &e), 0);
	cr_assert_eq(kt_stdio_answer(kms, line, reply, &e), 0, "%s", e.msg);
	copy = strndup(kt_secret_bytes(reply), kt_secret_len(reply));
	cr_assert_not_null(copy);
	cr_assert_eq(strlen(copy), kt_secret_len(reply));
	cr_assert_eq(strchr(copy, '\n'), copy + strlen(copy) - 1);
	copy[strlen(copy) - 1] = '\0';
	return copy;
}

static void expect_reply(struct kt_kms *kms, const char *line, const char *reply)
{
	auto_free char *got = ask(kms, line, strlen(line));

	cr_expect_str_eq(got, reply, "%s: %s", line, got);
}

static void expect_refusal(
	struct kt_kms *kms, const char *line, const char *code, const char *message)
{
	auto_free char *got = ask(kms, line, strlen(line));
	char head[128];

	snprintf(head, sizeof(head), "{\"error\":{\"code\":\"%s\",\"message\":\"", code);
	cr_expect_eq(strncmp(got, head, strlen(head)), 0, "%s: %s", line, got);
	cr_expect_not_null(strstr(got, message), "%s: %s", line, got);
}

static const char *key_id_of(struct kt_kms *kms)
{
	struct kt_kms_status status;
	struct kt_error e;

	cr_assert_eq(kt_kms_status(kms, &status, &e), 0);
	return status.key_id;
}

Test(kms_stdio, answers_in_proto3_json)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	const char *id = key_id_of(kms);
	char line[512], reply[512];

	snprintf(reply, sizeof(reply), "{\"version\":\"v2\",\"healthz\":\"ok\",\"keyId\":\"%s\"}",
		id);
	expect_reply(kms, "{\"method\":\"Status\"}", reply);
	snprintf(reply, sizeof(reply),
		"{\"ciphertext\":\"b2xsZWg=\",\"keyId\":\"%s\","
		"\"annotations\":{\"id.kubetpm.internal\":\"bmV3\"}}",
		id);
	expect_reply(
		kms, " {\"plaintext\":\"aGVsbG8=\",\"uid\":\"u\",\"method\":\"Encrypt\"}\r", reply);
	for (int camel = 0; camel < 2; camel++) {
		snprintf(line, sizeof(line),
			"{\"method\":\"Decrypt\",\"uid\":\"v\",\"ciphertext\":\"b2xsZWg=\","
			"\"%s\":\"%s\",\"annotations\":{\"id.kubetpm.internal\":\"bmV3\"}}",
			camel ? "keyId" : "key_id", id);
		expect_reply(kms, line, "{\"plaintext\":\"aGVsbG8=\"}");
		cr_expect_str_eq(plan.uid, "v");
	}
}

static void drop_annotations(struct kt_kms_record *record)
{
	record->annotation_count = 0;
}

Test(kms_stdio, leaves_out_what_is_empty)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	char reply[256];

	plan.spoil = drop_annotations;
	snprintf(
		reply, sizeof(reply), "{\"ciphertext\":\"eA==\",\"keyId\":\"%s\"}", key_id_of(kms));
	expect_reply(kms, "{\"method\":\"Encrypt\",\"plaintext\":\"eA==\",\"uid\":null}", reply);
}

Test(kms_stdio, refuses_bad_lines_with_a_reason)
{
	static const struct {
		const char *line, *code, *message;
	} cases[] = {
		{"", "INVALID_ARGUMENT", "ends too early"},
		{"garbage", "INVALID_ARGUMENT", "not valid JSON at byte 0"},
		{"[]", "INVALID_ARGUMENT", "not an object"},
		{"{}", "INVALID_ARGUMENT", "method"},
		{"{\"method\":1}", "INVALID_ARGUMENT", "method"},
		{"{\"method\":\"Status\"}{}", "INVALID_ARGUMENT", "follows the end"},
		{"{\"method\":\"Status\",\"method\":\"Status\"}", "INVALID_ARGUMENT", "name came"},
		{"{\"method\":\"Status\",\"uid\":\"x\"}", "INVALID_ARGUMENT", "no member"},
		{"{\"method\":\"status\"}", "UNIMPLEMENTED", "no method"},
		{"{\"method\":\"a\\u001b\\\"b\"}", "UNIMPLEMENTED", "a?\\\"b"},
		{"{\"method\":\"Encrypt\"}", "INVALID_ARGUMENT", "0 bytes"},
		{"{\"method\":\"Encrypt\",\"plaintext\":\"\"}", "INVALID_ARGUMENT", "0 bytes"},
		{"{\"method\":\"Encrypt\",\"plaintext\":\"eA\"}", "INVALID_ARGUMENT", "base64"},
		{"{\"method\":\"Encrypt\",\"plaintext\":\"-_8=\"}", "INVALID_ARGUMENT", "base64"},
		{"{\"method\":\"Encrypt\",\"plaintext\":5}", "INVALID_ARGUMENT", "plaintext"},
		{"{\"method\":\"Encrypt\",\"plaintext\":\"eA==\",\"uid\":\"a\\nb\"}",
			"INVALID_ARGUMENT", "control character"},
		{"{\"method\":\"Encrypt\",\"Plaintext\":\"eA==\"}", "INVALID_ARGUMENT",
			"no member"},
		{"{\"method\":\"Decrypt\"}", "INVALID_ARGUMENT", "ciphertext is empty"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\"}", "INVALID_ARGUMENT",
			"no key_id"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\"}",
			"INVALID_ARGUMENT", "no key here has the key_id K"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\",\"key_id\":"
		 "\"K\"}",
			"INVALID_ARGUMENT", "same field"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\","
		 "\"annotations\":[]}",
			"INVALID_ARGUMENT", "annotations"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\","
		 "\"annotations\":{\"a/b.c\":\"\"}}",
			"INVALID_ARGUMENT", "fully qualified"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\","
		 "\"annotations\":{\"a.b\":{}}}",
			"INVALID_ARGUMENT", "annotations"},
		{"{\"method\":\"Decrypt\",\"ciphertext\":\"eA==\",\"keyId\":\"K\","
		 "\"annotations\":{\"a.a\":\"\",\"a.b\":\"\",\"a.c\":\"\",\"a.d\":\"\",\"a.e\":"
		 "\"\","
		 "\"a.f\":\"\",\"a.g\":\"\",\"a.h\":\"\",\"a.i\":\"\"}}",
			"INVALID_ARGUMENT", "more than 8"},
	};
	auto_kms struct kt_kms *kms = open_core(CONF);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(kms, cases[i].line, cases[i].code, cases[i].message);
	expect_refusal(kms, "{\"method\":\"Status\xff\"}", "INVALID_ARGUMENT", "not UTF-8");
}

Test(kms_stdio, an_error_is_json_whatever_it_quotes)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_json struct json_object *parsed = NULL;
	auto_free char *reply = NULL;
	char line[256] = "{\"method\":\"Status\",\"";
	struct kt_error e;

	/* A name of two-byte characters, cut off inside one. */
	strcat(line, "x");
	for (int i = 0; i < 40; i++)
		strcat(line, "\xc3\xa9");
	strcat(line, "\":1}");
	reply = ask(kms, line, strlen(line));
	cr_assert_eq(kt_json_parse(reply, strlen(reply), &parsed, &e), 0, "%s: %s", e.msg, reply);
	cr_expect_not_null(strstr(reply, "x\xc3\xa9"));
}

Test(kms_stdio, says_which_grpc_code_a_failure_has)
{
	auto_kms struct kt_kms *kms = open_core(CONF);

	plan.status = plan.encrypt = KT_DENIED;
	plan.code = KT_E_POLICY;
	expect_reply(kms, "{\"method\":\"Status\"}",
		"{\"error\":{\"code\":\"FAILED_PRECONDITION\",\"message\":\"fake: as planned\"}}");
	plan.code = KT_E_TPM;
	expect_reply(kms, "{\"method\":\"Encrypt\",\"plaintext\":\"eA==\"}",
		"{\"error\":{\"code\":\"UNAVAILABLE\",\"message\":\"fake: as planned\"}}");
}

static uint8_t bytes[KT_KMS_ANNOTATIONS_MAX_BYTES];

static void make_largest(struct kt_kms_record *record)
{
	record->ciphertext = (struct kt_bytes){bytes, KT_KMS_CIPHERTEXT_MAX_BYTES};
	record->annotations[0].value.data = bytes;
	record->annotations[0].value.len = sizeof(bytes) - strlen("id.kubetpm.internal");
}

Test(kms_stdio, the_largest_request_and_reply_fit)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *line = calloc(1, KT_STDIO_LINE_MAX_BYTES);
	auto_free char *text = NULL;
	auto_free char *reply = NULL;
	auto_free uint8_t *plaintext = calloc(1, KT_KMS_MESSAGE_MAX_BYTES + 3);
	struct kt_error e;

	cr_assert(line != NULL && plaintext != NULL);
	plan.spoil = make_largest;
	cr_assert_eq(kt_b64_encode(plaintext, KT_KMS_MESSAGE_MAX_BYTES, &text, &e), 0);
	snprintf(line, KT_STDIO_LINE_MAX_BYTES, "{\"method\":\"Encrypt\",\"plaintext\":\"%s\"}",
		text);
	reply = ask(kms, line, strlen(line));
	cr_expect_eq(strncmp(reply, "{\"ciphertext\":", 14), 0, "%.200s", reply);
	cr_expect_gt(strlen(reply), 32768 * 4 / 3);
	free(kt_take(text));
	cr_assert_eq(kt_b64_encode(plaintext, KT_KMS_MESSAGE_MAX_BYTES + 3, &text, &e), 0);
	snprintf(line, KT_STDIO_LINE_MAX_BYTES, "{\"method\":\"Encrypt\",\"plaintext\":\"%s\"}",
		text);
	expect_refusal(kms, line, "INVALID_ARGUMENT", "plaintext");
}

/* What kt_stdio_serve() writes for this input; owned by the caller. */
static char *serve(struct kt_kms **kms, const char *text, size_t len)
{
	auto_fd int in = memfd_create("in", 0);
	auto_fd int out = memfd_create("out", 0);
	char *replies = calloc(1, 1 << 20);
	int number = -1;
	struct kt_error e;

	cr_assert(in >= 0 && out >= 0 && replies != NULL);
	cr_assert_eq(write(in, text, len), (ssize_t)len);
	cr_assert_eq(lseek(in, 0, SEEK_SET), 0);
	cr_assert_eq(kt_stdio_serve(kms, NULL, in, out, -1, &number, &e), 0, "%s", e.msg);
	cr_expect_eq(number, 0);
	cr_assert_geq(pread(out, replies, (1 << 20) - 1, 0), 0);
	return replies;
}

#define STATUS "{\"method\":\"Status\"}"
#define GOOD "{\"version\":"
#define BAD "{\"error\":{\"code\":\"INVALID_ARGUMENT\""

static void expect_lines(const char *replies, const char *const *heads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cr_assert_eq(strncmp(replies, heads[i], strlen(heads[i])), 0, "line %zu: %.100s", i,
			replies);
		replies = strchr(replies, '\n');
		cr_assert_not_null(replies);
		replies++;
	}
	cr_expect_str_empty(replies);
}

Test(kms_stdio, answers_line_by_line_until_the_end)
{
	static const char *const heads[] = {GOOD, BAD, BAD, GOOD, GOOD};
	static const char text[] = STATUS "\nx\n\n" STATUS "\n" STATUS;
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *replies = serve(&kms, text, strlen(text));
	auto_free char *nothing = serve(&kms, "", 0);

	expect_lines(replies, heads, 5);
	cr_expect_str_empty(nothing);
}

Test(kms_stdio, an_over_long_line_costs_one_error)
{
	static const size_t lengths[] = {KT_STDIO_LINE_MAX_BYTES - 1, KT_STDIO_LINE_MAX_BYTES,
		KT_STDIO_LINE_MAX_BYTES + 1, KT_STDIO_LINE_MAX_BYTES + 2,
		2 * KT_STDIO_LINE_MAX_BYTES + 2, 400000};
	static const char *const heads[] = {GOOD, BAD, GOOD};
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *text = malloc(500000);

	cr_assert_not_null(text);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		auto_free char *replies = NULL;
		char *end = stpcpy(text, STATUS "\n");
		bool fits = lengths[i] <= KT_STDIO_LINE_MAX_BYTES;

		memset(end, '[', lengths[i]);
		end = stpcpy(end + lengths[i], "\n" STATUS "\n");
		replies = serve(&kms, text, (size_t)(end - text));
		expect_lines(replies, heads, 3);
		cr_expect_eq(strstr(replies, "a line of more than") == NULL, fits, "length %zu",
			lengths[i]);
	}
}

Test(kms_stdio, an_over_long_line_may_be_the_last)
{
	static const char *const heads[] = {GOOD, BAD};
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *text = malloc(500000);
	auto_free char *replies = NULL;
	char *end;

	cr_assert_not_null(text);
	end = stpcpy(text, STATUS "\n");
	memset(end, ' ', 300000);
	replies = serve(&kms, text, (size_t)(end - text) + 300000);
	expect_lines(replies, heads, 2);
}

Test(kms_stdio, blank_lines_of_full_length_are_padding)
{
	static const char *const heads[] = {GOOD};
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *text = malloc(KT_STDIO_LINE_MAX_BYTES + 1);
	auto_free char *replies = NULL;

	cr_assert_not_null(text);
	memset(text, ' ', KT_STDIO_LINE_MAX_BYTES);
	memcpy(text + 1000, STATUS, strlen(STATUS));
	text[KT_STDIO_LINE_MAX_BYTES] = '\n';
	replies = serve(&kms, text, KT_STDIO_LINE_MAX_BYTES + 1);
	expect_lines(replies, heads, 1);
}

Test(kms_stdio, a_closed_output_is_an_error)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_fd int in = memfd_create("in", 0);
	auto_fd int out = open("/dev/full", O_WRONLY);
	int number;
	struct kt_error e;

	cr_assert_eq(write(in, STATUS "\n", strlen(STATUS) + 1), (ssize_t)strlen(STATUS) + 1);
	cr_assert_eq(lseek(in, 0, SEEK_SET), 0);
	cr_expect_eq(kt_stdio_serve(&kms, NULL, in, out, -1, &number, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

static char folder[] = "/tmp/kt-stdio.XXXXXX";

static void write_conf(const char *text)
{
	auto_fd int fd = open("kms.conf", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

Test(kms_stdio, reloads_whole_or_not_at_all)
{
	static const char *const confs[] = {"module=fake\ncluster=prod\nkey=k2\nold-key=k1\n",
		"module=fake\ncluster=prod\nkey=k3\nnonsense\n",
		"module=fake\ncluster=prod\nkey=broken\nold-key=k2\n"};
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	auto_kms struct kt_kms *kms = NULL;
	auto_fd int signals = hold_signals();
	char first[KT_KMS_KEY_ID_MAX_BYTES + 1], second[KT_KMS_KEY_ID_MAX_BYTES + 1];
	struct kt_error e;
	int ends[2];

	cr_assert(mkdtemp(folder) != NULL && chdir(folder) == 0 && signals >= 0);
	write_conf("module=fake\ncluster=prod\nkey=k1\n");
	cr_assert_eq(kt_kms_conf_read("kms.conf", &conf, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_kms_open_module(conf, &fake_module, &kms, &e), 0, "%s", e.msg);
	snprintf(first, sizeof(first), "%s", key_id_of(kms));
	plan.open_fails = "broken";
	for (size_t i = 0; i < 3; i++) {
		int number = -1;

		write_conf(confs[i]);
		cr_assert_eq(pipe(ends), 0);
		cr_assert_eq(raise(SIGHUP), 0);
		/* The signal is there before the end of file is. */
		cr_assert_eq(close(ends[1]), 0);
		cr_assert_eq(kt_stdio_serve(&kms, &conf, ends[0], 2, signals, &number, &e), 0);
		cr_expect_eq(number, 0);
		cr_assert_eq(close(ends[0]), 0);
		if (i == 0)
			snprintf(second, sizeof(second), "%s", key_id_of(kms));
		cr_expect_str_neq(first, key_id_of(kms));
		cr_expect_str_eq(second, key_id_of(kms), "reload %zu", i);
	}
	cr_expect_eq(conf->old_key_count, 1);
	/* One open at first, two by the good reload, one by the broken key; the rest was closed. */
	cr_expect_eq(plan.opened, 4);
	cr_expect_eq(plan.closed, 2);
	cr_assert(unlink("kms.conf") == 0 && chdir("/") == 0 && rmdir(folder) == 0);
}

Test(kms_stdio, ends_by_a_signal_between_requests)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_fd int signals = hold_signals();
	struct kt_error e;
	int ends[2], number = 0;

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(raise(SIGTERM), 0);
	cr_assert_eq(kt_stdio_serve(&kms, NULL, ends[0], 2, signals, &number, &e), 0);
	cr_expect_eq(number, SIGTERM);
	close(ends[0]);
	close(ends[1]);
}
