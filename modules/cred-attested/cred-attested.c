/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred-attested: the client certificate of a kubelet, which its machine's TPM earns: endorsement
 * key, boot state, a name in the approver's inventory. Renews by proving everything again.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kubetpm/module.h>

#include "lib/auto.h"
#include "lib/io.h"
#include "lib/module.h"
#include "lib/rfc3339.h"
#include "lib/seal.h"
#include "lib/sha256.h"
#include "modules/cred-attested/enrol.h"
#include "modules/cred-attested/store.h"

#define LIFETIME_DEFAULT 86400
#define LIFETIME_MIN 600
#define TIMEOUT_DEFAULT 30
#define TIMEOUT_MAX 45	  /* exec-plugin itself gives up after 50 */
#define RETRY_SECONDS 300 /* for so long nothing is tried again */
#define TOKEN_MAX_BYTES 4096
#define CA_MAX_BYTES (1 << 20)
#define NODE_SIZE 254

struct state {
	char *folder, *bootstrap, *bootstrap_sealed, *server, *ca_file, *node;
	struct kt_pcr_set pcrs;
	int64_t lifetime, timeout;
};

static int copy_arg(
	int argc, const char *const argv[], const char *key, char **ret_value, struct kt_error *e)
{
	const char *value = kt_module_arg(argc, argv, key);

	*ret_value = value != NULL ? strdup(value) : NULL;
	return value == NULL || *ret_value != NULL ? 0 : kt_fail_memory(e);
}

static int seconds_arg(int argc, const char *const argv[], const char *key, int64_t fallback,
	int64_t min, int64_t max, int64_t *ret_seconds, struct kt_error *e)
{
	const char *value = kt_module_arg(argc, argv, key);

	*ret_seconds = fallback;
	if (value != NULL && (kt_duration_parse(value, ret_seconds, e) < 0 || *ret_seconds < min ||
				     *ret_seconds > max))
		return kt_fail(e, KT_E_USAGE, "%s=%s: not a time of %lld to %lld seconds", key,
			value, (long long)min, (long long)max);
	return 0;
}

/* As kubelets call themselves if they are not told otherwise. */
static int default_node(char **ret_node, struct kt_error *e)
{
	char name[NODE_SIZE];

	if (gethostname(name, sizeof(name)) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "host name");
	name[sizeof(name) - 1] = '\0';
	for (char *c = name; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	*ret_node = strdup(name);
	return *ret_node != NULL ? 0 : kt_fail_memory(e);
}

static int parse_arguments(
	int argc, const char *const argv[], struct state *state, struct kt_error *e)
{
	const char *pcrs = kt_module_arg(argc, argv, "pcrs");

	if (copy_arg(argc, argv, "state", &state->folder, e) < 0 ||
		copy_arg(argc, argv, "bootstrap", &state->bootstrap, e) < 0 ||
		copy_arg(argc, argv, "bootstrap-sealed", &state->bootstrap_sealed, e) < 0 ||
		copy_arg(argc, argv, "server", &state->server, e) < 0 ||
		copy_arg(argc, argv, "ca", &state->ca_file, e) < 0 ||
		copy_arg(argc, argv, "node", &state->node, e) < 0 ||
		seconds_arg(argc, argv, "lifetime", LIFETIME_DEFAULT, LIFETIME_MIN, INT32_MAX,
			&state->lifetime, e) < 0 ||
		seconds_arg(argc, argv, "timeout", TIMEOUT_DEFAULT, 1, TIMEOUT_MAX, &state->timeout,
			e) < 0 ||
		kt_pcr_parse(pcrs != NULL ? pcrs : "sha256:7", &state->pcrs, e) < 0)
		return -1;
	if (state->bootstrap != NULL && state->bootstrap_sealed != NULL)
		return kt_fail(
			e, KT_E_USAGE, "bootstrap= and bootstrap-sealed= exclude each other");
	for (size_t i = 0; i < state->pcrs.count; i++)
		if (state->pcrs.banks[i].known != 0)
			return kt_fail(e, KT_E_USAGE, "pcrs=: without values: the TPM has them");
	return state->node != NULL ? 0 : default_node(&state->node, e);
}

static void close_state(void *opaque)
{
	struct state *state = opaque;

	if (state == NULL)
		return;
	free(state->folder);
	free(state->bootstrap);
	free(state->bootstrap_sealed);
	free(state->server);
	free(state->ca_file);
	free(state->node);
	free(state);
}

static enum kt_result open_state(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));
	struct kt_error e;

	*ret_state = state;
	if (state == NULL) {
		kt_fail_memory(&e);
		return kt_module_fail(host, &e);
	}
	return parse_arguments(argc, argv, state, &e) < 0 ? kt_module_fail(host, &e) : KT_OK;
}

