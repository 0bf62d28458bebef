/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2's callbacks turn frames into calls, a finished job turns into frames. A call is given to
 * the worker when END_STREAM and one whole message have come; what can be refused before that is
 * answered at once, with trailers only.
 */
#include "kms-shim/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <nghttp2/nghttp2.h>

#include "kms-shim/frames.h"
#include "kms-shim/h2-field.h"
#include "kms-shim/h2-memory.h"
#include "kms-shim/outbox.h"
#include "lib/log.h"

/* Bounds on header compression bombs: a client that goes this far is not answered any more. */
#define HEADERS_ABUSE_BYTES (4 * KT_CALL_HEADERS_MAX_BYTES)
#define CONTINUATIONS_MAX 8
/* A storm of calls that time out is no attack: 100 streams, each reset after some seconds. */
#define RESETS_BURST 1000
#define RESETS_PER_SECOND 200

struct stream {
	struct stream *next, **link;
	int32_t id;
	int64_t begun_us;
	struct kt_call call;
	struct kt_grpc_message message;
	bool answered;	     /* a response was submitted */
	struct kt_job *done; /* owned: its reply is being sent */
	struct kt_job *sent; /* borrowed: in the worker's hands */
};

struct kt_session {
	int fd;
	uint64_t id;
	const struct kt_session_host *host;
	nghttp2_session *h2;
	struct kt_frames frames;
	struct stream *streams;
	size_t stream_count, held;
	struct kt_outbox outbox;
	int64_t idle_since_us;
	bool eof, served;
};

static void drop_message(struct kt_session *s, struct stream *stream)
{
	s->held -= stream->message.len;
	kt_grpc_message_fini(&stream->message);
}

static void stream_free(struct kt_session *s, struct stream *stream)
{
	*stream->link = stream->next;
	if (stream->next != NULL)
		stream->next->link = stream->link;
	/* The worker may be at it: it looks at this before it begins, and no later. */
	if (stream->sent != NULL)
		atomic_store(&stream->sent->cancelled, true);
	drop_message(s, stream);
	kt_job_free(stream->done);
	free(stream);
	s->stream_count--;
	if (s->stream_count == 0)
		s->idle_since_us = kt_now_us();
}

static struct stream *stream_of(struct kt_session *s, int32_t id)
{
	return nghttp2_session_get_stream_user_data(s->h2, id);
}

static void note_answer(struct kt_session *s, const struct stream *stream,
	const struct kt_grpc_status *status, bool had_job)
{
	s->host->answered(
		s->host->ctx, stream->call.method, status, kt_now_us() - stream->begun_us, had_job);
}

/* Fails only for want of memory, which ends the connection. */
static int submit_refusal(
	struct kt_session *s, struct stream *stream, const struct kt_grpc_status *status)
{
	char message[KT_GRPC_PERCENT_MAX_BYTES], code[16], http[16];
	nghttp2_nv fields[5];
	size_t n = 0;

	kt_grpc_percent_encode(status->text, message);
	snprintf(code, sizeof(code), "%d", (int)status->code);
	snprintf(http, sizeof(http), "%u",
		stream->call.http_status != 0 ? stream->call.http_status : 200);
	fields[n++] = kt_h2_field(":status", http);
	fields[n++] = kt_h2_field("content-type", "application/grpc");
	fields[n++] = kt_h2_field("grpc-status", code);
	fields[n++] = kt_h2_field("grpc-message", message);
	if (status->code == KT_GRPC_UNIMPLEMENTED)
		fields[n++] = kt_h2_field("grpc-accept-encoding", "identity");
	stream->answered = true;
	drop_message(s, stream);
	return nghttp2_submit_response(s->h2, stream->id, fields, n, /* data= */ NULL);
}

/* Without a job: what is wrong is seen in the request alone. */
static int refuse(struct kt_session *s, struct stream *stream, const struct kt_grpc_status *status)
{
	note_answer(s, stream, status, /* had_job= */ false);
	return submit_refusal(s, stream, status);
}

static int reset(nghttp2_session *h2, struct stream *stream, uint32_t error)
{
	/* What still comes on it before the frame is out is not looked at. */
	stream->answered = true;
	return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream->id, error);
}

