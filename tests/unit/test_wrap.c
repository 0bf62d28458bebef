/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrapping, undone in software with the parent's private key and with derivations that share
 * nothing with the library's. That the undoing is right is shown on a duplicate which
 * tpm2_duplicate of tpm2-tools 5.4 made.
 */
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <tss2/tss2_mu.h>

#include "lib/hex.h"
#include "lib/secret.h"
#include "lib/tpm-public.h"
#include "lib/wrap.h"

static const char label[] = "DUPLICATE";

/* KDFa, Part 1, 11.4.10.2; one round is enough for what is asked here. */
static void kdfa(TPMI_ALG_HASH alg, const uint8_t *key, size_t key_len, const char *use,
	const TPM2B_NAME *name, uint8_t *ret_key, size_t len)
{
	const EVP_MD *md = EVP_get_digestbyname(kt_hash_openssl_name(alg));
	uint8_t message[128] = {0, 0, 0, 1}, out[64];
	size_t at = 4;
	unsigned out_len;

	memcpy(message + at, use, strlen(use) + 1);
	at += strlen(use) + 1;
	if (name != NULL) {
		memcpy(message + at, name->name, name->size);
		at += name->size;
	}
	message[at + 2] = (uint8_t)(len * 8 >> 8);
	message[at + 3] = (uint8_t)(len * 8);
	cr_assert_not_null(HMAC(md, key, (int)key_len, message, at + 4, out, &out_len));
	cr_assert(len <= out_len);
	memcpy(ret_key, out, len);
}

static size_t coordinate_size(const TPM2B_PUBLIC *parent)
{
	return parent->publicArea.parameters.eccDetail.curveID == TPM2_ECC_NIST_P384 ? 48 : 32;
}

