/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC over HTTP/2, "Responses": Status and Status-Message. */
#include "kms-shim/grpc-status.h"

#include <stdarg.h>
#include <stdio.h>

int kt_grpc_fail(struct kt_grpc_status *status, enum kt_grpc_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(status->text, sizeof(status->text), fmt, args);
	va_end(args);
	status->code = code;
	return -1;
}

int kt_grpc_fail_error(struct kt_grpc_status *status, const struct kt_error *e)
{
	enum kt_grpc_code code = kt_grpc_code_of(e->code);

	/* A failure must never go out as success, whatever stands in the error. */
	return kt_grpc_fail(status, code != KT_GRPC_OK ? code : KT_GRPC_INTERNAL, "%.*s",
		(int)sizeof(status->text) - 1, e->msg);
}

void kt_grpc_percent_encode(const char *text, char out[KT_GRPC_PERCENT_MAX_BYTES])
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *text != '\0' && n + 3 < KT_GRPC_PERCENT_MAX_BYTES; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

void kt_grpc_percent_decode(const char *value, size_t len, char *ret_text, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < len && out + 1 < size; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c == '%' && i + 2 < len && hex_digit(value[i + 1]) >= 0 &&
			hex_digit(value[i + 2]) >= 0) {
			c = (unsigned char)(hex_digit(value[i + 1]) << 4 | hex_digit(value[i + 2]));
			i += 2;
		}
		ret_text[out++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	ret_text[out] = '\0';
}
