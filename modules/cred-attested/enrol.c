/* SPDX-License-Identifier: Apache-2.0 */
#include "modules/cred-attested/enrol.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/challenge.h"
#include "lib/csr-object.h"
#include "lib/evidence.h"
#include "lib/tpm-ek.h"
#include "lib/tpm-pcr.h"
#include "lib/tpm-pkey.h"
#include "lib/uuid.h"
#include "modules/cred-attested/request.h"

#define SIGNER_CHALLENGE "kubetpm.internal/node-challenge"
#define SIGNER_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define REQUESTS "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define NAME_MAX_CHARS 253
#define BODY_MAX_BYTES ((size_t)256 << 10)
#define PCRS_MAX_BYTES 16384
#define POLL_MS 500

static const char *const usages[] = {"digital signature", "client auth"};
#define USAGE_COUNT (sizeof(usages) / sizeof(usages[0]))

/* What is kept from one step to the next. */
struct work {
	const struct enrolment *what;
	struct api *api;
	struct kt_evidence evidence;
	EVP_PKEY *key;
	uint8_t ak_name[KT_AUDIT_NAME_BYTES];
	struct kt_challenge challenge;
	char uid[NAME_MAX_CHARS + 1]; /* of the challenge */
	char *certificate;	      /* PEM */
};

/* The TPM while it is needed; nobody waits for the network with it in hand. */
struct hold {
	struct kt_tpm *tpm;
	struct kt_parent srk, ak;
	struct kt_tpm_ek ek;
	uint8_t point[KT_AUDIT_POINT_BYTES];
};

static int hold(const struct enrolment *what, struct hold *h, struct kt_error *e)
{
	if (kt_tpm_open(what->tcti, &h->tpm, e) < 0)
		return -1;
	if (kt_srk_load(h->tpm, &h->srk, e) < 0 ||
		kt_tpm_ak_provision(h->tpm, &h->srk, NULL, NULL, &h->ak, h->point, e) < 0 ||
		kt_tpm_ek_create(h->tpm, NULL, &h->ek, e) < 0)
		return -1;
	return 0;
}

static int set_block(struct kt_evidence *evidence, enum kt_evidence_block block, const void *data,
	size_t len, struct kt_error *e)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		return kt_fail_memory(e);
	memcpy(copy, data, len);
	evidence->blocks[block].data = copy;
	evidence->blocks[block].len = len;
	return 0;
}

static int set_public(struct kt_evidence *evidence, enum kt_evidence_block block,
	const TPM2B_PUBLIC *public, struct kt_error *e)
{
	uint8_t data[sizeof(TPM2B_PUBLIC)];
	size_t len;

	if (kt_public_marshal(public, data, &len, e) < 0)
		return -1;
	return set_block(evidence, block, data, len, e);
}

static int collect_identity(struct work *w, struct kt_error *e)
{
	struct hold h = {0};
	uint8_t *der;
	size_t len;
	int status = -1;

	if (request_make(w->what->node, &w->key, &der, &len, e) < 0)
		return -1;
	w->evidence.blocks[KT_EVIDENCE_REQUEST].data = der;
	w->evidence.blocks[KT_EVIDENCE_REQUEST].len = len;
	if (hold(w->what, &h, e) == 0 &&
		set_public(&w->evidence, KT_EVIDENCE_EK, &h.ek.key.public, e) == 0 &&
		set_public(&w->evidence, KT_EVIDENCE_AK, &h.ak.public, e) == 0)
		status = 0;
	if (status == 0)
		memcpy(w->ak_name, h.ak.name.name, sizeof(w->ak_name));
	kt_tpm_close(h.tpm);
	return status;
}

static void write_spec(const struct work *w, const char *signer, bool client, const char *request,
	struct kt_jsonw *j)
{
	kt_jsonw_name(j, "spec");
	kt_jsonw_begin_object(j);
	kt_jsonw_member(j, "request", request);
	kt_jsonw_member(j, "signerName", signer);
	kt_jsonw_name(j, "usages");
	kt_jsonw_begin_array(j);
	for (size_t i = 0; i < USAGE_COUNT; i++)
		kt_jsonw_string(j, usages[i]);
	kt_jsonw_end_array(j);
	if (client)
		kt_jsonw_member_int(j, "expirationSeconds", (uint64_t)w->what->lifetime);
	kt_jsonw_end_object(j);
}

/* Nobody else has taken the name? */
static int check_own(struct json_object *answer, const char *text, struct kt_error *e)
{
	struct kt_csr_object object;
	bool own;

	if (kt_csr_object_read(answer, &object, e) < 0)
		return -1;
	own = object.request_len == strlen(text) &&
	      memcmp(object.request, text, object.request_len) == 0;
	kt_csr_object_clear(&object);
	return own ? 0
		   : kt_fail(e, KT_E_REFUSED, "somebody else made a request with the name of ours");
}