/* Part 1, C.6.1, from the other side. */
static void recover_ecc_seed(const TPM2B_PUBLIC *parent, EVP_PKEY *private,
	const TPM2B_ENCRYPTED_SECRET *sent, TPM2B_DIGEST *ret_seed)
{
	static const uint8_t one[4] = {0, 0, 0, 1};
	size_t size = coordinate_size(parent), offset = 0, z_len = 66;
	EVP_PKEY *peer = EVP_PKEY_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(private, NULL);
	uint8_t encoded[1 + 2 * 48] = {4}, z[66];
	TPMS_ECC_POINT point;
	struct kt_error e;

	cr_assert_eq(
		Tss2_MU_TPMS_ECC_POINT_Unmarshal(sent->secret, sent->size, &offset, &point), 0);
	cr_assert_eq(offset, sent->size);
	cr_assert_eq(point.x.size, size);
	cr_assert_eq(point.y.size, size);
	memcpy(encoded + 1, point.x.buffer, size);
	memcpy(encoded + 1 + size, point.y.buffer, size);
	cr_assert_eq(EVP_PKEY_copy_parameters(peer, private), 1);
	cr_assert_eq(EVP_PKEY_set1_encoded_public_key(peer, encoded, 1 + 2 * size), 1);
	cr_assert_eq(EVP_PKEY_derive_init(ctx), 1);
	cr_assert_eq(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	cr_assert_eq(EVP_PKEY_derive(ctx, z, &z_len), 1);
	struct kt_span spans[] = {
		{one, 4},
		{z, z_len},
		{label, sizeof(label)},
		{point.x.buffer, size},
		{parent->publicArea.unique.ecc.x.buffer, size},
	};
	cr_assert_eq(kt_hash(parent->publicArea.nameAlg, spans, 5, ret_seed, &e), 0);
	EVP_PKEY_free(peer);
	EVP_PKEY_CTX_free(ctx);
}

/* Part 1, B.10.3, from the other side. */
static void recover_rsa_seed(const TPM2B_PUBLIC *parent, EVP_PKEY *private,
	const TPM2B_ENCRYPTED_SECRET *sent, TPM2B_DIGEST *ret_seed)
{
	const EVP_MD *md = EVP_get_digestbyname(kt_hash_openssl_name(parent->publicArea.nameAlg));
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(private, NULL);
	uint8_t out[512];
	size_t len = sizeof(out);

	cr_assert_eq(EVP_PKEY_decrypt_init(ctx), 1);
	cr_assert_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	cr_assert_eq(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
	cr_assert_eq(EVP_PKEY_CTX_set0_rsa_oaep_label(
			     ctx, OPENSSL_memdup(label, sizeof(label)), sizeof(label)),
		1);
	cr_assert_eq(EVP_PKEY_decrypt(ctx, out, &len, sent->secret, sent->size), 1);
	cr_assert(len <= sizeof(ret_seed->buffer));
	memcpy(ret_seed->buffer, out, len);
	ret_seed->size = (UINT16)len;
	EVP_PKEY_CTX_free(ctx);
}

/* What TPM2_Import does: false if the integrity check fails. */
static bool unwrap(const TPM2B_PUBLIC *parent, EVP_PKEY *private, const struct kt_wrapped *wrapped,
	TPMT_SENSITIVE *ret_sensitive)
{
	static const uint8_t iv[16];
	const TPMT_PUBLIC *area = &parent->publicArea;
	bool ecc = area->type == TPM2_ALG_ECC;
	size_t key_len = (ecc ? area->parameters.eccDetail.symmetric.keyBits.aes
			      : area->parameters.rsaDetail.symmetric.keyBits.aes) /
			 8;
	size_t hash_size = kt_hash_size(area->nameAlg), offset = 0;
	const uint8_t *encrypted = wrapped->duplicate.buffer + 2 + hash_size;
	size_t encrypted_len = wrapped->duplicate.size - 2 - hash_size;
	uint8_t key[64], covered[1024], hmac[64], plain[1024];
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	TPM2B_SENSITIVE sensitive = {0};
	TPM2B_DIGEST seed;
	TPM2B_NAME name;
	unsigned hmac_len;
	int len;
	struct kt_error e;

	if (ecc)
		recover_ecc_seed(parent, private, &wrapped->seed, &seed);
	else
		recover_rsa_seed(parent, private, &wrapped->seed, &seed);
	cr_assert_eq(seed.size, hash_size);
	cr_assert_eq(kt_public_name(&wrapped->public, &name, &e), 0);
	kdfa(area->nameAlg, seed.buffer, seed.size, "INTEGRITY", NULL, key, hash_size);
	memcpy(covered, encrypted, encrypted_len);
	memcpy(covered + encrypted_len, name.name, name.size);
	HMAC(EVP_get_digestbyname(kt_hash_openssl_name(area->nameAlg)), key, (int)hash_size,
		covered, encrypted_len + name.size, hmac, &hmac_len);
	cr_assert_eq(wrapped->duplicate.buffer[0], 0);
	cr_assert_eq(wrapped->duplicate.buffer[1], hash_size);
	if (memcmp(hmac, wrapped->duplicate.buffer + 2, hash_size) != 0) {
		EVP_CIPHER_CTX_free(cipher);
		return false;
	}
	kdfa(area->nameAlg, seed.buffer, seed.size, "STORAGE", &name, key, key_len);
	cr_assert_eq(
		EVP_DecryptInit_ex(cipher,
			key_len == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(), NULL, key, iv),
		1);
	cr_assert_eq(EVP_DecryptUpdate(cipher, plain, &len, encrypted, (int)encrypted_len), 1);
	EVP_CIPHER_CTX_free(cipher);
	cr_assert_eq((size_t)(plain[0] << 8 | plain[1]), encrypted_len - 2);
	cr_assert_eq(
		Tss2_MU_TPM2B_SENSITIVE_Unmarshal(plain, encrypted_len, &offset, &sensitive), 0);
	cr_assert_eq(offset, encrypted_len);
	*ret_sensitive = sensitive.sensitiveArea;
	return true;
}

static void set_coordinate(
	EVP_PKEY *key, const char *which, size_t size, TPM2B_ECC_PARAMETER *ret_coordinate)
{
	BIGNUM *bn = NULL;

	cr_assert_eq(EVP_PKEY_get_bn_param(key, which, &bn), 1);
	cr_assert_eq(BN_bn2binpad(bn, ret_coordinate->buffer, (int)size), (int)size);
	ret_coordinate->size = (UINT16)size;
	BN_free(bn);
}

/* A storage key whose private part we have, which no TPM would allow. */
static EVP_PKEY *make_ecc_parent(const char *curve, TPM2B_PUBLIC *ret_public)
{
	bool p384 = strcmp(curve, "P-384") == 0;
	EVP_PKEY *key = EVP_EC_gen(curve);
	size_t size = p384 ? 48 : 32;

	cr_assert_not_null(key);
	*ret_public = kt_template_srk_ecc;
	if (p384) {
		ret_public->publicArea.nameAlg = TPM2_ALG_SHA384;
		ret_public->publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384;
		ret_public->publicArea.parameters.eccDetail.symmetric.keyBits.aes = 256;
	}
	set_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, size, &ret_public->publicArea.unique.ecc.x);
	set_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, size, &ret_public->publicArea.unique.ecc.y);
	return key;
}

