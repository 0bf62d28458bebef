/* SPDX-License-Identifier: Apache-2.0 */
/* A client certificate, its chain and its key, out of one PEM text. Pure (OpenSSL). */
#ifndef KT_CRED_SEALED_CLIENT_CERT_H
#define KT_CRED_SEALED_CLIENT_CERT_H

#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KT_CLIENT_CERT_CHAIN_MAX 16

struct kt_client_cert {
	struct kt_secret
		*certificates; /* PEM, the key's own first, then the others in their order */
	struct kt_secret *key; /* PEM */
	int64_t not_after;     /* of the key's own */
};

/*
 * Blocks may stand in any order; text between them is left out, and the blocks themselves are not
 * changed by a byte. One key in a form that Go reads (PKCS #8, SEC1, PKCS #1), of RSA, ECDSA or
 * Ed25519; one certificate must be its own. KT_E_INPUT, which says what is wrong.
 */
KT_CHECKED int kt_client_cert_split(
	const struct kt_secret *pem, struct kt_client_cert *ret_cert, struct kt_error *e);
void kt_client_cert_fini(struct kt_client_cert *cert);

#endif
