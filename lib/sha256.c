/* SPDX-License-Identifier: Apache-2.0 */
/* Over the low-level functions, which OpenSSL calls deprecated and has kept: they alone have no
 * set-up for each message. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "lib/sha256.h"

#include <string.h>

#include <openssl/sha.h>

_Static_assert(sizeof(struct kt_sha256) >= sizeof(SHA256_CTX), "a context fits");
_Static_assert(_Alignof(struct kt_sha256) >= _Alignof(SHA256_CTX), "and is aligned");

static SHA256_CTX *context(struct kt_sha256 *hash)
{
	return (SHA256_CTX *)hash;
}

void kt_sha256_start(struct kt_sha256 *hash)
{
	(void)SHA256_Init(context(hash));
}

void kt_sha256_add(struct kt_sha256 *hash, const void *data, size_t len)
{
	(void)SHA256_Update(context(hash), data, len);
}

void kt_sha256_add_u16(struct kt_sha256 *hash, uint16_t value)
{
	const uint8_t octets[] = {(uint8_t)(value >> 8), (uint8_t)value};

	kt_sha256_add(hash, octets, sizeof(octets));
}

void kt_sha256_add_u32(struct kt_sha256 *hash, uint32_t value)
{
	kt_sha256_add_u16(hash, (uint16_t)(value >> 16));
	kt_sha256_add_u16(hash, (uint16_t)value);
}

void kt_sha256_add_prefixed(struct kt_sha256 *hash, const void *data, size_t len)
{
	kt_sha256_add_u32(hash, (uint32_t)len);
	kt_sha256_add(hash, data, len);
}

void kt_sha256_finish(struct kt_sha256 *hash, uint8_t ret_digest[KT_SHA256_BYTES])
{
	(void)SHA256_Final(ret_digest, context(hash));
}
