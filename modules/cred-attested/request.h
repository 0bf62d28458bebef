/* SPDX-License-Identifier: Apache-2.0 */
/* A kubelet's key, and its request for a client certificate (PKCS#10). Pure (OpenSSL). */
#ifndef KT_CRED_ATTESTED_REQUEST_H
#define KT_CRED_ATTESTED_REQUEST_H

#include <openssl/evp.h>

#include "lib/error.h"
#include "lib/secret.h"

/* A new P-256 key, and the request for node `name`. *ret_der is owned by the caller. */
KT_CHECKED int request_make(const char *name, EVP_PKEY **ret_key, uint8_t **ret_der,
	size_t *ret_len, struct kt_error *e);

/* The key as PEM (PKCS#8), then `certificate`. */
KT_CHECKED int request_join(
	EVP_PKEY *key, const char *certificate, struct kt_secret **ret_pem, struct kt_error *e);

#endif
