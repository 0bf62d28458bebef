/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWE cryptography over OpenSSL. The Concat KDF of ECDH-ES (RFC 7518, 4.6.2) is one SHA-256 block
 * here, because A256KW wants exactly 256 bits.
 */
#include "lib/jwe.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rand.h>

#include "lib/jwk.h"

KT_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
#define auto_cipher_ctx __attribute__((cleanup(kt_auto_cipher_ctx)))
KT_AUTO(derive_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
#define auto_derive_ctx __attribute__((cleanup(kt_auto_derive_ctx)))

#define ECDH_Z_BYTES 32
#define KEK_BYTES 32

int kt_jwe_new_cek(struct kt_secret **ret_cek, struct kt_error *e)
{
	auto_secret struct kt_secret *cek = NULL;

	if (kt_secret_new(KT_JWE_CEK_BYTES, &cek, e) < 0)
		return -1;
	if (RAND_priv_bytes(kt_secret_buffer(cek), KT_JWE_CEK_BYTES) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	kt_secret_set_len(cek, KT_JWE_CEK_BYTES);
	*ret_cek = kt_take(cek);
	return 0;
}

static int check_cek(const struct kt_secret *cek, struct kt_error *e)
{
	if (kt_secret_len(cek) != KT_JWE_CEK_BYTES)
		return kt_fail(e, KT_E_INPUT, "content key is not %d bytes", KT_JWE_CEK_BYTES);
	return 0;
}

int kt_jwe_encrypt(const struct kt_secret *cek, const char *aad, const struct kt_secret *plaintext,
	uint8_t ret_iv[KT_JWE_IV_BYTES], uint8_t **ret_ciphertext,
	uint8_t ret_tag[KT_JWE_TAG_BYTES], struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	auto_free uint8_t *out = malloc(kt_secret_len(plaintext) + 1);
	int len = (int)kt_secret_len(plaintext), n;

	if (ctx == NULL || out == NULL)
		return kt_fail_memory(e);
	if (check_cek(cek, e) < 0)
		return -1;
	if (RAND_bytes(ret_iv, KT_JWE_IV_BYTES) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	if (EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), kt_secret_bytes(cek), ret_iv, NULL) != 1 ||
		EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) != 1 ||
		EVP_EncryptUpdate(ctx, out, &n, kt_secret_bytes(plaintext), len) != 1 || n != len ||
		EVP_EncryptFinal_ex(ctx, out + n, &n) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KT_JWE_TAG_BYTES, ret_tag) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-256-GCM encryption failed");
	*ret_ciphertext = kt_take(out);
	return 0;
}

int kt_jwe_decrypt(const struct kt_secret *cek, const char *aad, const uint8_t iv[KT_JWE_IV_BYTES],
	const uint8_t *ciphertext, size_t len, const uint8_t tag[KT_JWE_TAG_BYTES],
	struct kt_secret **ret_plaintext, struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	auto_secret struct kt_secret *plaintext = NULL;
	uint8_t tag_copy[KT_JWE_TAG_BYTES];
	uint8_t *out;
	int n;

	if (ctx == NULL)
		return kt_fail_memory(e);
	if (len == 0 || len > KT_SECRET_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "ciphertext of %zu bytes", len);
	if (check_cek(cek, e) < 0 || kt_secret_new(len, &plaintext, e) < 0)
		return -1;
	out = kt_secret_buffer(plaintext);
	memcpy(tag_copy, tag, sizeof(tag_copy));
	if (EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), kt_secret_bytes(cek), iv, NULL) != 1 ||
		EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) != 1 ||
		EVP_DecryptUpdate(ctx, out, &n, ciphertext, (int)len) != 1 || n != (int)len ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KT_JWE_TAG_BYTES, tag_copy) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-256-GCM decryption failed");
	if (EVP_DecryptFinal_ex(ctx, out + n, &n) != 1) {
		return kt_fail(e, KT_E_INPUT,
			"content does not verify: the file was changed, or put together from two");
	}
	kt_secret_set_len(plaintext, len);
	*ret_plaintext = kt_take(plaintext);
	return 0;
}

static void put_be32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

/* SHA-256(round 1 ‖ Z ‖ len-prefixed AlgorithmID ‖ empty PartyUInfo ‖ empty PartyVInfo ‖
 * keydatalen). */
