/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/certificate.h"

#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/der.h"

#define SERIAL_BYTES 16 /* RFC 5280, 4.1.2.2: positive, at most 20 */
#define X509_V3 2

KT_AUTO(bio, BIO *, BIO_free_all)
#define auto_bio __attribute__((cleanup(kt_auto_bio)))
KT_AUTO(evp_key, EVP_PKEY *, EVP_PKEY_free)
#define auto_evp_key __attribute__((cleanup(kt_auto_evp_key)))

int kt_no_passphrase(char *buffer, int size, int writing, void *ctx)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

int kt_cert_read(const void *text, size_t len, X509 **ret_cert, struct kt_error *e)
{
	auto_bio BIO *in = BIO_new_mem_buf(text, (int)len);
	X509 *cert;

	if (in == NULL)
		return kt_fail_memory(e);
	cert = PEM_read_bio_X509(in, NULL, kt_no_passphrase, NULL);
	if (cert == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "not a certificate in PEM");
	*ret_cert = cert;
	return 0;
}

int kt_csr_read(const void *text, size_t len, X509_REQ **ret_csr, struct kt_error *e)
{
	auto_bio BIO *in = BIO_new_mem_buf(text, (int)len);
	X509_REQ *csr;

	if (in == NULL)
		return kt_fail_memory(e);
	csr = PEM_read_bio_X509_REQ(in, NULL, kt_no_passphrase, NULL);
	if (csr == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "not a certificate request in PEM");
	*ret_csr = csr;
	return 0;
}

int kt_cert_check_ca(X509 *ca, const EVP_PKEY *key, struct kt_error *e)
{
	const EVP_PKEY *public = X509_get0_pubkey(ca);

	if (public == NULL || EVP_PKEY_eq(public, key) != 1)
		return kt_fail(e, KT_E_INPUT, "the CA certificate is not of this key");
	if (X509_check_ca(ca) != 1 || (X509_get_key_usage(ca) & KU_KEY_CERT_SIGN) == 0)
		return kt_fail(e, KT_E_INPUT,
			"the CA certificate is not for a CA (basicConstraints, keyUsage)");
	if (X509_cmp_current_time(X509_get0_notAfter(ca)) < 0)
		return kt_fail(e, KT_E_INPUT, "the CA certificate has expired");
	return 0;
}

static bool set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return ok;
}

static bool set_times(X509 *cert, int days)
{
	return X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) != NULL;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

/* The value of an extension that the request has, to be freed with its own function; or NULL. */
static void *requested(X509_REQ *csr, int nid)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	void *value = X509V3_get_d2i(extensions, nid, NULL, NULL);

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return value;
}

static bool wants_ca(X509_REQ *csr)
{
	BASIC_CONSTRAINTS *constraints = requested(csr, NID_basic_constraints);
	bool wants = constraints != NULL && constraints->ca != 0;

	BASIC_CONSTRAINTS_free(constraints);
	return wants;
}

/* "serverAuth", "clientAuth", both; NULL if it wants something else. */
static const char *wanted_usage(X509_REQ *csr)
{
	EXTENDED_KEY_USAGE *usages = requested(csr, NID_ext_key_usage);
	bool server = false, client = false, other = false;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));

		server = server || nid == NID_server_auth;
		client = client || nid == NID_client_auth;
		other = other || (nid != NID_server_auth && nid != NID_client_auth);
	}
	EXTENDED_KEY_USAGE_free(usages);
	if (other)
		return NULL;
	if (server)
		return client ? "serverAuth,clientAuth" : "serverAuth";
	return "clientAuth";
}

static bool copy_names(X509 *cert, X509_REQ *csr)
{
	GENERAL_NAMES *names = requested(csr, NID_subject_alt_name);
	bool ok = names == NULL ||
		  X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;

	GENERAL_NAMES_free(names);
	return ok;
}

static int check_csr(X509_REQ *csr, struct kt_error *e)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(csr);

	if (key == NULL || X509_REQ_verify(csr, key) != 1)
		return kt_fail_ssl(
			e, KT_E_INPUT, "the request is not signed by the key that it names");
	if (wants_ca(csr))
		return kt_fail(e, KT_E_INPUT, "the request wants to be a CA");
	if (wanted_usage(csr) == NULL)
		return kt_fail(e, KT_E_INPUT,
			"the request wants an extendedKeyUsage other than serverAuth and "
			"clientAuth");
	if (X509_NAME_entry_count(X509_REQ_get_subject_name(csr)) == 0)
		return kt_fail(e, KT_E_INPUT, "the request has no subject");
	return 0;
}

