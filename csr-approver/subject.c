/* SPDX-License-Identifier: Apache-2.0 */
#include "csr-approver/subject.h"

#include <string.h>

#include <openssl/x509.h>

#include "lib/audit-hash.h"
#include "lib/certificate.h"
#include "lib/jwk.h"

#define ORGANIZATION "system:nodes"
#define COMMON_NAME "system:node:"

/* One UTF8String or PrintableString of these bytes; NULL if it is another attribute. */
static const char *entry_text(const X509_NAME *name, int i, int nid, int *ret_len)
{
	const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);

	if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != nid ||
		(ASN1_STRING_type(value) != V_ASN1_UTF8STRING &&
			ASN1_STRING_type(value) != V_ASN1_PRINTABLESTRING))
		return NULL;
	*ret_len = ASN1_STRING_length(value);
	return (const char *)ASN1_STRING_get0_data(value);
}

/* RFC 1123 subdomain, as Kubernetes has for names of nodes. */
static bool is_node_name(const char *text, size_t len)
{
	bool edge = true;

	if (len == 0 || len >= CSR_NODE_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];
		const bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (edge || (c != '-' && c != '.')))
			return false;
		edge = c == '.';
		if (!alnum && c == '.' && text[i - 1] == '-')
			return false;
	}
	return text[len - 1] != '-' && text[len - 1] != '.';
}

static bool take_subject(const X509_NAME *name, struct csr_subject *ret_subject)
{
	const size_t prefix = strlen(COMMON_NAME);
	const char *text;
	int len;

	if (X509_NAME_entry_count(name) != 2)
		return false;
	text = entry_text(name, 0, NID_organizationName, &len);
	if (text == NULL || len != (int)strlen(ORGANIZATION) ||
		memcmp(text, ORGANIZATION, (size_t)len) != 0)
		return false;
	text = entry_text(name, 1, NID_commonName, &len);
	if (text == NULL || (size_t)len <= prefix || memcmp(text, COMMON_NAME, prefix) != 0 ||
		!is_node_name(text + prefix, (size_t)len - prefix))
		return false;
	memcpy(ret_subject->node, text + prefix, (size_t)len - prefix);
	ret_subject->node[(size_t)len - prefix] = '\0';
	return true;
}

/* DER has one form: what is encoded anew must be what was there, so that nobody reads it otherwise.
 */
static bool is_der(X509_REQ *request, const uint8_t *der, size_t len)
{
	unsigned char *again = NULL;
	int again_len = i2d_X509_REQ(request, &again);
	bool same = again_len > 0 && (size_t)again_len == len && memcmp(again, der, len) == 0;

	OPENSSL_free(again);
	return same;
}

int csr_read_subject(
	const uint8_t *der, size_t len, struct csr_subject *ret_subject, struct kt_error *e)
{
	const unsigned char *next = der;
	auto_x509_req X509_REQ *request = d2i_X509_REQ(NULL, &next, (long)len);
	uint8_t point[KT_AUDIT_POINT_BYTES];
	EVP_PKEY *key;
	struct kt_error ignored;

	if (request == NULL || !is_der(request, der, len))
		return kt_fail_ssl(e, KT_E_INPUT, "not a PKCS#10 request in DER");
	key = X509_REQ_get0_pubkey(request);
	if (key == NULL || kt_p256_point(key, point, &ignored) < 0)
		return kt_fail(e, KT_E_INPUT, "the request is not for a P-256 key");
	if (X509_REQ_verify(request, key) != 1)
		return kt_fail_ssl(e, KT_E_INPUT, "the request is not signed by its own key");
	if (!take_subject(X509_REQ_get_subject_name(request), ret_subject))
		return kt_fail(e, KT_E_INPUT,
			"the subject is not O=" ORGANIZATION ", CN=" COMMON_NAME "NAME");
	if (X509_REQ_get_attr_count(request) > 0)
		return kt_fail(e, KT_E_INPUT, "the request has attributes, such as other names");
	return 0;
}
