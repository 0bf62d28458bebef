/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF with SHA-256 (RFC 5869), without salt. Pure (OpenSSL). */
#ifndef KT_LIB_HKDF_H
#define KT_LIB_HKDF_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/kdf.h>

#include "lib/error.h"

/* `mode` is EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND or EVP_KDF_HKDF_MODE_EXPAND_ONLY. KT_E_INTERNAL.
 */
KT_CHECKED int kt_hkdf(int mode, const uint8_t *key, size_t key_len, const uint8_t *info,
	size_t info_len, uint8_t *ret_out, size_t len, struct kt_error *e);

#endif
