/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP/1 request (RFC 9112), as far as one page needs it. Pure; fuzzed. */
#ifndef KT_KMS_SHIM_HTTP_GET_H
#define KT_KMS_SHIM_HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>

#define KT_HTTP_HEAD_MAX_BYTES 4096

struct kt_http_get {
	unsigned status; /* to answer with: 200, or the reason to refuse */
	bool body;	 /* GET, not HEAD */
};

/* Looks at what has come so far of a request for `path`. True once it is known what to answer:
 * the head is whole, or already wrong (400, 404, 405, 431, 505). */
bool kt_http_get_parse(
	const char *data, size_t len, const char *path, struct kt_http_get *ret_request);

/* "OK", "Not Found" … */
const char *kt_http_reason(unsigned status);

#endif