static EVP_PKEY *make_rsa_parent(TPM2B_PUBLIC *ret_public)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIGNUM *n = NULL;

	cr_assert_not_null(key);
	*ret_public = kt_template_srk_rsa;
	cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	ret_public->publicArea.unique.rsa.size =
		(UINT16)BN_bn2bin(n, ret_public->publicArea.unique.rsa.buffer);
	BN_free(n);
	return key;
}

static struct kt_secret *secret_of(size_t len)
{
	struct kt_secret *secret;
	uint8_t bytes[256];
	struct kt_error e;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	cr_assert_eq(kt_secret_from(bytes, len, &secret, &e), 0, "%s", e.msg);
	return secret;
}

/* The object that comes out is the sealed data object that was meant. */
static void check_object(const struct kt_wrapped *wrapped, const TPMT_SENSITIVE *sensitive,
	const struct kt_secret *data, const TPM2B_DIGEST *policy)
{
	const TPMT_PUBLIC *area = &wrapped->public.publicArea;
	struct kt_span spans[] = {
		{sensitive->seedValue.buffer, sensitive->seedValue.size},
		{sensitive->sensitive.bits.buffer, sensitive->sensitive.bits.size},
	};
	TPM2B_DIGEST unique;
	struct kt_error e;

	cr_expect_eq(sensitive->sensitiveType, TPM2_ALG_KEYEDHASH);
	cr_expect_eq(sensitive->authValue.size, 0);
	cr_expect_eq(sensitive->seedValue.size, 32);
	cr_assert_eq(sensitive->sensitive.bits.size, kt_secret_len(data));
	cr_expect_arr_eq(
		sensitive->sensitive.bits.buffer, kt_secret_bytes(data), kt_secret_len(data));
	cr_assert_eq(kt_hash(TPM2_ALG_SHA256, spans, 2, &unique, &e), 0);
	cr_expect_arr_eq(area->unique.keyedHash.buffer, unique.buffer, 32);
	cr_expect(kt_public_is_sealed_data(&wrapped->public));
	cr_expect_eq(area->nameAlg, TPM2_ALG_SHA256);
	cr_expect_eq(area->authPolicy.size, policy->size);
	cr_expect_arr_eq(area->authPolicy.buffer, policy->buffer, policy->size);
	cr_expect_eq(area->objectAttributes, policy->size == 0
						     ? (TPMA_OBJECT_NODA | TPMA_OBJECT_USERWITHAUTH)
						     : TPMA_OBJECT_NODA);
}

static void wrap_and_unwrap(
	const TPM2B_PUBLIC *parent, EVP_PKEY *private, size_t len, const TPM2B_DIGEST *policy)
{
	auto_secret struct kt_secret *data = secret_of(len);
	struct kt_wrapped wrapped;
	TPMT_SENSITIVE sensitive;
	struct kt_error e;

	cr_assert_eq(kt_wrap_sealed_data(parent, data, policy, &wrapped, &e), 0, "%s", e.msg);
	cr_assert(unwrap(parent, private, &wrapped, &sensitive));
	check_object(&wrapped, &sensitive, data, policy);
	wrapped.public.publicArea.objectAttributes ^= TPMA_OBJECT_USERWITHAUTH;
	cr_expect_not(unwrap(parent, private, &wrapped, &sensitive), "the Name is protected");
	wrapped.public.publicArea.objectAttributes ^= TPMA_OBJECT_USERWITHAUTH;
	wrapped.duplicate.buffer[wrapped.duplicate.size - 1] ^= 1;
	cr_expect_not(unwrap(parent, private, &wrapped, &sensitive), "the data is protected");
}

static const TPM2B_DIGEST no_policy = {.size = 0};
static const TPM2B_DIGEST a_policy = {.size = 32, .buffer = "0123456789abcdef0123456789abcdef"};

Test(wrap, reaches_an_ecc_storage_key)
{
	static const size_t sizes[] = {1, 2, 31, 32, 33, 127, KT_SEALED_DATA_MAX_BYTES};
	TPM2B_PUBLIC parent;
	EVP_PKEY *private = make_ecc_parent("P-256", &parent);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		wrap_and_unwrap(&parent, private, sizes[i], &no_policy);
		wrap_and_unwrap(&parent, private, sizes[i], &a_policy);
	}
	EVP_PKEY_free(private);
}

