/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <nghttp2/nghttp2.h>

#include "kms-shim/h2-field.h"
#include "kms-shim/h2-memory.h"
#include "kms-shim/listener.h"
#include "kms-shim/worker.h"

#define PATH_PREFIX "/v2.KeyManagementService/"
#define HEADERS_MAX 64

struct kt_client {
	int fd;
	int64_t deadline_us;
	nghttp2_session *h2;
	size_t received;

	/* The present call. */
	int32_t stream;
	const struct kt_frame *question;
	size_t sent;
	struct kt_grpc_message message;
	struct kt_grpc_status status; /* of the call; code -1: none came */
	bool has_status, http_ok, closed;
	uint32_t reset; /* HTTP/2 error that ended it */
	size_t header_count;
	struct kt_grpc_status fault; /* what is wrong with the answer, if `faulty` */
	bool faulty;
};

static int find_fault(struct kt_client *c, const char *what)
{
	if (!c->faulty && kt_grpc_fail(&c->fault, KT_GRPC_INTERNAL, "%s", what) < 0)
		c->faulty = true;
	return 0;
}

static bool is(const uint8_t *name, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(name, word, len) == 0;
}

/* grpc-status: a number of google.rpc.Code, 0 to 16. */
static void take_status(struct kt_client *c, const char *value, size_t len)
{
	unsigned code = 0;

	for (size_t i = 0; i < len; i++)
		code = value[i] >= '0' && value[i] <= '9' && code < 100
			       ? code * 10 + (unsigned)(value[i] - '0')
			       : 1000;
	if (len == 0 || code > 16) {
		find_fault(c, "a grpc-status that is none");
		return;
	}
	c->status.code = (enum kt_grpc_code)code;
	c->has_status = true;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
	struct kt_client *c = user_data;
	const char *text = (const char *)value;

	(void)h2;
	(void)flags;
	if (frame->hd.stream_id != c->stream)
		return 0;
	if (++c->header_count > HEADERS_MAX)
		return find_fault(c, "too many header fields");
	if (is(name, name_len, ":status"))
		c->http_ok = is(value, value_len, "200");
	else if (is(name, name_len, "grpc-status"))
		take_status(c, text, value_len);
	else if (is(name, name_len, "grpc-message"))
		kt_grpc_percent_decode(text, value_len, c->status.text, sizeof(c->status.text));
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
	void *user_data)
{
	struct kt_client *c = user_data;

	(void)h2;
	(void)flags;
	if (id == c->stream && !c->faulty &&
		kt_grpc_message_feed(&c->message, data, len, &c->fault) < 0)
		c->faulty = true;
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user_data)
{
	struct kt_client *c = user_data;

	(void)h2;
	if (id != c->stream)
		return 0;
	c->closed = true;
	c->reset = error;
	return 0;
}

