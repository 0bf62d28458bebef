/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of kms-tpm, over OpenSSL. The labels keep apart what is derived from one value for two
 * uses; they are part of the format and never change.
 */
#include "lib/kms-record.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "lib/b64.h"
#include "lib/hkdf.h"
#include "lib/jwe.h"
#include "lib/jwk.h"

#define LABEL_KEY "kubetpm.internal/kms-record/1/key"
#define LABEL_CONTENT "kubetpm.internal/kms-record/1/content"

#define IV_BYTES 12
#define TAG_BYTES 16
#define AES_BYTES 32
#define AAD_BYTES 32
#define THUMBPRINT_BYTES 32
#define RECOVERY_FORMAT 1

_Static_assert(IV_BYTES + TAG_BYTES == KT_RECORD_OVERHEAD_BYTES, "IV and tag");
_Static_assert(1 + THUMBPRINT_BYTES + 2 * KT_P256_COORD_BYTES + KT_JWE_WRAPPED_BYTES ==
		       KT_RECORD_RECOVERY_BYTES,
	"format, thumbprint, point, wrapped key");
_Static_assert(KT_RECORD_KEY_BYTES == KT_JWE_CEK_BYTES, "a record's key can be wrapped");

KT_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
#define auto_cipher_ctx __attribute__((cleanup(kt_auto_cipher_ctx)))

/* What a record's key expands to; on the stack, wiped after use. */
struct content {
	uint8_t aes[AES_BYTES];
	uint8_t aad[AAD_BYTES];
};

int kt_record_new_id(uint8_t ret_id[KT_RECORD_ID_BYTES], struct kt_error *e)
{
	if (RAND_bytes(ret_id, KT_RECORD_ID_BYTES) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	return 0;
}

int kt_record_key(const uint8_t hmac[KT_RECORD_HMAC_BYTES], const struct kt_secret *pepper,
	const uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *key, struct kt_error *e)
{
	uint8_t material[2 * KT_RECORD_HMAC_BYTES];
	uint8_t info[sizeof(LABEL_KEY) - 1 + KT_RECORD_ID_BYTES];
	int status;

	if (kt_secret_len(pepper) != sizeof(material) - KT_RECORD_HMAC_BYTES)
		return kt_fail(e, KT_E_INPUT, "the pepper has %zu bytes", kt_secret_len(pepper));
	if (kt_secret_capacity(key) < KT_RECORD_KEY_BYTES)
		return kt_fail(e, KT_E_INTERNAL, "no room for a record's key");
	memcpy(info, LABEL_KEY, sizeof(LABEL_KEY) - 1);
	memcpy(info + sizeof(LABEL_KEY) - 1, id, KT_RECORD_ID_BYTES);
	memcpy(material, hmac, KT_RECORD_HMAC_BYTES);
	memcpy(material + KT_RECORD_HMAC_BYTES, kt_secret_bytes(pepper), kt_secret_len(pepper));
	status = kt_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, material, sizeof(material), info,
		sizeof(info), kt_secret_buffer(key), KT_RECORD_KEY_BYTES, e);
	OPENSSL_cleanse(material, sizeof(material));
	if (status < 0)
		return -1;
	kt_secret_set_len(key, KT_RECORD_KEY_BYTES);
	return 0;
}

static int expand(const struct kt_secret *key, struct content *ret_content, struct kt_error *e)
{
	static const uint8_t info[] = LABEL_CONTENT;

	if (kt_secret_len(key) != KT_RECORD_KEY_BYTES)
		return kt_fail(e, KT_E_INPUT, "a record's key has %zu bytes", kt_secret_len(key));
	return kt_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, kt_secret_bytes(key), KT_RECORD_KEY_BYTES,
		info, sizeof(info) - 1, (uint8_t *)ret_content, sizeof(*ret_content), e);
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct content *content, struct kt_span bound,
	const void *plaintext, int len, uint8_t *record)
{
	int n;

	return EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), content->aes, record, NULL) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, content->aad, AAD_BYTES) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, bound.data, (int)bound.len) == 1 &&
	       EVP_EncryptUpdate(ctx, record + IV_BYTES, &n, plaintext, len) == 1 && n == len &&
	       EVP_EncryptFinal_ex(ctx, record + IV_BYTES + len, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(
		       ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, record + IV_BYTES + len) == 1;
}

int kt_record_seal(const struct kt_secret *key, struct kt_span bound, const void *plaintext,
	size_t len, uint8_t *ret_record, struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct content content;
	bool ok;

	if (ctx == NULL)
		return kt_fail_memory(e);
	if (len == 0 || len > KT_SECRET_MAX_BYTES || bound.len > KT_RECORD_RECOVERY_BYTES)
		return kt_fail(e, KT_E_INPUT, "a plaintext of %zu bytes", len);
	if (expand(key, &content, e) < 0)
		return -1;
	ok = RAND_bytes(ret_record, IV_BYTES) == 1 &&
	     encrypt(ctx, &content, bound, plaintext, (int)len, ret_record);
	OPENSSL_cleanse(&content, sizeof(content));
	return ok ? 0 : kt_fail_ssl(e, KT_E_INTERNAL, "AES-256-GCM encryption failed");
}

