/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call ends with: a code and a sentence for the API server's log. The functions of the gRPC
 * side return 0 or -1 and fill one of these, as others do with a struct kt_error. Pure.
 */
#ifndef KT_KMS_SHIM_GRPC_STATUS_H
#define KT_KMS_SHIM_GRPC_STATUS_H

#include "kms-shim/kms.h"

/* The sentence is shown in logs and in /healthz: short, and never with a secret. */
struct kt_grpc_status {
	enum kt_grpc_code code;
	char text[512];
};

/* Fills *status and returns -1. */
int kt_grpc_fail(struct kt_grpc_status *status, enum kt_grpc_code code, const char *fmt, ...)
	KT_PRINTF(3, 4);

/* The same from an error of ours. */
int kt_grpc_fail_error(struct kt_grpc_status *status, const struct kt_error *e);

#define KT_GRPC_PERCENT_MAX_BYTES (3 * sizeof(((struct kt_grpc_status *)0)->text))

/* The value of a grpc-message field: bytes outside 0x20..0x7e and '%' become %XX. */
void kt_grpc_percent_encode(const char *text, char out[KT_GRPC_PERCENT_MAX_BYTES]);

/* The way back, into at most `size` bytes; what is no printable ASCII afterwards becomes '?'. */
void kt_grpc_percent_decode(const char *value, size_t len, char *ret_text, size_t size);

#endif