/* Makes a CertificateSigningRequest; the answer is what the API server has made of it. */
static int create(const struct work *w, const char *name, const char *signer, bool client,
	struct json_object **ret_answer, struct kt_error *e)
{
	auto_secret struct kt_secret *body = NULL;
	auto_free char *text = NULL, *request = NULL;
	struct kt_jsonw j;

	if (kt_evidence_write(&w->evidence, &text, e) < 0 ||
		kt_b64_encode(text, strlen(text), &request, e) < 0 ||
		kt_secret_new(BODY_MAX_BYTES, &body, e) < 0)
		return -1;
	kt_jsonw_init(&j, body);
	kt_jsonw_begin_object(&j);
	kt_jsonw_member(&j, "apiVersion", "certificates.k8s.io/v1");
	kt_jsonw_member(&j, "kind", "CertificateSigningRequest");
	kt_jsonw_name(&j, "metadata");
	kt_jsonw_begin_object(&j);
	kt_jsonw_member(&j, "name", name);
	kt_jsonw_end_object(&j);
	write_spec(w, signer, client, request, &j);
	kt_jsonw_end_object(&j);
	if (kt_jsonw_end(&j, e) < 0 || kt_secret_append(body, "", 1, e) < 0)
		return -1;
	if (api_create(w->api, REQUESTS, name, kt_secret_bytes(body), ret_answer, e) < 0)
		return -1;
	return check_own(*ret_answer, text, e);
}

/* Takes from an object what is waited for: true if it is there. */
typedef int take_from(
	struct work *w, const struct kt_csr_object *object, bool *ret_there, struct kt_error *e);

static int look(struct work *w, struct json_object *json, take_from *take, bool *ret_there,
	struct kt_error *e)
{
	struct kt_csr_object object;
	int status;

	if (kt_csr_object_read(json, &object, e) < 0)
		return -1;
	if (object.denied != NULL)
		status = kt_fail(e, KT_E_REFUSED, "the request %s was denied: %s", object.name,
			object.denied);
	else
		status = take(w, &object, ret_there, e);
	kt_csr_object_clear(&object);
	return status;
}

static int wait_for(struct work *w, const char *name, take_from *take, struct kt_error *e)
{
	char path[sizeof(REQUESTS) + 2 * NAME_MAX_CHARS];
	bool there = false;

	snprintf(path, sizeof(path), REQUESTS "/%s", name);
	while (!there) {
		auto_json struct json_object *json = NULL;

		if (api_wait(w->api, POLL_MS, e) < 0)
			return kt_hint(
				e, "nobody has decided on the request: does csr-approver run?");
		if (api_call(w->api, path, NULL, &json, e) < 0 ||
			look(w, json, take, &there, e) < 0)
			return -1;
	}
	return 0;
}

static int take_uid(
	struct work *w, const struct kt_csr_object *object, bool *ret_there, struct kt_error *e)
{
	if (strlen(object->uid) > NAME_MAX_CHARS - strlen("kubetpm-") ||
		strspn(object->uid, "0123456789abcdefghijklmnopqrstuvwxyz-") != strlen(object->uid))
		return kt_fail(e, KT_E_INPUT, "the request has an impossible uid");
	snprintf(w->uid, sizeof(w->uid), "%s", object->uid);
	*ret_there = true;
	return 0;
}

static int take_challenge(
	struct work *w, const struct kt_csr_object *object, bool *ret_there, struct kt_error *e)
{
	*ret_there = object->approved != NULL;
	return *ret_there ? kt_challenge_read(object->approved, &w->challenge, e) : 0;
}

static int take_certificate(
	struct work *w, const struct kt_csr_object *object, bool *ret_there, struct kt_error *e)
{
	auto_free uint8_t *pem = NULL;
	size_t len;

	*ret_there = object->certificate != NULL && object->certificate[0] != '\0';
	if (!*ret_there)
		return 0;
	if (kt_b64_decode(object->certificate, strlen(object->certificate), &pem, &len, e) < 0)
		return kt_wrap(e, "the certificate");
	w->certificate = malloc(len + 1);
	if (w->certificate == NULL)
		return kt_fail_memory(e);
	memcpy(w->certificate, pem, len);
	w->certificate[len] = '\0';
	return strlen(w->certificate) == len ? 0
					     : kt_fail(e, KT_E_INPUT, "a certificate with a NUL");
}

