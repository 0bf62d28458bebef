/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA signatures on P-256 over SHA-256: as the TPM gives and takes them, r ‖ s, and as OpenSSL
 * and X.509 do, ECDSA-Sig-Value in DER (RFC 3279, 2.2.3). Pure (OpenSSL).
 */
#ifndef KT_LIB_ECDSA_H
#define KT_LIB_ECDSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "lib/error.h"

#define KT_ECDSA_BYTES 64 /* r ‖ s */
#define KT_ECDSA_DIGEST_BYTES 32

/* KT_E_INTERNAL. */
KT_CHECKED int kt_ecdsa_from_der(
	const uint8_t *der, size_t len, uint8_t ret_signature[KT_ECDSA_BYTES], struct kt_error *e);
/* *ret_der is freed with OPENSSL_free(). KT_E_INTERNAL. */
KT_CHECKED int kt_ecdsa_to_der(const uint8_t signature[KT_ECDSA_BYTES], uint8_t **ret_der,
	size_t *ret_len, struct kt_error *e);

/* Is it this key's signature? False also if that cannot be looked at. */
bool kt_ecdsa_verify(EVP_PKEY *key, const uint8_t digest[KT_ECDSA_DIGEST_BYTES],
	const uint8_t signature[KT_ECDSA_BYTES]);

#endif