/* All but the verdict. */
static bool decrypt(EVP_CIPHER_CTX *ctx, const struct content *content, struct kt_span bound,
	const uint8_t *record, int len, uint8_t *out)
{
	uint8_t tag[TAG_BYTES];
	int n;

	memcpy(tag, record + IV_BYTES + len, TAG_BYTES);
	return EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), content->aes, record, NULL) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, content->aad, AAD_BYTES) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, bound.data, (int)bound.len) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, record + IV_BYTES, len) == 1 && n == len &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1;
}

/* What a wrong tag would have opened is wiped. */
static int finish(EVP_CIPHER_CTX *ctx, struct kt_secret *plaintext, size_t len, struct kt_error *e)
{
	uint8_t *bytes = kt_secret_buffer(plaintext);
	int n;

	if (EVP_DecryptFinal_ex(ctx, bytes + len, &n) != 1) {
		OPENSSL_cleanse(bytes, len);
		return kt_fail(e, KT_E_REFUSED,
			"the record does not verify: it was changed, or is of another key, cluster "
			"or key_id");
	}
	kt_secret_set_len(plaintext, len);
	return 0;
}

int kt_record_open(const struct kt_secret *key, struct kt_span bound, const uint8_t *record,
	size_t len, struct kt_secret *plaintext, struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct content content;
	size_t text_len;
	bool ok;

	if (ctx == NULL)
		return kt_fail_memory(e);
	kt_secret_set_len(plaintext, 0);
	if (len <= KT_RECORD_OVERHEAD_BYTES || bound.len > KT_RECORD_RECOVERY_BYTES ||
		len - KT_RECORD_OVERHEAD_BYTES > kt_secret_capacity(plaintext))
		return kt_fail(e, KT_E_REFUSED, "a ciphertext of %zu bytes is none of ours", len);
	text_len = len - KT_RECORD_OVERHEAD_BYTES;
	if (expand(key, &content, e) < 0)
		return -1;
	ok = decrypt(ctx, &content, bound, record, (int)text_len, kt_secret_buffer(plaintext));
	OPENSSL_cleanse(&content, sizeof(content));
	if (!ok)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-256-GCM decryption failed");
	return finish(ctx, plaintext, text_len, e);
}

static int thumbprint(const EVP_PKEY *key, uint8_t ret_kid[THUMBPRINT_BYTES], struct kt_error *e)
{
	char text[KT_JWK_THUMBPRINT_SIZE];
	auto_free uint8_t *kid = NULL;
	size_t len;

	if (kt_jwk_thumbprint(key, text, e) < 0 ||
		kt_b64url_decode(text, strlen(text), &kid, &len, e) < 0)
		return -1;
	if (len != THUMBPRINT_BYTES)
		return kt_fail(e, KT_E_INTERNAL, "a thumbprint of %zu bytes", len);
	memcpy(ret_kid, kid, THUMBPRINT_BYTES);
	return 0;
}

int kt_record_wrap(EVP_PKEY *recovery, const struct kt_secret *key,
	uint8_t ret_wrapped[KT_RECORD_RECOVERY_BYTES], struct kt_error *e)
{
	auto_pkey EVP_PKEY *epk = NULL;
	uint8_t wrapped[KT_RECORD_RECOVERY_BYTES] = {RECOVERY_FORMAT};
	uint8_t *point = wrapped + 1 + THUMBPRINT_BYTES;

	if (thumbprint(recovery, wrapped + 1, e) < 0 ||
		kt_jwe_wrap(recovery, key, &epk, point + 2 * KT_P256_COORD_BYTES, e) < 0 ||
		kt_p256_point(epk, point, e) < 0)
		return -1;
	memcpy(ret_wrapped, wrapped, sizeof(wrapped));
	return 0;
}

int kt_record_unwrap(EVP_PKEY *private_key, const uint8_t *wrapped, size_t len,
	struct kt_secret **ret_key, struct kt_error *e)
{
	auto_pkey EVP_PKEY *epk = NULL;
	uint8_t kid[THUMBPRINT_BYTES];
	const uint8_t *point;

	if (len != KT_RECORD_RECOVERY_BYTES || wrapped[0] != RECOVERY_FORMAT)
		return kt_fail(e, KT_E_INPUT, "the wrapped key is malformed");
	if (thumbprint(private_key, kid, e) < 0)
		return -1;
	if (memcmp(wrapped + 1, kid, sizeof(kid)) != 0)
		return kt_fail(e, KT_E_INPUT, "wrapped to another recovery key");
	point = wrapped + 1 + THUMBPRINT_BYTES;
	if (kt_p256_from_point(point, &epk, e) < 0)
		return -1;
	return kt_jwe_unwrap(private_key, epk, point + 2 * KT_P256_COORD_BYTES, ret_key, e);
}