static int ask_challenge(struct work *w, struct kt_error *e)
{
	auto_json struct json_object *json = NULL;
	char uuid[KT_UUID_SIZE], name[32 + KT_UUID_SIZE];
	bool there;

	if (kt_uuid_new(uuid, e) < 0)
		return -1;
	snprintf(name, sizeof(name), "kubetpm-challenge-%s", uuid);
	if (create(w, name, SIGNER_CHALLENGE, false, &json, e) < 0 ||
		look(w, json, take_uid, &there, e) < 0)
		return -1;
	return wait_for(w, name, take_challenge, e);
}

static int set_values(
	struct kt_evidence *evidence, const struct kt_pcr_set *values, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw j;

	if (kt_secret_new(PCRS_MAX_BYTES, &text, e) < 0)
		return -1;
	kt_jsonw_init(&j, text);
	kt_pcr_write_json(values, &j);
	if (kt_jsonw_end(&j, e) < 0)
		return -1;
	return set_block(evidence, KT_EVIDENCE_PCRS, kt_secret_bytes(text), kt_secret_len(text), e);
}

static int quote(struct work *w, struct hold *h, struct kt_error *e)
{
	struct kt_evidence *evidence = &w->evidence;
	const struct kt_evidence_binding binding = {
		.uid = w->uid,
		.secret = evidence->blocks[KT_EVIDENCE_SECRET].data,
		.secret_len = evidence->blocks[KT_EVIDENCE_SECRET].len,
		.request = evidence->blocks[KT_EVIDENCE_REQUEST].data,
		.request_len = evidence->blocks[KT_EVIDENCE_REQUEST].len,
		.signer = SIGNER_CLIENT,
		.usages = usages,
		.usage_count = USAGE_COUNT,
		.expiration = w->what->lifetime,
	};
	struct kt_pcr_set values = *w->what->pcrs;
	uint8_t qualifying[KT_SHA256_BYTES];
	struct kt_tpm_attest attest;

	kt_evidence_qualify(&binding, qualifying);
	if (kt_tpm_read_pcrs(h->tpm, &values, e) < 0 ||
		kt_tpm_quote(h->tpm, &h->ak, &values, qualifying, &attest, e) < 0 ||
		set_block(evidence, KT_EVIDENCE_QUOTE, attest.data, attest.len, e) < 0 ||
		set_block(evidence, KT_EVIDENCE_SIGNATURE, attest.signature,
			sizeof(attest.signature), e) < 0)
		return -1;
	return set_values(evidence, &values, e);
}

/* The secret that the challenge was about, and whether it is the one: nobody else's is revealed. */
static int activate(struct work *w, struct hold *h, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	uint8_t committed[KT_SHA256_BYTES];

	if (kt_tpm_activate(h->tpm, &h->srk, &h->ek, &h->ak, NULL, &w->challenge.blob,
		    &w->challenge.seed, &secret, e) < 0)
		return -1;
	kt_evidence_commitment(
		w->uid, w->ak_name, kt_secret_bytes(secret), kt_secret_len(secret), committed);
	if (memcmp(committed, w->challenge.committed, sizeof(committed)) != 0)
		return kt_fail(e, KT_E_REFUSED, "the challenge commits to another secret");
	return set_block(&w->evidence, KT_EVIDENCE_SECRET, kt_secret_bytes(secret),
		kt_secret_len(secret), e);
}

static int collect_proof(struct work *w, struct kt_error *e)
{
	struct hold h = {0};
	int status = -1;

	if (hold(w->what, &h, e) == 0 && activate(w, &h, e) == 0 && quote(w, &h, e) == 0)
		status = 0;
	kt_tpm_close(h.tpm);
	return status;
}

static int ask_certificate(struct work *w, struct kt_error *e)
{
	auto_json struct json_object *json = NULL;
	char name[NAME_MAX_CHARS + 1];

	snprintf(name, sizeof(name), "kubetpm-%.240s", w->uid);
	if (create(w, name, SIGNER_CLIENT, true, &json, e) < 0)
		return -1;
	return wait_for(w, name, take_certificate, e);
}

int enrol(const struct enrolment *what, struct kt_secret **ret_pem, struct kt_error *e)
{
	struct work w = {.what = what};
	int status = -1;

	if (api_open(what->place, what->deadline, &w.api, e) == 0 && collect_identity(&w, e) == 0 &&
		ask_challenge(&w, e) == 0 && collect_proof(&w, e) == 0 &&
		ask_certificate(&w, e) == 0)
		status = request_join(w.key, w.certificate, ret_pem, e);
	api_close(w.api);
	kt_evidence_clear(&w.evidence);
	EVP_PKEY_free(w.key);
	free(w.certificate);
	return status;
}
