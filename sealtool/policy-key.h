/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's policy-signing key, P-256: making one, and its files. */
#ifndef KT_SEALTOOL_POLICY_KEY_H
#define KT_SEALTOOL_POLICY_KEY_H

#include "lib/jwk.h"

KT_CHECKED int policy_key_new(EVP_PKEY **ret_key, struct kt_error *e);

/* PKCS#8 in PEM: encrypted under the passphrase (PBES2 with scrypt and AES-256-CBC, RFC 8018 and
 * RFC 7914), or in clear if that is NULL. */
KT_CHECKED int policy_key_private_pem(EVP_PKEY *key, const struct kt_secret *passphrase,
	struct kt_secret **ret_pem, struct kt_error *e);

/* SubjectPublicKeyInfo in PEM; owned by the caller. */
KT_CHECKED int policy_key_public_pem(EVP_PKEY *key, char **ret_pem, struct kt_error *e);

/* A public key's file, PEM or JWK. KT_E_REFUSED if it is a private one. */
KT_CHECKED int policy_key_read_public(const char *path, EVP_PKEY **ret_key, struct kt_error *e);

#endif
