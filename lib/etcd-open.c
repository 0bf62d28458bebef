/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the recovery key to the record's key, from that to the API server's seed or key, and from
 * that to the resource.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "lib/etcd-record.h"
#include "lib/hkdf.h"
#include "lib/kms-record.h"

#define DEK_BYTES 32
#define INFO_BYTES 32 /* in front of the data, for a seed */
#define IV_BYTES 12
#define TAG_BYTES 16

KT_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
#define auto_cipher_ctx __attribute__((cleanup(kt_auto_cipher_ctx)))

static const struct kt_kms_annotation *find(const struct kt_etcd_record *record, const char *name)
{
	const struct kt_kms_record *kms = &record->kms.record;

	for (size_t i = 0; i < kms->annotation_count; i++)
		if (strcmp(kms->annotations[i].name, name) == 0)
			return &kms->annotations[i];
	return NULL;
}

bool kt_etcd_record_is_recoverable(const struct kt_etcd_record *record)
{
	return find(record, KT_RECORD_ANNOTATION_RECOVERY) != NULL;
}

/* What the API server gave to be encrypted. */
static int open_kms(const struct kt_etcd_record *record, EVP_PKEY *private_key,
	struct kt_secret **ret_source, struct kt_error *e)
{
	const struct kt_kms_annotation *wrapped = find(record, KT_RECORD_ANNOTATION_RECOVERY);
	const struct kt_bytes *ciphertext = &record->kms.record.ciphertext;
	auto_secret struct kt_secret *key = NULL, *source = NULL;

	if (wrapped == NULL)
		return kt_fail(e, KT_E_INPUT,
			"made without a recovery key: kms.conf had no line 'recovery' when it was "
			"written, and only its TPM opens it");
	if (kt_record_unwrap(private_key, wrapped->value.data, wrapped->value.len, &key, e) < 0 ||
		kt_secret_new(KT_KMS_CIPHERTEXT_MAX_BYTES, &source, e) < 0)
		return -1;
	if (kt_record_open(key, (struct kt_span){wrapped->value.data, wrapped->value.len},
		    ciphertext->data, ciphertext->len, source, e) < 0)
		return -1;
	if (kt_secret_len(source) != DEK_BYTES)
		return kt_fail(e, KT_E_INPUT, "what the API server encrypted has %zu bytes, not %d",
			kt_secret_len(source), DEK_BYTES);
	*ret_source = kt_take(source);
	return 0;
}

static int fail_changed(struct kt_error *e)
{
	return kt_fail(e, KT_E_REFUSED,
		"does not verify: it was changed, or is not what was kept under this path");
}

/* IV ‖ ciphertext ‖ tag, with the path as associated data. */
static int open_gcm(const uint8_t key[DEK_BYTES], struct kt_span data, const char *path,
	struct kt_secret **ret_plaintext, struct kt_error *e)
{
	auto_cipher_ctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	auto_secret struct kt_secret *plaintext = NULL;
	const uint8_t *in = data.data;
	uint8_t tag[TAG_BYTES];
	size_t len;
	int n = 0;

	if (ctx == NULL)
		return kt_fail_memory(e);
	if (data.len <= IV_BYTES + TAG_BYTES)
		return kt_fail(e, KT_E_INPUT, "%zu bytes of data are too few", data.len);
	len = data.len - IV_BYTES - TAG_BYTES;
	memcpy(tag, in + IV_BYTES + len, TAG_BYTES);
	if (kt_secret_new(len, &plaintext, e) < 0)
		return -1;
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, in) != 1 ||
		EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)path, (int)strlen(path)) != 1 ||
		EVP_DecryptUpdate(ctx, kt_secret_buffer(plaintext), &n, in + IV_BYTES, (int)len) !=
			1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "AES-GCM");
	if (EVP_DecryptFinal_ex(ctx, (uint8_t *)kt_secret_buffer(plaintext) + len, &n) != 1)
		return fail_changed(e);
	kt_secret_set_len(plaintext, len);
	*ret_plaintext = kt_take(plaintext);
	return 0;
}

/* aes_extended_nonce.go: the key is expanded from the seed, with 32 bytes in front for info. */
static int open_seed(const struct kt_secret *seed, struct kt_span data, const char *path,
	struct kt_secret **ret_plaintext, struct kt_error *e)
{
	const uint8_t *bytes = data.data;
	uint8_t key[DEK_BYTES];
	int status;

	if (data.len <= INFO_BYTES)
		return kt_fail(e, KT_E_INPUT, "%zu bytes of data are too few", data.len);
	status = kt_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, kt_secret_bytes(seed), DEK_BYTES, bytes,
		INFO_BYTES, key, sizeof(key), e);
	if (status == 0)
		status = open_gcm(key, (struct kt_span){bytes + INFO_BYTES, data.len - INFO_BYTES},
			path, ret_plaintext, e);
	OPENSSL_cleanse(key, sizeof(key));
	return status;
}

int kt_etcd_record_open(const struct kt_etcd_record *record, EVP_PKEY *private_key,
	const char *path, struct kt_secret **ret_plaintext, struct kt_error *e)
{
	auto_secret struct kt_secret *source = NULL;

	if (open_kms(record, private_key, &source, e) < 0)
		return -1;
	if (record->source == KT_ETCD_HKDF_SEED)
		return open_seed(source, record->data, path, ret_plaintext, e);
	return open_gcm(kt_secret_bytes(source), record->data, path, ret_plaintext, e);
}
