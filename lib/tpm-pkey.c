/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-pkey.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
KT_AUTO(bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
KT_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)
KT_AUTO(bn, BIGNUM *, BN_free)
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))
#define auto_bld __attribute__((cleanup(kt_auto_bld)))
#define auto_params __attribute__((cleanup(kt_auto_params)))
#define auto_bn __attribute__((cleanup(kt_auto_bn)))

static const struct kt_curve curves[] = {
	{TPM2_ECC_NIST_P256, "P-256", 32},
	{TPM2_ECC_NIST_P384, "P-384", 48},
	{TPM2_ECC_NIST_P521, "P-521", 66},
};

const struct kt_curve *kt_curve(TPMI_ECC_CURVE id)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].id == id)
			return &curves[i];
	return NULL;
}

int kt_coordinate_pad(
	const TPM2B_ECC_PARAMETER *from, size_t size, uint8_t *ret_to, struct kt_error *e)
{
	if (from->size > size)
		return kt_fail(e, KT_E_REFUSED, "the coordinate of a key is too long");
	memset(ret_to, 0, size - from->size);
	memcpy(ret_to + size - from->size, from->buffer, from->size);
	return 0;
}

static int ecc_pkey(const TPMT_PUBLIC *public, EVP_PKEY **ret_key, struct kt_error *e)
{
	const struct kt_curve *curve = kt_curve(public->parameters.eccDetail.curveID);
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t point[1 + 2 * KT_COORDINATE_MAX] = {0x04}; /* uncompressed */
	char group[8] = "";

	if (curve == NULL)
		return kt_fail(e, KT_E_REFUSED, "the key is on curve 0x%04x, not a NIST one",
			public->parameters.eccDetail.curveID);
	memcpy(group, curve->name, strlen(curve->name));
	if (kt_coordinate_pad(&public->unique.ecc.x, curve->size, point + 1, e) < 0 ||
		kt_coordinate_pad(&public->unique.ecc.y, curve->size, point + 1 + curve->size, e) <
			0)
		return -1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, strlen(group)),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->size),
		OSSL_PARAM_END,
	};
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "EC keys");
	if (EVP_PKEY_fromdata(ctx, ret_key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return kt_fail_ssl(e, KT_E_REFUSED, "the key is not a point on %s", curve->name);
	return 0;
}

static int rsa_pkey(const TPMT_PUBLIC *public, EVP_PKEY **ret_key, struct kt_error *e)
{
	const TPM2B_PUBLIC_KEY_RSA *modulus = &public->unique.rsa;
	UINT32 exponent = public->parameters.rsaDetail.exponent;
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	auto_bn BIGNUM *n = BN_bin2bn(modulus->buffer, modulus->size, NULL);
	auto_bld OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	auto_params OSSL_PARAM *params = NULL;

	if (modulus->size * 8 != public->parameters.rsaDetail.keyBits || modulus->size < 256)
		return kt_fail(e, KT_E_REFUSED, "the key is RSA with a modulus of %u bytes",
			modulus->size);
	/* Part 2, 12.2.3.5: an exponent of 0 stands for 65537. */
	if (ctx == NULL || n == NULL || bld == NULL ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
		OSSL_PARAM_BLD_push_uint32(
			bld, OSSL_PKEY_PARAM_RSA_E, exponent == 0 ? 65537 : exponent) != 1)
		return kt_fail_memory(e);
	params = OSSL_PARAM_BLD_to_param(bld);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, ret_key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return kt_fail_ssl(e, KT_E_REFUSED, "RSA key");
	return 0;
}

int kt_public_pkey(const TPMT_PUBLIC *public, EVP_PKEY **ret_key, struct kt_error *e)
{
	if (public->type == TPM2_ALG_ECC)
		return ecc_pkey(public, ret_key, e);
	if (public->type == TPM2_ALG_RSA)
		return rsa_pkey(public, ret_key, e);
	return kt_fail(e, KT_E_REFUSED, "the key is neither RSA nor ECC");
}
