/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP requests: what is decided on a part of the bytes is not undecided by more of them,
 * and nothing but the right head is 200.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kms-shim/http-get.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_http_get whole, part;
	bool decided = kt_http_get_parse((const char *)data, size, "/metrics", &whole);

	for (size_t n = 0; n < size && n <= KT_HTTP_HEAD_MAX_BYTES; n += 1 + n / 8) {
		if (!kt_http_get_parse((const char *)data, n, "/metrics", &part))
			continue;
		if (!decided || part.status != whole.status || part.body != whole.body)
			abort();
	}
	if (decided && whole.status == 200 &&
		(size < 21 || memmem(data, size, "\r\n\r\n", 4) == NULL ||
			memmem(data, size, " /metrics", 9) == NULL))
		abort();
	if (decided && strcmp(kt_http_reason(whole.status), "Internal Server Error") == 0)
		abort();
	return 0;
}