static bool fill_for_csr(X509 *cert, X509 *ca, X509_REQ *csr, int days)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(csr);
	const char *usage = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA
				    ? "critical,digitalSignature,keyEncipherment"
				    : "critical,digitalSignature";

	return X509_set_version(cert, X509_V3) == 1 && set_serial(cert) && set_times(cert, days) &&
	       X509_set_subject_name(cert, X509_REQ_get_subject_name(csr)) == 1 &&
	       X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
	       X509_set_pubkey(cert, key) == 1 &&
	       add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, ca, NID_key_usage, usage) &&
	       add_extension(cert, ca, NID_ext_key_usage, wanted_usage(csr)) &&
	       add_extension(cert, ca, NID_subject_key_identifier, "hash") &&
	       add_extension(cert, ca, NID_authority_key_identifier, "keyid,issuer") &&
	       copy_names(cert, csr);
}

static int check_days(int days, struct kt_error *e)
{
	if (days < 1 || days > KT_CERT_DAYS_MAX)
		return kt_fail(
			e, KT_E_INPUT, "a certificate is for 1 to %d days", KT_CERT_DAYS_MAX);
	return 0;
}

int kt_cert_for_csr(
	X509 *ca, X509_REQ *csr, int days, X509 **ret_cert, bool *ret_cut, struct kt_error *e)
{
	auto_x509 X509 *cert = X509_new();
	bool cut;

	if (cert == NULL)
		return kt_fail_memory(e);
	if (check_days(days, e) < 0 || check_csr(csr, e) < 0)
		return -1;
	if (!fill_for_csr(cert, ca, csr, days))
		return kt_fail_ssl(e, KT_E_INPUT, "cannot make a certificate of the request");
	cut = ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(ca)) > 0;
	if (cut && X509_set1_notAfter(cert, X509_get0_notAfter(ca)) != 1)
		return kt_fail_memory(e);
	*ret_cut = cut;
	*ret_cert = kt_take(cert);
	return 0;
}

/* "/TYPE=value/…" */
static int add_subject(X509_NAME *name, const char *subject, struct kt_error *e)
{
	auto_free char *copy = strdup(subject);
	char *rest = NULL, *part;

	if (copy == NULL)
		return kt_fail_memory(e);
	for (part = strtok_r(copy, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
		char *value = strchr(part, '=');

		if (value == NULL || value[1] == '\0')
			return kt_fail(
				e, KT_E_INPUT, "a subject is '/O=…/CN=…', not '%s'", subject);
		*value++ = '\0';
		if (X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
			    (const unsigned char *)value, -1, -1, 0) != 1)
			return kt_fail_ssl(e, KT_E_INPUT, "the subject '%s'", subject);
	}
	return X509_NAME_entry_count(name) > 0 ? 0 : kt_fail(e, KT_E_INPUT, "the subject is empty");
}

int kt_cert_for_ca(
	const char *subject, EVP_PKEY *key, int days, X509 **ret_cert, struct kt_error *e)
{
	auto_x509 X509 *cert = X509_new();

	if (cert == NULL)
		return kt_fail_memory(e);
	if (check_days(days, e) < 0 || add_subject(X509_get_subject_name(cert), subject, e) < 0)
		return -1;
	if (X509_set_version(cert, X509_V3) != 1 || !set_serial(cert) || !set_times(cert, days) ||
		X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
		X509_set_pubkey(cert, key) != 1 ||
		!add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
		!add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
		!add_extension(cert, cert, NID_subject_key_identifier, "hash"))
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot make a CA certificate");
	*ret_cert = kt_take(cert);
	return 0;
}

/* OpenSSL fills the algorithm in when it signs: a key that is thrown away does that, and its
 * signature goes with it. */
