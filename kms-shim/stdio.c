/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines in, lines out. A request is answered or refused as a whole; what follows the line is
 * another request, whatever became of this one.
 */
#include "kms-shim/stdio.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "lib/auto.h"
#include "lib/b64.h"
#include "lib/json.h"
#include "lib/log.h"

#define MEMBERS_MAX 6
#define B64_MAX(len) (((len) + 2) / 3 * 4)

/* Empties a buffer that is used again. */
static void wipe(struct kt_secret *secret)
{
	explicit_bzero(kt_secret_buffer(secret), kt_secret_len(secret));
	kt_secret_set_len(secret, 0);
}

static void wipe_text(char **text)
{
	if (*text == NULL)
		return;
	explicit_bzero(*text, strlen(*text));
	free(*text);
}
#define auto_wipe_text __attribute__((cleanup(wipe_text)))

/* A member of type bytes, in the mapping's standard form; *ret_text borrowed, "" if absent. */
static int get_text(struct json_object *request, const char *name, size_t max,
	const char **ret_text, struct kt_error *e)
{
	const char *text = NULL;

	if (kt_json_get_string_opt(request, name, max, &text, e) < 0)
		return -1;
	*ret_text = text != NULL ? text : "";
	return 0;
}

/* A reader of the mapping takes a field's own name as well as its lowerCamel form. */
static int get_key_id(struct json_object *request, const char **ret_text, struct kt_error *e)
{
	const char *camel, *own;

	if (get_text(request, "keyId", KT_KMS_KEY_ID_MAX_BYTES, &camel, e) < 0 ||
		get_text(request, "key_id", KT_KMS_KEY_ID_MAX_BYTES, &own, e) < 0)
		return -1;
	if (*camel != '\0' && *own != '\0')
		return kt_fail(e, KT_E_INPUT, "keyId and key_id are the same field");
	*ret_text = *camel != '\0' ? camel : own;
	return 0;
}

static void put_bytes(struct kt_jsonw *w, const char *name, const void *data, size_t len)
{
	auto_wipe_text char *text = NULL;

	kt_jsonw_name(w, name);
	if (w->failed)
		return;
	if (kt_b64_encode(data, len, &text, &w->error) < 0)
		w->failed = true;
	else
		kt_jsonw_string(w, text);
}

static int answer_status(
	struct kt_kms *kms, struct json_object *request, struct kt_jsonw *w, struct kt_error *e)
{
	struct kt_kms_status status;

	(void)request;
	if (kt_kms_status(kms, &status, e) < 0)
		return -1;
	kt_jsonw_member(w, "version", status.version);
	kt_jsonw_member(w, "healthz", status.healthz);
	kt_jsonw_member(w, "keyId", status.key_id);
	return 0;
}

static int answer_encrypt(
	struct kt_kms *kms, struct json_object *request, struct kt_jsonw *w, struct kt_error *e)
{
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted;
	const struct kt_kms_record *record = &encrypted.record;
	const char *uid, *text;

	if (get_text(request, "uid", KT_KMS_UID_MAX_BYTES, &uid, e) < 0 ||
		get_text(request, "plaintext", B64_MAX(KT_KMS_MESSAGE_MAX_BYTES), &text, e) < 0)
		return -1;
	if (kt_b64_decode_secret(text, strlen(text), &plaintext, e) < 0)
		return kt_wrap(e, "\"plaintext\"");
	if (kt_kms_encrypt(kms, uid, kt_secret_bytes(plaintext), kt_secret_len(plaintext),
		    &encrypted, e) < 0)
		return -1;
	put_bytes(w, "ciphertext", record->ciphertext.data, record->ciphertext.len);
	kt_jsonw_member(w, "keyId", encrypted.key_id);
	if (record->annotation_count == 0)
		return 0;
	kt_jsonw_name(w, "annotations");
	kt_jsonw_begin_object(w);
	for (size_t i = 0; i < record->annotation_count; i++)
		put_bytes(w, record->annotations[i].name, record->annotations[i].value.data,
			record->annotations[i].value.len);
	kt_jsonw_end_object(w);
	return 0;
}

/* A record out of a request; its bytes are owned, the names borrowed from the request. */
struct parts {
	struct kt_kms_record record;
	uint8_t *ciphertext;
	uint8_t *values[KT_KMS_ANNOTATIONS_MAX];
};

