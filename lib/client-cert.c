/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting a PEM text into blocks by hand, so that the bytes stay as they are (client-go closes all
 * connections when a certificate changes), and asking OpenSSL what they are. Go's tls.X509KeyPair,
 * which reads our answer, takes the first certificate for the key's own.
 */
#include "lib/client-cert.h"

#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/auto.h"
#include "lib/certificate.h"
#include "lib/rfc3339.h"

#define RSA_MIN_BITS 2048
#define CLOCK_SKEW_SECONDS 300

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

KT_AUTO(pem_pkey, EVP_PKEY *, EVP_PKEY_free)
KT_AUTO(pem_x509, X509 *, X509_free)
KT_AUTO(pem_bio, BIO *, BIO_free)
#define auto_pem_pkey __attribute__((cleanup(kt_auto_pem_pkey)))
#define auto_pem_x509 __attribute__((cleanup(kt_auto_pem_x509)))
#define auto_pem_bio __attribute__((cleanup(kt_auto_pem_bio)))

struct span {
	const char *text;
	size_t len;
};

struct blocks {
	size_t number; /* of all blocks so far */
	size_t count;
	struct span certificates[KT_CLIENT_CERT_CHAIN_MAX];
	struct span key;
};

static bool equals(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.text, text, span.len) == 0;
}

static const char *find(struct span span, const char *text)
{
	return memmem(span.text, span.len, text, strlen(text));
}

/* Cuts the next block off `rest`: its label, and all of it with the line end, if there is one.
 * ret_block->len is 0 when there is none. */
static int next_block(
	struct span *rest, struct span *ret_label, struct span *ret_block, struct kt_error *e)
{
	const char *end_of_text = rest->text + rest->len;
	const char *begin = find(*rest, BEGIN), *label, *label_end, *end;
	struct span after;

	*ret_block = (struct span){begin, 0};
	if (begin == NULL)
		return 0;
	label = begin + strlen(BEGIN);
	after = (struct span){label, (size_t)(end_of_text - label)};
	label_end = find(after, DASHES);
	if (label_end == NULL || memchr(label, '\n', (size_t)(label_end - label)) != NULL)
		return kt_fail(e, KT_E_INPUT, "damaged PEM: a BEGIN line does not end");
	*ret_label = (struct span){label, (size_t)(label_end - label)};
	end = find(after, END);
	if (end == NULL)
		return kt_fail(e, KT_E_INPUT, "damaged PEM: no END line");
	end += strlen(END);
	if ((size_t)(end_of_text - end) < ret_label->len + strlen(DASHES) ||
		memcmp(end, label, ret_label->len + strlen(DASHES)) != 0)
		return kt_fail(e, KT_E_INPUT, "damaged PEM: BEGIN and END lines differ");
	end += ret_label->len + strlen(DASHES);
	if (end < end_of_text && *end == '\r')
		end++;
	if (end < end_of_text && *end == '\n')
		end++;
	ret_block->len = (size_t)(end - begin);
	*rest = (struct span){end, (size_t)(end_of_text - end)};
	return 0;
}

/* A label that is not known is not repeated: who knows what it is. */
static int check_key_label(struct span label, struct span block, size_t number, struct kt_error *e)
{
	if (equals(label, "TSS2 PRIVATE KEY"))
		return kt_fail(e, KT_E_INPUT,
			"the key is a TPM key (TSS2 PRIVATE KEY), which Kubernetes clients cannot "
			"use; "
			"seal an ordinary key");
	if (equals(label, "ENCRYPTED PRIVATE KEY") ||
		find(block, "\nProc-Type: 4,ENCRYPTED") != NULL)
		return kt_fail(e, KT_E_INPUT,
			"the key is encrypted; take the passphrase off before sealing it");
	if (!equals(label, "PRIVATE KEY") && !equals(label, "EC PRIVATE KEY") &&
		!equals(label, "RSA PRIVATE KEY"))
		return kt_fail(
			e, KT_E_INPUT, "PEM block %zu is neither certificate nor key", number);
	return 0;
}

