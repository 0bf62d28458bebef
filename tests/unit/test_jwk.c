/* SPDX-License-Identifier: Apache-2.0 */
/* P-256 keys from JWK and PEM, against RFC 7515 A.3 and RFC 7517 A.1, and hostile ones. */
#include <criterion/criterion.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <string.h>

#include "lib/jwk.h"

/* RFC 7517, A.1 and A.2: the same EC key, public and private. */
#define RFC7517_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define RFC7517_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define RFC7517_D "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
#define PUBLIC "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC7517_X "\",\"y\":\"" RFC7517_Y "\""

static int read_public(const char *text, EVP_PKEY **ret_key, struct kt_error *e)
{
	return kt_jwk_read_public((const uint8_t *)text, strlen(text), ret_key, e);
}

static int read_private(
	const char *text, const char *passphrase, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL, *pass = NULL;

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, e), 0);
	if (passphrase != NULL)
		cr_assert_eq(kt_secret_from(passphrase, strlen(passphrase), &pass, e), 0);
	return kt_jwk_read_private(secret, pass, ret_key, e);
}

/* PEM of a key, private or public; owned by the caller. */
static char *to_pem(EVP_PKEY *key, bool private, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	if (private)
		cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(bio, key,
				     passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL,
				     (void *)(uintptr_t)passphrase),
			1);
	else
		cr_assert_eq(PEM_write_bio_PUBKEY(bio, key), 1);
	len = BIO_get_mem_data(bio, &data);
	char *pem = strndup(data, (size_t)len);

	BIO_free(bio);
	return pem;
}

Test(jwk, reads_the_rfc_key)
{
	auto_pkey EVP_PKEY *public = NULL, *private = NULL;
	struct kt_error e = {0};

	cr_assert_eq(
		read_public(PUBLIC ",\"use\":\"enc\",\"kid\":\"1\"}", &public, &e), 0, "%s", e.msg);
	cr_assert_eq(read_private(PUBLIC ",\"d\":\"" RFC7517_D "\"}", NULL, &private, &e), 0, "%s",
		e.msg);
	cr_assert_eq(EVP_PKEY_eq(public, private), 1);
}

Test(jwk, thumbprint_is_stable)
{
	auto_pkey EVP_PKEY *key = NULL;
	char text[KT_JWK_THUMBPRINT_SIZE];
	struct kt_error e = {0};

	cr_assert_eq(read_public(PUBLIC "}", &key, &e), 0);
	cr_assert_eq(kt_jwk_thumbprint(key, text, &e), 0);
	/* Computed with 'jose jwk thp -a S256'. */
	cr_assert_str_eq(text, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
}

Test(jwk, refuses_a_private_key_where_a_public_one_belongs)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *none = NULL;
	auto_free char *pem = to_pem(key, true, NULL);
	struct kt_error e = {0};

	cr_assert_eq(read_public(PUBLIC ",\"d\":\"" RFC7517_D "\"}", &none, &e), -1);
	cr_assert_eq(e.code, KT_E_REFUSED);
	cr_assert_eq(read_public(pem, &none, &e), -1);
	cr_assert_eq(e.code, KT_E_REFUSED);
	cr_assert_null(none);
}

Test(jwk, refuses_damaged_keys)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC7517_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC7517_X "\",\"y\":\"AA\"}",
		/* not on the curve: x twice */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC7517_X "\",\"y\":\"" RFC7517_X
		"\"}",
		"{\"kty\":\"EC\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC7517_X
		"\",\"y\":\"" RFC7517_Y "\"}",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"hello",
	};
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EVP_PKEY *key = NULL;

		cr_expect_eq(read_public(bad[i], &key, &e), -1, "%zu", i);
		cr_expect_eq(e.code, KT_E_INPUT, "%zu: %d", i, e.code);
	}
}

Test(jwk, refuses_other_curves_in_pem)
{
	auto_pkey EVP_PKEY *p384 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), *none = NULL;
	auto_pkey EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	auto_free char *one = to_pem(p384, false, NULL), *two = to_pem(ed25519, false, NULL);
	struct kt_error e = {0};

	cr_assert_eq(read_public(one, &none, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_eq(read_public(two, &none, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
}

Test(jwk, a_private_jwk_must_fit_its_public_part)
{
	EVP_PKEY *none = NULL;
	struct kt_error e = {0};

	cr_assert_eq(read_private(PUBLIC ",\"d\":\"" RFC7517_X "\"}", NULL, &none, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_eq(read_private(PUBLIC "}", NULL, &none, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
}

Test(jwk, asks_for_the_passphrase_of_a_protected_pem)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *read = NULL;
	auto_free char *pem = to_pem(key, true, "open sesame");
	struct kt_error e = {0};

	cr_assert_eq(read_private(pem, NULL, &read, &e), -1);
	cr_assert_eq(e.code, KT_E_PIN);
	cr_assert_eq(read_private(pem, "wrong", &read, &e), -1);
	cr_assert_eq(e.code, KT_E_PIN);
	cr_assert_eq(read_private(pem, "open sesame", &read, &e), 0, "%s", e.msg);
	cr_assert_eq(EVP_PKEY_eq(key, read), 1);
}

Test(jwk, writes_what_it_reads)
{
	auto_pkey EVP_PKEY *key = NULL, *again = NULL;
	auto_secret struct kt_secret *text = NULL;
	struct kt_error e = {0};
	struct kt_jsonw w;

	cr_assert_eq(read_public(PUBLIC "}", &key, &e), 0);
	cr_assert_eq(kt_secret_new(1024, &text, &e), 0);
	kt_jsonw_init(&w, text);
	cr_assert_eq(kt_jwk_write(key, &w, &e), 0);
	cr_assert_eq(kt_jsonw_end(&w, &e), 0);
	cr_assert_eq(kt_secret_len(text), strlen(PUBLIC "}"));
	cr_assert_arr_eq(kt_secret_bytes(text), PUBLIC "}", strlen(PUBLIC "}"));
	cr_assert_eq(kt_jwk_read_public(kt_secret_bytes(text), kt_secret_len(text), &again, &e), 0);
	cr_assert_eq(EVP_PKEY_eq(key, again), 1);
}