int kt_cert_tbs(X509 *cert, uint8_t **ret_tbs, size_t *ret_len, struct kt_error *e)
{
	auto_evp_key EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *tbs = NULL;
	int len;

	if (key == NULL || X509_sign(cert, key, EVP_sha256()) <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the certificate");
	len = i2d_re_X509_tbs(cert, &tbs);
	if (len <= 0)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the certificate");
	if (len > KT_CERT_TBS_MAX_BYTES) {
		OPENSSL_free(tbs);
		return kt_fail(e, KT_E_INPUT, "the certificate would have more than %d bytes",
			KT_CERT_TBS_MAX_BYTES);
	}
	*ret_tbs = tbs;
	*ret_len = (size_t)len;
	return 0;
}

/* SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING { signature } }; into the end of `out`. */
static int join(const uint8_t *tbs, size_t tbs_len, const uint8_t *signature, size_t len,
	struct kt_derw *w, struct kt_error *e)
{
	/* ecdsa-with-SHA256, 1.2.840.10045.4.3.2, without parameters */
	static const uint8_t algorithm[] = {
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
	static const uint8_t no_unused_bits = 0;
	const size_t mark = kt_derw_mark(w);

	kt_derw_bytes(w, signature, len);
	kt_derw_bytes(w, &no_unused_bits, 1);
	kt_derw_header(w, KT_DER_BIT_STRING, mark);
	kt_derw_bytes(w, algorithm, sizeof(algorithm));
	kt_derw_bytes(w, tbs, tbs_len);
	kt_derw_header(w, KT_DER_SEQUENCE, mark);
	return w->failed ? kt_fail(e, KT_E_INTERNAL, "no room for the certificate") : 0;
}

static int to_pem(X509 *cert, char **ret_pem, struct kt_error *e)
{
	auto_bio BIO *out = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	if (out == NULL || PEM_write_bio_X509(out, cert) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot write the certificate");
	len = BIO_get_mem_data(out, &data);
	copy = len > 0 ? strndup(data, (size_t)len) : NULL;
	if (copy == NULL)
		return kt_fail_memory(e);
	*ret_pem = copy;
	return 0;
}

/* The whole, parsed; owned by the caller. */
static int assemble(const uint8_t *tbs, size_t len, const uint8_t signature[KT_ECDSA_BYTES],
	X509 **ret_cert, struct kt_error *e)
{
	uint8_t whole[KT_CERT_TBS_MAX_BYTES + 256], *der = NULL;
	const uint8_t *next;
	struct kt_derw w;
	size_t der_len;
	int status;

	if (kt_ecdsa_to_der(signature, &der, &der_len, e) < 0)
		return -1;
	kt_derw_init(&w, whole, sizeof(whole));
	status = join(tbs, len, der, der_len, &w, e);
	OPENSSL_free(der);
	if (status < 0)
		return -1;
	next = whole + w.start;
	*ret_cert = d2i_X509(NULL, &next, (long)(sizeof(whole) - w.start));
	return *ret_cert != NULL ? 0 : kt_fail_ssl(e, KT_E_INPUT, "not a certificate");
}

int kt_cert_finish(const uint8_t *tbs, size_t len, const uint8_t signature[KT_ECDSA_BYTES],
	EVP_PKEY *key, char **ret_pem, struct kt_error *e)
{
	auto_x509 X509 *cert = NULL;

	if (assemble(tbs, len, signature, &cert, e) < 0)
		return -1;
	if (X509_verify(cert, key) != 1)
		return kt_fail_ssl(
			e, KT_E_INTERNAL, "the certificate does not verify with the CA's key");
	return to_pem(cert, ret_pem, e);
}

bool kt_cert_is_tbs(const uint8_t *tbs, size_t len)
{
	/* Any numbers will do: the signature is not looked at. */
	static const uint8_t signature[KT_ECDSA_BYTES] = {1};
	struct kt_der der = {tbs, len}, content;
	auto_x509 X509 *cert = NULL;
	struct kt_error ignored;

	return len <= KT_CERT_TBS_MAX_BYTES &&
	       kt_der_read(&der, KT_DER_SEQUENCE, "TBSCertificate", &content, &ignored) == 0 &&
	       kt_der_end(&der, "TBSCertificate", &ignored) == 0 &&
	       assemble(tbs, len, signature, &cert, &ignored) == 0;
}

static bool format_serial(X509 *cert, char *text, size_t size)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;
	bool ok = hex != NULL && strlen(hex) < size;

	if (ok)
		memcpy(text, hex, strlen(hex) + 1);
	OPENSSL_free(hex);
	BN_free(number);
	return ok;
}

static bool format_subject(X509 *cert, char *text, size_t size)
{
	auto_bio BIO *out = BIO_new(BIO_s_mem());
	int len;

	if (out == NULL ||
		X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return false;
	len = BIO_read(out, text, (int)size - 1);
	text[len > 0 ? len : 0] = '\0';
	return true;
}

int kt_cert_describe(const uint8_t *tbs, size_t len, const uint8_t signature[KT_ECDSA_BYTES],
	struct kt_cert_words *ret_words, struct kt_error *e)
{
	auto_x509 X509 *cert = NULL;
	struct kt_cert_words words;
	struct tm tm;

	if (assemble(tbs, len, signature, &cert, e) < 0)
		return -1;
	if (!format_serial(cert, words.serial, sizeof(words.serial)) ||
		!format_subject(cert, words.subject, sizeof(words.subject)) ||
		ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return kt_fail_ssl(e, KT_E_INPUT, "not a certificate of ours");
	words.not_after = (int64_t)timegm(&tm);
	*ret_words = words;
	return 0;
}