static int add_block(
	struct blocks *blocks, struct span label, struct span block, struct kt_error *e)
{
	blocks->number++;
	if (equals(label, "CERTIFICATE")) {
		if (blocks->count == KT_CLIENT_CERT_CHAIN_MAX)
			return kt_fail(e, KT_E_INPUT, "more than %d certificates",
				KT_CLIENT_CERT_CHAIN_MAX);
		blocks->certificates[blocks->count++] = block;
		return 0;
	}
	/* `openssl ecparam -genkey` writes them before the key. */
	if (equals(label, "EC PARAMETERS"))
		return 0;
	if (check_key_label(label, block, blocks->number, e) < 0)
		return -1;
	if (blocks->key.len != 0)
		return kt_fail(e, KT_E_INPUT, "more than one key");
	blocks->key = block;
	return 0;
}

static int find_blocks(const struct kt_secret *pem, struct blocks *ret_blocks, struct kt_error *e)
{
	struct span rest = {kt_secret_bytes(pem), kt_secret_len(pem)}, label = {0}, block = {0};
	struct blocks blocks = {0};

	for (;;) {
		if (next_block(&rest, &label, &block, e) < 0)
			return -1;
		if (block.len == 0)
			break;
		if (add_block(&blocks, label, block, e) < 0)
			return -1;
	}
	if (blocks.count == 0)
		return kt_fail(e, KT_E_INPUT, "no certificate in it");
	if (blocks.key.len == 0)
		return kt_fail(e, KT_E_INPUT, "no key in it");
	*ret_blocks = blocks;
	return 0;
}

/* Go knows curves by their names only, and crypto/tls three of them. */
static int check_curve(const EVP_PKEY *key, struct kt_error *e)
{
	static const char *const curves[] = {"prime256v1", "secp384r1", "secp521r1"};
	char name[64] = "";
	int explicit = 0;
	size_t len;

	if (EVP_PKEY_get_int_param(
		    key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) == 1 &&
		explicit != 0)
		return kt_fail(e, KT_E_INPUT,
			"the curve is given by its parameters, which Kubernetes clients cannot "
			"read");
	if (EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1)
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
			if (strcmp(name, curves[i]) == 0)
				return 0;
	return kt_fail(e, KT_E_INPUT, "the key's curve is not P-256, P-384 or P-521");
}

static int check_kind(const EVP_PKEY *key, struct kt_error *e)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_ED25519:
		return 0;
	case EVP_PKEY_RSA:
		if (EVP_PKEY_get_bits(key) >= RSA_MIN_BITS)
			return 0;
		return kt_fail(e, KT_E_INPUT, "the RSA key has %d bits, fewer than %d",
			EVP_PKEY_get_bits(key), RSA_MIN_BITS);
	case EVP_PKEY_EC:
		return check_curve(key, e);
	default:
		return kt_fail(e, KT_E_INPUT, "the key is not of RSA, ECDSA or Ed25519");
	}
}

static int parse_key(struct span block, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_pem_bio BIO *bio = BIO_new_mem_buf(block.text, (int)block.len);
	auto_pem_pkey EVP_PKEY *key = NULL;

	if (bio == NULL)
		return kt_fail_memory(e);
	key = PEM_read_bio_PrivateKey(bio, NULL, kt_no_passphrase, NULL);
	if (key == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "the key cannot be read");
	if (check_kind(key, e) < 0)
		return -1;
	*ret_key = kt_take(key);
	return 0;
}

static int parse_certificate(struct span block, X509 **ret_certificate, struct kt_error *e)
{
	auto_pem_bio BIO *bio = BIO_new_mem_buf(block.text, (int)block.len);

	if (bio == NULL)
		return kt_fail_memory(e);
	*ret_certificate = PEM_read_bio_X509(bio, NULL, kt_no_passphrase, NULL);
	if (*ret_certificate == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "a certificate cannot be read");
	return 0;
}

static int read_time(const ASN1_TIME *when, int64_t *ret_seconds, struct kt_error *e)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(when, &tm) != 1)
		return kt_fail_ssl(e, KT_E_INPUT, "the certificate's dates cannot be read");
	*ret_seconds = (int64_t)timegm(&tm);
	return 0;
}

