/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms-latency SOCKET CALLS: one KMS v2 call after the other on one connection, and the time of
 * each; then a bare ping-pong of as many bytes each way as a Status took, between two processes on
 * a unix socket. Client on CPU 0, ping-pong's server on CPU 1: put what serves SOCKET there too.
 * Prints JSON: medians and 99th percentiles, in microseconds.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "kms-shim/codec.h"
#include "kms-shim/h2-field.h"

#define WARM_UP 200
#define SEED_BYTES 32

struct client {
	int fd;
	nghttp2_session *h2;
	const struct kt_frame *question;
	size_t asked, sent, received;
	struct kt_grpc_message message;
	bool ok, closed;
};

static void die(const char *what)
{
	fprintf(stderr, "kms-latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("sched_setaffinity");
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
	struct client *c = user_data;

	(void)h2;
	(void)frame;
	(void)flags;
	if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
		c->ok = value_len == 1 && value[0] == '0';
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
	void *user_data)
{
	struct client *c = user_data;
	struct kt_grpc_status status;

	(void)h2;
	(void)flags;
	(void)id;
	return kt_grpc_message_feed(&c->message, data, len, &status);
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user_data)
{
	struct client *c = user_data;

	(void)h2;
	(void)id;
	(void)error;
	c->closed = true;
	return 0;
}

static ssize_t read_question(nghttp2_session *h2, int32_t id, uint8_t *buffer, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct client *c = user_data;
	size_t n = c->question->len - c->asked;

	(void)h2;
	(void)id;
	(void)source;
	if (n > size)
		n = size;
	memcpy(buffer, c->question->data + c->asked, n);
	c->asked += n;
	if (c->asked == c->question->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die(path);
	return fd;
}

static void open_client(struct client *c, const char *path)
{
	nghttp2_session_callbacks *callbacks;

	c->fd = connect_to(path);
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		die("nghttp2");
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	if (nghttp2_session_client_new(&c->h2, callbacks, c) != 0 ||
		nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
		die("nghttp2");
	nghttp2_session_callbacks_del(callbacks);
}

static void flush(struct client *c)
{
	uint8_t out[65536];
	const uint8_t *data;
	size_t len = 0;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0) {
		memcpy(out + len, data, (size_t)n);
		len += (size_t)n;
	}
	if (len > 0 && send(c->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
	c->sent += len;
}

/* What grpc-go sends. */
static double call(struct client *c, const char *path, const struct kt_frame *question)
{
	const char *const names[][2] = {{":method", "POST"}, {":scheme", "http"}, {":path", path},
		{":authority", "localhost"}, {"content-type", "application/grpc"},
		{"user-agent", "grpc-go/1.79.3"}, {"te", "trailers"}, {"grpc-timeout", "2999812u"}};
	nghttp2_data_provider provider = {.read_callback = read_question};
	nghttp2_nv fields[8];
	uint8_t in[65536];
	double begun = now_us();

	for (size_t i = 0; i < 8; i++)
		fields[i] = kt_h2_field(names[i][0], names[i][1]);
	kt_grpc_message_fini(&c->message);
	c->question = question;
	c->asked = 0;
	c->ok = c->closed = false;
	if (nghttp2_submit_request(c->h2, NULL, fields, 8, &provider, NULL) < 0)
		die("submit");
	flush(c);
	while (!c->closed) {
		ssize_t n = recv(c->fd, in, sizeof(in), 0);

		if (n <= 0 || nghttp2_session_mem_recv(c->h2, in, (size_t)n) != n)
			die("recv");
		c->received += (size_t)n;
		flush(c);
	}
	if (!c->ok) {
		fprintf(stderr, "kms-latency: %s was refused\n", path);
		exit(1);
	}
	return now_us() - begun;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, double *times, size_t count)
{
	qsort(times, count, sizeof(*times), compare);
	printf("\"%s\": {\"p50\": %.1f, \"p99\": %.1f}, ", name, times[count / 2],
		times[count * 99 / 100]);
}

static void ask(struct client *c, enum kt_method method, const struct kt_question *question,
	const char *path, size_t count, double *times)
{
	struct kt_grpc_status status;
	struct kt_frame frame;

	if (kt_codec_write_question(method, question, &frame, &status) < 0)
		die("question");
	for (size_t i = 0; i < WARM_UP && count > 1; i++)
		(void)call(c, path, &frame);
	c->sent = c->received = 0;
	for (size_t i = 0; i < count; i++)
		times[i] = call(c, path, &frame);
	kt_wipe_free(frame.data);
}

static void copy_bytes(int fd, uint8_t *buffer, size_t len, bool out)
{
	while (len > 0) {
		ssize_t n = out ? send(fd, buffer, len, MSG_NOSIGNAL) : recv(fd, buffer, len, 0);

		if (n <= 0)
			_exit(0);
		buffer += n;
		len -= (size_t)n;
	}
}

static void ping_pong(size_t request, size_t response, size_t count, double *times)
{
	static uint8_t buffer[65536];
	int fds[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		die("socketpair");
	child = fork();
	if (child == 0) {
		close(fds[0]);
		pin(1);
		for (;;) {
			copy_bytes(fds[1], buffer, request, false);
			copy_bytes(fds[1], buffer, response, true);
		}
	}
	close(fds[1]);
	for (size_t i = 0; i < WARM_UP + count; i++) {
		double begun = now_us();

		copy_bytes(fds[0], buffer, request, true);
		copy_bytes(fds[0], buffer, response, false);
		if (i >= WARM_UP)
			times[i - WARM_UP] = now_us() - begun;
	}
	close(fds[0]);
	waitpid(child, NULL, 0);
}

int main(int argc, char *argv[])
{
	static uint8_t seed[SEED_BYTES] = {1};
	struct client client = {0};
	struct kt_question question = {.uid = "b7a3a4b4-3b1a-4a5e-9c43-5c0e2f3d1a77",
		.plaintext = seed,
		.plaintext_len = 32};
	struct kt_reply *reply;
	struct kt_error e;
	size_t count, sent, received;
	double *times;

	if (argc != 3)
		die("usage: kms-latency SOCKET CALLS");
	count = (size_t)strtoul(argv[2], NULL, 10);
	times = calloc(count, sizeof(*times));
	if (times == NULL || count < 100)
		die("at least 100 calls");
	pin(0);
	open_client(&client, argv[1]);
	printf("{");
	ask(&client, KT_METHOD_V2_STATUS, &question, "/v2.KeyManagementService/Status", count,
		times);
	sent = client.sent / count;
	received = client.received / count;
	report("status", times, count);
	ask(&client, KT_METHOD_V2_ENCRYPT, &question, "/v2.KeyManagementService/Encrypt", count,
		times);
	report("encrypt", times, count);
	if (kt_codec_read_reply(KT_METHOD_V2_ENCRYPT, client.message.data, client.message.len,
		    &reply, &e) < 0) {
		fprintf(stderr, "kms-latency: %s\n", e.msg);
		return 1;
	}
	question.key_id = reply->key_id;
	question.record = &reply->record;
	ask(&client, KT_METHOD_V2_DECRYPT, &question, "/v2.KeyManagementService/Decrypt", count,
		times);
	report("decrypt", times, count);
	ping_pong(sent, received, count, times);
	report("ping_pong", times, count);
	printf("\"sent\": %zu, \"received\": %zu}\n", sent, received);
	kt_reply_free(reply);
	free(times);
	return 0;
}
