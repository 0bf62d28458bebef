/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing to a public key: builds the sealed data object that TPM2_Create would make, and the outer
 * wrapper that TPM2_Duplicate would put around it. Nothing here checks whose key the parent is: its
 * Name is for the caller to pin. Every secret intermediate lies in one struct kt_secret that is
 * wiped on return.
 */
#include "lib/wrap.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include "lib/auto.h"
#include "lib/tpm-kdf.h"
#include "lib/tpm-public.h"

#define LABEL "DUPLICATE" /* Part 1, B.10.3 and C.6.1; its NUL counts */
#define COORDINATE_MAX 66 /* P-521 */

/* What is secret on the way. */
struct work {
	TPM2B_SENSITIVE sensitive;
	uint8_t plain[sizeof(TPM2B_SENSITIVE)];
	size_t plain_len;
	TPM2B_DIGEST seed;
	uint8_t z[COORDINATE_MAX];
	uint8_t symmetric_key[32];
	uint8_t hmac_key[sizeof(TPMU_HA)];
};

KT_AUTO(pkey, EVP_PKEY *, EVP_PKEY_free)
KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
KT_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
KT_AUTO(bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
KT_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)
KT_AUTO(bn, BIGNUM *, BN_free)
#define auto_pkey __attribute__((cleanup(kt_auto_pkey)))
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))
#define auto_cipher_ctx __attribute__((cleanup(kt_auto_cipher_ctx)))
#define auto_bld __attribute__((cleanup(kt_auto_bld)))
#define auto_params __attribute__((cleanup(kt_auto_params)))
#define auto_bn __attribute__((cleanup(kt_auto_bn)))

static const struct curve {
	TPMI_ECC_CURVE id;
	const char *name;
	size_t size; /* of a coordinate */
} curves[] = {
	{TPM2_ECC_NIST_P256, "P-256", 32},
	{TPM2_ECC_NIST_P384, "P-384", 48},
	{TPM2_ECC_NIST_P521, "P-521", 66},
};

static const struct curve *find_curve(TPMI_ECC_CURVE id)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].id == id)
			return &curves[i];
	return NULL;
}