/* Hands out the reply, then says that trailers follow. */
static ssize_t read_reply(nghttp2_session *h2, int32_t id, uint8_t *buffer, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct kt_job *job = source->ptr;
	size_t n = job->reply.len - job->sent;
	nghttp2_nv trailer = kt_h2_field("grpc-status", "0");

	(void)user_data;
	if (n > size)
		n = size;
	memcpy(buffer, job->reply.data + job->sent, n);
	job->sent += n;
	if (job->sent < job->reply.len)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(h2, id, &trailer, 1) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return (ssize_t)n;
}

static int submit_reply(struct kt_session *s, struct stream *stream, struct kt_job *job)
{
	nghttp2_nv fields[] = {
		kt_h2_field(":status", "200"), kt_h2_field("content-type", "application/grpc")};
	nghttp2_data_provider provider = {.source.ptr = job, .read_callback = read_reply};

	stream->answered = s->served = true;
	stream->done = job;
	return nghttp2_submit_response(s->h2, stream->id, fields, 2, &provider);
}

void kt_session_finish(struct kt_session *s, struct kt_job *job)
{
	struct stream *stream = stream_of(s, job->stream);
	int failed;

	/* The client may have left; nghttp2 never uses a number twice. */
	if (stream == NULL || stream->sent != job) {
		kt_job_free(job);
		return;
	}
	stream->sent = NULL;
	note_answer(s, stream, &job->status, /* had_job= */ true);
	if (job->status.code == KT_GRPC_OK) {
		failed = submit_reply(s, stream, job);
	} else {
		failed = submit_refusal(s, stream, &job->status);
		kt_job_free(job);
	}
	if (failed != 0)
		s->eof = true;
}

/* The worker need not be asked what is known already. */
static int answer_known(struct kt_session *s, struct stream *stream, bool *ret_done)
{
	auto_job struct kt_job *job = NULL;
	struct kt_frame reply;

	*ret_done = false;
	if (stream->call.method != KT_METHOD_V2_STATUS || stream->message.len > 0 ||
		!s->host->known_status(s->host->ctx, &reply))
		return 0;
	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		kt_wipe_free(reply.data);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	job->reply = reply;
	*ret_done = true;
	note_answer(s, stream, &job->status, /* had_job= */ false);
	return submit_reply(s, stream, kt_take(job));
}

/* The request is whole. */
static int dispatch(struct kt_session *s, struct stream *stream)
{
	struct kt_grpc_status status = {0};
	auto_job struct kt_job *job = NULL;
	bool done;
	int failed;

	if (kt_grpc_message_end(&stream->message, &status) < 0)
		return refuse(s, stream, &status);
	failed = answer_known(s, stream, &done);
	if (failed != 0 || done)
		return failed;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	job->kind = KT_JOB_CALL;
	job->session = s->id;
	job->stream = stream->id;
	job->method = stream->call.method;
	job->received_us = kt_now_us();
	if (stream->call.timeout_us != 0)
		job->deadline_us = stream->begun_us + stream->call.timeout_us;
	s->held -= stream->message.len;
	job->len = stream->message.len;
	job->message = kt_take(stream->message.data);
	stream->message = (struct kt_grpc_message){0};
	if (s->host->put(s->host->ctx, job) < 0) {
		if (kt_grpc_fail(
			    &status, KT_GRPC_RESOURCE_EXHAUSTED, "too many calls are waiting") < 0)
			return refuse(s, stream, &status);
	}
	stream->sent = kt_take(job);
	return 0;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
	struct kt_session *s = user_data;
	struct stream *stream;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream->id = frame->hd.stream_id;
	stream->begun_us = kt_now_us();
	stream->next = s->streams;
	stream->link = &s->streams;
	if (s->streams != NULL)
		s->streams->link = &stream->next;
	s->streams = stream;
	s->stream_count++;
	return nghttp2_session_set_stream_user_data(h2, stream->id, stream);
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
	struct stream *stream = stream_of(user_data, frame->hd.stream_id);

	(void)flags;
	if (stream == NULL)
		return 0;
	/* A client's trailers mean nothing in gRPC, but they count. */
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		kt_call_header(&stream->call, name, name_len, value, value_len);
	else
		stream->call.header_bytes += name_len + value_len + 32;
	if (stream->call.header_bytes <= HEADERS_ABUSE_BYTES)
		return 0;
	return nghttp2_session_terminate_session(h2, NGHTTP2_ENHANCE_YOUR_CALM) == 0
		       ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
		       : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
	void *user_data)
{
	struct kt_session *s = user_data;
	struct stream *stream = stream_of(s, id);
	struct kt_grpc_status status = {0};
	size_t before;

	(void)h2;
	(void)flags;
	if (stream == NULL || stream->answered)
		return 0;
	before = stream->message.len;
	if (kt_grpc_message_feed(&stream->message, data, len, &status) < 0)
		return refuse(s, stream, &status);
	s->held += stream->message.len - before;
	if (s->held > KT_SESSION_HELD_MAX_BYTES &&
		kt_grpc_fail(&status, KT_GRPC_RESOURCE_EXHAUSTED,
			"too many bytes of unfinished calls") < 0)
		return refuse(s, stream, &status);
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
	struct kt_session *s = user_data;
	struct stream *stream;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	stream = stream_of(s, frame->hd.stream_id);
	if (stream == NULL || stream->answered)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
		kt_call_check(&stream->call) < 0) {
		if (stream->call.malformed)
			return reset(h2, stream, NGHTTP2_PROTOCOL_ERROR);
		return refuse(s, stream, &stream->call.status);
	}
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	return dispatch(s, stream);
}