static ssize_t read_question(nghttp2_session *h2, int32_t id, uint8_t *buffer, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct kt_client *c = user_data;
	size_t n = c->question->len - c->sent;

	(void)h2;
	(void)id;
	(void)source;
	if (n > size)
		n = size;
	memcpy(buffer, c->question->data + c->sent, n);
	c->sent += n;
	if (c->sent == c->question->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int make_h2(struct kt_client *c)
{
	nghttp2_session_callbacks *callbacks = NULL;
	int failed = nghttp2_session_callbacks_new(&callbacks);

	if (failed != 0)
		return failed;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	failed = nghttp2_session_client_new3(&c->h2, callbacks, c, NULL, &kt_h2_memory);
	nghttp2_session_callbacks_del(callbacks);
	if (failed == 0)
		failed = nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, NULL, 0);
	return failed;
}

static int connect_socket(const char *url, int *ret_fd, struct kt_error *e)
{
	const char *path = url + strlen(KT_LISTENER_URL_PREFIX);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make a socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return kt_fail(e, KT_E_USAGE, "%s is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		kt_fail_errno(e, errno == EACCES || errno == EPERM ? KT_E_REFUSED : KT_E_NETWORK,
			"cannot connect to %s", path);
		return e->code == KT_E_REFUSED
			       ? kt_hint(e, "only the users that socket-mode, or the socket unit, "
					    "lets in may ask")
			       : kt_hint(e, "does kms-shim run? try 'systemctl status kms-shim'");
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int kt_client_open(
	const char *url, int64_t deadline_us, struct kt_client **ret_client, struct kt_error *e)
{
	auto_client struct kt_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return kt_fail_memory(e);
	c->fd = -1;
	c->deadline_us = deadline_us;
	if (connect_socket(url, &c->fd, e) < 0)
		return -1;
	if (make_h2(c) != 0)
		return kt_fail_memory(e);
	*ret_client = kt_take(c);
	return 0;
}

void kt_client_close(struct kt_client *c)
{
	if (c == NULL)
		return;
	kt_grpc_message_fini(&c->message);
	nghttp2_session_del(c->h2);
	if (c->fd >= 0)
		close(c->fd);
	kt_wipe_free(c);
}

static int wait_for(const struct kt_client *c, short events, struct kt_error *e)
{
	for (;;) {
		struct pollfd fd = {.fd = c->fd, .events = events};
		int64_t left = c->deadline_us - kt_now_us();
		int n;

		if (left <= 0)
			return kt_fail(e, KT_E_NETWORK,
				"no answer in time: whoever serves the socket is busy, or is no "
				"kms-shim");
		n = poll(&fd, 1, (int)((left + 999) / 1000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot wait for the socket");
	}
}

static int send_all(struct kt_client *c, const uint8_t *data, size_t len, struct kt_error *e)
{
	while (len > 0) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (wait_for(c, POLLOUT, e) < 0)
				return -1;
			continue;
		}
		if (n < 0)
			return kt_fail_errno(e, KT_E_NETWORK, "the connection was closed");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct kt_client *c, struct kt_error *e)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0)
		if (send_all(c, data, (size_t)n, e) < 0)
			return -1;
	return n == 0 ? 0 : kt_fail(e, KT_E_INTERNAL, "HTTP/2: %s", nghttp2_strerror((int)n));
}

static int receive(struct kt_client *c, struct kt_error *e)
{
	uint8_t buffer[16384];
	ssize_t n, taken;

	if (wait_for(c, POLLIN, e) < 0)
		return -1;
	n = recv(c->fd, buffer, sizeof(buffer), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return kt_fail_errno(e, KT_E_NETWORK, "the connection was closed");
	if (n == 0)
		return kt_fail(e, KT_E_NETWORK, "the connection was closed without an answer");
	c->received += (size_t)n;
	if (c->received > KT_CLIENT_RECEIVED_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %u bytes of answers",
			KT_CLIENT_RECEIVED_MAX_BYTES);
	taken = nghttp2_session_mem_recv(c->h2, buffer, (size_t)n);
	explicit_bzero(buffer, (size_t)n);
	if (taken < 0)
		return kt_fail(e, KT_E_INPUT, "what answers does not speak HTTP/2: %s",
			nghttp2_strerror((int)taken));
	return 0;
}

static int submit(struct kt_client *c, enum kt_method method, struct kt_error *e)
{
	const char *word = strchr(kt_method_name(method), '.') + 1;
	nghttp2_data_provider provider = {.read_callback = read_question};
	char path[64], timeout[32];
	nghttp2_nv fields[8];
	size_t n = 0;

	snprintf(path, sizeof(path), PATH_PREFIX "%s", word);
	snprintf(timeout, sizeof(timeout), "%lldm",
		(long long)((c->deadline_us - kt_now_us()) / 1000 + 1));
	fields[n++] = kt_h2_field(":method", "POST");
	fields[n++] = kt_h2_field(":scheme", "http");
	fields[n++] = kt_h2_field(":path", path);
	fields[n++] = kt_h2_field(":authority", "localhost");
	fields[n++] = kt_h2_field("content-type", "application/grpc");
	fields[n++] = kt_h2_field("te", "trailers");
	fields[n++] = kt_h2_field("user-agent", "kms-shim-check/" KT_VERSION);
	fields[n++] = kt_h2_field("grpc-timeout", timeout);
	c->stream = nghttp2_submit_request(c->h2, NULL, fields, n, &provider, NULL);
	return c->stream > 0 ? 0 : kt_fail_memory(e);
}

/* What the call has come to, once its stream is closed. */
static int judge(const struct kt_client *c, struct kt_error *e)
{
	struct kt_grpc_status status;

	if (c->faulty)
		return kt_fail(e, KT_E_INPUT, "the answer is malformed: %s", c->fault.text);
	if (!c->has_status && c->reset != 0)
		return kt_fail(e, KT_E_NETWORK, "the call was reset (HTTP/2 error %u)", c->reset);
	if (!c->has_status || !c->http_ok)
		return kt_fail(e, KT_E_INPUT, "what answers does not speak gRPC");
	if (c->status.code == KT_GRPC_OK && kt_grpc_message_end(&c->message, &status) < 0)
		return kt_fail(e, KT_E_INPUT, "the answer is malformed: %s", status.text);
	return 0;
}

int kt_client_call(struct kt_client *c, enum kt_method method, const struct kt_frame *question,
	struct kt_grpc_status *ret_status, struct kt_bytes *ret_message, struct kt_error *e)
{
	kt_grpc_message_fini(&c->message);
	c->question = question;
	c->sent = c->header_count = 0;
	c->status = (struct kt_grpc_status){0};
	c->has_status = c->http_ok = c->closed = c->faulty = false;
	c->reset = 0;
	if (submit(c, method, e) < 0)
		return -1;
	while (!c->closed && !c->faulty) {
		if (flush(c, e) < 0)
			return -1;
		if (c->closed)
			break;
		/* It has found a fault, and said its GOAWAY. */
		if (nghttp2_session_want_read(c->h2) == 0)
			return kt_fail(e, KT_E_INPUT, "what answers does not speak HTTP/2");
		if (receive(c, e) < 0)
			return -1;
	}
	if (judge(c, e) < 0)
		return -1;
	*ret_status = c->status;
	*ret_message = (struct kt_bytes){c->message.data, c->message.len};
	return 0;
}