/* TPMT_SENSITIVE of the object (Part 2, 12.3.2.4): a fresh obfuscation value, the data, no auth. */
static int make_sensitive(const struct kt_secret *data, struct work *w, struct kt_error *e)
{
	TPMT_SENSITIVE *area = &w->sensitive.sensitiveArea;

	area->sensitiveType = TPM2_ALG_KEYEDHASH;
	area->seedValue.size = TPM2_SHA256_DIGEST_SIZE;
	if (RAND_bytes(area->seedValue.buffer, area->seedValue.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "random numbers");
	area->sensitive.bits.size = (UINT16)kt_secret_len(data);
	memcpy(area->sensitive.bits.buffer, kt_secret_bytes(data), kt_secret_len(data));
	if (Tss2_MU_TPM2B_SENSITIVE_Marshal(
		    &w->sensitive, w->plain, sizeof(w->plain), &w->plain_len) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "sensitive area cannot be marshalled");
	return 0;
}

/* The public area; unique = H(obfuscation value ‖ data) (Part 1, 27.5.3.2). */
static int make_public(const TPM2B_DIGEST *policy, const struct work *w, TPM2B_PUBLIC *ret_public,
	struct kt_error *e)
{
	const TPMT_SENSITIVE *secret = &w->sensitive.sensitiveArea;
	struct kt_span spans[] = {
		{secret->seedValue.buffer, secret->seedValue.size},
		{secret->sensitive.bits.buffer, secret->sensitive.bits.size},
	};
	TPMT_PUBLIC *area = &ret_public->publicArea;
	TPM2B_DIGEST unique;

	if (kt_hash(TPM2_ALG_SHA256, spans, 2, &unique, e) < 0)
		return -1;
	memset(ret_public, 0, sizeof(*ret_public));
	area->type = TPM2_ALG_KEYEDHASH;
	area->nameAlg = TPM2_ALG_SHA256;
	area->objectAttributes = TPMA_OBJECT_NODA;
	if (policy->size == 0)
		area->objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	area->authPolicy = *policy;
	area->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	area->unique.keyedHash = unique;
	return 0;
}

/* Left-pads a coordinate to the curve's size (Part 1, C.8). */
static int pad_coordinate(
	const TPM2B_ECC_PARAMETER *from, size_t size, uint8_t *ret_to, struct kt_error *e)
{
	if (from->size > size)
		return kt_fail(e, KT_E_REFUSED, "coordinate of the storage key is too long");
	memset(ret_to, 0, size - from->size);
	memcpy(ret_to + size - from->size, from->buffer, from->size);
	return 0;
}

/* KT_E_REFUSED also says that the point is not on the curve. `x` gets the padded coordinate. */
static int ecc_parent(const TPMT_PUBLIC *parent, const struct curve *curve, uint8_t *x,
	EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t point[1 + 2 * COORDINATE_MAX] = {0x04}; /* uncompressed */
	char group[8] = "";

	memcpy(group, curve->name, strlen(curve->name));
	if (pad_coordinate(&parent->unique.ecc.x, curve->size, x, e) < 0 ||
		pad_coordinate(&parent->unique.ecc.y, curve->size, point + 1 + curve->size, e) < 0)
		return -1;
	memcpy(point + 1, x, curve->size);
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, strlen(group)),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->size),
		OSSL_PARAM_END,
	};
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "EC keys");
	if (EVP_PKEY_fromdata(ctx, ret_key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return kt_fail_ssl(
			e, KT_E_REFUSED, "storage key is not a point on %s", curve->name);
	return 0;
}

/* z = x coordinate of ephemeral * parent; derivation refuses the point at infinity. */
static int agree(
	EVP_PKEY *ephemeral, EVP_PKEY *parent, size_t size, struct work *w, struct kt_error *e)
{
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ephemeral, NULL);
	size_t len = sizeof(w->z);

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
		EVP_PKEY_derive_set_peer(ctx, parent) != 1 || EVP_PKEY_derive(ctx, w->z, &len) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "ECDH");
	if (len != size)
		return kt_fail(e, KT_E_INTERNAL, "ECDH gave %zu bytes", len);
	return 0;
}

/* Reads a coordinate of `key`, padded, into a TPM2B. */
static int coordinate(const EVP_PKEY *key, const char *name, size_t size,
	TPM2B_ECC_PARAMETER *ret_coordinate, struct kt_error *e)
{
	auto_bn BIGNUM *bn = NULL;

	if (EVP_PKEY_get_bn_param(key, name, &bn) != 1 ||
		BN_bn2binpad(bn, ret_coordinate->buffer, (int)size) != (int)size)
		return kt_fail_ssl(e, KT_E_INTERNAL, "ephemeral key");
	ret_coordinate->size = (UINT16)size;
	return 0;
}

/* Part 1, C.6.1: an ephemeral key on the parent's curve, seed = KDFe(…); the ephemeral point is
 * what is sent. */
static int ecc_seed(const TPMT_PUBLIC *parent, struct work *w, TPM2B_ENCRYPTED_SECRET *ret_sent,
	struct kt_error *e)
{
	const struct curve *curve = find_curve(parent->parameters.eccDetail.curveID);
	auto_pkey EVP_PKEY *key = NULL, *ephemeral = NULL;
	uint8_t parent_x[COORDINATE_MAX];
	TPMS_ECC_POINT point;
	size_t len = 0;

