/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ecdsa.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include "lib/auto.h"

#define HALF (KT_ECDSA_BYTES / 2)

KT_AUTO(sig, ECDSA_SIG *, ECDSA_SIG_free)
#define auto_sig __attribute__((cleanup(kt_auto_sig)))
KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))

int kt_ecdsa_from_der(
	const uint8_t *der, size_t len, uint8_t ret_signature[KT_ECDSA_BYTES], struct kt_error *e)
{
	auto_sig ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

	if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret_signature, HALF) != HALF ||
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret_signature + HALF, HALF) != HALF)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the signature");
	return 0;
}

int kt_ecdsa_to_der(const uint8_t signature[KT_ECDSA_BYTES], uint8_t **ret_der, size_t *ret_len,
	struct kt_error *e)
{
	auto_sig ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, HALF, NULL), *s = BN_bin2bn(signature + HALF, HALF, NULL);
	int len;

	if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		return kt_fail_memory(e);
	}
	*ret_der = NULL;
	len = i2d_ECDSA_SIG(sig, ret_der);
	if (len <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot read the signature");
	*ret_len = (size_t)len;
	return 0;
}

bool kt_ecdsa_verify(EVP_PKEY *key, const uint8_t digest[KT_ECDSA_DIGEST_BYTES],
	const uint8_t signature[KT_ECDSA_BYTES])
{
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	struct kt_error ignored;
	uint8_t *der = NULL;
	size_t len = 0;
	bool ok;

	if (ctx == NULL || kt_ecdsa_to_der(signature, &der, &len, &ignored) < 0)
		return false;
	ok = EVP_PKEY_verify_init(ctx) == 1 &&
	     EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	     EVP_PKEY_verify(ctx, der, len, digest, KT_ECDSA_DIGEST_BYTES) == 1;
	OPENSSL_free(der);
	ERR_clear_error();
	return ok;
}
