/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool sign-cert: issues a certificate with a CA key in the TPM; each signature is audited. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/audit-once.h"
#include "lib/certificate.h"
#include "lib/io.h"
#include "lib/keyfile.h"
#include "lib/log.h"
#include "lib/tpm-child.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
	const char *ca, *csr, *days, *audit, *subject, *endorsement_auth_file;
	bool self_signed;
};

static const struct kt_opt opts[] = {
	{"key", 'k', "FILE", "the CA's key, from 'sealtool key new --type p256'", KT_OPT_TEXT,
		offsetof(struct options, common.key)},
	{"ca", 0, "FILE", "the CA's certificate", KT_OPT_TEXT, offsetof(struct options, ca)},
	{"csr", 0, "FILE", "the certificate request", KT_OPT_TEXT, offsetof(struct options, csr)},
	{"self-signed", 0, NULL, "instead: make the CA's own certificate", KT_OPT_FLAG,
		offsetof(struct options, self_signed)},
	{"subject", 0, "NAME", "with --self-signed: its subject, e.g. /O=example/CN=node CA",
		KT_OPT_TEXT, offsetof(struct options, subject)},
	{"days", 0, "N", "how long it is valid", KT_OPT_TEXT, offsetof(struct options, days)},
	{"audit", 0, "FILE", "the audit log, from 'sealtool audit init'", KT_OPT_TEXT,
		offsetof(struct options, audit)},
	OPT_OUTPUT(struct options, "the certificate (default: standard output)"),
	{"endorsement-auth-file", 0, "FILE", "the endorsement hierarchy's authorisation value",
		KT_OPT_TEXT, offsetof(struct options, endorsement_auth_file)},
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* What is needed to sign, and what. */
struct issue {
	struct kt_keyfile *file; /* owned */
	EVP_PKEY *key;		 /* owned; its public half */
	uint8_t *tbs;		 /* owned */
	size_t len;
};

static void clear(struct issue *issue)
{
	free(issue->file);
	EVP_PKEY_free(issue->key);
	OPENSSL_free(issue->tbs);
}

static int parse_days(const char *text, int *ret_days, struct kt_error *e)
{
	char *end;
	long days;

	errno = 0;
	days = strtol(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || days < 1 ||
		days > KT_CERT_DAYS_MAX)
		return kt_fail(e, KT_E_USAGE, "--days: 1 to %d", KT_CERT_DAYS_MAX);
	*ret_days = (int)days;
	return 0;
}

static int check_options(const struct options *options, int *ret_days, struct kt_error *e)
{
	if (options->common.key == NULL || options->days == NULL)
		return kt_fail(e, KT_E_USAGE, "give --key FILE and --days N");
	if (options->audit == NULL)
		return kt_fail(e, KT_E_USAGE,
			"which audit log? give --audit FILE: no certificate is issued that is not "
			"in "
			"one");
	if (options->self_signed
			? options->subject == NULL || options->ca != NULL || options->csr != NULL
			: options->subject != NULL || options->ca == NULL || options->csr == NULL)
		return kt_fail(e, KT_E_USAGE,
			"give --ca FILE and --csr FILE, or --self-signed and --subject NAME");
	return parse_days(options->days, ret_days, e);
}

static int read_ca(const char *path, const EVP_PKEY *key, X509 **ret_ca, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	auto_x509 X509 *ca = NULL;
	size_t len;

	if (kt_read_file(path, KT_CERT_FILE_MAX_BYTES, &text, &len, e) < 0)
		return kt_hint(e, "'sealtool sign-cert --self-signed' makes a CA certificate");
	if (kt_cert_read(text, len, &ca, e) < 0 || kt_cert_check_ca(ca, key, e) < 0)
		return kt_wrap(e, "%s", path);
	*ret_ca = kt_take(ca);
	return 0;
}

static int read_csr(const char *path, X509_REQ **ret_csr, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (kt_read_file(path, KT_CERT_FILE_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return kt_csr_read(text, len, ret_csr, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}

static int make_for_csr(const struct options *options, const EVP_PKEY *key, int days,
	X509 **ret_cert, struct kt_error *e)
{
	auto_x509_req X509_REQ *csr = NULL;
	auto_x509 X509 *ca = NULL;
	bool cut;

	if (read_ca(options->ca, key, &ca, e) < 0 || read_csr(options->csr, &csr, e) < 0)
		return -1;
	if (kt_cert_for_csr(ca, csr, days, ret_cert, &cut, e) < 0)
		return kt_wrap(e, "%s", options->csr);
	if (cut)
		kt_warn("the CA's certificate ends before: so does this one");
	return 0;
}

/* All but the signature, before anything is locked. */
static int prepare(const struct options *options, struct issue *issue, struct kt_error *e)
{
	auto_x509 X509 *cert = NULL;
	int days, status;

	if (check_options(options, &days, e) < 0 ||
		kt_keyfile_read(options->common.key, &issue->file, e) < 0)
		return -1;
	if (kt_keyfile_public(issue->file, &issue->key, e) < 0)
		return kt_wrap(e, "%s", options->common.key);
	if (!issue->file->has_creation)
		return kt_fail(e, KT_E_REFUSED, "%s was made without what an audit takes",
			options->common.key);
	if (options->self_signed)
		status = kt_cert_for_ca(options->subject, issue->key, days, &cert, e);
	else
		status = make_for_csr(options, issue->key, days, &cert, e);
	return status < 0 ? -1 : kt_cert_tbs(cert, &issue->tbs, &issue->len, e);
}

static int sign(struct kt_audit_once *once, const struct issue *issue,
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	struct kt_policy policy = {0};
	struct kt_audit_signer signer = {
		.entrant = {.type = KT_AUDIT_P256,
			.public = &issue->file->key_public,
			.policy = &policy,
			.creation = &issue->file->creation,
			.cluster = "",
			.key_id = ""},
	};

	if (kt_parent_check_name(&once->srk, &issue->file->parent, e) < 0 ||
		kt_keyfile_key_policy(issue->file, 0, &policy, e) < 0 ||
		kt_child_load(once->tpm, &once->srk, &issue->file->key_public,
			&issue->file->key_private, &signer.handle, e) < 0)
		return -1;
	return kt_audit_once_sign(once, &signer, issue->tbs, issue->len, ret_signature, e);
}

/* With a checkpoint after it: nobody else may come for long. */
static int sign_audited(const struct options *options, const struct issue *issue,
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	auto_secret struct kt_secret *endorsement_auth = NULL;
	struct kt_audit_once once;
	int status;

	if (read_auth(options->endorsement_auth_file, &endorsement_auth, e) < 0 ||
		kt_audit_once_begin(&(struct kt_audit_place){options->audit, options->common.tcti,
					    endorsement_auth},
			KT_AUDIT_WAIT, &once, e) < 0)
		return -1;
	status = sign(&once, issue, ret_signature, e);
	if (status == 0)
		status = kt_audit_once_checkpoint(&once, "", e);
	kt_audit_once_end(&once);
	return status;
}

static int issue_certificate(const struct options *options, struct issue *issue, struct kt_error *e)
{
	uint8_t signature[KT_AUDIT_POINT_BYTES];
	auto_free char *pem = NULL;

	if (prepare(options, issue, e) < 0 || sign_audited(options, issue, signature, e) < 0 ||
		kt_cert_finish(issue->tbs, issue->len, signature, issue->key, &pem, e) < 0)
		return -1;
	if (is_stdout(&options->common))
		return write_stdout(pem, strlen(pem), e);
	return kt_replace_file(options->common.output, pem, strlen(pem), 0644, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	struct issue issue = {0};
	bool done;
	int first, status;

	if (parse_options(
		    &verb_sign_cert, argc, argv, &options, &options.common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	status = issue_certificate(&options, &issue, e);
	clear(&issue);
	return status;
}

const struct kt_verb verb_sign_cert = {
	.command = {PROGRAM, "sign-cert", "",
		"issue a certificate with a CA key in the TPM, in an audit log", opts, 0, 0},
	.run = run,
};
