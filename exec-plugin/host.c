/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One module at a time gets an empty credential to fill. Only what a successful call gave is kept,
 * so a module that fails half-way leaves nothing behind.
 */
#include "exec-plugin/host.h"

#include <string.h>

#include "exec-plugin/image.h"
#include "lib/rfc3339.h"

static int image_matches(void *ctx, const char *pattern)
{
	struct kt_exec_host *host = ctx;
	const char *image = host->base.items[KT_ITEM_IMAGE];
	struct kt_error e;

	if (image == NULL || pattern == NULL || kt_image_check_pattern(pattern, &e) < 0)
		return -1;
	if (kt_image_path_decides(pattern, image))
		kt_offers_narrow(&host->offers, KT_CACHE_IMAGE);
	return kt_image_matches(pattern, image) ? 1 : 0;
}

static int offer_registry(
	void *ctx, const char *pattern, const char *username, struct kt_secret *password)
{
	struct kt_exec_host *host = ctx;
	int matches = username != NULL && password != NULL ? image_matches(ctx, pattern) : -1;
	struct kt_error e;

	if (matches <= 0) {
		kt_secret_free(password);
		return matches;
	}
	return kt_offers_add(&host->offers, pattern, username, password, &e) < 0 ? -1 : 1;
}

static int image_cache(void *ctx, const char *key_type, int64_t seconds)
{
	struct kt_exec_host *host = ctx;
	struct kt_error e;

	if (key_type != NULL)
		host->cache_key_given = true;
	return kt_offers_cache(&host->offers, key_type, seconds, &e);
}

static void init(struct kt_exec_host *host, const char *kind, const char *api_version, int64_t now)
{
	*host = (struct kt_exec_host){.now = now};
	kt_host_init(&host->base);
	host->base.items[KT_ITEM_REQUEST] = kind;
	host->base.items[KT_ITEM_API_VERSION] = api_version;
}

void kt_exec_host_init_exec(
	struct kt_exec_host *host, const struct kt_execcred *request, int64_t now)
{
	const char **items = host->base.items;

	init(host, "exec", request->api_version, now);
	items[KT_ITEM_INTERACTIVE] = request->interactive ? "true" : "false";
	items[KT_ITEM_SERVER] = request->server;
	items[KT_ITEM_TLS_SERVER_NAME] = request->tls_server_name;
	items[KT_ITEM_CA_DATA] = request->ca_data;
	items[KT_ITEM_PROXY_URL] = request->proxy_url;
	items[KT_ITEM_CLUSTER_CONFIG] = request->config;
	items[KT_ITEM_INSECURE_SKIP_TLS_VERIFY] = request->insecure_skip_tls_verify ? "true" : NULL;
}

void kt_exec_host_init_image(
	struct kt_exec_host *host, const struct kt_credprovider *request, int64_t now)
{
	init(host, "image", request->api_version, now);
	host->base.items[KT_ITEM_IMAGE] = request->image;
	host->base.items[KT_ITEM_ANNOTATIONS] = request->annotations;
	host->base.table.image_matches = image_matches;
	host->base.table.offer_registry = offer_registry;
	host->base.table.image_cache = image_cache;
}

static void free_credential(struct kt_credential *credential)
{
	kt_secret_free(credential->token);
	kt_secret_free(credential->certificate);
	kt_secret_free(credential->key);
	*credential = (struct kt_credential){.size = sizeof(*credential)};
}

void kt_exec_host_fini(struct kt_exec_host *host)
{
	free_credential(&host->credential);
	kt_offers_fini(&host->offers);
}

bool kt_exec_host_is_image(const struct kt_exec_host *host)
{
	return host->base.items[KT_ITEM_IMAGE] != NULL;
}

bool kt_exec_host_has_answer(const struct kt_exec_host *host)
{
	return host->offers.count > 0 || host->credential.token != NULL ||
	       host->credential.key != NULL;
}

static bool is_empty(const struct kt_credential *credential)
{
	return credential->token == NULL && credential->certificate == NULL &&
	       credential->key == NULL;
}

static int check_given(
	const struct kt_exec_host *host, const struct kt_credential *given, struct kt_error *e)
{
	char when[KT_RFC3339_SIZE];

	if (is_empty(given))
		return 0;
	if (kt_exec_host_is_image(host))
		return kt_fail(e, KT_E_INTERNAL, "gave a credential to a request for an image");
	if ((given->certificate == NULL) != (given->key == NULL))
		return kt_fail(e, KT_E_INTERNAL,
			"gave a client certificate or a key alone; they go together");
	if (given->not_after == 0 || given->not_after > host->now)
		return 0;
	if (kt_rfc3339_format(given->not_after, when, e) < 0)
		return -1;
	return kt_fail(
		e, KT_E_REFUSED, "the credential expired at %s; seal or fetch a new one", when);
}

/* Moves a member over unless there is one already. */
static bool merge_member(struct kt_secret **into, struct kt_secret **from)
{
	if (*into != NULL || *from == NULL)
		return false;
	*into = *from;
	*from = NULL;
	return true;
}

static void merge(struct kt_credential *into, struct kt_credential *from)
{
	bool counts = merge_member(&into->token, &from->token);

	if (into->key == NULL && from->key != NULL) {
		counts = true;
		merge_member(&into->key, &from->key);
		merge_member(&into->certificate, &from->certificate);
	}
	if (counts && from->not_after != 0 &&
		(into->not_after == 0 || from->not_after < into->not_after))
		into->not_after = from->not_after;
}

static enum kt_result call(struct kt_exec_host *host, const struct kt_module *module, int argc,
	const char *const argv[], struct kt_credential *out)
{
	enum kt_result result = KT_OK;
	void *state = NULL;

	if (module->open != NULL)
		result = module->open(&host->base.table, argc, argv, &state);
	if (result == KT_OK)
		result = module->credential(state, &host->base.table, out);
	if (module->close != NULL)
		module->close(state);
	return result;
}

enum kt_result kt_exec_host_call(struct kt_exec_host *host, const struct kt_module *module,
	int argc, const char *const argv[], struct kt_error *ret_reason)
{
	struct kt_credential given = {.size = sizeof(given)};
	enum kt_result result;

	kt_host_enter(&host->base, module->name);
	host->cache_key_given = false;
	host->offers_before = host->offers.count;
	result = call(host, module, argc, argv, &given);
	if (result != KT_OK && result != KT_PASS) {
		kt_host_failure(&host->base, result, ret_reason);
		result = result == KT_DENIED || result == KT_UNAVAIL ? result : KT_ERROR;
	} else if (result == KT_OK && check_given(host, &given, ret_reason) < 0) {
		kt_wrap(ret_reason, "%s", module->name);
		result = KT_ERROR;
	} else if (result == KT_OK) {
		merge(&host->credential, &given);
		if (!host->cache_key_given && host->offers.count > host->offers_before)
			kt_offers_narrow(&host->offers, KT_CACHE_REGISTRY);
	}
	if (result != KT_OK)
		kt_offers_truncate(&host->offers, host->offers_before);
	free_credential(&given);
	return result;
}

int kt_exec_host_answer(
	const struct kt_exec_host *host, struct kt_secret **ret_answer, struct kt_error *e)
{
	const char *api_version = host->base.items[KT_ITEM_API_VERSION];

	if (kt_exec_host_is_image(host))
		return kt_credprovider_write(api_version, &host->offers, ret_answer, e);
	return kt_execcred_write(api_version, &host->credential, host->now, ret_answer, e);
}