Test(wrap, follows_the_parents_curve_hash_and_cipher)
{
	TPM2B_PUBLIC parent;
	EVP_PKEY *private = make_ecc_parent("P-384", &parent);

	wrap_and_unwrap(&parent, private, 32, &a_policy);
	EVP_PKEY_free(private);
}

Test(wrap, reaches_an_rsa_storage_key)
{
	TPM2B_PUBLIC parent;
	EVP_PKEY *private = make_rsa_parent(&parent);

	wrap_and_unwrap(&parent, private, 32, &no_policy);
	wrap_and_unwrap(&parent, private, KT_SEALED_DATA_MAX_BYTES, &a_policy);
	parent.publicArea.parameters.rsaDetail.exponent = 65537;
	wrap_and_unwrap(&parent, private, 32, &a_policy);
	EVP_PKEY_free(private);
}

/* A coordinate begins with a zero octet in one of 256 keys; some TPMs then leave it out. */
Test(wrap, pads_a_short_coordinate)
{
	TPM2B_PUBLIC parent, shortened;
	auto_secret struct kt_secret *data = secret_of(32);
	EVP_PKEY *private = NULL;
	struct kt_wrapped wrapped;
	TPMT_SENSITIVE sensitive;
	struct kt_error e;

	do {
		EVP_PKEY_free(private);
		private = make_ecc_parent("P-256", &parent);
	} while (parent.publicArea.unique.ecc.x.buffer[0] != 0);
	shortened = parent;
	shortened.publicArea.unique.ecc.x.size = 31;
	memmove(shortened.publicArea.unique.ecc.x.buffer,
		shortened.publicArea.unique.ecc.x.buffer + 1, 31);
	cr_assert_eq(
		kt_wrap_sealed_data(&shortened, data, &no_policy, &wrapped, &e), 0, "%s", e.msg);
	cr_expect(unwrap(&parent, private, &wrapped, &sensitive));
	EVP_PKEY_free(private);
}

Test(wrap, never_makes_the_same_twice)
{
	auto_secret struct kt_secret *data = secret_of(32);
	struct kt_wrapped a, b;
	TPM2B_PUBLIC parent;
	EVP_PKEY *private = make_ecc_parent("P-256", &parent);
	struct kt_error e;

	cr_assert_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &a, &e), 0);
	cr_assert_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &b, &e), 0);
	cr_expect_arr_neq(a.seed.secret, b.seed.secret, a.seed.size);
	cr_expect_arr_neq(a.public.publicArea.unique.keyedHash.buffer,
		b.public.publicArea.unique.keyedHash.buffer, 32);
	cr_expect_arr_neq(a.duplicate.buffer + 34, b.duplicate.buffer + 34, 32);
	EVP_PKEY_free(private);
}

