/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648 section 4, padded) and base64url (section 5, unpadded, as JOSE uses it).
 * Decoding is strict: no white space, no missing or superfluous padding, unused bits zero. Pure.
 */
#ifndef KT_LIB_B64_H
#define KT_LIB_B64_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

/* Length of the encoding of `len` bytes, without the NUL. */
size_t kt_b64_encoded_len(size_t len);
size_t kt_b64url_encoded_len(size_t len);

/* NUL-terminated, owned by the caller. KT_E_INTERNAL if out of memory. */
KT_CHECKED int kt_b64_encode(const void *data, size_t len, char **ret_text, struct kt_error *e);
KT_CHECKED int kt_b64url_encode(const void *data, size_t len, char **ret_text, struct kt_error *e);

/* *ret_data is owned by the caller and never NULL on success. KT_E_INPUT. */
KT_CHECKED int kt_b64_decode(
	const char *text, size_t text_len, uint8_t **ret_data, size_t *ret_len, struct kt_error *e);
KT_CHECKED int kt_b64url_decode(
	const char *text, size_t text_len, uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

/* The same into a new secret. */
KT_CHECKED int kt_b64_decode_secret(
	const char *text, size_t text_len, struct kt_secret **ret_secret, struct kt_error *e);

#endif
