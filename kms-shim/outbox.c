/* SPDX-License-Identifier: Apache-2.0 */
/* Partial writes. */
#include "kms-shim/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kms-shim/wipe.h"
#include "kms-shim/worker.h"

static int send_some(int fd, const uint8_t *data, size_t len, size_t *ret_sent)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	*ret_sent = n > 0 ? (size_t)n : 0;
	return 0;
}

int kt_outbox_send(struct kt_outbox *o, int fd, const uint8_t *data, size_t len)
{
	size_t sent;

	if (send_some(fd, data, len, &sent) < 0)
		return -1;
	if (sent == len)
		return 0;
	o->data = malloc(len - sent);
	if (o->data == NULL)
		return -1;
	memcpy(o->data, data + sent, len - sent);
	o->len = len - sent;
	o->sent = 0;
	o->moved_us = kt_now_us();
	return 0;
}

int kt_outbox_flush(struct kt_outbox *o, int fd)
{
	size_t n;

	if (o->data == NULL)
		return 0;
	if (send_some(fd, o->data + o->sent, o->len - o->sent, &n) < 0)
		return -1;
	o->sent += n;
	if (n > 0)
		o->moved_us = kt_now_us();
	if (o->sent == o->len)
		kt_outbox_fini(o);
	return 0;
}

void kt_outbox_fini(struct kt_outbox *o)
{
	kt_wipe_free(o->data);
	*o = (struct kt_outbox){0};
}
