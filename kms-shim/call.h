/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header fields of one call. nghttp2 is told to leave them alone, because it refuses the
 * `:authority` of API servers up to 1.28 (a path with '/'); so what RFC 9113 section 8 asks of a
 * request is checked here. Pure; fuzzed.
 */
#ifndef KT_KMS_SHIM_CALL_H
#define KT_KMS_SHIM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "kms-shim/grpc-status.h"

/* As RFC 9113 section 10.5.1 counts: name, value and 32 for each field. */
#define KT_CALL_HEADERS_MAX_BYTES 16384

enum kt_method {
	KT_METHOD_NONE,
	KT_METHOD_V2_STATUS,
	KT_METHOD_V2_ENCRYPT,
	KT_METHOD_V2_DECRYPT,
	KT_METHOD_V1_VERSION,
	KT_METHOD_V1_ENCRYPT,
	KT_METHOD_V1_DECRYPT,
};

/* All zero is a call of which nothing has come. */
struct kt_call {
	enum kt_method method;
	int64_t timeout_us;   /* 0: none */
	unsigned http_status; /* 0: 200 */
	size_t header_bytes;
	unsigned seen;		      /* pseudo-header fields and those that must not repeat */
	bool regular;		      /* a field that is no pseudo-header has come */
	bool malformed;		      /* RFC 9113 section 8.1.1: reset the stream */
	struct kt_grpc_status status; /* the first reason to refuse; code 0: none */
};

/* "v2.Encrypt"; "none" for KT_METHOD_NONE. */
const char *kt_method_name(enum kt_method method);

/* Notes one field. Unknown ones are ignored (Decrypt carries `hasleader`). */
void kt_call_header(struct kt_call *call, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len);

/* All fields have come: fails if the stream is to be reset (malformed) or answered at once with
 * call->status. */
KT_CHECKED int kt_call_check(struct kt_call *call);

/* grpc-timeout: 1 to 8 digits and a unit. Microseconds, at least 1. -1 if malformed. */
KT_CHECKED int kt_call_parse_timeout(const char *value, size_t len, int64_t *ret_us);

#endif
