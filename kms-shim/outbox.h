/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a non-blocking socket did not take, kept until it does. They may hold plaintexts. */
#ifndef KT_KMS_SHIM_OUTBOX_H
#define KT_KMS_SHIM_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* All zero is empty. */
struct kt_outbox {
	uint8_t *data; /* owned; wiped; NULL: empty */
	size_t len, sent;
	int64_t moved_us; /* when bytes last went out */
};

/* Sends, and keeps what does not go out; only while empty. -1: the connection is gone, or memory.
 */
KT_CHECKED int kt_outbox_send(struct kt_outbox *outbox, int fd, const uint8_t *data, size_t len);

/* Sends more of what is kept. */
KT_CHECKED int kt_outbox_flush(struct kt_outbox *outbox, int fd);

void kt_outbox_fini(struct kt_outbox *outbox);

#endif
