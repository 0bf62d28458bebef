/* SPDX-License-Identifier: Apache-2.0 */
/* A client certificate, its chain and its key, out of one PEM text. Pure (OpenSSL). */
#ifndef KT_LIB_CLIENT_CERT_H
#define KT_LIB_CLIENT_CERT_H

#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KT_CLIENT_CERT_CHAIN_MAX 16

struct kt_client_cert {
	struct kt_secret
		*certificates; /* PEM, the key's own first, then the others in their order */
	struct kt_secret *key; /* PEM */
	int64_t not_before, not_after; /* of the key's own */
};

/*
 * Blocks may stand in any order; text between them is left out, and the blocks themselves are not
 * changed by a byte. One key that Go's crypto/tls loads (PKCS #8, SEC1, PKCS #1): RSA of 2048 bits
 * or more, ECDSA on P-256, P-384 or P-521 by name, or Ed25519; one certificate must be its own.
 * KT_E_INPUT, which says what is wrong.
 */
KT_CHECKED int kt_client_cert_split(
	const struct kt_secret *pem, struct kt_client_cert *ret_cert, struct kt_error *e);
/* KT_E_REFUSED if it has expired, or begins later than clocks differ. */
KT_CHECKED int kt_client_cert_check_dates(
	const struct kt_client_cert *cert, int64_t now, struct kt_error *e);
void kt_client_cert_fini(struct kt_client_cert *cert);

#endif
