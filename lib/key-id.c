/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing names of keys. Not a bit of this may ever change: old records are found by it. */
#include "lib/key-id.h"

#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "lib/auto.h"
#include "lib/hex.h"

#define PREFIX "sha256:"
#define LABEL "kubetpm.kms.key-id"

KT_AUTO(md, EVP_MD_CTX *, EVP_MD_CTX_free)
#define auto_md __attribute__((cleanup(kt_auto_md)))

static int add(EVP_MD_CTX *md, const char *text)
{
	size_t len = strlen(text);
	const uint8_t prefix[4] = {
		(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	return EVP_DigestUpdate(md, prefix, sizeof(prefix)) == 1 &&
	       EVP_DigestUpdate(md, text, len) == 1;
}

static int finish(EVP_MD_CTX *md, char ret_text[KT_KMS_KEY_ID_SIZE], struct kt_error *e)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(md, digest, &len) != 1 || len != 32)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot hash a key's name");
	memcpy(ret_text, PREFIX, sizeof(PREFIX));
	kt_hex_encode(digest, len, ret_text + strlen(PREFIX));
	return 0;
}

int kt_key_id(
	const struct kt_key_id_parts *parts, char ret_id[KT_KMS_KEY_ID_SIZE], struct kt_error *e)
{
	auto_md EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 || !add(md, LABEL) ||
		!add(md, parts->cluster) || !add(md, parts->module) || !add(md, parts->key_name) ||
		!add(md, parts->version) || !add(md, parts->epoch))
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot hash a key's name");
	return finish(md, ret_id, e);
}

int kt_key_id_hash(const char *key_id, char ret_hash[KT_KMS_KEY_ID_SIZE], struct kt_error *e)
{
	auto_md EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
		EVP_DigestUpdate(md, key_id, strlen(key_id)) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot hash a key's name");
	return finish(md, ret_hash, e);
}
