/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery keys: P-256 keys as PEM or JWK (RFC 7517, RFC 7518 section 6.2). Pure (OpenSSL).
 */
#ifndef KT_LIB_JWK_H
#define KT_LIB_JWK_H

#include <openssl/evp.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/secret.h"

#define KT_P256_COORD_BYTES 32
#define KT_KEY_FILE_MAX_BYTES 16384

KT_AUTO(pkey, EVP_PKEY *, EVP_PKEY_free)
#define auto_pkey __attribute__((cleanup(kt_auto_pkey)))

/* A public key from a file's bytes: PEM "PUBLIC KEY" or a JWK object. *ret_key is owned by the
 * caller. KT_E_INPUT: not a P-256 key, or damaged. KT_E_REFUSED: it is a private key, which has no
 * business on this machine. */
KT_CHECKED int kt_jwk_read_public(
	const uint8_t *data, size_t len, EVP_PKEY **ret_key, struct kt_error *e);

/* A private key: unencrypted or passphrase-protected PEM (PKCS#8, SEC1), or a JWK with "d".
 * `passphrase` may be NULL; KT_E_PIN if one is needed and missing or wrong. *ret_key is owned by
 * the caller. */
KT_CHECKED int kt_jwk_read_private(const struct kt_secret *text, const struct kt_secret *passphrase,
	EVP_PKEY **ret_key, struct kt_error *e);

/* From a JWK object that holds a public key (a member "d" is refused). KT_E_INPUT. */
KT_CHECKED int kt_jwk_from_json(struct json_object *jwk, EVP_PKEY **ret_key, struct kt_error *e);

/* Writes {"kty":"EC","crv":"P-256","x":…,"y":…}: required members only, as RFC 7638 wants them but
 * for their order. */
KT_CHECKED int kt_jwk_write(const EVP_PKEY *key, struct kt_jsonw *w, struct kt_error *e);

/* RFC 7638 thumbprint with SHA-256, base64url, NUL-terminated. */
#define KT_JWK_THUMBPRINT_SIZE 44
KT_CHECKED int kt_jwk_thumbprint(
	const EVP_PKEY *key, char ret_text[KT_JWK_THUMBPRINT_SIZE], struct kt_error *e);

/* Public point as x ‖ y; and the way back, which checks that the point is on the curve. */
KT_CHECKED int kt_p256_point(
	const EVP_PKEY *key, uint8_t ret_xy[2 * KT_P256_COORD_BYTES], struct kt_error *e);
KT_CHECKED int kt_p256_from_point(
	const uint8_t xy[2 * KT_P256_COORD_BYTES], EVP_PKEY **ret_key, struct kt_error *e);

#endif
