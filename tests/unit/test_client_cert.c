/* SPDX-License-Identifier: Apache-2.0 */
/* Client certificates out of one PEM, with keys and certificates made on the spot. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "lib/client-cert.h"

#define END 1893456000 /* 2030-01-01T00:00:00Z */

static char *take_text(BIO *bio)
{
	char *data = NULL, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)len);
	cr_assert_not_null(text);
	BIO_free(bio);
	return text;
}

/* A certificate of `key`, signed by itself. */
static char *make_certificate(EVP_PKEY *key, int64_t not_after, long serial)
{
	bool digestless = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
	X509 *certificate = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());

	cr_assert(certificate != NULL && bio != NULL);
	cr_assert_eq(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial), 1);
	cr_assert_not_null(ASN1_TIME_set(X509_getm_notBefore(certificate), 1));
	cr_assert_not_null(ASN1_TIME_set(X509_getm_notAfter(certificate), not_after));
	cr_assert_eq(X509_set_pubkey(certificate, key), 1);
	cr_assert_gt(X509_sign(certificate, key, digestless ? NULL : EVP_sha256()), 0);
	cr_assert_eq(PEM_write_bio_X509(bio, certificate), 1);
	X509_free(certificate);
	return take_text(bio);
}

static char *pkcs8(EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(bio, key,
			     passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL,
			     (void *)(uintptr_t)passphrase),
		1);
	return take_text(bio);
}

static char *traditional(EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cr_assert_eq(PEM_write_bio_PrivateKey_traditional(bio, key,
			     passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL,
			     (void *)(uintptr_t)passphrase),
		1);
	return take_text(bio);
}

/* The pieces one after the other; the list ends with NULL. */
static int split(const char *const pieces[], struct kt_client_cert *ret_cert, struct kt_error *e)
{
	auto_secret struct kt_secret *pem = NULL;

	cr_assert_eq(kt_secret_new(65536, &pem, e), 0);
	for (size_t i = 0; pieces[i] != NULL; i++)
		cr_assert_eq(kt_secret_append(pem, pieces[i], strlen(pieces[i]), e), 0);
	return kt_client_cert_split(pem, ret_cert, e);
}

static void expect_text(const struct kt_secret *secret, const char *const pieces[])
{
	char expected[65536] = "";

	for (size_t i = 0; pieces[i] != NULL; i++)
		strncat(expected, pieces[i], sizeof(expected) - strlen(expected) - 1);
	cr_expect_eq(kt_secret_len(secret), strlen(expected));
	cr_expect_arr_eq(kt_secret_bytes(secret), expected, strlen(expected));
}

static EVP_PKEY *own, *other;
static char *leaf, *ca, *key;

static void init(void)
{
	own = EVP_EC_gen("P-256");
	other = EVP_EC_gen("P-256");
	leaf = make_certificate(own, END, 1);
	ca = make_certificate(other, END - 1000, 2);
	key = pkcs8(own, NULL);
}

static void fini(void)
{
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	free(leaf);
	free(ca);
	free(key);
}

TestSuite(client_cert, .init = init, .fini = fini);

Test(client_cert, finds_its_pieces_in_any_order)
{
	const char *const orders[][6] = {
		{leaf, ca, key, NULL},
		{key, leaf, ca, NULL},
		{ca, key, leaf, NULL},
		{"# a comment\n", key, "\nsubject=CN = x\n", ca, "   ", leaf},
	};
	const char *const chain[] = {leaf, ca, NULL};
	const char *const keys[] = {key, NULL};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const char *const pieces[] = {orders[i][0], orders[i][1], orders[i][2],
			orders[i][3], orders[i][3] != NULL ? orders[i][4] : NULL,
			orders[i][3] != NULL ? orders[i][5] : NULL, NULL};
		struct kt_client_cert cert = {0};
		struct kt_error e;

		cr_assert_eq(split(pieces, &cert, &e), 0, "%zu: %s", i, e.msg);
		expect_text(cert.certificates, chain);
		expect_text(cert.key, keys);
		cr_expect_eq(cert.not_after, END, "the key's own certificate counts");
		cr_expect_eq(cert.not_before, 1);
		kt_client_cert_fini(&cert);
	}
}