/* Between 70 and 80 percent of its life, and always at the same time for the same certificate. */
static int64_t renewal_time(const struct kt_client_cert *cert)
{
	uint8_t digest[KT_SHA256_BYTES];
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(
		&hash, kt_secret_bytes(cert->certificates), kt_secret_len(cert->certificates));
	kt_sha256_finish(&hash, digest);
	return cert->not_before +
	       (cert->not_after - cert->not_before) * (7000 + digest[0] * 1000 / 255) / 10000;
}

static int give(const struct kt_host *host, const struct kt_client_cert *cert, int64_t until,
	struct kt_credential *out, struct kt_error *e)
{
	if (kt_module_give(host, kt_secret_bytes(cert->certificates),
		    kt_secret_len(cert->certificates), &out->certificate, e) < 0 ||
		kt_module_give(host, kt_secret_bytes(cert->key), kt_secret_len(cert->key),
			&out->key, e) < 0)
		return -1;
	out->not_after = until < cert->not_after ? until : cert->not_after;
	return 0;
}

/* *len without the end of the line. KT_E_INPUT if it cannot stand in a header. */
static int check_token(const char *path, const char *text, size_t *len, struct kt_error *e)
{
	while (*len > 0 && (text[*len - 1] == '\n' || text[*len - 1] == '\r'))
		--*len;
	for (size_t i = 0; i < *len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return kt_fail(e, KT_E_INPUT, "%s: not a token", path);
	return *len > 0 ? 0 : kt_fail(e, KT_E_INPUT, "%s: empty", path);
}

static int read_token_file(const char *path, struct kt_secret **ret_token, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (kt_read_trusted_file(path, TOKEN_MAX_BYTES, &text, &len, e) < 0 ||
		kt_secret_new(TOKEN_MAX_BYTES, ret_token, e) < 0)
		return -1;
	return kt_secret_append(*ret_token, text, len, e);
}

static int read_token(const struct state *state, const char *tcti, struct kt_secret **ret_token,
	struct kt_error *e)
{
	const struct kt_seal_means means = {0};
	const char *path = state->bootstrap != NULL ? state->bootstrap : state->bootstrap_sealed;
	auto_secret struct kt_secret *token = NULL;
	size_t len;
	int status;

	if (path == NULL)
		return kt_fail(e, KT_E_USAGE,
			"there is no credential yet: give bootstrap=FILE, with a bootstrap token");
	status = state->bootstrap != NULL
			 ? read_token_file(path, &token, e)
			 : kt_sealed_open(path, KT_PURPOSE_EXEC, tcti, &means, &token, e);
	if (status < 0)
		return -1;
	len = kt_secret_len(token);
	if (check_token(path, kt_secret_bytes(token), &len, e) < 0)
		return -1;
	kt_secret_set_len(token, len);
	*ret_token = kt_take(token);
	return 0;
}

static int read_ca(
	const struct state *state, const struct kt_host *host, char **ret_ca, struct kt_error *e)
{
	const char *data = host->get_item(host->ctx, KT_ITEM_CA_DATA);
	auto_free uint8_t *text = NULL;
	size_t len;

	if (state->ca_file != NULL) {
		if (kt_read_trusted_file(state->ca_file, CA_MAX_BYTES, &text, &len, e) < 0)
			return -1;
		*ret_ca = strndup((const char *)text, len);
	} else if (data != NULL) {
		*ret_ca = strdup(data);
	} else {
		*ret_ca = NULL;
		return 0;
	}
	return *ret_ca != NULL ? 0 : kt_fail_memory(e);
}

/* With the old credential if there is one, else with the bootstrap token. */
static int earn(const struct state *state, const struct kt_host *host,
	const struct kt_client_cert *old, int64_t deadline, struct kt_client_cert *ret_new,
	struct kt_error *e)
{
	const char *tcti = host->get_item(host->ctx, KT_ITEM_TCTI);
	auto_secret struct kt_secret *token = NULL, *pem = NULL;
	auto_free char *ca = NULL;
	struct api_place place = {
		.server = state->server, .proxy = host->get_item(host->ctx, KT_ITEM_PROXY_URL)};
	const struct enrolment what = {.node = state->node,
		.pcrs = &state->pcrs,
		.lifetime = state->lifetime,
		.tcti = tcti,
		.place = &place,
		.deadline = deadline};

	if (place.server == NULL) {
		place.server = host->get_item(host->ctx, KT_ITEM_SERVER);
		if (host->get_item(host->ctx, KT_ITEM_TLS_SERVER_NAME) != NULL)
			return kt_fail(e, KT_E_USAGE,
				"the kubeconfig's tls-server-name is not taken here: give "
				"server=URL with a name that is in the API server's certificate");
	}
	if (read_ca(state, host, &ca, e) < 0 ||
		(old == NULL && read_token(state, tcti, &token, e) < 0))
		return -1;
	place.ca = ca;
	place.token = token;
	place.certificate = old != NULL ? old->certificates : NULL;
	place.key = old != NULL ? old->key : NULL;
	if (enrol(&what, &pem, e) < 0 || kt_client_cert_split(pem, ret_new, e) < 0)
		return -1;
	if (kt_client_cert_check_dates(ret_new, (int64_t)time(NULL), e) < 0 ||
		store_save(state->folder, tcti, &state->pcrs, pem, e) < 0) {
		kt_client_cert_fini(ret_new);
		return -1;
	}
	return 0;
}

/* `old`: what is there and has not expired, or NULL. */
static int renew(const struct state *state, const struct kt_host *host,
	const struct kt_client_cert *old, int64_t deadline, struct kt_credential *out,
	struct kt_error *e)
{
	const int64_t later = (int64_t)time(NULL) + RETRY_SECONDS;
	struct kt_client_cert new;
	int status;

	/* libcurl copies token and key, and does not wipe what it frees. */
	kt_wipe_freed(true);
	status = earn(state, host, old, deadline, &new, e);
	kt_wipe_freed(false);
	if (status < 0) {
		if (old == NULL)
			return -1;
		host->log(host->ctx, KT_LOG_WARN, "not renewed, the old certificate serves on: %s",
			e->msg);
		return give(host, old, later, out, e);
	}
	/* A signer that backdates much must not make it due at once. */
	status = give(host, &new, renewal_time(&new) > later ? renewal_time(&new) : later, out, e);
	kt_client_cert_fini(&new);
	return status;
}

static int fetch_locked(const struct state *state, const struct kt_host *host, int64_t deadline,
	struct kt_credential *out, struct kt_error *e)
{
	const int64_t now = (int64_t)time(NULL);
	struct kt_client_cert cert;
	struct kt_error why;
	bool there;
	int status;

	if (store_open(state->folder, host->get_item(host->ctx, KT_ITEM_TCTI), &cert, &there, &why,
		    e) < 0)
		return -1;
	if (!there) {
		if (why.code != KT_E_NONE)
			host->log(host->ctx, KT_LOG_WARN,
				"the stored key does not open, and a new one is enrolled: %s",
				why.msg);
		return renew(state, host, NULL, deadline, out, e);
	}
	if (now < renewal_time(&cert))
		status = give(host, &cert, renewal_time(&cert), out, e);
	else
		status = renew(state, host, now < cert.not_after ? &cert : NULL, deadline, out, e);
	kt_client_cert_fini(&cert);
	return status;
}

static int fetch(const struct state *state, const struct kt_host *host, struct kt_credential *out,
	struct kt_error *e)
{
	/* Who waits for somebody else's enrolment has so much less for his own. */
	const int64_t deadline = api_now_ms() + state->timeout * 1000;
	int lock, status;

	if (store_lock(state->folder, &lock, e) < 0)
		return -1;
	status = fetch_locked(state, host, deadline, out, e);
	close(lock);
	return status;
}

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	const char *request = host->get_item(host->ctx, KT_ITEM_REQUEST);
	struct kt_error e;

	if (request == NULL || strcmp(request, "exec") != 0)
		return KT_PASS;
	return fetch(state, host, out, &e) < 0 ? kt_module_fail(host, &e) : KT_OK;
}

static const struct kt_param params[] = {
	{"state", "folder for the key and certificate", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"bootstrap", "file with a bootstrap token, for the first time", KT_PARAM_FILE},
	{"bootstrap-sealed", "the same in a sealed file, of the purpose exec-credential",
		KT_PARAM_FILE},
	{"node", "the node's name (default: the host's)", 0},
	{"pcrs", "PCRs to prove and to bind the key to, such as sha256:7,11 (default: sha256:7)",
		0},
	{"lifetime", "of a certificate, such as 24h (the default)", 0},
	{"timeout", "longest time that enrolling may take (default: 30s)", 0},
	{"server", "the API server (default: the kubeconfig's)", 0},
	{"ca", "file with the API server's CA (default: the kubeconfig's)", KT_PARAM_FILE},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "cred-attested",
	.summary = "a kubelet's certificate, which the TPM earns by attestation",
	.params = params,
	.open = open_state,
	.credential = credential,
	.close = close_state,
};

KT_MODULE(module)
