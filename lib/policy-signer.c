/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy-signer.h"

#include <string.h>

void kt_signer_public_of_point(const uint8_t point[KT_SIGNER_POINT_BYTES], TPM2B_PUBLIC *ret_public)
{
	TPMT_PUBLIC *area = &ret_public->publicArea;

	memset(ret_public, 0, sizeof(*ret_public));
	area->type = TPM2_ALG_ECC;
	area->nameAlg = TPM2_ALG_SHA256;
	area->objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH;
	area->parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
	area->parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
	area->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
	area->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	area->unique.ecc.x.size = KT_P256_COORD_BYTES;
	memcpy(area->unique.ecc.x.buffer, point, KT_P256_COORD_BYTES);
	area->unique.ecc.y.size = KT_P256_COORD_BYTES;
	memcpy(area->unique.ecc.y.buffer, point + KT_P256_COORD_BYTES, KT_P256_COORD_BYTES);
}

int kt_signer_public(const EVP_PKEY *key, TPM2B_PUBLIC *ret_public, struct kt_error *e)
{
	uint8_t point[KT_SIGNER_POINT_BYTES];

	if (kt_p256_point(key, point, e) < 0)
		return -1;
	kt_signer_public_of_point(point, ret_public);
	return 0;
}