Test(client_cert, adds_a_newline_that_is_missing)
{
	char *cut = strdup(key);
	const char *pieces[] = {leaf, cut, NULL};
	const char *const keys[] = {key, NULL};
	struct kt_client_cert cert = {0};
	struct kt_error e;

	cut[strlen(cut) - 1] = '\0';
	cr_assert_eq(split(pieces, &cert, &e), 0, "%s", e.msg);
	expect_text(cert.key, keys);
	kt_client_cert_fini(&cert);
	free(cut);
}

Test(client_cert, keeps_the_line_ends_of_other_systems)
{
	char *crlf = calloc(2, strlen(key) + 1), *to = crlf;
	const char *const pieces[] = {leaf, crlf, NULL}, *const keys[] = {crlf, NULL};
	struct kt_client_cert cert = {0};
	struct kt_error e;

	for (const char *from = key; *from != '\0'; from++) {
		if (*from == '\n')
			*to++ = '\r';
		*to++ = *from;
	}
	cr_assert_eq(split(pieces, &cert, &e), 0, "%s", e.msg);
	expect_text(cert.key, keys);
	kt_client_cert_fini(&cert);
	free(crlf);
}

Test(client_cert, reads_the_forms_that_go_reads)
{
	EVP_PKEY *keys[] = {
		EVP_EC_gen("P-384"), EVP_RSA_gen(2048), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};

	for (size_t i = 0; i < 3; i++) {
		char *certificate = make_certificate(keys[i], END, 3);
		char *forms[] = {pkcs8(keys[i], NULL), i < 2 ? traditional(keys[i], NULL) : NULL};

		for (size_t f = 0; f < 2 && forms[f] != NULL; f++) {
			const char *const pieces[] = {certificate, forms[f], NULL};
			const char *const text[] = {forms[f], NULL};
			struct kt_client_cert cert = {0};
			struct kt_error e;

			cr_assert_eq(split(pieces, &cert, &e), 0, "%zu/%zu: %s", i, f, e.msg);
			expect_text(cert.key, text);
			kt_client_cert_fini(&cert);
			free(forms[f]);
		}
		free(certificate);
		EVP_PKEY_free(keys[i]);
	}
}

Test(client_cert, skips_the_parameters_that_openssl_writes_before_a_key)
{
	const char *const pieces[] = {
		"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
		key, leaf, NULL};
	struct kt_client_cert cert = {0};
	struct kt_error e;

	cr_assert_eq(split(pieces, &cert, &e), 0, "%s", e.msg);
	kt_client_cert_fini(&cert);
}

static void expect_refusal(const char *const pieces[], const char *message)
{
	struct kt_client_cert cert = {0};
	struct kt_error e = {0};

	cr_expect_eq(split(pieces, &cert, &e), -1, "%s", message);
	cr_expect_eq(e.code, KT_E_INPUT, "%s", e.msg);
	cr_expect_not_null(strstr(e.msg, message), "%s: %s", message, e.msg);
	cr_expect_null(cert.key);
	cr_expect_null(cert.certificates);
}

Test(client_cert, refuses_a_key_that_is_not_its_own)
{
	expect_refusal((const char *const[]){ca, key, NULL}, "none of the certificates");
}

Test(client_cert, refuses_keys_that_clients_cannot_use)
{
	EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	char *encrypted = pkcs8(own, "hunter2"), *old = traditional(own, "hunter2");
	char *agreement = pkcs8(x25519, NULL);
	const char *tss2 =
		"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n";

	expect_refusal((const char *const[]){leaf, encrypted, NULL}, "encrypted");
	expect_refusal((const char *const[]){leaf, old, NULL}, "encrypted");
	expect_refusal((const char *const[]){leaf, tss2, NULL}, "TSS2 PRIVATE KEY");
	expect_refusal(
		(const char *const[]){leaf, agreement, NULL}, "not of RSA, ECDSA or Ed25519");
	free(encrypted);
	free(old);
	free(agreement);
	EVP_PKEY_free(x25519);
}