static int concat_kdf(const uint8_t z[ECDH_Z_BYTES], uint8_t ret_kek[KEK_BYTES], struct kt_error *e)
{
	static const char alg[] = KT_JWE_ALG_RECOVERY;
	uint8_t input[4 + ECDH_Z_BYTES + 4 + sizeof(alg) - 1 + 4 + 4 + 4] = {0};
	uint8_t *p = input;
	int ok;

	put_be32(p, 1);
	memcpy(p += 4, z, ECDH_Z_BYTES);
	put_be32(p += ECDH_Z_BYTES, sizeof(alg) - 1);
	memcpy(p += 4, alg, sizeof(alg) - 1);
	p += sizeof(alg) - 1 + 4 + 4; /* both parties' info: length 0 */
	put_be32(p, KEK_BYTES * 8);
	ok = EVP_Digest(input, sizeof(input), ret_kek, NULL, EVP_sha256(), NULL);
	OPENSSL_cleanse(input, sizeof(input));
	return ok == 1 ? 0 : kt_fail_ssl(e, KT_E_INTERNAL, "key derivation failed");
}

static int agree(
	EVP_PKEY *private_key, EVP_PKEY *peer, uint8_t ret_kek[KEK_BYTES], struct kt_error *e)
{
	auto_derive_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, private_key, NULL);
	uint8_t z[ECDH_Z_BYTES];
	size_t len = sizeof(z);
	int status;

	if (ctx == NULL)
		return kt_fail_memory(e);
	if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
		EVP_PKEY_derive(ctx, z, &len) != 1 || len != sizeof(z))
		status = kt_fail_ssl(e, KT_E_INPUT, "key agreement failed");
	else
		status = concat_kdf(z, ret_kek, e);
	OPENSSL_cleanse(z, sizeof(z));
	return status;
}

int kt_jwe_wrap(EVP_PKEY *recipient, const struct kt_secret *cek, EVP_PKEY **ret_epk,
	uint8_t ret_wrapped[KT_JWE_WRAPPED_BYTES], struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	auto_pkey EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
	uint8_t kek[KEK_BYTES];
	int n, ok;

	if (ctx == NULL || ephemeral == NULL)
		return kt_fail_memory(e);
	if (check_cek(cek, e) < 0 || agree(ephemeral, recipient, kek, e) < 0)
		return -1;
	ok = EVP_EncryptInit_ex2(ctx, EVP_aes_256_wrap(), kek, NULL, NULL) == 1 &&
	     EVP_EncryptUpdate(ctx, ret_wrapped, &n, kt_secret_bytes(cek), KT_JWE_CEK_BYTES) == 1 &&
	     n == KT_JWE_WRAPPED_BYTES;
	OPENSSL_cleanse(kek, sizeof(kek));
	if (!ok)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES key wrap failed");
	*ret_epk = kt_take(ephemeral);
	return 0;
}

int kt_jwe_unwrap(EVP_PKEY *private_key, EVP_PKEY *epk, const uint8_t wrapped[KT_JWE_WRAPPED_BYTES],
	struct kt_secret **ret_cek, struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	auto_secret struct kt_secret *cek = NULL;
	uint8_t kek[KEK_BYTES], out[KT_JWE_WRAPPED_BYTES];
	int n, ok;

	if (ctx == NULL)
		return kt_fail_memory(e);
	if (kt_secret_new(KT_JWE_CEK_BYTES, &cek, e) < 0 || agree(private_key, epk, kek, e) < 0)
		return -1;
	ok = EVP_DecryptInit_ex2(ctx, EVP_aes_256_wrap(), kek, NULL, NULL) == 1 &&
	     EVP_DecryptUpdate(ctx, out, &n, wrapped, KT_JWE_WRAPPED_BYTES) == 1 &&
	     n == KT_JWE_CEK_BYTES;
	OPENSSL_cleanse(kek, sizeof(kek));
	if (ok) {
		memcpy(kt_secret_buffer(cek), out, KT_JWE_CEK_BYTES);
		kt_secret_set_len(cek, KT_JWE_CEK_BYTES);
	}
	OPENSSL_cleanse(out, sizeof(out));
	if (!ok)
		return kt_fail_ssl(e, KT_E_INPUT, "this recovery key does not open the file");
	*ret_cek = kt_take(cek);
	return 0;
}
