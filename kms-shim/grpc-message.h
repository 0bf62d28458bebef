/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The length-prefixed message of a unary call: flag byte, 32-bit big-endian length, bytes. Fed with
 * DATA as it comes, cut anywhere. Pure; fuzzed.
 */
#ifndef KT_KMS_SHIM_GRPC_MESSAGE_H
#define KT_KMS_SHIM_GRPC_MESSAGE_H

#include <stdint.h>

#include "kms-shim/grpc-status.h"

#define KT_GRPC_PREFIX_BYTES 5

/* All zero is empty. */
struct kt_grpc_message {
	uint8_t prefix[KT_GRPC_PREFIX_BYTES];
	size_t prefix_len;
	uint8_t *data; /* owned; wiped */
	size_t len, size, announced;
};

/* Takes more bytes. Fails as soon as it is known that the message cannot be served: compressed
 * (UNIMPLEMENTED), longer than KT_KMS_MESSAGE_MAX_BYTES (RESOURCE_EXHAUSTED), more than one
 * (INTERNAL). Not to be fed after a failure. */
KT_CHECKED int kt_grpc_message_feed(struct kt_grpc_message *message, const uint8_t *data,
	size_t len, struct kt_grpc_status *status);

/* The stream has ended: fails unless one whole message came. */
KT_CHECKED int kt_grpc_message_end(
	const struct kt_grpc_message *message, struct kt_grpc_status *status);

/* Wipes and empties. */
void kt_grpc_message_fini(struct kt_grpc_message *message);

/* Writes the prefix of a message of `len` bytes. */
void kt_grpc_prefix(uint8_t out[KT_GRPC_PREFIX_BYTES], size_t len);

#endif