/* EC key of a curve whose parameters are written out. */
static EVP_PKEY *explicit_curve(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *made = NULL;

	cr_assert(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_group_name(ctx, "P-256") == 1);
	cr_assert_eq(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
	cr_assert_eq(EVP_PKEY_generate(ctx, &made), 1);
	EVP_PKEY_CTX_free(ctx);
	return made;
}

Test(client_cert, refuses_keys_that_go_cannot_load)
{
	const struct {
		EVP_PKEY *key;
		const char *message;
	} cases[] = {
		{EVP_RSA_gen(1024), "1024 bits"},
		{EVP_EC_gen("P-224"), "curve is not P-256"},
		{EVP_EC_gen("secp256k1"), "curve is not P-256"},
		{explicit_curve(), "by its parameters"},
		{EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), "not of RSA"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool edwards = EVP_PKEY_get_base_id(cases[i].key) == EVP_PKEY_ED448;
		char *text = pkcs8(cases[i].key, NULL);
		char *certificate = edwards ? NULL : make_certificate(cases[i].key, END, 1);

		expect_refusal((const char *const[]){text, edwards ? leaf : certificate, NULL},
			cases[i].message);
		EVP_PKEY_free(cases[i].key);
		free(text);
		free(certificate);
	}
}

Test(client_cert, refuses_a_certificate_whose_curve_is_written_out)
{
	EVP_PKEY *written = explicit_curve(), *named = NULL;
	unsigned char *der = NULL;
	const unsigned char *point;
	char *certificate = make_certificate(written, END, 1), *text;
	int len;

	/* The same key, with the curve's name. */
	cr_assert_eq(EVP_PKEY_set_utf8_string_param(
			     written, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP),
		1);
	len = i2d_PrivateKey(written, &der);
	cr_assert_gt(len, 0);
	point = der;
	named = d2i_AutoPrivateKey(NULL, &point, len);
	cr_assert_not_null(named);
	text = pkcs8(named, NULL);
	expect_refusal((const char *const[]){text, certificate, NULL}, "certificate: the curve");
	OPENSSL_free(der);
	EVP_PKEY_free(written);
	EVP_PKEY_free(named);
	free(certificate);
	free(text);
}

Test(client_cert, has_dates)
{
	static const struct {
		int64_t not_before, not_after, now;
		const char *message; /* NULL: good */
	} cases[] = {
		{0, END, END - 1, NULL},
		{0, END, END, "expired at 2030-01-01T00:00:00Z"},
		{-10, 0, END, "expired at 1970-01-01T00:00:00Z"},
		{-10, -5, END, "expired at 1969-12-31T23:59:55Z"},
		{END - 300, END + 1000, END - 600, NULL},
		{END, END + 1000, END - 301, "not valid before 2030-01-01T00:00:00Z"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kt_client_cert cert = {
			.not_before = cases[i].not_before, .not_after = cases[i].not_after};
		struct kt_error e = {0};
		int result = kt_client_cert_check_dates(&cert, cases[i].now, &e);

		cr_expect_eq(result, cases[i].message != NULL ? -1 : 0, "%zu: %s", i, e.msg);
		if (cases[i].message == NULL)
			continue;
		cr_expect_eq(e.code, KT_E_REFUSED);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s", e.msg);
	}
}

Test(client_cert, refuses_what_is_missing_doubled_or_unknown)
{
	const char *csr = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
			  "-----END CERTIFICATE REQUEST-----\n";

	expect_refusal((const char *const[]){"", NULL}, "no certificate");
	expect_refusal((const char *const[]){"just text\n", NULL}, "no certificate");
	expect_refusal((const char *const[]){key, NULL}, "no certificate");
	expect_refusal((const char *const[]){leaf, NULL}, "no key");
	expect_refusal((const char *const[]){leaf, key, key, NULL}, "more than one key");
	expect_refusal((const char *const[]){leaf, key, csr, NULL}, "PEM block 3 is neither");
	expect_refusal((const char *const[]){leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
			       leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, key, NULL},
		"more than 16 certificates");
}

Test(client_cert, refuses_damaged_pem)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"-----BEGIN CERTIFICATE-----\nAAAA\n", "no END line"},
		{"-----BEGIN CERTIFICATE\n-----\n", "does not end"},
		{"-----BEGIN CERTIFICATE", "does not end"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERT-----\n", "differ"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE", "differ"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			"certificate cannot be read"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal((const char *const[]){key, cases[i].text, NULL}, cases[i].message);
	expect_refusal((const char *const[]){leaf, key,
			       "-----BEGIN hunter2-----\nAAAA\n-----END hunter2-----\n", NULL},
		"PEM block 3 is neither certificate nor key");
	expect_refusal(
		(const char *const[]){leaf,
			"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", NULL},
		"key cannot be read");
}
