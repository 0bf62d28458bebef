/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred-sealed: a credential that lies in a file sealed to this machine's TPM. The arguments are
 * judged and the request is looked at first: what is not asked for is not unsealed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kubetpm/module.h>

#include "lib/auto.h"
#include "lib/module.h"
#include "lib/pin.h"
#include "lib/rfc3339.h"
#include "lib/seal.h"
#include "lib/client-cert.h"
#include "modules/cred-sealed/docker-config.h"
#include "modules/cred-sealed/token.h"

#define TTL_MIN_SECONDS 60
#define TTL_MAX_SECONDS 315360000 /* ten years */

struct state;

/* What a sealed file can hold. Each gives from the unsealed secret, and reports by KT_OK or
 * KT_PASS, or fills the error. */
struct form {
	const char *name;
	const char *purpose;
	const char *request;
	int (*give)(const struct state *state, const struct kt_host *host,
		const struct kt_secret *secret, struct kt_credential *out,
		enum kt_result *ret_result, struct kt_error *e);
};

struct state {
	const struct form *form;
	char *file;
	char *pin_file;
	char *policy_dir;
	char *registry; /* as a pattern */
	char *username;
	int64_t ttl; /* seconds; 0: not given */
};

static int64_t end_of_life(const struct state *state, int64_t not_after)
{
	int64_t end = state->ttl != 0 ? (int64_t)time(NULL) + state->ttl : 0;

	if (end == 0 || (not_after != 0 && not_after < end))
		return not_after;
	return end;
}

static int give_token(const struct state *state, const struct kt_host *host,
	const struct kt_secret *secret, struct kt_credential *out, enum kt_result *ret_result,
	struct kt_error *e)
{
	const char *bytes = kt_secret_bytes(secret);
	int64_t expiry = 0;
	size_t len = 0;

	if (kt_token_check(secret, &len, e) < 0 || kt_token_expiry(bytes, len, &expiry, e) < 0 ||
		kt_module_give(host, bytes, len, &out->token, e) < 0)
		return -1;
	out->not_after = end_of_life(state, expiry);
	*ret_result = KT_OK;
	return 0;
}

static int give_client_certificate(const struct state *state, const struct kt_host *host,
	const struct kt_secret *secret, struct kt_credential *out, enum kt_result *ret_result,
	struct kt_error *e)
{
	struct kt_client_cert cert = {0};
	int result;

	if (kt_client_cert_split(secret, &cert, e) < 0)
		return -1;
	result = kt_client_cert_check_dates(&cert, (int64_t)time(NULL), e);
	if (result == 0)
		result = kt_module_give(host, kt_secret_bytes(cert.certificates),
			kt_secret_len(cert.certificates), &out->certificate, e);
	if (result == 0)
		result = kt_module_give(
			host, kt_secret_bytes(cert.key), kt_secret_len(cert.key), &out->key, e);
	out->not_after = end_of_life(state, cert.not_after);
	kt_client_cert_fini(&cert);
	*ret_result = KT_OK;
	return result;
}

struct visit {
	const struct kt_host *host;
	size_t offered;
};

/* `pattern` is well-formed. */
static int offer(struct visit *visit, const char *pattern, const char *username,
	const struct kt_secret *password, struct kt_error *e)
{
	const struct kt_host *host = visit->host;
	struct kt_secret *theirs = NULL;

	if (kt_module_give(host, kt_secret_bytes(password), kt_secret_len(password), &theirs, e) <
		0)
		return -1;
	if (host->offer_registry(host->ctx, pattern, username, theirs) < 0)
		return kt_fail(e, KT_E_INPUT,
			"the host has no room for more than %zu registries that match the image",
			visit->offered);
	visit->offered++;
	return 0;
}

static int wants_registry(void *ctx, size_t number, const char *pattern)
{
	const struct visit *visit = ctx;
	int matches = visit->host->image_matches(visit->host->ctx, pattern);

	/* The kubelet, too, leaves out what it cannot parse, and says so. */
	if (matches < 0)
		visit->host->log(visit->host->ctx, KT_LOG_WARN,
			"auths, entry %zu is no host[:port][/path]; it is left out", number);
	return matches;
}

