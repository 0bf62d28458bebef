/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public areas, in both directions and as Names. libtss2-mu does the field work, but not the
 * framing: its TPM2B_PUBLIC unmarshaller drops the result of the inner one and never compares the
 * two lengths (as of 3.2.1), so the size prefix is judged here. What was read must also marshal to
 * the very same bytes, because a Name is computed from the structure and not from the input.
 */
#include "lib/tpm-public.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <tss2/tss2_mu.h>

#include "lib/auto.h"
#include "lib/hex.h"

static const struct {
	TPMI_ALG_HASH alg;
	const char *openssl_name;
	size_t size;
} hashes[] = {
	{TPM2_ALG_SHA1, "SHA1", TPM2_SHA1_DIGEST_SIZE},
	{TPM2_ALG_SHA256, "SHA256", TPM2_SHA256_DIGEST_SIZE},
	{TPM2_ALG_SHA384, "SHA384", TPM2_SHA384_DIGEST_SIZE},
	{TPM2_ALG_SHA512, "SHA512", TPM2_SHA512_DIGEST_SIZE},
};

/* TCG EK Credential Profile 2.5, B.4.5 (H-2) and B.4.4 (H-1). fixedTPM, fixedParent,
 * sensitiveDataOrigin, userWithAuth, noDA, restricted, decrypt: 0x00030472, as the TCG Provisioning
 * Guidance asks of a storage root key. */
#define SRK_ATTRIBUTES                                                                             \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
		TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |             \
		TPMA_OBJECT_DECRYPT)

#define SRK_SYMMETRIC                                                                              \
	{                                                                                          \
		.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB            \
	}

const TPM2B_PUBLIC kt_template_srk_ecc = {
	.publicArea.type = TPM2_ALG_ECC,
	.publicArea.nameAlg = TPM2_ALG_SHA256,
	.publicArea.objectAttributes = SRK_ATTRIBUTES,
	.publicArea.parameters.eccDetail.symmetric = SRK_SYMMETRIC,
	.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL,
	.publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256,
	.publicArea.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL,
};

const TPM2B_PUBLIC kt_template_srk_rsa = {
	.publicArea.type = TPM2_ALG_RSA,
	.publicArea.nameAlg = TPM2_ALG_SHA256,
	.publicArea.objectAttributes = SRK_ATTRIBUTES,
	.publicArea.parameters.rsaDetail.symmetric = SRK_SYMMETRIC,
	.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL,
	.publicArea.parameters.rsaDetail.keyBits = 2048,
	.publicArea.parameters.rsaDetail.exponent = 0, /* 65537 */
};

size_t kt_hash_size(TPMI_ALG_HASH alg)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (hashes[i].alg == alg)
			return hashes[i].size;
	return 0;
}

const char *kt_hash_openssl_name(TPMI_ALG_HASH alg)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (hashes[i].alg == alg)
			return hashes[i].openssl_name;
	return NULL;
}

KT_AUTO(md_ctx, EVP_MD_CTX *, EVP_MD_CTX_free)

int kt_hash(TPMI_ALG_HASH alg, const struct kt_span *spans, size_t count, TPM2B_DIGEST *ret_digest,
	struct kt_error *e)
{
	__attribute__((cleanup(kt_auto_md_ctx))) EVP_MD_CTX *ctx = NULL;
	const char *name = kt_hash_openssl_name(alg);
	unsigned size = 0;
	TPM2B_DIGEST digest = {0};