	if (curve == NULL)
		return kt_fail(e, KT_E_REFUSED, "storage key is on curve 0x%04x, not a NIST one",
			parent->parameters.eccDetail.curveID);
	if (ecc_parent(parent, curve, parent_x, &key, e) < 0)
		return -1;
	ephemeral = EVP_EC_gen(curve->name);
	if (ephemeral == NULL)
		return kt_fail_ssl(e, KT_E_INTERNAL, "ephemeral key");
	if (coordinate(ephemeral, OSSL_PKEY_PARAM_EC_PUB_X, curve->size, &point.x, e) < 0 ||
		coordinate(ephemeral, OSSL_PKEY_PARAM_EC_PUB_Y, curve->size, &point.y, e) < 0 ||
		agree(ephemeral, key, curve->size, w, e) < 0)
		return -1;
	if (kt_kdfe(parent->nameAlg, (struct kt_span){w->z, curve->size}, LABEL,
		    (struct kt_span){point.x.buffer, curve->size},
		    (struct kt_span){parent_x, curve->size}, w->seed.buffer, w->seed.size, e) < 0)
		return -1;
	if (Tss2_MU_TPMS_ECC_POINT_Marshal(
		    &point, ret_sent->secret, sizeof(ret_sent->secret), &len) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "ephemeral point cannot be marshalled");
	ret_sent->size = (UINT16)len;
	return 0;
}

static int rsa_parent(const TPMT_PUBLIC *parent, EVP_PKEY **ret_key, struct kt_error *e)
{
	const TPM2B_PUBLIC_KEY_RSA *modulus = &parent->unique.rsa;
	UINT32 exponent = parent->parameters.rsaDetail.exponent;
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	auto_bn BIGNUM *n = BN_bin2bn(modulus->buffer, modulus->size, NULL);
	auto_bld OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	auto_params OSSL_PARAM *params = NULL;

	if (modulus->size * 8 != parent->parameters.rsaDetail.keyBits || modulus->size < 256)
		return kt_fail(e, KT_E_REFUSED, "storage key is RSA with a modulus of %u bytes",
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
		return kt_fail_ssl(e, KT_E_REFUSED, "RSA storage key");
	return 0;
}

/* OAEP with the hash of the parent's nameAlg, and as label "DUPLICATE" with its NUL. */
static int set_oaep(EVP_PKEY_CTX *ctx, TPMI_ALG_HASH alg, struct kt_error *e)
{
	const EVP_MD *md = EVP_get_digestbyname(kt_hash_openssl_name(alg));
	void *label;

	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) != 1 ||
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	label = OPENSSL_memdup(LABEL, sizeof(LABEL));
	if (label == NULL)
		return kt_fail_memory(e);
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(LABEL)) != 1) {
		OPENSSL_free(label);
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	}
	return 0;
}

/* Part 1, B.10.3: the seed is random and sent encrypted. */
static int rsa_seed(const TPMT_PUBLIC *parent, struct work *w, TPM2B_ENCRYPTED_SECRET *ret_sent,
	struct kt_error *e)
{
	auto_pkey EVP_PKEY *key = NULL;
	auto_pkey_ctx EVP_PKEY_CTX *ctx = NULL;
	size_t len = sizeof(ret_sent->secret);

