/* SPDX-License-Identifier: Apache-2.0 */
#include "modules/cred-attested/request.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "lib/certificate.h"
#include "lib/tpm-pkey.h"

#define NAME_MAX_CHARS 253
#define PEM_MAX_BYTES 65536

static bool set_subject(X509_REQ *request, const char *name)
{
	X509_NAME *subject = X509_REQ_get_subject_name(request);
	char common_name[16 + NAME_MAX_CHARS];
	int len = snprintf(common_name, sizeof(common_name), "system:node:%s", name);

	return len > 0 && (size_t)len < sizeof(common_name) &&
	       X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
		       (const unsigned char *)"system:nodes", -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
		       (const unsigned char *)common_name, len, -1, 0) == 1;
}

int request_make(const char *name, EVP_PKEY **ret_key, uint8_t **ret_der, size_t *ret_len,
	struct kt_error *e)
{
	auto_evp_pkey EVP_PKEY *key = EVP_EC_gen("P-256");
	auto_x509_req X509_REQ *request = X509_REQ_new();
	unsigned char *der = NULL;
	int len;

	if (key == NULL || request == NULL || X509_REQ_set_version(request, 0) != 1 ||
		!set_subject(request, name) || X509_REQ_set_pubkey(request, key) != 1 ||
		X509_REQ_sign(request, key, EVP_sha256()) <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "the request cannot be made");
	len = i2d_X509_REQ(request, &der);
	if (len <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "the request cannot be encoded");
	*ret_der = malloc((size_t)len);
	if (*ret_der != NULL)
		memcpy(*ret_der, der, (size_t)len);
	OPENSSL_free(der);
	if (*ret_der == NULL)
		return kt_fail_memory(e);
	*ret_len = (size_t)len;
	*ret_key = kt_take(key);
	return 0;
}

int request_join(
	EVP_PKEY *key, const char *certificate, struct kt_secret **ret_pem, struct kt_error *e)
{
	auto_secret struct kt_secret *pem = NULL;
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text;
	long len;
	int status = -1;

	if (bio == NULL)
		return kt_fail_memory(e);
	if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		kt_fail_ssl(e, KT_E_INTERNAL, "the key cannot be written");
	else if (kt_secret_new(PEM_MAX_BYTES, &pem, e) == 0 &&
		 (len = BIO_get_mem_data(bio, &text)) > 0 &&
		 kt_secret_append(pem, text, (size_t)len, e) == 0 &&
		 kt_secret_append(pem, certificate, strlen(certificate), e) == 0)
		status = 0;
	BIO_free(bio);
	if (status == 0)
		*ret_pem = kt_take(pem);
	return status;
}
