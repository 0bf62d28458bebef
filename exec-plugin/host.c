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
		host->path_decides = true;
	return kt_image_matches(pattern, image) ? 1 : 0;
}

static int offer_registry(
	void *ctx, const char *pattern, const char *username, struct kt_secret *password)
{
	struct kt_exec_host *host = ctx;
	bool whole = username != NULL && password != NULL && kt_secret_len(password) > 0;
	int matches = whole ? image_matches(ctx, pattern) : -1;
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

static void init(
	struct kt_exec_host *host, const char *kind, const char *api_version, int64_t (*now)(void))
{
	*host = (struct kt_exec_host){.now = now};
	kt_host_init(&host->base);
	host->base.items[KT_ITEM_REQUEST] = kind;
	host->base.items[KT_ITEM_API_VERSION] = api_version;
}

void kt_exec_host_init_exec(
	struct kt_exec_host *host, const struct kt_execcred *request, int64_t (*now)(void))
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
	struct kt_exec_host *host, const struct kt_credprovider *request, int64_t (*now)(void))
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

static bool is_missing_bytes(const struct kt_secret *member)
{
	return member != NULL && kt_secret_len(member) == 0;
}

/* Go puts the token behind "Authorization: Bearer " (RFC 6750, 2.1): no blanks, no controls. */
static int check_token(const struct kt_secret *token, struct kt_error *e)
{
	const char *bytes = token != NULL ? kt_secret_bytes(token) : NULL;

	for (size_t i = 0; token != NULL && i < kt_secret_len(token); i++)
		if (bytes[i] <= ' ' || bytes[i] > '~')
			return kt_fail(e, KT_E_INPUT,
				"gave a token with a blank, control or non-ASCII byte");
	return 0;
}

static int check_end(int64_t not_after, int64_t now, struct kt_error *e)
{
	char when[KT_RFC3339_SIZE];

	if (not_after == 0 || not_after > now)
		return 0;
	if (kt_rfc3339_format(not_after, when, e) < 0)
		return -1;
	return kt_fail(
		e, KT_E_REFUSED, "the credential expired at %s; seal or fetch a new one", when);
}

static int check_given(
	const struct kt_exec_host *host, const struct kt_credential *given, struct kt_error *e)
{
	if (is_empty(given))
		return 0;
	if (kt_exec_host_is_image(host))
		return kt_fail(e, KT_E_INTERNAL, "gave a credential to a request for an image");
	if ((given->certificate == NULL) != (given->key == NULL))
		return kt_fail(e, KT_E_INTERNAL,
			"gave a client certificate or a key alone; they go together");
	if (is_missing_bytes(given->token) || is_missing_bytes(given->certificate) ||
		is_missing_bytes(given->key))
		return kt_fail(e, KT_E_INPUT, "gave an empty token, certificate or key");
	if (check_token(given->token, e) < 0)
		return -1;
	return check_end(given->not_after, host->now(), e);
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

/* A result that is none counts as KT_ERROR. */
static enum kt_result settle(
	struct kt_exec_host *host, enum kt_result result, struct kt_error *ret_reason)
{
	if (result == KT_OK || result == KT_PASS)
		return result;
	kt_host_failure(&host->base, result, ret_reason);
	return result == KT_DENIED || result == KT_UNAVAIL ? result : KT_ERROR;
}

enum kt_result kt_exec_host_open(struct kt_exec_host *host, const struct kt_module *module,
	int argc, const char *const argv[], void **ret_state, struct kt_error *ret_reason)
{
	size_t offered = host->offers.count;
	bool path_decides = host->path_decides;
	enum kt_result result = KT_OK;

	*ret_state = NULL;
	if (module->open == NULL)
		return KT_OK;
	kt_host_enter(&host->base, module->name);
	result = module->open(&host->base.table, argc, argv, ret_state);
	/* Opening is for looking at arguments: it neither offers nor decides anything. */
	kt_offers_truncate(&host->offers, offered);
	host->path_decides = path_decides;
	return settle(host, result, ret_reason);
}

void kt_exec_host_close(const struct kt_module *module, void *state)
{
	if (module->close != NULL)
		module->close(state);
}

/* What a module said about caching goes with what it offered. */
static void take_back(struct kt_offers *offers, const struct kt_offers *before)
{
	kt_offers_truncate(offers, before->count);
	offers->cache_key = before->cache_key;
	offers->has_cache_seconds = before->has_cache_seconds;
	offers->cache_seconds = before->cache_seconds;
}

enum kt_result kt_exec_host_call(struct kt_exec_host *host, const struct kt_module *module,
	void *state, struct kt_error *ret_reason)
{
	struct kt_credential given = {.size = sizeof(given)};
	const struct kt_offers before = host->offers;
	enum kt_result result;

	kt_host_enter(&host->base, module->name);
	host->cache_key_given = false;
	result = settle(host, module->credential(state, &host->base.table, &given), ret_reason);
	if (result == KT_OK && check_given(host, &given, ret_reason) < 0) {
		kt_wrap(ret_reason, "%s", module->name);
		result = KT_ERROR;
	}
	if (result == KT_OK) {
		merge(&host->credential, &given);
		if (!host->cache_key_given && host->offers.count > before.count)
			kt_offers_narrow(&host->offers, KT_CACHE_REGISTRY);
	} else {
		take_back(&host->offers, &before);
	}
	/* That a path was looked at stays: for another image it may decide otherwise. */
	if (host->path_decides)
		kt_offers_narrow(&host->offers, KT_CACHE_IMAGE);
	free_credential(&given);
	return result;
}

int kt_exec_host_answer(
	const struct kt_exec_host *host, struct kt_secret **ret_answer, struct kt_error *e)
{
	const char *api_version = host->base.items[KT_ITEM_API_VERSION];

	if (kt_exec_host_is_image(host))
		return kt_credprovider_write(api_version, &host->offers, ret_answer, e);
	return kt_execcred_write(api_version, &host->credential, host->now(), ret_answer, e);
}
