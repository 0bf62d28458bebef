/* SPDX-License-Identifier: Apache-2.0 */
/* The symmetric key serves once, so that the IV can be zero. */
#include "lib/protect.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include "lib/tpm-kdf.h"
#include "lib/tpm-pkey.h"

#define COVERED_MAX (sizeof(TPM2B_SENSITIVE) + sizeof(TPM2B_NAME))

KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
KT_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
KT_AUTO(bn, BIGNUM *, BN_free)
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))
#define auto_cipher_ctx __attribute__((cleanup(kt_auto_cipher_ctx)))
#define auto_bn __attribute__((cleanup(kt_auto_bn)))

/* z = x coordinate of ephemeral * parent; derivation refuses the point at infinity. */
static int agree(EVP_PKEY *ephemeral, EVP_PKEY *parent, size_t size, struct kt_protect_work *w,
	struct kt_error *e)
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
static int ecc_seed(const TPMT_PUBLIC *parent, const char *label, struct kt_protect_work *w,
	TPM2B_ENCRYPTED_SECRET *ret_sent, struct kt_error *e)
{
	const struct kt_curve *curve = kt_curve(parent->parameters.eccDetail.curveID);
	auto_evp_pkey EVP_PKEY *key = NULL, *ephemeral = NULL;
	uint8_t parent_x[KT_COORDINATE_MAX];
	TPMS_ECC_POINT point;
	size_t len = 0;

	if (kt_public_pkey(parent, &key, e) < 0 ||
		kt_coordinate_pad(&parent->unique.ecc.x, curve->size, parent_x, e) < 0)
		return -1;
	ephemeral = EVP_EC_gen(curve->name);
	if (ephemeral == NULL)
		return kt_fail_ssl(e, KT_E_INTERNAL, "ephemeral key");
	if (coordinate(ephemeral, OSSL_PKEY_PARAM_EC_PUB_X, curve->size, &point.x, e) < 0 ||
		coordinate(ephemeral, OSSL_PKEY_PARAM_EC_PUB_Y, curve->size, &point.y, e) < 0 ||
		agree(ephemeral, key, curve->size, w, e) < 0)
		return -1;
	if (kt_kdfe(parent->nameAlg, (struct kt_span){w->z, curve->size}, label,
		    (struct kt_span){point.x.buffer, curve->size},
		    (struct kt_span){parent_x, curve->size}, w->seed.buffer, w->seed.size, e) < 0)
		return -1;
	if (Tss2_MU_TPMS_ECC_POINT_Marshal(
		    &point, ret_sent->secret, sizeof(ret_sent->secret), &len) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "ephemeral point cannot be marshalled");
	ret_sent->size = (UINT16)len;
	return 0;
}

/* OAEP with the hash of the parent's nameAlg, and the label with its NUL. */
static int set_oaep(EVP_PKEY_CTX *ctx, TPMI_ALG_HASH alg, const char *text, struct kt_error *e)
{
	const EVP_MD *md = EVP_get_digestbyname(kt_hash_openssl_name(alg));
	void *label;

	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) != 1 ||
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	label = OPENSSL_memdup(text, strlen(text) + 1);
	if (label == NULL)
		return kt_fail_memory(e);
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)strlen(text) + 1) != 1) {
		OPENSSL_free(label);
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	}
	return 0;
}

