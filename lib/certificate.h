/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates (RFC 5280) whose signature is made elsewhere: what is to be signed, and then
 * the whole. Pure (OpenSSL) but for the clock and random serial numbers.
 */
#ifndef KT_LIB_CERTIFICATE_H
#define KT_LIB_CERTIFICATE_H

#include <openssl/x509.h>

#include "lib/auto.h"
#include "lib/ecdsa.h"
#include "lib/error.h"

#define KT_CERT_FILE_MAX_BYTES 65536
#define KT_CERT_TBS_MAX_BYTES 16384
#define KT_CERT_DAYS_MAX 36500

KT_AUTO(x509, X509 *, X509_free)
#define auto_x509 __attribute__((cleanup(kt_auto_x509)))
KT_AUTO(x509_req, X509_REQ *, X509_REQ_free)
#define auto_x509_req __attribute__((cleanup(kt_auto_x509_req)))

/* A pem_password_cb that has none: without one OpenSSL would ask the terminal. */
int kt_no_passphrase(char *buffer, int size, int writing, void *ctx);

/* One certificate, or request, in PEM; text around it is passed over. Owned by the caller.
 * KT_E_INPUT. */
KT_CHECKED int kt_cert_read(const void *text, size_t len, X509 **ret_cert, struct kt_error *e);
KT_CHECKED int kt_csr_read(const void *text, size_t len, X509_REQ **ret_csr, struct kt_error *e);

/* Can `ca` sign certificates with this key? KT_E_INPUT, which says why not. */
KT_CHECKED int kt_cert_check_ca(X509 *ca, const EVP_PKEY *key, struct kt_error *e);

/* A certificate for a request, not signed yet: subject, public key and subjectAltName are the
 * request's, extendedKeyUsage too if it is of serverAuth and clientAuth, else clientAuth; never a
 * CA. From now for `days`, but not longer than `ca`: *ret_cut tells. KT_E_INPUT: the request is not
 * signed by its own key, or wants what it cannot get. */
KT_CHECKED int kt_cert_for_csr(
	X509 *ca, X509_REQ *csr, int days, X509 **ret_cert, bool *ret_cut, struct kt_error *e);

/* A self-signed CA's, for end entities only (pathlen 0), not signed yet. `subject`: "/O=…/CN=…".
 * KT_E_INPUT. */
KT_CHECKED int kt_cert_for_ca(
	const char *subject, EVP_PKEY *key, int days, X509 **ret_cert, struct kt_error *e);

/* What is to be signed: TBSCertificate in DER, freed with OPENSSL_free(). */
KT_CHECKED int kt_cert_tbs(X509 *cert, uint8_t **ret_tbs, size_t *ret_len, struct kt_error *e);

/* The certificate with its signature (ecdsa-with-SHA256, RFC 5758) in PEM, owned by the caller; it
 * is verified with `key`. KT_E_INTERNAL. */
KT_CHECKED int kt_cert_finish(const uint8_t *tbs, size_t len,
	const uint8_t signature[KT_ECDSA_BYTES], EVP_PKEY *key, char **ret_pem, struct kt_error *e);

/* Is it one whole TBSCertificate? A CA key signs those and nothing else. */
bool kt_cert_is_tbs(const uint8_t *tbs, size_t len);

/* A certificate in words, for people: what its subject has of control characters is escaped. */
struct kt_cert_words {
	char serial[48]; /* hexadecimal */
	char subject[256];
	int64_t not_after; /* seconds since the epoch */
};
/* KT_E_INPUT if it cannot be read. The signature is not looked at. */
KT_CHECKED int kt_cert_describe(const uint8_t *tbs, size_t len,
	const uint8_t signature[KT_ECDSA_BYTES], struct kt_cert_words *ret_words,
	struct kt_error *e);

#endif
