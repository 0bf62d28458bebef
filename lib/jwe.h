/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cryptography of a JWE (RFC 7516): content encryption with A256GCM (RFC 7518, 5.3) and key
 * agreement with key wrapping, ECDH-ES+A256KW on P-256 (4.6, 4.4). Which key opens what, and the
 * file around it, is sealed.h's. Pure (OpenSSL).
 */
#ifndef KT_LIB_JWE_H
#define KT_LIB_JWE_H

#include <stdint.h>

#include <openssl/evp.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KT_JWE_CEK_BYTES 32
#define KT_JWE_IV_BYTES 12
#define KT_JWE_TAG_BYTES 16
#define KT_JWE_WRAPPED_BYTES (KT_JWE_CEK_BYTES + 8) /* RFC 3394 */
#define KT_JWE_ALG_RECOVERY "ECDH-ES+A256KW"
#define KT_JWE_ENC "A256GCM"

/* A fresh content-encryption key, owned by the caller. */
KT_CHECKED int kt_jwe_new_cek(struct kt_secret **ret_cek, struct kt_error *e);

/* Encrypts under a random IV. `aad`: the ASCII of the protected header. *ret_ciphertext has the
 * plaintext's length and is owned by the caller. */
KT_CHECKED int kt_jwe_encrypt(const struct kt_secret *cek, const char *aad,
	const struct kt_secret *plaintext, uint8_t ret_iv[KT_JWE_IV_BYTES],
	uint8_t **ret_ciphertext, uint8_t ret_tag[KT_JWE_TAG_BYTES], struct kt_error *e);

/* KT_E_INPUT if the tag does not fit: nothing is returned then. */
KT_CHECKED int kt_jwe_decrypt(const struct kt_secret *cek, const char *aad,
	const uint8_t iv[KT_JWE_IV_BYTES], const uint8_t *ciphertext, size_t len,
	const uint8_t tag[KT_JWE_TAG_BYTES], struct kt_secret **ret_plaintext, struct kt_error *e);

/* Wraps `cek` to a P-256 public key under a fresh ephemeral key; *ret_epk (public) is owned by the
 * caller. */
KT_CHECKED int kt_jwe_wrap(EVP_PKEY *recipient, const struct kt_secret *cek, EVP_PKEY **ret_epk,
	uint8_t ret_wrapped[KT_JWE_WRAPPED_BYTES], struct kt_error *e);

/* KT_E_INPUT if the key is not the one it was wrapped to, or the bytes were changed. */
KT_CHECKED int kt_jwe_unwrap(EVP_PKEY *private_key, EVP_PKEY *epk,
	const uint8_t wrapped[KT_JWE_WRAPPED_BYTES], struct kt_secret **ret_cek,
	struct kt_error *e);

#endif
