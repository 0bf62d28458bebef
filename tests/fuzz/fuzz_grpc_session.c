/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection from the client's side: what follows preface and SETTINGS. Every call is answered,
 * at once or after the next piece of input, well or with an error, as its stream's number has it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kms-shim/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JOBS_MAX 256
#define PIECE_BYTES 4096

static struct kt_job *jobs[JOBS_MAX];
static size_t job_count;

static int put(void *ctx, struct kt_job *job)
{
	(void)ctx;
	if (job_count == JOBS_MAX)
		return -1;
	jobs[job_count++] = job;
	return 0;
}

static void answered(void *ctx, enum kt_method method, const struct kt_grpc_status *status,
	int64_t us, bool had_job)
{
	(void)ctx;
	(void)had_job;
	/* What the metrics count: inside their tables. */
	if (method > KT_METHOD_V1_DECRYPT || status->code > 16 || us < 0)
		abort();
}

static bool known_status(void *ctx, struct kt_frame *ret_reply)
{
	struct kt_grpc_status status;

	(void)ctx;
	return job_count % 2 == 0 && kt_codec_write_version(ret_reply, &status) == 0;
}

static void finish_all(struct kt_session *s)
{
	for (size_t i = 0; i < job_count; i++) {
		struct kt_job *job = jobs[i];

		if (job->stream % 3 == 0)
			(void)!kt_grpc_fail(&job->status, KT_GRPC_UNAVAILABLE, "as planned");
		else if (kt_codec_write_bytes(job->message, job->len, &job->reply, &job->status) <
			 0)
			abort();
		if (s != NULL)
			kt_session_finish(s, job);
		else
			kt_job_free(job);
	}
	job_count = 0;
}

static void drain(int fd)
{
	uint8_t bytes[65536];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
}

/* -1: the connection is over. */
static int exchange(struct kt_session *s, int fd, const uint8_t *data, size_t size)
{
	if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size || kt_session_read(s) < 0 ||
		kt_session_write(s) < 0)
		return -1;
	if (size % 2 == 0)
		finish_all(s);
	if (kt_session_write(s) < 0)
		return -1;
	drain(fd);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				       "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
	static struct kt_session_host host = {
		.put = put, .known_status = known_status, .answered = answered};
	struct kt_session *s = NULL;
	struct kt_error e;
	int fds[2], result;

	if (host.input == NULL && (kt_secret_new(PIECE_BYTES, &host.input, &e) < 0 ||
					  kt_secret_new(65536, &host.output, &e) < 0))
		abort();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0 ||
		kt_session_new(fds[0], 1, &host, &s, &e) < 0)
		abort();
	result = exchange(s, fds[1], hello, sizeof(hello) - 1);
	while (result == 0 && size > 0) {
		size_t n = size < PIECE_BYTES ? size : PIECE_BYTES;

		result = exchange(s, fds[1], data, n);
		data += n;
		size -= n;
	}
	if (result == 0)
		finish_all(s);
	if (result == 0 && kt_session_write(s) == 0 && kt_session_tick(s, INT64_MAX / 2) == 0)
		result = kt_session_write(s);
	kt_session_free(s);
	finish_all(NULL);
	close(fds[1]);
	return 0;
}
