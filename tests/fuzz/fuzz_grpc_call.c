/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields: "name NUL value NUL" as often as it comes; and what is answered. */
#include <stdlib.h>
#include <string.h>

#include "kms-shim/call.h"
#include "kms-shim/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t word(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0, size);

	return end != NULL ? (size_t)(end - data) : size;
}

/* Nothing but GOAWAY may be lost on the way to nghttp2. */
static void cut_frames(const uint8_t *data, size_t size)
{
	struct kt_frames frames = {0};

	while (size > 0) {
		struct kt_frames_piece piece;
		size_t n = kt_frames_next(&frames, data, size, &piece);

		if (n == 0 || n > size)
			abort();
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char encoded[KT_GRPC_PERCENT_MAX_BYTES];
	struct kt_call call = {0};

	cut_frames(data, size);
	while (size > 0) {
		size_t name = word(data, size);
		const uint8_t *value = name < size ? data + name + 1 : data + size;
		size_t left = size - (size_t)(value - data), len = word(value, left);

		kt_call_header(&call, data, name, value, len);
		data = len < left ? value + len + 1 : value + left;
		size = len < left ? left - len - 1 : 0;
	}
	if (kt_call_check(&call) == 0 && (call.method == KT_METHOD_NONE || call.timeout_us < 0))
		abort();
	kt_grpc_percent_encode(call.status.text, encoded);
	return 0;
}
