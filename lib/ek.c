/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ek.h"

#include <string.h>

#include <openssl/x509.h>

#include "lib/hex.h"
#include "lib/tpm-pkey.h"
#include "lib/tpm-public.h"

/* fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt */
#define LOW_RANGE 0x000300b2u
#define HIGH_RANGE 0x000300f2u /* and userWithAuth */

/* PolicySecret(TPM_RH_ENDORSEMENT) with SHA-256: PolicyA of the profile. */
#define POLICY_A "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
/* PolicyOR of that and PolicyAuthorizeNV: PolicyB, with SHA-256, SHA-384 and SHA-512. */
#define POLICY_B_256 "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"
#define POLICY_B_384                                                                               \
	"b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc0"   \
	"00f3f80e12"
#define POLICY_B_512                                                                               \
	"b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25"   \
	"fbdb1838425608b413cd616a5f6db5b6071af99bea"

/* PolicyA with SHA-384 and SHA-512, and PolicyC: PolicyAuthorizeNV. */
#define POLICY_A_384                                                                               \
	"8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb43105"   \
	"3871c6db53"
#define POLICY_A_512                                                                               \
	"1e3b76502c8a1425aa0b7b3fc646a1b0fae063b03b5368f9c4cddecaff0891dd682bac1a85d4d832b781ea"   \
	"451915de5fc5bf0dc4a1917cd42fa041e3f998e0ee"
#define POLICY_C_256 "3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde"
#define POLICY_C_384                                                                               \
	"d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc"   \
	"2b3593d165"
#define POLICY_C_512                                                                               \
	"589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c"   \
	"184933121e2c61b8f50d3ef91393a49a38c3f73fc8"

static const struct ek_form {
	TPM2_HANDLE nv_index;
	TPMI_ALG_PUBLIC type;
	UINT16 size; /* RSA: bits; ECC: the curve */
	TPMI_ALG_HASH name_alg;
	UINT16 aes_bits;
	TPMA_OBJECT attributes;
	const char *policy;
} templates[] = {
	/* H-2, H-3, L-2, L-1, H-1, H-6, H-7, H-4 */
	{0x01c00014, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, 128, HIGH_RANGE,
		POLICY_B_256},
	{0x01c00016, TPM2_ALG_ECC, TPM2_ECC_NIST_P384, TPM2_ALG_SHA384, 256, HIGH_RANGE,
		POLICY_B_384},
	{0x01c0000a, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPM2_ALG_SHA256, 128, LOW_RANGE, POLICY_A},
	{0x01c00002, TPM2_ALG_RSA, 2048, TPM2_ALG_SHA256, 128, LOW_RANGE, POLICY_A},
	{0x01c00012, TPM2_ALG_RSA, 2048, TPM2_ALG_SHA256, 128, HIGH_RANGE, POLICY_B_256},
	{0x01c0001c, TPM2_ALG_RSA, 3072, TPM2_ALG_SHA384, 256, HIGH_RANGE, POLICY_B_384},
	{0x01c0001e, TPM2_ALG_RSA, 4096, TPM2_ALG_SHA384, 256, HIGH_RANGE, POLICY_B_384},
	{0x01c00018, TPM2_ALG_ECC, TPM2_ECC_NIST_P521, TPM2_ALG_SHA512, 256, HIGH_RANGE,
		POLICY_B_512},
};
#define TEMPLATE_COUNT (sizeof(templates) / sizeof(templates[0]))

static bool has_policy(const TPMT_PUBLIC *area, const char *policy)
{
	char hex[2 * sizeof(area->authPolicy.buffer) + 1];

	kt_hex_encode(area->authPolicy.buffer, area->authPolicy.size, hex);
	return strcmp(hex, policy) == 0;
}

static bool is_of(const TPMT_PUBLIC *area, const struct ek_form *t)
{
	const TPMS_RSA_PARMS *rsa = &area->parameters.rsaDetail;
	const TPMS_ECC_PARMS *ecc = &area->parameters.eccDetail;
	const TPMT_SYM_DEF_OBJECT *symmetric =
		area->type == TPM2_ALG_RSA ? &rsa->symmetric : &ecc->symmetric;

	if (area->type != t->type || area->nameAlg != t->name_alg ||
		area->objectAttributes != t->attributes || !has_policy(area, t->policy))
		return false;
	if (symmetric->algorithm != TPM2_ALG_AES || symmetric->keyBits.aes != t->aes_bits ||
		symmetric->mode.aes != TPM2_ALG_CFB)
		return false;
	if (area->type == TPM2_ALG_RSA)
		return rsa->keyBits == t->size && rsa->scheme.scheme == TPM2_ALG_NULL &&
		       (rsa->exponent == 0 || rsa->exponent == 65537);
	return ecc->curveID == t->size && ecc->scheme.scheme == TPM2_ALG_NULL &&
	       ecc->kdf.scheme == TPM2_ALG_NULL;
}

