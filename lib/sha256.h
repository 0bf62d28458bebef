/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of small things, fast (FIPS 180-4): OpenSSL 3's EVP interface costs several times the
 * hash itself where a message has a hundred bytes, and the audit log has millions of them. Nothing
 * here can fail. Pure.
 */
#ifndef KT_LIB_SHA256_H
#define KT_LIB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define KT_SHA256_BYTES 32

/* One message under construction; plain values. */
struct kt_sha256 {
	uint64_t state[16]; /* OpenSSL's SHA256_CTX */
};

void kt_sha256_start(struct kt_sha256 *hash);
void kt_sha256_add(struct kt_sha256 *hash, const void *data, size_t len);
/* `len` as four bytes, big-endian, and then the bytes: boundaries that cannot be moved. */
void kt_sha256_add_prefixed(struct kt_sha256 *hash, const void *data, size_t len);
void kt_sha256_add_u16(struct kt_sha256 *hash, uint16_t value);
void kt_sha256_add_u32(struct kt_sha256 *hash, uint32_t value);
void kt_sha256_finish(struct kt_sha256 *hash, uint8_t ret_digest[KT_SHA256_BYTES]);

#endif
