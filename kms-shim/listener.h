/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening unix socket: our own, with mode and owner set before anybody can connect, or
 * systemd's. A socket left by a crash is taken over; one that somebody serves never is.
 */
#ifndef KT_KMS_SHIM_LISTENER_H
#define KT_KMS_SHIM_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/auto.h"
#include "lib/error.h"

#define KT_LISTENER_URL_PREFIX "unix://"

struct kt_listener;

struct kt_listener_options {
	const char *url; /* "unix:///path" */
	mode_t mode;
	const char *owner, *group; /* names or numbers; NULL: as they come */
	bool optional;		   /* with LISTEN_FDS: made here if none of them has its path */
};

/* Beside the socket stays PATH.lock, locked while it is served. KT_E_BUSY if another process serves
 * it, KT_E_REFUSED if the path holds something else, is not ours, or lies in a folder that others
 * can write; KT_E_USAGE for a bad url or name. With LISTEN_FDS the descriptor that is bound to the
 * path, or the only one, is used, and nothing is made or removed. */
KT_CHECKED int kt_listener_open(const struct kt_listener_options *options,
	struct kt_listener **ret_listener, struct kt_error *e);

/* Removes the socket if it is still ours. NULL is fine. */
void kt_listener_close(struct kt_listener *listener);
KT_AUTO(listener, struct kt_listener *, kt_listener_close)
#define auto_listener __attribute__((cleanup(kt_auto_listener)))

int kt_listener_fd(const struct kt_listener *listener);

/* Accepts one: non-blocking, close-on-exec, owned by the caller. -1 with errno as accept(2) sets
 * it, or EACCES if the peer's user is not among `uids` (none given: all are welcome). */
KT_CHECKED int kt_listener_accept(
	const struct kt_listener *listener, const uid_t *uids, size_t uid_count);

#endif