static void free_parts(struct parts *parts)
{
	free(parts->ciphertext);
	for (size_t i = 0; i < KT_KMS_ANNOTATIONS_MAX; i++)
		free(parts->values[i]);
}

static int get_annotation(
	struct parts *parts, struct json_object *object, const char *name, struct kt_error *e)
{
	struct kt_kms_record *record = &parts->record;
	size_t index = record->annotation_count, len = 0;
	const char *text;

	if (index == KT_KMS_ANNOTATIONS_MAX)
		return kt_fail(e, KT_E_INPUT, "more than %d annotations", KT_KMS_ANNOTATIONS_MAX);
	if (get_text(object, name, B64_MAX(KT_KMS_ANNOTATIONS_MAX_BYTES), &text, e) < 0)
		return kt_wrap(e, "\"annotations\"");
	if (kt_b64_decode(text, strlen(text), &parts->values[index], &len, e) < 0)
		return kt_wrap(e, "annotation \"%.64s\"", name);
	record->annotations[index] = (struct kt_kms_annotation){
		.name = name, .value = {.data = parts->values[index], .len = len}};
	record->annotation_count++;
	return 0;
}

static int get_record(struct json_object *request, struct parts *parts, struct kt_error *e)
{
	struct json_object *annotations = NULL;
	const char *text;

	parts->record.size = sizeof(parts->record);
	if (get_text(request, "ciphertext", B64_MAX(KT_KMS_CIPHERTEXT_MAX_BYTES), &text, e) < 0)
		return -1;
	if (kt_b64_decode(
		    text, strlen(text), &parts->ciphertext, &parts->record.ciphertext.len, e) < 0)
		return kt_wrap(e, "\"ciphertext\"");
	parts->record.ciphertext.data = parts->ciphertext;
	if (kt_json_get_object_opt(request, "annotations", &annotations, e) < 0)
		return -1;
	if (annotations == NULL)
		return 0;
	json_object_object_foreach(annotations, name, value)
	{
		(void)value;
		if (get_annotation(parts, annotations, name, e) < 0)
			return -1;
	}
	return 0;
}

static int answer_decrypt(
	struct kt_kms *kms, struct json_object *request, struct kt_jsonw *w, struct kt_error *e)
{
	__attribute__((cleanup(free_parts))) struct parts parts = {0};
	auto_secret struct kt_secret *plaintext = NULL;
	const char *uid, *key_id;

	if (get_text(request, "uid", KT_KMS_UID_MAX_BYTES, &uid, e) < 0 ||
		get_key_id(request, &key_id, e) < 0 || get_record(request, &parts, e) < 0)
		return -1;
	if (kt_kms_decrypt(kms, uid, key_id, &parts.record, &plaintext, e) < 0)
		return -1;
	put_bytes(w, "plaintext", kt_secret_bytes(plaintext), kt_secret_len(plaintext));
	return 0;
}

static const struct method {
	const char *name;
	int (*answer)(struct kt_kms *kms, struct json_object *request, struct kt_jsonw *w,
		struct kt_error *e);
	const char *members[MEMBERS_MAX]; /* ends with NULL */
} methods[] = {
	{"Status", answer_status, {NULL}},
	{"Encrypt", answer_encrypt, {"uid", "plaintext", NULL}},
	{"Decrypt", answer_decrypt, {"uid", "ciphertext", "keyId", "key_id", "annotations", NULL}},
};

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

/* As readers of the mapping do unless told otherwise: what is not understood is not passed over. */
static int check_members(
	const struct method *method, struct json_object *request, struct kt_error *e)
{
	json_object_object_foreach(request, name, value)
	{
		bool known = strcmp(name, "method") == 0;

		(void)value;
		for (size_t i = 0; !known && method->members[i] != NULL; i++)
			known = strcmp(name, method->members[i]) == 0;
		if (!known)
			return kt_fail(
				e, KT_E_INPUT, "%s has no member \"%.64s\"", method->name, name);
	}
	return 0;
}

static int answer(struct kt_kms *kms, const struct kt_secret *line, struct kt_secret *reply,
	enum kt_grpc_code *ret_code, struct kt_error *e)
{
	auto_json_wipe struct json_object *request = NULL;
	const struct method *method;
	struct kt_jsonw w;
	const char *name;