/* Part 1, B.10.3: the seed is random and sent encrypted. */
static int rsa_seed(const TPMT_PUBLIC *parent, const char *label, struct kt_protect_work *w,
	TPM2B_ENCRYPTED_SECRET *ret_sent, struct kt_error *e)
{
	auto_evp_pkey EVP_PKEY *key = NULL;
	auto_pkey_ctx EVP_PKEY_CTX *ctx = NULL;
	size_t len = sizeof(ret_sent->secret);

	if (kt_public_pkey(parent, &key, e) < 0)
		return -1;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	if (set_oaep(ctx, parent->nameAlg, label, e) < 0)
		return -1;
	if (RAND_bytes(w->seed.buffer, w->seed.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "random numbers");
	if (EVP_PKEY_encrypt(ctx, ret_sent->secret, &len, w->seed.buffer, w->seed.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "RSA-OAEP");
	ret_sent->size = (UINT16)len;
	return 0;
}

/* AES-CFB. */
static int encrypt(const struct kt_protect_work *w, UINT16 key_bits, const uint8_t *plain,
	size_t plain_len, uint8_t *ret_data, struct kt_error *e)
{
	static const uint8_t iv[16];
	const EVP_CIPHER *cipher = key_bits == 128 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0, rest = 0;

	if (ctx == NULL || EVP_EncryptInit_ex(ctx, cipher, NULL, w->symmetric_key, iv) != 1 ||
		EVP_EncryptUpdate(ctx, ret_data, &len, plain, (int)plain_len) != 1 ||
		EVP_EncryptFinal_ex(ctx, ret_data + len, &rest) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-CFB");
	if ((size_t)(len + rest) != plain_len)
		return kt_fail(e, KT_E_INTERNAL, "AES-CFB gave %d bytes", len + rest);
	return 0;
}

/* TPM2B_DIGEST HMAC ‖ encrypted; the HMAC covers encrypted ‖ Name. */
static int seal_off(const TPMT_PUBLIC *parent, const TPM2B_NAME *name, const uint8_t *plain,
	size_t plain_len, struct kt_protect_work *w, uint8_t *ret_blob, size_t *ret_len,
	struct kt_error *e)
{
	const TPMT_SYM_DEF_OBJECT *symmetric = parent->type == TPM2_ALG_ECC
						       ? &parent->parameters.eccDetail.symmetric
						       : &parent->parameters.rsaDetail.symmetric;
	struct kt_span seed = {w->seed.buffer, w->seed.size}, none = {"", 0};
	size_t hash_size = w->seed.size, hmac_len = 0;
	uint8_t *encrypted = ret_blob + 2 + hash_size;
	uint8_t covered[COVERED_MAX];

	if (kt_kdfa(parent->nameAlg, seed, "STORAGE", (struct kt_span){name->name, name->size},
		    w->symmetric_key, symmetric->keyBits.aes / 8, e) < 0 ||
		kt_kdfa(parent->nameAlg, seed, "INTEGRITY", none, w->hmac_key, hash_size, e) < 0 ||
		encrypt(w, symmetric->keyBits.aes, plain, plain_len, encrypted, e) < 0)
		return -1;
	memcpy(covered, encrypted, plain_len);
	memcpy(covered + plain_len, name->name, name->size);
	if (EVP_Q_mac(NULL, "HMAC", NULL, kt_hash_openssl_name(parent->nameAlg), NULL, w->hmac_key,
		    hash_size, covered, plain_len + name->size, ret_blob + 2, hash_size,
		    &hmac_len) == NULL ||
		hmac_len != hash_size)
		return kt_fail_ssl(e, KT_E_INTERNAL, "HMAC");
	ret_blob[0] = 0;
	ret_blob[1] = (BYTE)hash_size;
	*ret_len = 2 + hash_size + plain_len;
	return 0;
}

int kt_protect(const TPMT_PUBLIC *parent, const char *label, const TPM2B_NAME *name,
	const uint8_t *plain, size_t len, struct kt_protect_work *work,
	TPM2B_ENCRYPTED_SECRET *ret_seed, uint8_t *ret_blob, size_t *ret_len, struct kt_error *e)
{
	if (len > COVERED_MAX - sizeof(TPM2B_NAME))
		return kt_fail(e, KT_E_INTERNAL, "%zu bytes are too many to protect", len);
	work->seed.size = (UINT16)kt_hash_size(parent->nameAlg);
	if ((parent->type == TPM2_ALG_ECC ? ecc_seed(parent, label, work, ret_seed, e)
					  : rsa_seed(parent, label, work, ret_seed, e)) < 0)
		return -1;
	return seal_off(parent, name, plain, len, work, ret_blob, ret_len, e);
}