/* An answer that came before the request's end: tell the client to stop sending (RFC 9113 8.1). */
static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
	int32_t id = frame->hd.stream_id;

	(void)user_data;
	if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
		nghttp2_session_get_stream_remote_close(h2, id) == 0)
		return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user_data)
{
	struct stream *stream = stream_of(user_data, id);

	(void)h2;
	(void)error;
	if (stream != NULL)
		stream_free(user_data, stream);
	return 0;
}

static int make_h2(struct kt_session *s)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int failed = nghttp2_session_callbacks_new(&callbacks);

	if (failed == 0)
		failed = nghttp2_option_new(&option);
	if (failed == 0) {
		nghttp2_session_callbacks_set_on_begin_headers_callback(
			callbacks, on_begin_headers);
		nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
		nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
		nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
		nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
		/* Header fields are checked in call.c, which says why. */
		nghttp2_option_set_no_http_messaging(option, 1);
		/* Else closed streams are kept for priorities that nobody asks for. */
		nghttp2_option_set_no_closed_streams(option, 1);
		nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST, RESETS_PER_SECOND);
		nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
		failed = nghttp2_session_server_new3(&s->h2, callbacks, s, option, &kt_h2_memory);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return failed;
}

int kt_session_new(int fd, uint64_t id, const struct kt_session_host *host,
	struct kt_session **ret_session, struct kt_error *e)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, KT_SESSION_STREAMS_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, KT_CALL_HEADERS_MAX_BYTES},
	};
	struct kt_session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return kt_fail_memory(e);
	}
	s->fd = fd;
	s->id = id;
	s->host = host;
	s->idle_since_us = kt_now_us();
	/* At once: the client waits for these before it calls itself connected. */
	if (make_h2(s) != 0 ||
		nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings, 2) != 0) {
		kt_session_free(s);
		return kt_fail_memory(e);
	}
	*ret_session = s;
	return 0;
}

void kt_session_free(struct kt_session *s)
{
	if (s == NULL)
		return;
	while (s->streams != NULL)
		stream_free(s, s->streams);
	nghttp2_session_del(s->h2);
	kt_outbox_fini(&s->outbox);
	close(s->fd);
	free(s);
}

/* Gives nghttp2 what has come, less GOAWAY. */
static int feed(struct kt_session *s, const uint8_t *data, size_t len)
{
	while (len > 0) {
		struct kt_frames_piece piece;
		size_t n = kt_frames_next(&s->frames, data, len, &piece);
		ssize_t taken;

		data += n;
		len -= n;
		if (piece.len == 0)
			continue;
		taken = nghttp2_session_mem_recv(s->h2, piece.data, piece.len);
		if (taken < 0) {
			kt_debug("client closed: %s", nghttp2_strerror((int)taken));
			return -1;
		}
	}
	return 0;
}

