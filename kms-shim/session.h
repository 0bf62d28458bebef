/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's connection: nghttp2's session, the calls on it, and the socket. Knows no thread and
 * no other connection; the loop calls it when the socket, the worker or the clock has something.
 */
#ifndef KT_KMS_SHIM_SESSION_H
#define KT_KMS_SHIM_SESSION_H

#include "kms-shim/worker.h"

#define KT_SESSION_STREAMS_MAX 100
#define KT_SESSION_HELD_MAX_BYTES (4u << 20) /* of all unfinished requests together */

/* A client that has begun something must go on with it: preface, request, reading answers. */
#define KT_SESSION_PATIENCE_US 10000000

struct kt_session;

/* What a session needs from the loop. */
struct kt_session_host {
	void *ctx;
	/* Takes the job, or returns -1: too many are waiting. */
	int (*put)(void *ctx, struct kt_job *job);
	/* A copy of the answer to Status, owned by the caller, if one is known that still holds. */
	bool (*known_status)(void *ctx, struct kt_frame *ret_reply);
	/* A call is being answered, `us` after it began; `had_job`: by a job that put() took. */
	void (*answered)(void *ctx, enum kt_method method, const struct kt_grpc_status *status,
		int64_t us, bool had_job);
	/* Scratch that all sessions share, locked: plaintexts pass through it. */
	struct kt_secret *input, *output;
};

/* `fd` is taken, also on failure; `host` is borrowed for the session's life; `id` goes into jobs.
 */
KT_CHECKED int kt_session_new(int fd, uint64_t id, const struct kt_session_host *host,
	struct kt_session **ret_session, struct kt_error *e);
void kt_session_free(struct kt_session *session);

/* The socket can be read, or written. -1: the connection is over, free the session. */
KT_CHECKED int kt_session_read(struct kt_session *session);
KT_CHECKED int kt_session_write(struct kt_session *session);

/* What to wait for: EPOLLIN, EPOLLOUT. */
uint32_t kt_session_events(const struct kt_session *session);
int kt_session_fd(const struct kt_session *session);
uint64_t kt_session_id(const struct kt_session *session);

/* Takes a finished job. To be followed by kt_session_write(). */
void kt_session_finish(struct kt_session *session, struct kt_job *job);

/* Is anything under way that the clock must watch? */
bool kt_session_is_busy(const struct kt_session *session);

/* For choosing whom to close when there are too many: since when nothing has been under way, and
 * whether a call was ever answered. */
int64_t kt_session_idle_since(const struct kt_session *session);
bool kt_session_has_served(const struct kt_session *session);

/* Looks at the clock: -1 if the client has been waited for long enough. To be followed by
 * kt_session_write(). */
KT_CHECKED int kt_session_tick(struct kt_session *session, int64_t now_us);

/* Graceful end: first `last` false, GOAWAY with the highest stream, so that no call is lost that is
 * on its way; then `last` true, with the real one. To be followed by kt_session_write(). */
void kt_session_shutdown(struct kt_session *session, bool last);

#endif