static int take_registry(void *ctx, const char *pattern, const char *username,
	const struct kt_secret *password, struct kt_error *e)
{
	return offer(ctx, pattern, username, password, e);
}

static int give_docker_config(const struct state *state, const struct kt_host *host,
	const struct kt_secret *secret, struct kt_credential *out, enum kt_result *ret_result,
	struct kt_error *e)
{
	struct visit visit = {.host = host};
	const struct kt_docker_visitor visitor = {
		.ctx = &visit, .wants = wants_registry, .take = take_registry};

	(void)state;
	(void)out;
	if (kt_docker_config_visit(secret, &visitor, e) < 0)
		return -1;
	*ret_result = visit.offered > 0 ? KT_OK : KT_PASS;
	return 0;
}

static int give_registry_password(const struct state *state, const struct kt_host *host,
	const struct kt_secret *secret, struct kt_credential *out, enum kt_result *ret_result,
	struct kt_error *e)
{
	auto_secret struct kt_secret *password = NULL;
	struct visit visit = {.host = host};
	const char *bytes = kt_secret_bytes(secret);
	size_t len = kt_secret_len(secret);

	(void)out;
	if (len > 0 && bytes[len - 1] == '\n')
		len--;
	if (len == 0)
		return kt_fail(e, KT_E_INPUT, "the password is empty");
	if (memchr(bytes, '\n', len) != NULL || memchr(bytes, '\0', len) != NULL)
		return kt_fail(e, KT_E_INPUT, "the password has a newline or NUL byte in it");
	if (!kt_docker_is_utf8(bytes, len))
		return kt_fail(e, KT_E_INPUT, "the password is not UTF-8");
	if (kt_secret_from(bytes, len, &password, e) < 0)
		return -1;
	*ret_result = KT_OK;
	return offer(&visit, state->registry, state->username, password, e);
}

static const struct form forms[] = {
	{"token", KT_PURPOSE_EXEC, "exec", give_token},
	{"client-certificate", KT_PURPOSE_EXEC, "exec", give_client_certificate},
	{"docker-config", KT_PURPOSE_IMAGE, "image", give_docker_config},
	{"registry-password", KT_PURPOSE_IMAGE, "image", give_registry_password},
};

static int parse_form(const char *name, const struct form **ret_form, struct kt_error *e)
{
	for (size_t i = 0; name != NULL && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strcmp(name, forms[i].name) != 0)
			continue;
		*ret_form = &forms[i];
		return 0;
	}
	return kt_fail(e, KT_E_USAGE,
		"as= is token, client-certificate, docker-config or "
		"registry-password");
}

static int parse_ttl(const char *text, int64_t *ret_seconds, struct kt_error *e)
{
	int64_t seconds = 0;

	if (text == NULL)
		return 0;
	if (kt_duration_parse(text, &seconds, e) < 0) {
		e->code = KT_E_USAGE;
		return kt_wrap(e, "ttl=");
	}
	if (seconds < TTL_MIN_SECONDS || seconds > TTL_MAX_SECONDS)
		return kt_fail(e, KT_E_USAGE, "ttl=%.32s: at least 1m, at most 87600h", text);
	*ret_seconds = seconds;
	return 0;
}

static int copy(const char *text, char **ret_copy, struct kt_error *e)
{
	if (text == NULL)
		return 0;
	*ret_copy = strdup(text);
	return *ret_copy != NULL ? 0 : kt_fail_memory(e);
}

static int parse_registry(
	int argc, const char *const argv[], struct state *state, struct kt_error *e)
{
	const char *registry = kt_module_arg(argc, argv, "registry");
	const char *username = kt_module_arg(argc, argv, "username");
	bool wanted = state->form->give == give_registry_password;

	if ((registry != NULL) != wanted || (username != NULL) != wanted)
		return kt_fail(e, KT_E_USAGE,
			"registry= and username= go with as=registry-password, and it needs both");
	if (copy(registry, &state->registry, e) < 0)
		return -1;
	return copy(username, &state->username, e);
}

