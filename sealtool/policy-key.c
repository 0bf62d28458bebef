/* SPDX-License-Identifier: Apache-2.0 */
#include "sealtool/policy-key.h"

#include <string.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "lib/io.h"

/* 16 MiB and some tens of milliseconds a guess (RFC 7914, 2); OpenSSL reads up to 32 MiB. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SALT_BYTES 16
#define IV_BYTES 16

KT_AUTO(bio, BIO *, BIO_free_all)
#define auto_bio __attribute__((cleanup(kt_auto_bio)))
KT_AUTO(p8, PKCS8_PRIV_KEY_INFO *, PKCS8_PRIV_KEY_INFO_free)
#define auto_p8 __attribute__((cleanup(kt_auto_p8)))
KT_AUTO(x509_sig, X509_SIG *, X509_SIG_free)
#define auto_x509_sig __attribute__((cleanup(kt_auto_x509_sig)))

int policy_key_new(EVP_PKEY **ret_key, struct kt_error *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (key == NULL)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot make a P-256 key");
	*ret_key = key;
	return 0;
}

/* *ret_encrypted is owned by the caller. */
static int encrypt(PKCS8_PRIV_KEY_INFO *info, const struct kt_secret *passphrase,
	X509_SIG **ret_encrypted, struct kt_error *e)
{
	uint8_t salt[SALT_BYTES], iv[IV_BYTES];
	X509_ALGOR *scheme;

	if (RAND_bytes(salt, sizeof(salt)) != 1 || RAND_bytes(iv, sizeof(iv)) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	scheme = PKCS5_pbe2_set_scrypt(
		EVP_aes_256_cbc(), salt, sizeof(salt), iv, SCRYPT_N, SCRYPT_R, SCRYPT_P);
	if (scheme == NULL)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot choose scrypt");
	*ret_encrypted = PKCS8_set0_pbe((const char *)kt_secret_bytes(passphrase),
		(int)kt_secret_len(passphrase), info, scheme);
	if (*ret_encrypted == NULL) {
		X509_ALGOR_free(scheme);
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot encrypt the private key");
	}
	return 0;
}

static int write_private(
	BIO *out, EVP_PKEY *key, const struct kt_secret *passphrase, struct kt_error *e)
{
	auto_p8 PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	auto_x509_sig X509_SIG *encrypted = NULL;

	if (info == NULL)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot encode the private key");
	if (passphrase == NULL)
		return PEM_write_bio_PKCS8_PRIV_KEY_INFO(out, info) == 1
			       ? 0
			       : kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the private key");
	if (encrypt(info, passphrase, &encrypted, e) < 0)
		return -1;
	return PEM_write_bio_PKCS8(out, encrypted) == 1
		       ? 0
		       : kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the private key");
}

int policy_key_private_pem(EVP_PKEY *key, const struct kt_secret *passphrase,
	struct kt_secret **ret_pem, struct kt_error *e)
{
	/* Wiped when it is freed. */
	auto_bio BIO *out = BIO_new(BIO_s_secmem());
	auto_secret struct kt_secret *pem = NULL;
	char *data;
	long len;

	if (out == NULL)
		return kt_fail_memory(e);
	if (write_private(out, key, passphrase, e) < 0)
		return -1;
	len = BIO_get_mem_data(out, &data);
	if (len <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the private key");
	if (kt_secret_new((size_t)len, &pem, e) < 0 ||
		kt_secret_append(pem, data, (size_t)len, e) < 0)
		return -1;
	*ret_pem = kt_take(pem);
	return 0;
}

int policy_key_public_pem(EVP_PKEY *key, char **ret_pem, struct kt_error *e)
{
	auto_bio BIO *out = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	if (out == NULL || PEM_write_bio_PUBKEY(out, key) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the public key");
	len = BIO_get_mem_data(out, &data);
	copy = len > 0 ? strndup(data, (size_t)len) : NULL;
	if (copy == NULL)
		return kt_fail_memory(e);
	*ret_pem = copy;
	return 0;
}

int policy_key_read_public(const char *path, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len;

	if (kt_read_file(path, KT_KEY_FILE_MAX_BYTES, &data, &len, e) < 0)
		return -1;
	return kt_jwk_read_public(data, len, ret_key, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}
