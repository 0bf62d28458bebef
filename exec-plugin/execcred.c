/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing ExecCredential (client-go, pkg/apis/clientauthentication/v1/types.go). Fields
 * are taken by name, never by place; JSON null counts as absent, as in Go.
 */
#include "exec-plugin/execcred.h"

#include <string.h>

#include "exec-plugin/escape.h"
#include "lib/b64.h"
#include "lib/rfc3339.h"

#define TEXT_MAX 65536

static const char *const versions[] = {
	"client.authentication.k8s.io/v1",
	"client.authentication.k8s.io/v1beta1",
};

static int check_type(struct json_object *root, const char **ret_version, struct kt_error *e)
{
	const char *kind, *version;

	if (kt_json_get_string(root, "kind", TEXT_MAX, &kind, e) < 0 ||
		kt_json_get_string(root, "apiVersion", TEXT_MAX, &version, e) < 0)
		return -1;
	if (strcmp(kind, "ExecCredential") != 0)
		return kt_fail(e, KT_E_INPUT, "kind is \"%.64s\", not ExecCredential", kind);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (strcmp(version, versions[i]) != 0)
			continue;
		*ret_version = versions[i];
		return 0;
	}
	return kt_fail(e, KT_E_INPUT, "apiVersion \"%.64s\" is not supported (%s and %s are)",
		version, versions[0], versions[1]);
}

static int decode_ca(const char *text, char **ret_pem, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len = 0;

	if (kt_b64_decode(text, strlen(text), &data, &len, e) < 0)
		return kt_wrap(e, "certificate-authority-data");
	if (memchr(data, '\0', len) != NULL)
		return kt_fail(e, KT_E_INPUT, "certificate-authority-data: not PEM");
	*ret_pem = strndup((const char *)data, len);
	if (*ret_pem == NULL)
		return kt_fail_memory(e);
	return 0;
}

/* Cluster.Config is any JSON value. */
static int read_config(struct json_object *cluster, struct kt_execcred *request, struct kt_error *e)
{
	struct json_object *config = NULL;

	if (!json_object_object_get_ex(cluster, "config", &config) || config == NULL)
		return 0;
	request->config = json_object_to_json_string_ext(
		config, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (request->config == NULL)
		return kt_fail_memory(e);
	return 0;
}

static int read_cluster(
	struct json_object *cluster, struct kt_execcred *request, struct kt_error *e)
{
	const char *ca = NULL;
	bool ignored = false;

	if (kt_json_get_string_opt(cluster, "server", TEXT_MAX, &request->server, e) < 0 ||
		kt_json_get_string_opt(
			cluster, "tls-server-name", TEXT_MAX, &request->tls_server_name, e) < 0 ||
		kt_json_get_bool_opt(cluster, "insecure-skip-tls-verify", false,
			&request->insecure_skip_tls_verify, e) < 0 ||
		kt_json_get_bool_opt(cluster, "disable-compression", false, &ignored, e) < 0 ||
		kt_json_get_string_opt(cluster, "proxy-url", TEXT_MAX, &request->proxy_url, e) <
			0 ||
		kt_json_get_string_opt(
			cluster, "certificate-authority-data", KT_EXECCRED_MAX_BYTES, &ca, e) < 0)
		return -1;
	if (ca != NULL && *ca != '\0' && decode_ca(ca, &request->ca_data, e) < 0)
		return -1;
	return read_config(cluster, request, e);
}

static int read_request(struct kt_execcred *request, struct kt_error *e)
{
	struct json_object *spec = NULL, *cluster = NULL, *status = NULL;

	if (check_type(request->root, &request->api_version, e) < 0)
		return -1;
	if (kt_json_get_object_opt(request->root, "spec", &spec, e) < 0 ||
		kt_json_get_object_opt(request->root, "status", &status, e) < 0)
		return -1;
	if (spec == NULL)
		return 0;
	if (kt_json_get_bool_opt(spec, "interactive", false, &request->interactive, e) < 0 ||
		kt_json_get_object_opt(spec, "cluster", &cluster, e) < 0)
		return kt_wrap(e, "spec");
	if (cluster != NULL && read_cluster(cluster, request, e) < 0)
		return kt_wrap(e, "spec.cluster");
	return 0;
}

int kt_execcred_parse(
	const char *text, size_t len, struct kt_execcred *ret_request, struct kt_error *e)
{
	struct kt_execcred request = {0};

	if (len > KT_EXECCRED_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %zu bytes", KT_EXECCRED_MAX_BYTES);
	if (kt_json_parse(text, len, &request.root, e) < 0)
		return -1;
	if (read_request(&request, e) < 0) {
		kt_execcred_fini(&request);
		return -1;
	}
	*ret_request = request;
	return 0;
}

void kt_execcred_fini(struct kt_execcred *request)
{
	json_object_put(request->root);
	free(request->ca_data);
	*request = (struct kt_execcred){0};
}

static int check_credential(const struct kt_credential *credential, struct kt_error *e)
{
	if ((credential->certificate == NULL) != (credential->key == NULL))
		return kt_fail(e, KT_E_INPUT,
			"a client certificate and its key go together; "
			"the %s is missing",
			credential->key == NULL ? "key" : "certificate");
	if (credential->token == NULL && credential->key == NULL)
		return kt_fail(e, KT_E_INTERNAL, "neither a token nor a client certificate");
	return 0;
}

static size_t answer_capacity(const struct kt_credential *credential)
{
	const struct kt_secret *secrets[] = {
		credential->token, credential->certificate, credential->key};
	size_t capacity = 512;

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (secrets[i] != NULL)
			capacity += kt_escaped_secret_len(secrets[i]);
	return capacity < KT_SECRET_MAX_BYTES ? capacity : KT_SECRET_MAX_BYTES;
}

static int write_status(
	struct kt_jsonw *w, const struct kt_credential *credential, int64_t now, struct kt_error *e)
{
	char expires[KT_RFC3339_SIZE];
	int64_t not_after = credential->not_after;

	kt_jsonw_name(w, "status");
	kt_jsonw_begin_object(w);
	if (not_after != 0) {
		if (not_after < now + KT_EXECCRED_MIN_SECONDS)
			not_after = now + KT_EXECCRED_MIN_SECONDS;
		if (kt_rfc3339_format(not_after, expires, e) < 0)
			return kt_wrap(e, "expirationTimestamp");
		kt_jsonw_member(w, "expirationTimestamp", expires);
	}
	if (credential->token != NULL) {
		kt_jsonw_name(w, "token");
		kt_jsonw_secret(w, credential->token);
	}
	if (credential->key != NULL) {
		kt_jsonw_name(w, "clientCertificateData");
		kt_jsonw_secret(w, credential->certificate);
		kt_jsonw_name(w, "clientKeyData");
		kt_jsonw_secret(w, credential->key);
	}
	kt_jsonw_end_object(w);
	return 0;
}

int kt_execcred_write(const char *api_version, const struct kt_credential *credential, int64_t now,
	struct kt_secret **ret_answer, struct kt_error *e)
{
	auto_secret struct kt_secret *answer = NULL;
	struct kt_jsonw w;

	if (check_credential(credential, e) < 0)
		return -1;
	if (kt_secret_new(answer_capacity(credential), &answer, e) < 0)
		return -1;
	kt_jsonw_init(&w, answer);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "kind", "ExecCredential");
	kt_jsonw_member(&w, "apiVersion", api_version);
	if (write_status(&w, credential, now, e) < 0)
		return -1;
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(answer, "\n", 1, e) < 0)
		return kt_wrap(e, "answer");
	*ret_answer = kt_take(answer);
	return 0;
}