static void put_digest(const char *hex, TPM2B_DIGEST *ret_digest)
{
	struct kt_error never;

	ret_digest->size = (UINT16)(strlen(hex) / 2);
	if (kt_hex_decode(hex, ret_digest->buffer, ret_digest->size, &never) < 0)
		ret_digest->size = 0;
}

static void put_branches(const struct ek_form *t, TPM2B_DIGEST ret_branches[2])
{
	const bool is_512 = t->name_alg == TPM2_ALG_SHA512, is_384 = t->name_alg == TPM2_ALG_SHA384;

	if (t->attributes == LOW_RANGE)
		return;
	put_digest(is_512 ? POLICY_A_512 : is_384 ? POLICY_A_384 : POLICY_A, &ret_branches[0]);
	put_digest(is_512 ? POLICY_C_512 : is_384 ? POLICY_C_384 : POLICY_C_256, &ret_branches[1]);
}

/* The low range has a unique of zeros, in full length. */
static void put_parameters(const struct ek_form *t, TPMT_PUBLIC *area)
{
	const bool low = t->attributes == LOW_RANGE;
	const TPMT_SYM_DEF_OBJECT symmetric = {
		.algorithm = TPM2_ALG_AES, .keyBits.aes = t->aes_bits, .mode.aes = TPM2_ALG_CFB};

	if (t->type == TPM2_ALG_RSA) {
		area->parameters.rsaDetail.symmetric = symmetric;
		area->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
		area->parameters.rsaDetail.keyBits = t->size;
		area->unique.rsa.size = low ? t->size / 8 : 0;
		return;
	}
	area->parameters.eccDetail.symmetric = symmetric;
	area->parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
	area->parameters.eccDetail.curveID = t->size;
	area->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	area->unique.ecc.x.size = area->unique.ecc.y.size = low ? 32 : 0;
}

bool kt_ek_template(size_t i, struct kt_ek_template *ret_template)
{
	const struct ek_form *t = &templates[i];
	TPMT_PUBLIC *area = &ret_template->public.publicArea;

	if (i >= TEMPLATE_COUNT)
		return false;
	memset(ret_template, 0, sizeof(*ret_template));
	ret_template->nv_index = t->nv_index;
	area->type = t->type;
	area->nameAlg = t->name_alg;
	area->objectAttributes = t->attributes;
	put_digest(t->policy, &area->authPolicy);
	put_parameters(t, area);
	put_branches(t, ret_template->branches);
	return true;
}

int kt_ek_read(const uint8_t *data, size_t len, TPM2B_PUBLIC *ret_public, struct kt_error *e)
{
	if (kt_public_unmarshal(data, len, ret_public, e) < 0)
		return -1;
	for (size_t i = 0; i < TEMPLATE_COUNT; i++)
		if (is_of(&ret_public->publicArea, &templates[i]))
			return 0;
	return kt_fail(e, KT_E_REFUSED,
		"not an endorsement key of a default template (TCG EK Credential Profile)");
}

int kt_ek_fingerprint(
	const TPM2B_PUBLIC *ek, char ret_fingerprint[KT_EK_FINGERPRINT_SIZE], struct kt_error *e)
{
	auto_evp_pkey EVP_PKEY *key = NULL;
	TPM2B_DIGEST digest;
	unsigned char *der = NULL;
	int len, status;

	if (kt_public_pkey(&ek->publicArea, &key, e) < 0)
		return -1;
	len = i2d_PUBKEY(key, &der);
	if (len <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "SubjectPublicKeyInfo of the endorsement key");
	status = kt_hash(TPM2_ALG_SHA256, &(struct kt_span){der, (size_t)len}, 1, &digest, e);
	OPENSSL_free(der);
	if (status == 0)
		kt_hex_encode(digest.buffer, digest.size, ret_fingerprint);
	return status;
}
