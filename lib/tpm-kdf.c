/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both functions are OpenSSL's with the TPM's habits: a label counts with its NUL. In KDFa that NUL
 * is the separator octet which SP800-108 asks for, so OpenSSL adds it; in KDFe it is part of the
 * fixed information.
 */
#include "lib/tpm-kdf.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "lib/auto.h"

#define KDFE_INFO_MAX 256

KT_AUTO(kdf, EVP_KDF *, EVP_KDF_free)
KT_AUTO(kdf_ctx, EVP_KDF_CTX *, EVP_KDF_CTX_free)

static int derive(const char *name, const OSSL_PARAM params[], uint8_t *ret_key, size_t len,
	struct kt_error *e)
{
	__attribute__((cleanup(kt_auto_kdf))) EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	__attribute__((cleanup(kt_auto_kdf_ctx))) EVP_KDF_CTX *ctx = NULL;

	if (kdf != NULL)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx == NULL || EVP_KDF_derive(ctx, ret_key, len, params) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "%s", name);
	return 0;
}

/* OSSL_PARAM has no const members; OpenSSL only reads what is set. */
static OSSL_PARAM octets(const char *name, struct kt_span span)
{
	return (OSSL_PARAM)OSSL_PARAM_octet_string(name, (void *)(uintptr_t)span.data, span.len);
}

static OSSL_PARAM text(const char *name, const char *value)
{
	return (OSSL_PARAM)OSSL_PARAM_utf8_string(name, (void *)(uintptr_t)value, strlen(value));
}

int kt_kdfa(TPMI_ALG_HASH alg, struct kt_span key, const char *label, struct kt_span context,
	uint8_t *ret_key, size_t len, struct kt_error *e)
{
	const char *digest = kt_hash_openssl_name(alg);

	if (digest == NULL)
		return kt_fail(e, KT_E_INTERNAL, "unknown hash algorithm 0x%04x", alg);
	OSSL_PARAM params[] = {
		text(OSSL_KDF_PARAM_MODE, "counter"),
		text(OSSL_KDF_PARAM_MAC, "HMAC"),
		text(OSSL_KDF_PARAM_DIGEST, digest),
		octets(OSSL_KDF_PARAM_KEY, key),
		octets(OSSL_KDF_PARAM_SALT, (struct kt_span){label, strlen(label)}),
		octets(OSSL_KDF_PARAM_INFO, context),
		OSSL_PARAM_END,
	};
	return derive("KBKDF", params, ret_key, len, e);
}

int kt_kdfe(TPMI_ALG_HASH alg, struct kt_span z, const char *label, struct kt_span party_u,
	struct kt_span party_v, uint8_t *ret_key, size_t len, struct kt_error *e)
{
	struct kt_span parts[] = {{label, strlen(label) + 1}, party_u, party_v};
	const char *digest = kt_hash_openssl_name(alg);
	uint8_t info[KDFE_INFO_MAX];
	size_t info_len = 0;

	if (digest == NULL)
		return kt_fail(e, KT_E_INTERNAL, "unknown hash algorithm 0x%04x", alg);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].len > sizeof(info) - info_len)
			return kt_fail(e, KT_E_INTERNAL, "oversized party information");
		memcpy(info + info_len, parts[i].data, parts[i].len);
		info_len += parts[i].len;
	}
	OSSL_PARAM params[] = {
		text(OSSL_KDF_PARAM_DIGEST, digest),
		octets(OSSL_KDF_PARAM_KEY, z),
		octets(OSSL_KDF_PARAM_INFO, (struct kt_span){info, info_len}),
		OSSL_PARAM_END,
	};
	return derive("SSKDF", params, ret_key, len, e);
}
