/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC framing: the first byte says how the rest is cut; the whole and the pieces must agree. */
#include <stdlib.h>
#include <string.h>

#include "kms-shim/grpc-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed_in_pieces(struct kt_grpc_message *m, const uint8_t *data, size_t size, size_t step)
{
	struct kt_grpc_status status;

	for (size_t at = 0; at < size; at += step)
		if (kt_grpc_message_feed(
			    m, data + at, size - at < step ? size - at : step, &status) < 0)
			return -1;
	return kt_grpc_message_end(m, &status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_grpc_message whole = {0}, pieces = {0};

	if (size < 1)
		return 0;
	if (feed_in_pieces(&whole, data + 1, size - 1, size) !=
		feed_in_pieces(&pieces, data + 1, size - 1, 1 + data[0] % 16u))
		abort();
	if (whole.len == pieces.len && whole.len > 0 &&
		memcmp(whole.data, pieces.data, whole.len) != 0)
		abort();
	kt_grpc_message_fini(&whole);
	kt_grpc_message_fini(&pieces);
	return 0;
}