	*ret_code = KT_GRPC_OK;
	if (kt_json_parse_secret(line, &request, e) < 0 ||
		kt_json_get_string(request, "method", 64, &name, e) < 0)
		return -1;
	method = find_method(name);
	if (method == NULL) {
		*ret_code = KT_GRPC_UNIMPLEMENTED;
		return kt_fail(e, KT_E_INPUT,
			"no method \"%s\"; there are Status, Encrypt and Decrypt", name);
	}
	if (check_members(method, request, e) < 0)
		return -1;
	kt_jsonw_init(&w, reply);
	kt_jsonw_begin_object(&w);
	if (method->answer(kms, request, &w, e) < 0)
		return -1;
	kt_jsonw_end_object(&w);
	return kt_jsonw_end(&w, e);
}

/* A message may quote what came, and be cut off inside a character. */
static void make_utf8(char *text)
{
	size_t len = strlen(text), step;

	for (size_t at = 0; at < len; at += step) {
		step = kt_json_utf8_len((const uint8_t *)text + at, len - at);
		if (step == 0) {
			text[at] = '?';
			step = 1;
		}
	}
}

static int put_error(struct kt_secret *reply, enum kt_grpc_code code, const struct kt_error *why,
	struct kt_error *e)
{
	struct kt_error copy = *why;
	struct kt_jsonw w;

	make_utf8(copy.msg);
	wipe(reply);
	kt_jsonw_init(&w, reply);
	kt_jsonw_begin_object(&w);
	kt_jsonw_name(&w, "error");
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "code", kt_grpc_code_name(code));
	kt_jsonw_member(&w, "message", copy.msg);
	kt_jsonw_end_object(&w);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0)
		return -1;
	return kt_secret_append(reply, "\n", 1, e);
}

int kt_stdio_answer(struct kt_kms *kms, const struct kt_secret *line, struct kt_secret *reply,
	struct kt_error *e)
{
	enum kt_grpc_code code;
	struct kt_error why = {0};

	if (answer(kms, line, reply, &code, &why) == 0 &&
		kt_secret_append(reply, "\n", 1, &why) == 0)
		return 0;
	if (code == KT_GRPC_OK)
		code = kt_grpc_code_of(why.code);
	return put_error(reply, code, &why, e);
}

/* The three buffers live as long as the stream: locking memory anew for each request would take
 * longer than answering it. */
struct stream {
	int in, out;
	struct kt_secret *input; /* what came and was not answered yet: bytes[start..len) */
	size_t start;
	struct kt_secret *line, *reply;
	bool skipping; /* the rest of an over-long line */
	bool ended;
};

static void free_buffers(struct stream *stream)
{
	kt_secret_free(stream->input);
	kt_secret_free(stream->line);
	kt_secret_free(stream->reply);
}

/* One more byte for the input than a line has: when it is full without a newline, it holds none. */
static int make_buffers(struct stream *stream, struct kt_error *e)
{
	if (kt_secret_new(KT_STDIO_LINE_MAX_BYTES + 1, &stream->input, e) < 0 ||
		kt_secret_new(KT_STDIO_LINE_MAX_BYTES, &stream->line, e) < 0)
		return -1;
	return kt_secret_new(KT_STDIO_REPLY_MAX_BYTES, &stream->reply, e);
}

/* Moves what is left to the front, and wipes what it leaves behind. */
static void compact(struct stream *stream)
{
	char *bytes = kt_secret_buffer(stream->input);
	size_t len = kt_secret_len(stream->input), left = len - stream->start;

	if (stream->start == 0)
		return;
	memmove(bytes, bytes + stream->start, left);
	explicit_bzero(bytes + left, len - left);
	kt_secret_set_len(stream->input, left);
	stream->start = 0;
}

static int read_more(struct stream *stream, struct kt_error *e)
{
	size_t len = kt_secret_len(stream->input);
	char *bytes = kt_secret_buffer(stream->input);
	ssize_t n = read(stream->in, bytes + len, kt_secret_capacity(stream->input) - len);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot read standard input");
	if (n > 0)
		kt_secret_set_len(stream->input, len + (size_t)n);
	stream->ended = n == 0;
	return 0;
}

/* The next line, without its newline, into stream->line. *ret_there: it is all there. A line that
 * fills the input is skipped without being looked at, so that it always fits. */
