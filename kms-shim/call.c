/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2, "Requests", and RFC 9113 sections 8.2 and 8.3. What is malformed in HTTP's
 * terms resets the stream; what is merely not ours gets an answer that says so.
 */
#include "kms-shim/call.h"

#include <string.h>

enum field {
	SEEN_METHOD = 1,
	SEEN_SCHEME = 2,
	SEEN_PATH = 4,
	SEEN_AUTHORITY = 8,
	SEEN_CONTENT_TYPE = 16,
	SEEN_TIMEOUT = 32,
	SEEN_ENCODING = 64,
	SEEN_TE = 128,
};

static const struct {
	const char *path, *name;
} methods[] = {
	[KT_METHOD_NONE] = {"", "none"},
	[KT_METHOD_V2_STATUS] = {"/v2.KeyManagementService/Status", "v2.Status"},
	[KT_METHOD_V2_ENCRYPT] = {"/v2.KeyManagementService/Encrypt", "v2.Encrypt"},
	[KT_METHOD_V2_DECRYPT] = {"/v2.KeyManagementService/Decrypt", "v2.Decrypt"},
	[KT_METHOD_V1_VERSION] = {"/v1beta1.KeyManagementService/Version", "v1beta1.Version"},
	[KT_METHOD_V1_ENCRYPT] = {"/v1beta1.KeyManagementService/Encrypt", "v1beta1.Encrypt"},
	[KT_METHOD_V1_DECRYPT] = {"/v1beta1.KeyManagementService/Decrypt", "v1beta1.Decrypt"},
};

const char *kt_method_name(enum kt_method method)
{
	return methods[method].name;
}

static bool is(const char *text, const char *value, size_t len)
{
	return strlen(text) == len && memcmp(text, value, len) == 0;
}

/* The first reason stays. */
static void refuse(struct kt_call *call, unsigned http, enum kt_grpc_code code, const char *text)
{
	if (call->status.code != KT_GRPC_OK)
		return;
	call->http_status = http;
	if (kt_grpc_fail(&call->status, code, "%s", text) < 0)
		return;
}

static void take_path(struct kt_call *call, const char *value, size_t len)
{
	for (size_t i = 1; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (is(methods[i].path, value, len))
			call->method = (enum kt_method)i;
	if (call->method == KT_METHOD_NONE)
		refuse(call, 200, KT_GRPC_UNIMPLEMENTED, "no such method");
}

static void take_method(struct kt_call *call, const char *value, size_t len)
{
	if (!is("POST", value, len))
		refuse(call, 405, KT_GRPC_INTERNAL, "gRPC is spoken with POST");
}

/* "application/grpc", and what may follow: "+proto", ";charset=...". */
static void take_content_type(struct kt_call *call, const char *value, size_t len)
{
	static const char type[] = "application/grpc";
	size_t n = sizeof(type) - 1;

	if (len < n || memcmp(value, type, n) != 0 ||
		(len > n && value[n] != ';' && !is("+proto", value + n, len - n)))
		refuse(call, 415, KT_GRPC_INTERNAL, "content-type is not application/grpc");
}

int kt_call_parse_timeout(const char *value, size_t len, int64_t *ret_us)
{
	static const struct {
		char unit;
		int64_t us;
	} units[] = {{'H', 3600000000}, {'M', 60000000}, {'S', 1000000}, {'m', 1000}, {'u', 1}};
	int64_t n = 0;

	if (len < 2 || len > 9)
		return -1;
	for (size_t i = 0; i + 1 < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = 10 * n + (value[i] - '0');
	}
	if (value[len - 1] == 'n') {
		*ret_us = n >= 1000 ? n / 1000 : 1;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != value[len - 1])
			continue;
		/* 0 would read as "no deadline". */
		*ret_us = n > 0 ? n * units[i].us : 1;
		return 0;
	}
	return -1;
}

static void take_timeout(struct kt_call *call, const char *value, size_t len)
{
	if (kt_call_parse_timeout(value, len, &call->timeout_us) < 0)
		refuse(call, 200, KT_GRPC_INVALID_ARGUMENT, "malformed grpc-timeout");
}

static void take_encoding(struct kt_call *call, const char *value, size_t len)
{
	if (!is("identity", value, len))
		refuse(call, 200, KT_GRPC_UNIMPLEMENTED, "compressed messages are not supported");
}

static void take_te(struct kt_call *call, const char *value, size_t len)
{
	/* RFC 9113 section 8.2.2. */
	if (!is("trailers", value, len))
		call->malformed = true;
}

/* RFC 9113 section 8.2.2: fields of HTTP/1.1 connections. */
static void take_connection(struct kt_call *call, const char *value, size_t len)
{
	(void)value;
	(void)len;
	call->malformed = true;
}

static const struct {
	const char *name;
	unsigned once;
	void (*take)(struct kt_call *call, const char *value, size_t len);
} fields[] = {
	{":method", SEEN_METHOD, take_method},
	{":scheme", SEEN_SCHEME, NULL},
	{":path", SEEN_PATH, take_path},
	/* Any form: "localhost", the socket's path, raw or percent-encoded. */
	{":authority", SEEN_AUTHORITY, NULL},
	{"content-type", SEEN_CONTENT_TYPE, take_content_type},
	{"te", SEEN_TE, take_te},
	{"grpc-timeout", SEEN_TIMEOUT, take_timeout},
	{"grpc-encoding", SEEN_ENCODING, take_encoding},
	{"connection", 0, take_connection},
	{"keep-alive", 0, take_connection},
	{"proxy-connection", 0, take_connection},
	{"transfer-encoding", 0, take_connection},
	{"upgrade", 0, take_connection},
};

/* RFC 9113 section 8.2.1. */
static bool name_is_valid(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= 0x20 || name[i] >= 0x7f || (name[i] >= 'A' && name[i] <= 'Z') ||
			(name[i] == ':' && i > 0))
			return false;
	return len > 0;
}

static bool value_is_valid(const uint8_t *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] == '\0' || value[i] == '\r' || value[i] == '\n')
			return false;
	return true;
}

void kt_call_header(struct kt_call *call, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len)
{
	bool pseudo = name_len > 0 && name[0] == ':', known = false;

	call->header_bytes += name_len + value_len + 32;
	if (call->header_bytes > KT_CALL_HEADERS_MAX_BYTES) {
		refuse(call, 200, KT_GRPC_RESOURCE_EXHAUSTED, "too many header fields");
		return;
	}
	if (!name_is_valid(name, name_len) || !value_is_valid(value, value_len) ||
		(pseudo && call->regular))
		call->malformed = true;
	if (!pseudo)
		call->regular = true;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!is(fields[i].name, (const char *)name, name_len))
			continue;
		known = true;
		if ((call->seen & fields[i].once) != 0) {
			call->malformed = true;
			return;
		}
		call->seen |= fields[i].once;
		if (fields[i].take != NULL)
			fields[i].take(call, (const char *)value, value_len);
	}
	if (pseudo && !known)
		call->malformed = true;
}

int kt_call_check(struct kt_call *call)
{
	unsigned needed = SEEN_METHOD | SEEN_SCHEME | SEEN_PATH;

	/* A list that was too long was not read to its end, so it is not judged. */
	if (call->header_bytes <= KT_CALL_HEADERS_MAX_BYTES && (call->seen & needed) != needed)
		call->malformed = true;
	if (call->malformed)
		return -1;
	if ((call->seen & SEEN_CONTENT_TYPE) == 0)
		refuse(call, 415, KT_GRPC_INTERNAL, "content-type is not application/grpc");
	return call->status.code == KT_GRPC_OK ? 0 : -1;
}