	if (name == NULL)
		return kt_fail(e, KT_E_INPUT, "unknown hash algorithm 0x%04x", alg);
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return kt_fail_memory(e);
	if (EVP_DigestInit_ex(ctx, EVP_get_digestbyname(name), NULL) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "%s", name);
	for (size_t i = 0; i < count; i++)
		if (EVP_DigestUpdate(ctx, spans[i].data, spans[i].len) != 1)
			return kt_fail_ssl(e, KT_E_INTERNAL, "%s", name);
	if (EVP_DigestFinal_ex(ctx, digest.buffer, &size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "%s", name);
	digest.size = (UINT16)size;
	*ret_digest = digest;
	return 0;
}

int kt_public_marshal(
	const TPM2B_PUBLIC *public, uint8_t *ret_data, size_t *ret_len, struct kt_error *e)
{
	uint8_t data[sizeof(TPM2B_PUBLIC)];
	size_t len = 0;

	/* The size member is what libtss2-mu overwrites with the real size. */
	if (Tss2_MU_TPM2B_PUBLIC_Marshal(public, data, sizeof(data), &len) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "public area of type 0x%04x cannot be marshalled",
			public->publicArea.type);
	memcpy(ret_data, data, len);
	*ret_len = len;
	return 0;
}

int kt_public_unmarshal(
	const uint8_t *data, size_t len, TPM2B_PUBLIC *ret_public, struct kt_error *e)
{
	TPM2B_PUBLIC public;
	uint8_t again[sizeof(TPM2B_PUBLIC)];
	size_t offset = 0, again_len = 0;

	memset(&public, 0, sizeof(public));
	if (len <= 2 || len > sizeof(public))
		return kt_fail(e, KT_E_INPUT, "a public area cannot have %zu bytes", len);
	if ((size_t)(data[0] << 8 | data[1]) != len - 2)
		return kt_fail(e, KT_E_INPUT, "size prefix of the public area is wrong");
	if (Tss2_MU_TPMT_PUBLIC_Unmarshal(data + 2, len - 2, &offset, &public.publicArea) !=
		TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INPUT, "damaged public area");
	if (offset != len - 2)
		return kt_fail(e, KT_E_INPUT, "bytes behind the public area");
	public.size = (UINT16)(len - 2);
	if (Tss2_MU_TPM2B_PUBLIC_Marshal(&public, again, sizeof(again), &again_len) !=
			TSS2_RC_SUCCESS ||
		again_len != len || memcmp(again, data, len) != 0)
		return kt_fail(e, KT_E_INPUT, "public area is not in canonical form");
	*ret_public = public;
	return 0;
}

int kt_public_name(const TPM2B_PUBLIC *public, TPM2B_NAME *ret_name, struct kt_error *e)
{
	TPMI_ALG_HASH alg = public->publicArea.nameAlg;
	uint8_t data[sizeof(TPMT_PUBLIC)];
	size_t len = 0;
	struct kt_span span = {data, 0};
	TPM2B_DIGEST digest;
	TPM2B_NAME name = {0};

	if (kt_hash_size(alg) == 0)
		return kt_fail(e, KT_E_INPUT, "unknown name algorithm 0x%04x", alg);
	if (Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, data, sizeof(data), &len) !=
		TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INPUT, "public area of type 0x%04x cannot be marshalled",
			public->publicArea.type);
	span.len = len;
	if (kt_hash(alg, &span, 1, &digest, e) < 0)
		return -1;
	name.name[0] = (BYTE)(alg >> 8);
	name.name[1] = (BYTE)alg;
	memcpy(name.name + 2, digest.buffer, digest.size);
	name.size = (UINT16)(2 + digest.size);
	*ret_name = name;
	return 0;
}

void kt_name_format(const TPM2B_NAME *name, char ret_text[KT_NAME_TEXT_MAX])
{
	size_t len = name->size;

	if (len > sizeof(TPMT_HA))
		len = sizeof(TPMT_HA);
	kt_hex_encode(name->name, len, ret_text);
}