static int next_line(struct stream *stream, bool *ret_there, struct kt_error *e)
{
	const char *bytes = (const char *)kt_secret_bytes(stream->input) + stream->start;
	size_t left = kt_secret_len(stream->input) - stream->start;
	const char *newline = memchr(bytes, '\n', left);
	size_t len = newline != NULL ? (size_t)(newline - bytes) : left;

	wipe(stream->line);
	*ret_there = newline != NULL || (stream->ended && left > 0);
	if (!*ret_there)
		return 0;
	stream->start += newline != NULL ? len + 1 : len;
	return stream->skipping ? 0 : kt_secret_append(stream->line, bytes, len, e);
}

static int write_reply(struct stream *stream, struct kt_error *e)
{
	int result = kt_secret_write(stream->reply, stream->out, "standard output", e);

	wipe(stream->reply);
	return result;
}

static int answer_line(struct stream *stream, struct kt_kms *kms, struct kt_error *e)
{
	if (kt_stdio_answer(kms, stream->line, stream->reply, e) < 0)
		return -1;
	return write_reply(stream, e);
}

static int refuse_long_line(struct stream *stream, struct kt_error *e)
{
	struct kt_error why;

	kt_fail(&why, KT_E_INPUT, "a line of more than %d bytes", KT_STDIO_LINE_MAX_BYTES);
	if (put_error(stream->reply, KT_GRPC_INVALID_ARGUMENT, &why, e) < 0)
		return -1;
	return write_reply(stream, e);
}

/* Answers every line that is there. */
static int answer_lines(struct stream *stream, struct kt_kms *kms, struct kt_error *e)
{
	bool there = false, was_skipping;

	for (;;) {
		if (next_line(stream, &there, e) < 0)
			return -1;
		if (!there)
			break;
		if (!stream->skipping && answer_line(stream, kms, e) < 0)
			return -1;
		stream->skipping = false;
	}
	compact(stream);
	if (kt_secret_len(stream->input) < kt_secret_capacity(stream->input))
		return 0;
	wipe(stream->input);
	was_skipping = stream->skipping;
	stream->skipping = true;
	return was_skipping ? 0 : refuse_long_line(stream, e);
}

static void reload(struct kt_kms **kms, struct kt_kms_conf **conf)
{
	struct kt_kms_conf *new_conf = NULL;
	struct kt_kms *new_kms = NULL;
	struct kt_error e;

	if (kt_kms_reload(*kms, *conf, &new_kms, &new_conf, &e) < 0) {
		kt_warn("the configuration stays as it was: %s", e.msg);
		return;
	}
	kt_kms_close(*kms);
	kt_kms_conf_free(*conf);
	*kms = new_kms;
	*conf = new_conf;
	kt_debug("%s: read again", new_conf->path);
}

static int next_signal(int fd, int *ret_number, struct kt_error *e)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot read a signal");
	*ret_number = (int)info.ssi_signo;
	return 0;
}

/* Waits for either; a signal comes first. The quiet is the module's. */
static int wait_for(int signals, int in, struct kt_kms *kms, bool *ret_signal, struct kt_error *e)
{
	struct pollfd fds[] = {{.fd = in, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	int ready;

	while ((ready = poll(fds, 2, kt_kms_idle_after_ms(kms))) <= 0) {
		if (ready == 0)
			kt_kms_idle(kms);
		else if (errno != EINTR)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot wait for standard input");
	}
	*ret_signal = fds[1].revents != 0;
	return 0;
}

int kt_stdio_serve(struct kt_kms **kms, struct kt_kms_conf **conf, int in, int out, int signals,
	int *ret_signal, struct kt_error *e)
{
	__attribute__((cleanup(free_buffers))) struct stream stream = {.in = in, .out = out};
	bool signalled = false;
	int number = 0;

	if (make_buffers(&stream, e) < 0)
		return -1;
	while (!stream.ended && (number == 0 || number == SIGHUP)) {
		if (wait_for(signals, in, *kms, &signalled, e) < 0)
			return -1;
		if (signalled && next_signal(signals, &number, e) < 0)
			return -1;
		if (signalled && number == SIGHUP)
			reload(kms, conf);
		if (!signalled && (read_more(&stream, e) < 0 || answer_lines(&stream, *kms, e) < 0))
			return -1;
	}
	*ret_signal = number != SIGHUP ? number : 0;
	return 0;
}