int kt_session_read(struct kt_session *s)
{
	uint8_t *buffer = kt_secret_buffer(s->host->input);
	ssize_t n;
	int result;

	n = recv(s->fd, buffer, kt_secret_capacity(s->host->input), 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		/* Half-closed: calls that are whole still get their answers. */
		s->eof = true;
		return 0;
	}
	result = feed(s, buffer, (size_t)n);
	explicit_bzero(buffer, (size_t)n);
	return result;
}

/* One batch of frames into the socket. *ret_more: there may be another. */
static int send_batch(struct kt_session *s, bool *ret_more)
{
	uint8_t *out = kt_secret_buffer(s->host->output);
	size_t size = kt_secret_capacity(s->host->output), len = 0;
	const uint8_t *frame;
	ssize_t n = 0;
	int result = 0;

	/* A frame is at most 16 KiB and its head; the buffer holds several. */
	while (len + 16384 + KT_FRAMES_HEAD_BYTES <= size) {
		n = nghttp2_session_mem_send(s->h2, &frame);
		if (n <= 0)
			break;
		if ((size_t)n > size - len)
			return -1;
		memcpy(out + len, frame, (size_t)n);
		len += (size_t)n;
	}
	*ret_more = n > 0;
	if (n < 0)
		return -1;
	if (len > 0)
		result = kt_outbox_send(&s->outbox, s->fd, out, len);
	explicit_bzero(out, len);
	return result;
}

/* Nothing is under way and nothing more will come. */
static bool is_over(const struct kt_session *s)
{
	bool leaving = s->eof || s->frames.leaving;

	if (s->outbox.data != NULL || nghttp2_session_want_write(s->h2) != 0)
		return false;
	if (leaving) {
		/* Of a half-closed client only whole requests are still served. */
		for (const struct stream *stream = s->streams; stream != NULL;
			stream = stream->next)
			if (stream->sent != NULL || stream->done != NULL || !s->eof)
				return false;
		return true;
	}
	return nghttp2_session_want_read(s->h2) == 0;
}

int kt_session_write(struct kt_session *s)
{
	bool more = true;

	if (kt_outbox_flush(&s->outbox, s->fd) < 0)
		return -1;
	while (more && s->outbox.data == NULL)
		if (send_batch(s, &more) < 0)
			return -1;
	return is_over(s) ? -1 : 0;
}

uint32_t kt_session_events(const struct kt_session *s)
{
	/* Who does not read is not read from: nothing piles up here. */
	if (s->outbox.data != NULL)
		return EPOLLOUT;
	return s->eof ? 0 : EPOLLIN;
}

int kt_session_fd(const struct kt_session *s)
{
	return s->fd;
}

uint64_t kt_session_id(const struct kt_session *s)
{
	return s->id;
}

bool kt_session_is_busy(const struct kt_session *s)
{
	return s->stream_count > 0 || s->outbox.data != NULL || s->eof;
}

int64_t kt_session_idle_since(const struct kt_session *s)
{
	return s->idle_since_us;
}

bool kt_session_has_served(const struct kt_session *s)
{
	return s->served;
}

int kt_session_tick(struct kt_session *s, int64_t now_us)
{
	struct stream *next;

	if (s->outbox.data != NULL)
		return now_us - s->outbox.moved_us > KT_SESSION_PATIENCE_US ? -1 : 0;
	for (struct stream *stream = s->streams; stream != NULL; stream = next) {
		next = stream->next;
		/* In the worker's hands, or being sent: not the client's fault. */
		if (stream->sent != NULL || now_us - stream->begun_us <= KT_SESSION_PATIENCE_US ||
			(stream->done == NULL && stream->answered))
			continue;
		if (reset(s->h2, stream, NGHTTP2_CANCEL) != 0)
			return -1;
	}
	return 0;
}

void kt_session_shutdown(struct kt_session *s, bool last)
{
	int failed;

	if (!last)
		failed = nghttp2_submit_shutdown_notice(s->h2);
	else
		failed = nghttp2_submit_goaway(s->h2, NGHTTP2_FLAG_NONE,
			nghttp2_session_get_last_proc_stream_id(s->h2), NGHTTP2_NO_ERROR, NULL, 0);
	if (failed != 0)
		s->eof = true;
}