Test(wrap, refuses_sizes_a_tpm_would_refuse)
{
	static const size_t sizes[] = {0, KT_SEALED_DATA_MAX_BYTES + 1, 256};
	auto_secret struct kt_secret *fits = secret_of(32);
	TPM2B_DIGEST sha1_policy = {.size = 20};
	struct kt_wrapped wrapped;
	TPM2B_PUBLIC parent;
	EVP_PKEY *private = make_ecc_parent("P-256", &parent);
	struct kt_error e;

	for (size_t i = 0; i < 3; i++) {
		auto_secret struct kt_secret *data = secret_of(sizes[i]);

		cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	cr_expect_eq(kt_wrap_sealed_data(&parent, fits, &sha1_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	EVP_PKEY_free(private);
}

Test(wrap, refuses_parents_that_are_no_storage_keys)
{
	auto_secret struct kt_secret *data = secret_of(32);
	struct kt_wrapped wrapped;
	TPM2B_PUBLIC good, parent;
	EVP_PKEY *private = make_ecc_parent("P-256", &good);
	struct kt_error e;

	parent = good;
	parent.publicArea.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_FIXEDTPM;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	parent = good;
	parent.publicArea.unique.ecc.y.buffer[31] ^= 1;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED, "a point beside the curve");
	parent = kt_template_srk_ecc;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED, "a template is no key");
	parent = good;
	parent.publicArea.unique.ecc.x.size = 33;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	parent = good;
	parent.publicArea.parameters.eccDetail.curveID = TPM2_ECC_BN_P256;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	parent = kt_template_srk_rsa;
	cr_expect_eq(kt_wrap_sealed_data(&parent, data, &no_policy, &wrapped, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	EVP_PKEY_free(private);
}

/* tpm2_duplicate -U parent -G ecc -k key, and the two private keys. */
#define GOLDEN_PARENT_D "9f7f3c161f73e0f4964939f5e7604e02f755f034c3171d206b2a6bad446f197b"
#define GOLDEN_PARENT_X "36c4ea977f8d9bcc0aab520fcedaa9f7b878a5a66fce571ddd8ab09aebde1c76"
#define GOLDEN_PARENT_Y "43d49be4e672d2341aaecc6d5c0f9c27483984bc214c2d5dee8499f6faa14ef5"
#define GOLDEN_PUBLIC                                                                              \
	"00560023000b0006004000000010001000030010002031e8a6ec68960a9e68e57ef79805cdfe1dc2726bd6a6" \
	"2f57bf30b711fb2fdf5c00201670a1e7907fd6e9ef447253aa4e8e8e470b99ef130a5fe7a9799758aae38026"
#define GOLDEN_DUPLICATE                                                                           \
	"00204bb0b6b7591ca9fa28f1a50e93cede0c73409121fd59c591e35e441a220e35f05c521fa5d8b73b4e91f4" \
	"0ffcb28fde8858065e80ee6d1e28b55ae40fd9372c6b46e626f1430c285c886bc00140c56c5ca6d799a12109" \
	"44d6e11947c31af7b84cab8d72219770b7ae585b"
#define GOLDEN_SEED                                                                                \
	"0020670c8861a94cffee2d7fc90ec06d378a0ba6d86d3ed728073276b318a61b9c72002075e075cddc421d01" \
	"95bc1b79f88569105a8d96f21360da31e2702a40d32a093c"
#define GOLDEN_CHILD_D "de241d83dfb37baf72f99b0526cb794b665744c8b393798b6093c809cddca29f"

static EVP_PKEY *golden_private(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params;
	EVP_PKEY *key = NULL;
	BIGNUM *d = NULL;
	uint8_t point[65] = {4};
	struct kt_error e;

	cr_assert_neq(BN_hex2bn(&d, GOLDEN_PARENT_D), 0);
	cr_assert_eq(kt_hex_decode(GOLDEN_PARENT_X GOLDEN_PARENT_Y, point + 1, 64, &e), 0);
	OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
	OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d);
	params = OSSL_PARAM_BLD_to_param(bld);
	cr_assert_eq(EVP_PKEY_fromdata_init(ctx), 1);
	cr_assert_eq(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(d);
	return key;
}

Test(wrap, is_undone_here_as_tpm2_tools_does_it)
{
	EVP_PKEY *private = golden_private();
	TPM2B_PUBLIC parent = kt_template_srk_ecc;
	TPMS_ECC_POINT *point = &parent.publicArea.unique.ecc;
	struct kt_wrapped golden = {.duplicate.size = (sizeof(GOLDEN_DUPLICATE) - 1) / 2,
		.seed.size = (sizeof(GOLDEN_SEED) - 1) / 2};
	uint8_t public[88], child_d[32];
	TPMT_SENSITIVE sensitive;
	struct kt_error e;

	point->x.size = point->y.size = 32;
	cr_assert_eq(kt_hex_decode(GOLDEN_PARENT_X, point->x.buffer, 32, &e), 0);
	cr_assert_eq(kt_hex_decode(GOLDEN_PARENT_Y, point->y.buffer, 32, &e), 0);
	cr_assert_eq(kt_hex_decode(GOLDEN_PUBLIC, public, sizeof(public), &e), 0);
	cr_assert_eq(kt_public_unmarshal(public, sizeof(public), &golden.public, &e), 0);
	cr_assert_eq(
		kt_hex_decode(GOLDEN_DUPLICATE, golden.duplicate.buffer, golden.duplicate.size, &e),
		0);
	cr_assert_eq(kt_hex_decode(GOLDEN_SEED, golden.seed.secret, golden.seed.size, &e), 0);
	cr_assert_eq(kt_hex_decode(GOLDEN_CHILD_D, child_d, 32, &e), 0);
	cr_assert(unwrap(&parent, private, &golden, &sensitive));
	cr_expect_eq(sensitive.sensitiveType, TPM2_ALG_ECC);
	cr_expect_eq(sensitive.sensitive.ecc.size, 32);
	cr_expect_arr_eq(sensitive.sensitive.ecc.buffer, child_d, 32);
	EVP_PKEY_free(private);
}
