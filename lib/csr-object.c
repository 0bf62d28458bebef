/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/csr-object.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/rfc3339.h"

#define KIND "CertificateSigningRequest"
#define API_VERSION "certificates.k8s.io/v1"
#define CERTIFICATE_MAX (1 << 18)
#define CONDITIONS_MAX 32

static int get_usages(struct json_object *spec, struct kt_csr_object *csr, struct kt_error *e)
{
	struct json_object *usages;

	if (kt_json_get_array(spec, "usages", KT_CSR_USAGES_MAX, &usages, e) < 0)
		return -1;
	csr->usage_count = json_object_array_length(usages);
	for (size_t i = 0; i < csr->usage_count; i++) {
		struct json_object *usage = json_object_array_get_idx(usages, i);

		if (!json_object_is_type(usage, json_type_string))
			return kt_fail(e, KT_E_INPUT, "spec.usages: not a list of strings");
		csr->usages[i] = json_object_get_string(usage);
	}
	return 0;
}

static int get_spec(struct json_object *spec, struct kt_csr_object *csr, struct kt_error *e)
{
	const char *request;

	if (kt_json_get_string(spec, "signerName", KT_CSR_TEXT_MAX, &csr->signer, e) < 0 ||
		kt_json_get_string_opt(spec, "username", KT_CSR_TEXT_MAX, &csr->username, e) < 0 ||
		kt_json_get_string(spec, "request", 2 * KT_EVIDENCE_MAX_BYTES, &request, e) < 0 ||
		get_usages(spec, csr, e) < 0)
		return -1;
	if (json_object_object_get_ex(spec, "expirationSeconds", NULL) &&
		kt_json_get_int(spec, "expirationSeconds", 1, INT32_MAX, &csr->expiration, e) < 0)
		return -1;
	return kt_b64_decode(request, strlen(request), &csr->request, &csr->request_len, e);
}

static int get_condition(
	struct json_object *condition, struct kt_csr_object *csr, struct kt_error *e)
{
	const char *type, *status, *message;

	if (!json_object_is_type(condition, json_type_object))
		return kt_fail(e, KT_E_INPUT, "status.conditions: not a list of objects");
	if (kt_json_get_string(condition, "type", KT_CSR_TEXT_MAX, &type, e) < 0 ||
		kt_json_get_string(condition, "status", KT_CSR_TEXT_MAX, &status, e) < 0 ||
		kt_json_get_string_opt(condition, "message", KT_CSR_TEXT_MAX, &message, e) < 0)
		return -1;
	if (strcmp(status, "True") != 0)
		return 0;
	if (strcmp(type, "Approved") == 0)
		csr->approved = message != NULL ? message : "";
	if (strcmp(type, "Denied") == 0 || strcmp(type, "Failed") == 0)
		csr->denied = message != NULL ? message : "";
	return 0;
}

static int get_status(struct json_object *object, struct kt_csr_object *csr, struct kt_error *e)
{
	struct json_object *status, *conditions;

	if (kt_json_get_object_opt(object, "status", &status, e) < 0)
		return -1;
	if (status == NULL)
		return 0;
	if (kt_json_get_string_opt(status, "certificate", CERTIFICATE_MAX, &csr->certificate, e) <
		0)
		return -1;
	if (!json_object_object_get_ex(status, "conditions", NULL))
		return 0;
	if (kt_json_get_array(status, "conditions", CONDITIONS_MAX, &conditions, e) < 0)
		return -1;
	for (size_t i = 0; i < json_object_array_length(conditions); i++)
		if (get_condition(json_object_array_get_idx(conditions, i), csr, e) < 0)
			return -1;
	return 0;
}

static int get_metadata(struct json_object *object, struct kt_csr_object *csr, struct kt_error *e)
{
	struct json_object *metadata;
	const char *created;

	if (kt_json_get_object(object, "metadata", &metadata, e) < 0 ||
		kt_json_get_string(metadata, "name", KT_CSR_TEXT_MAX, &csr->name, e) < 0 ||
		kt_json_get_string(metadata, "uid", KT_CSR_TEXT_MAX, &csr->uid, e) < 0 ||
		kt_json_get_string(metadata, "creationTimestamp", KT_CSR_TEXT_MAX, &created, e) < 0)
		return -1;
	return kt_rfc3339_parse(created, &csr->created, e);
}

int kt_csr_object_read(
	struct json_object *object, struct kt_csr_object *ret_csr, struct kt_error *e)
{
	struct kt_csr_object csr = {0};
	struct json_object *spec;
	const char *kind, *version;

	if (kt_json_get_string(object, "kind", KT_CSR_TEXT_MAX, &kind, e) < 0 ||
		kt_json_get_string(object, "apiVersion", KT_CSR_TEXT_MAX, &version, e) < 0)
		return -1;
	if (strcmp(kind, KIND) != 0 || strcmp(version, API_VERSION) != 0)
		return kt_fail(e, KT_E_INPUT, "not a " KIND " of " API_VERSION);
	if (get_metadata(object, &csr, e) < 0 || kt_json_get_object(object, "spec", &spec, e) < 0 ||
		get_spec(spec, &csr, e) < 0)
		return -1;
	if (get_status(object, &csr, e) < 0) {
		kt_csr_object_clear(&csr);
		return -1;
	}
	*ret_csr = csr;
	return 0;
}

void kt_csr_object_clear(struct kt_csr_object *csr)
{
	free(csr->request);
	csr->request = NULL;
}