	if (rsa_parent(parent, &key, e) < 0)
		return -1;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	if (set_oaep(ctx, parent->nameAlg, e) < 0)
		return -1;
	if (RAND_bytes(w->seed.buffer, w->seed.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "random numbers");
	if (EVP_PKEY_encrypt(ctx, ret_sent->secret, &len, w->seed.buffer, w->seed.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	ret_sent->size = (UINT16)len;
	return 0;
}

/* AES-CFB, IV zero: each key serves once. */
static int encrypt(const struct work *w, UINT16 key_bits, uint8_t *ret_data, struct kt_error *e)
{
	static const uint8_t iv[16];
	const EVP_CIPHER *cipher = key_bits == 128 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0, rest = 0;

	if (ctx == NULL || EVP_EncryptInit_ex(ctx, cipher, NULL, w->symmetric_key, iv) != 1 ||
		EVP_EncryptUpdate(ctx, ret_data, &len, w->plain, (int)w->plain_len) != 1 ||
		EVP_EncryptFinal_ex(ctx, ret_data + len, &rest) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-CFB");
	if ((size_t)(len + rest) != w->plain_len)
		return kt_fail(e, KT_E_INTERNAL, "AES-CFB gave %d bytes", len + rest);
	return 0;
}

/* TPM2B_DIGEST outerHMAC ‖ encSensitive (Part 1, 23.3.2.3); the HMAC covers encSensitive ‖ Name. */
static int seal_off(const TPMT_PUBLIC *parent, const TPM2B_NAME *name, struct work *w,
	TPM2B_PRIVATE *ret_duplicate, struct kt_error *e)
{
	const TPMT_SYM_DEF_OBJECT *symmetric = parent->type == TPM2_ALG_ECC
						       ? &parent->parameters.eccDetail.symmetric
						       : &parent->parameters.rsaDetail.symmetric;
	struct kt_span seed = {w->seed.buffer, w->seed.size}, none = {"", 0};
	size_t hash_size = w->seed.size, hmac_len = 0;
	uint8_t *encrypted = ret_duplicate->buffer + 2 + hash_size;
	uint8_t covered[sizeof(TPM2B_SENSITIVE) + sizeof(TPM2B_NAME)];

	if (kt_kdfa(parent->nameAlg, seed, "STORAGE", (struct kt_span){name->name, name->size},
		    w->symmetric_key, symmetric->keyBits.aes / 8, e) < 0 ||
		kt_kdfa(parent->nameAlg, seed, "INTEGRITY", none, w->hmac_key, hash_size, e) < 0 ||
		encrypt(w, symmetric->keyBits.aes, encrypted, e) < 0)
		return -1;
	memcpy(covered, encrypted, w->plain_len);
	memcpy(covered + w->plain_len, name->name, name->size);
	if (EVP_Q_mac(NULL, "HMAC", NULL, kt_hash_openssl_name(parent->nameAlg), NULL, w->hmac_key,
		    hash_size, covered, w->plain_len + name->size, ret_duplicate->buffer + 2,
		    hash_size, &hmac_len) == NULL ||
		hmac_len != hash_size)
		return kt_fail_ssl(e, KT_E_INTERNAL, "HMAC");
	ret_duplicate->buffer[0] = 0;
	ret_duplicate->buffer[1] = (BYTE)hash_size;
	ret_duplicate->size = (UINT16)(2 + hash_size + w->plain_len);
	return 0;
}

static int wrap(const TPM2B_PUBLIC *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, struct work *w, struct kt_wrapped *ret_wrapped,
	struct kt_error *e)
{
	const TPMT_PUBLIC *area = &parent->publicArea;
	struct kt_wrapped wrapped;
	TPM2B_NAME name;

	memset(&wrapped, 0, sizeof(wrapped));
	w->seed.size = (UINT16)kt_hash_size(area->nameAlg);
	if (make_sensitive(data, w, e) < 0 || make_public(policy, w, &wrapped.public, e) < 0 ||
		kt_public_name(&wrapped.public, &name, e) < 0)
		return -1;
	if (area->type == TPM2_ALG_ECC) {
		if (ecc_seed(area, w, &wrapped.seed, e) < 0)
			return -1;
	} else if (rsa_seed(area, w, &wrapped.seed, e) < 0) {
		return -1;
	}
	if (seal_off(area, &name, w, &wrapped.duplicate, e) < 0)
		return -1;
	*ret_wrapped = wrapped;
	return 0;
}

int kt_wrap_sealed_data(const TPM2B_PUBLIC *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, struct kt_wrapped *ret_wrapped, struct kt_error *e)
{
	auto_secret struct kt_secret *memory = NULL;
	size_t len = kt_secret_len(data);

	if (kt_public_check_storage_key(parent, e) < 0)
		return -1;
	if (len == 0 || len > KT_SEALED_DATA_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "a TPM object seals 1 to %d bytes, not %zu",
			KT_SEALED_DATA_MAX_BYTES, len);
	if (policy->size != 0 && policy->size != TPM2_SHA256_DIGEST_SIZE)
		return kt_fail(
			e, KT_E_INPUT, "policy digest of %u bytes is not SHA-256", policy->size);
	if (kt_secret_new(sizeof(struct work), &memory, e) < 0)
		return -1;
	return wrap(parent, data, policy, kt_secret_buffer(memory), ret_wrapped, e);
}