int kt_name_parse(const char *text, TPM2B_NAME *ret_name, struct kt_error *e)
{
	TPM2B_NAME name = {0};
	size_t digits = strlen(text), hash_size;

	if (digits < 4 || digits >= KT_NAME_TEXT_MAX)
		return kt_fail(e, KT_E_INPUT, "a Name cannot have %zu digits", digits);
	if (kt_hex_decode(text, name.name, digits / 2, e) < 0)
		return kt_wrap(e, "Name");
	name.size = (UINT16)(digits / 2);
	hash_size = kt_hash_size((TPMI_ALG_HASH)(name.name[0] << 8 | name.name[1]));
	if (hash_size == 0 || name.size != 2 + hash_size)
		return kt_fail(e, KT_E_INPUT, "Name does not fit its hash algorithm 0x%02x%02x",
			name.name[0], name.name[1]);
	*ret_name = name;
	return 0;
}

bool kt_name_equal(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
	return a->size == b->size && a->size != 0 && a->size <= sizeof(a->name) &&
	       CRYPTO_memcmp(a->name, b->name, a->size) == 0;
}

static int check_storage_parameters(
	const TPMT_SYM_DEF_OBJECT *symmetric, TPM2_ALG_ID scheme, struct kt_error *e)
{
	if (symmetric->algorithm != TPM2_ALG_AES || symmetric->mode.aes != TPM2_ALG_CFB)
		return kt_fail(e, KT_E_REFUSED,
			"not a storage key: protects its children with "
			"something other than AES-CFB");
	if (symmetric->keyBits.aes != 128 && symmetric->keyBits.aes != 256)
		return kt_fail(e, KT_E_REFUSED, "not a storage key: AES with %u bits",
			symmetric->keyBits.aes);
	if (scheme != TPM2_ALG_NULL)
		return kt_fail(e, KT_E_REFUSED, "not a storage key: has scheme 0x%04x", scheme);
	return 0;
}

/* Part 1, 23.3.2.3 and Part 2, 8.3: only a restricted decryption key is a parent; fixedTPM and
 * sensitiveDataOrigin say that its private part has never been outside a TPM. */
int kt_public_check_storage_key(const TPM2B_PUBLIC *public, struct kt_error *e)
{
	static const struct {
		TPMA_OBJECT bit;
		const char *name;
	} wanted[] = {
		{TPMA_OBJECT_RESTRICTED, "restricted"},
		{TPMA_OBJECT_DECRYPT, "decrypt"},
		{TPMA_OBJECT_FIXEDTPM, "fixedTPM"},
		{TPMA_OBJECT_FIXEDPARENT, "fixedParent"},
		{TPMA_OBJECT_SENSITIVEDATAORIGIN, "sensitiveDataOrigin"},
	};
	const TPMT_PUBLIC *area = &public->publicArea;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if ((area->objectAttributes & wanted[i].bit) == 0)
			return kt_fail(e, KT_E_REFUSED, "not a storage key of a TPM: %s is clear",
				wanted[i].name);
	if ((area->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0)
		return kt_fail(e, KT_E_REFUSED, "not a storage key: sign is set");
	if (kt_hash_size(area->nameAlg) == 0)
		return kt_fail(e, KT_E_REFUSED, "storage key has unknown name algorithm 0x%04x",
			area->nameAlg);
	if (area->type == TPM2_ALG_ECC)
		return check_storage_parameters(&area->parameters.eccDetail.symmetric,
			area->parameters.eccDetail.scheme.scheme, e);
	if (area->type == TPM2_ALG_RSA)
		return check_storage_parameters(&area->parameters.rsaDetail.symmetric,
			area->parameters.rsaDetail.scheme.scheme, e);
	return kt_fail(e, KT_E_REFUSED, "not a storage key: type 0x%04x is neither ECC nor RSA",
		area->type);
}

bool kt_public_is_sealed_data(const TPM2B_PUBLIC *public)
{
	const TPMT_PUBLIC *area = &public->publicArea;

	return area->type == TPM2_ALG_KEYEDHASH &&
	       area->parameters.keyedHashDetail.scheme.scheme == TPM2_ALG_NULL &&
	       (area->objectAttributes & (TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT)) == 0;
}