static int parse_arguments(
	int argc, const char *const argv[], struct state *state, struct kt_error *e)
{
	const char *file = kt_module_arg(argc, argv, "file");

	if (file == NULL)
		return kt_fail(e, KT_E_USAGE, "file= is missing");
	if (parse_form(kt_module_arg(argc, argv, "as"), &state->form, e) < 0 ||
		parse_ttl(kt_module_arg(argc, argv, "ttl"), &state->ttl, e) < 0 ||
		copy(file, &state->file, e) < 0 ||
		copy(kt_module_arg(argc, argv, "pin-file"), &state->pin_file, e) < 0 ||
		copy(kt_module_arg(argc, argv, "policy-dir"), &state->policy_dir, e) < 0)
		return -1;
	return parse_registry(argc, argv, state, e);
}

static void close_state(void *opaque)
{
	struct state *state = opaque;

	if (state == NULL)
		return;
	free(state->file);
	free(state->pin_file);
	free(state->policy_dir);
	free(state->registry);
	free(state->username);
	free(state);
}

/* A host that serves exec requests has no images to match: then nobody asks for it, either. */
static int check_registry(const struct state *state, const struct kt_host *host, struct kt_error *e)
{
	if (state->registry == NULL || host->image_matches == NULL ||
		host->image_matches(host->ctx, state->registry) >= 0)
		return 0;
	return kt_fail(e, KT_E_USAGE, "registry=%.128s is no host[:port][/path]", state->registry);
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
	if (parse_arguments(argc, argv, state, &e) < 0 || check_registry(state, host, &e) < 0)
		return kt_module_fail(host, &e);
	return KT_OK;
}

/* Of this kind of request, and for this registry? */
static bool is_asked_for(const struct state *state, const struct kt_host *host)
{
	const char *request = host->get_item(host->ctx, KT_ITEM_REQUEST);

	if (request == NULL || strcmp(request, state->form->request) != 0)
		return false;
	return state->registry == NULL || host->image_matches(host->ctx, state->registry) > 0;
}

static int fetch(const struct state *state, const struct kt_host *host, struct kt_credential *out,
	enum kt_result *ret_result, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_secret struct kt_secret *pin = NULL;
	struct kt_seal_means means = {.policy_dir = state->policy_dir};

	if (!is_asked_for(state, host)) {
		*ret_result = KT_PASS;
		return 0;
	}
	if (state->pin_file != NULL &&
		kt_pin_read_file(state->pin_file, KT_PIN_MAX_BYTES, &pin, e) < 0)
		return -1;
	means.pin = pin;
	if (kt_sealed_open(state->file, state->form->purpose,
		    host->get_item(host->ctx, KT_ITEM_TCTI), &means, &secret, e) < 0)
		return -1;
	if (state->form->give(state, host, secret, out, ret_result, e) < 0)
		return kt_wrap(e, "%s", state->file);
	if (state->ttl != 0 && host->image_cache != NULL && *ret_result == KT_OK)
		return host->image_cache(host->ctx, NULL, state->ttl) < 0
			       ? kt_fail(e, KT_E_INTERNAL, "the host refuses the ttl")
			       : 0;
	return 0;
}

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	enum kt_result result = KT_ERROR;
	struct kt_error e;

	if (fetch(state, host, out, &result, &e) < 0)
		return kt_module_fail(host, &e);
	return result;
}

static const struct kt_param params[] = {
	{"file", "the sealed file", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"as", "token, client-certificate, docker-config or registry-password", KT_PARAM_REQUIRED},
	{"ttl", "longest time that the answer may be used, such as 10m", 0},
	{"pin-file", "file with the PIN", KT_PARAM_FILE},
	{"policy-dir", "folder of approvals, for a file whose states are approved", KT_PARAM_FILE},
	{"registry", "host[:port][/path] that a registry-password is for", 0},
	{"username", "user that a registry-password belongs to", 0},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "cred-sealed",
	.summary = "a credential from a file that is sealed to the TPM",
	.params = params,
	.open = open_state,
	.credential = credential,
	.close = close_state,
};

KT_MODULE(module)
