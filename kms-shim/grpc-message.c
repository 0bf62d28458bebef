/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2, "Length-Prefixed-Message". Memory grows with the bytes that came, not with the
 * length that was announced.
 */
#include "kms-shim/grpc-message.h"

#include <string.h>

#include "kms-shim/wipe.h"

static int check_prefix(struct kt_grpc_message *m, struct kt_grpc_status *status)
{
	const uint8_t *p = m->prefix;
	uint32_t len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];

	if (p[0] != 0)
		return kt_grpc_fail(status, p[0] == 1 ? KT_GRPC_UNIMPLEMENTED : KT_GRPC_INTERNAL,
			p[0] == 1 ? "compressed messages are not supported"
				  : "unknown flag before the message");
	if (len > KT_KMS_MESSAGE_MAX_BYTES)
		return kt_grpc_fail(status, KT_GRPC_RESOURCE_EXHAUSTED,
			"message of %u bytes; at most %d are served", (unsigned)len,
			KT_KMS_MESSAGE_MAX_BYTES);
	m->announced = len;
	return 0;
}

static int reserve(struct kt_grpc_message *m, size_t wanted, struct kt_grpc_status *status)
{
	size_t size = m->size != 0 ? m->size : 256;
	uint8_t *moved;

	if (wanted <= m->size)
		return 0;
	while (size < wanted)
		size *= 2;
	moved = kt_wipe_realloc(m->data, size);
	if (moved == NULL)
		return kt_grpc_fail(status, KT_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	m->data = moved;
	m->size = size;
	return 0;
}

int kt_grpc_message_feed(
	struct kt_grpc_message *m, const uint8_t *data, size_t len, struct kt_grpc_status *status)
{
	size_t n;

	if (m->prefix_len < KT_GRPC_PREFIX_BYTES) {
		n = KT_GRPC_PREFIX_BYTES - m->prefix_len;
		if (n > len)
			n = len;
		if (n > 0)
			memcpy(m->prefix + m->prefix_len, data, n);
		m->prefix_len += n;
		if (m->prefix_len < KT_GRPC_PREFIX_BYTES)
			return 0;
		if (check_prefix(m, status) < 0)
			return -1;
		data += n;
		len -= n;
	}
	if (len > m->announced - m->len)
		return kt_grpc_fail(status, KT_GRPC_INTERNAL,
			"more bytes than the one message of a unary call");
	if (len == 0)
		return 0;
	if (reserve(m, m->len + len, status) < 0)
		return -1;
	memcpy(m->data + m->len, data, len);
	m->len += len;
	return 0;
}

int kt_grpc_message_end(const struct kt_grpc_message *m, struct kt_grpc_status *status)
{
	if (m->prefix_len == 0)
		return kt_grpc_fail(status, KT_GRPC_INTERNAL, "a unary call without a message");
	if (m->prefix_len < KT_GRPC_PREFIX_BYTES || m->len < m->announced)
		return kt_grpc_fail(status, KT_GRPC_INTERNAL, "the message was cut short");
	return 0;
}

void kt_grpc_message_fini(struct kt_grpc_message *m)
{
	kt_wipe_free(m->data);
	*m = (struct kt_grpc_message){0};
}

void kt_grpc_prefix(uint8_t out[KT_GRPC_PREFIX_BYTES], size_t len)
{
	out[0] = 0;
	out[1] = (uint8_t)(len >> 24);
	out[2] = (uint8_t)(len >> 16);
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
}