/* The certificate that clients will present. */
static int read_own(const X509 *certificate, struct kt_client_cert *cert, struct kt_error *e)
{
	const EVP_PKEY *key = X509_get0_pubkey(certificate);

	if (key == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "the certificate's key cannot be read");
	if (check_kind(key, e) < 0)
		return kt_wrap(e, "certificate");
	if (read_time(X509_get0_notBefore(certificate), &cert->not_before, e) < 0)
		return -1;
	return read_time(X509_get0_notAfter(certificate), &cert->not_after, e);
}

/* All certificates must be readable; the first one that is of the key is its own. */
static int find_own(const struct blocks *blocks, size_t *ret_index, struct kt_client_cert *cert,
	struct kt_error *e)
{
	auto_pem_pkey EVP_PKEY *key = NULL;
	bool found = false;

	if (parse_key(blocks->key, &key, e) < 0)
		return -1;
	for (size_t i = 0; i < blocks->count; i++) {
		auto_pem_x509 X509 *certificate = NULL;

		if (parse_certificate(blocks->certificates[i], &certificate, e) < 0)
			return -1;
		if (found || X509_check_private_key(certificate, key) != 1)
			continue;
		if (read_own(certificate, cert, e) < 0)
			return -1;
		*ret_index = i;
		found = true;
	}
	ERR_clear_error();
	if (!found)
		return kt_fail(e, KT_E_INPUT, "the key belongs to none of the certificates");
	return 0;
}

static int append_block(struct kt_secret *secret, struct span block, struct kt_error *e)
{
	if (kt_secret_append(secret, block.text, block.len, e) < 0)
		return -1;
	if (block.text[block.len - 1] != '\n')
		return kt_secret_append(secret, "\n", 1, e);
	return 0;
}

static int copy_blocks(
	const struct blocks *blocks, size_t own, struct kt_client_cert *cert, struct kt_error *e)
{
	size_t size = 0;

	for (size_t i = 0; i < blocks->count; i++)
		size += blocks->certificates[i].len + 1;
	if (kt_secret_new(size, &cert->certificates, e) < 0 ||
		append_block(cert->certificates, blocks->certificates[own], e) < 0)
		return -1;
	for (size_t i = 0; i < blocks->count; i++)
		if (i != own && append_block(cert->certificates, blocks->certificates[i], e) < 0)
			return -1;
	if (kt_secret_new(blocks->key.len + 1, &cert->key, e) < 0)
		return -1;
	return append_block(cert->key, blocks->key, e);
}

int kt_client_cert_split(
	const struct kt_secret *pem, struct kt_client_cert *ret_cert, struct kt_error *e)
{
	struct kt_client_cert cert = {0};
	struct blocks blocks = {0};
	size_t own = 0;

	if (find_blocks(pem, &blocks, e) < 0 || find_own(&blocks, &own, &cert, e) < 0)
		return -1;
	if (copy_blocks(&blocks, own, &cert, e) < 0) {
		kt_client_cert_fini(&cert);
		return -1;
	}
	*ret_cert = cert;
	return 0;
}

static int fail_date(int64_t when, const char *what, struct kt_error *e)
{
	char text[KT_RFC3339_SIZE];

	if (kt_rfc3339_format(when, text, e) < 0)
		return -1;
	return kt_fail(e, KT_E_REFUSED, "the certificate %s %s", what, text);
}

int kt_client_cert_check_dates(const struct kt_client_cert *cert, int64_t now, struct kt_error *e)
{
	if (cert->not_after <= now) {
		fail_date(cert->not_after, "expired at", e);
		return kt_hint(e, "seal a new one");
	}
	if (cert->not_before > now + CLOCK_SKEW_SECONDS) {
		fail_date(cert->not_before, "is not valid before", e);
		return kt_hint(e, "is the clock right?");
	}
	return 0;
}

void kt_client_cert_fini(struct kt_client_cert *cert)
{
	kt_secret_free(cert->certificates);
	kt_secret_free(cert->key);
	*cert = (struct kt_client_cert){0};
}
