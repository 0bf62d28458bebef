/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "lib/auto.h"

KT_AUTO(kdf, EVP_KDF *, EVP_KDF_free)
#define auto_kdf __attribute__((cleanup(kt_auto_kdf)))
KT_AUTO(kdf_ctx, EVP_KDF_CTX *, EVP_KDF_CTX_free)
#define auto_kdf_ctx __attribute__((cleanup(kt_auto_kdf_ctx)))

int kt_hkdf(int mode, const uint8_t *key, size_t key_len, const uint8_t *info, size_t info_len,
	uint8_t *ret_out, size_t len, struct kt_error *e)
{
	auto_kdf EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	auto_kdf_ctx EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	char hash[] = "SHA256";
	/* OpenSSL takes what it only reads through pointers to non-const. */
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, key_len),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
		OSSL_PARAM_construct_end(),
	};

	if (ctx == NULL || EVP_KDF_derive(ctx, ret_out, len, params) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "key derivation failed");
	return 0;
}
