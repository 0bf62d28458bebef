/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole file is a secret: it is parsed into a tree that is wiped, and each password is decoded
 * into locked memory. `auth` (base64 of user:password) wins over `username` and `password`, as in
 * the kubelet.
 */
#include "modules/cred-sealed/docker-config.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/json.h"

#define KEY_MAX 4096
#define VALUE_MAX ((size_t)1 << 20)
#define REGISTRIES_MAX 1024

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : text;
}

int kt_docker_pattern(const char *key, char **ret_pattern, struct kt_error *e)
{
	const char *host = skip_prefix(key, "https://");
	const char *path;
	char *pattern = NULL;
	size_t host_len;

	if (host == key)
		host = skip_prefix(key, "http://");
	host_len = strcspn(host, "/");
	path = host + host_len;
	if (strncmp(path, "/v1/", 4) == 0 || strncmp(path, "/v2/", 4) == 0)
		path += 3;
	if (strcmp(path, "/") == 0)
		path++;
	if (asprintf(&pattern, "%.*s%s", (int)host_len, host, path) < 0)
		return kt_fail_memory(e);
	*ret_pattern = pattern;
	return 0;
}

/* docker writes padded base64, others leave the padding out, and tools wrap lines, which Go skips
 * (encoding/base64); the kubelet reads them all. */
static int decode_auth(const char *auth, struct kt_secret **ret_pair, struct kt_error *e)
{
	auto_secret struct kt_secret *padded = NULL;
	size_t len = strlen(auth), missing;

	if (kt_secret_new(len + 3, &padded, e) < 0)
		return -1;
	while (*auth != '\0') {
		size_t run = strcspn(auth, "\r\n");

		if (kt_secret_append(padded, auth, run, e) < 0)
			return -1;
		auth += run + strspn(auth + run, "\r\n");
	}
	missing = (4 - kt_secret_len(padded) % 4) % 4;
	if (missing < 3 && kt_secret_append(padded, "==", missing, e) < 0)
		return -1;
	return kt_b64_decode_secret(kt_secret_bytes(padded), kt_secret_len(padded), ret_pair, e);
}

bool kt_docker_is_utf8(const void *bytes, size_t len)
{
	const uint8_t *text = bytes;

	for (size_t at = 0, step; at < len; at += step) {
		step = kt_json_utf8_len(text + at, len - at);
		if (step == 0)
			return false;
	}
	return true;
}

static int give(const struct kt_docker_visitor *visitor, const char *pattern, const char *username,
	const struct kt_secret *password, struct json_object *entry, struct kt_error *e)
{
	struct json_object *token = NULL;

	if (kt_secret_len(password) > 0)
		return visitor->take(visitor->ctx, pattern, username, password, e);
	if (json_object_object_get_ex(entry, "identitytoken", &token) && token != NULL)
		return kt_fail(e, KT_E_INPUT,
			"it has an identitytoken and no password; the kubelet cannot use one");
	return kt_fail(e, KT_E_INPUT, "the password is empty");
}

static int take_auth(const struct kt_docker_visitor *visitor, const char *pattern, const char *auth,
	struct json_object *entry, struct kt_error *e)
{
	auto_secret struct kt_secret *pair = NULL;
	auto_secret struct kt_secret *password = NULL;
	char *user, *colon;
	size_t len;

	if (decode_auth(auth, &pair, e) < 0)
		return kt_wrap(e, "auth");
	user = kt_secret_buffer(pair);
	len = kt_secret_len(pair);
	colon = memchr(user, ':', len);
	if (colon == NULL)
		return kt_fail(e, KT_E_INPUT, "auth is not user:password");
	if (memchr(user, '\0', len) != NULL)
		return kt_fail(e, KT_E_INPUT, "auth contains a NUL byte");
	if (!kt_docker_is_utf8(user, len))
		return kt_fail(e, KT_E_INPUT, "auth is not UTF-8");
	if (kt_secret_from(colon + 1, len - (size_t)(colon - user) - 1, &password, e) < 0)
		return -1;
	*colon = '\0';
	return give(visitor, pattern, user, password, entry, e);
}

static int take_members(const struct kt_docker_visitor *visitor, const char *pattern,
	struct json_object *entry, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	const char *username = NULL, *password = NULL;

	if (kt_json_get_string_opt(entry, "username", VALUE_MAX, &username, e) < 0 ||
		kt_json_get_string_opt(entry, "password", VALUE_MAX, &password, e) < 0)
		return -1;
	if (username == NULL || *username == '\0' || password == NULL)
		return kt_fail(e, KT_E_INPUT,
			"neither auth nor username and password (credential helpers are not run)");
	if (kt_secret_from(password, strlen(password), &secret, e) < 0)
		return -1;
	return give(visitor, pattern, username, secret, entry, e);
}

static int take_entry(const struct kt_docker_visitor *visitor, const char *pattern,
	struct json_object *entry, struct kt_error *e)
{
	const char *auth = NULL;

	if (kt_json_get_string_opt(entry, "auth", VALUE_MAX, &auth, e) < 0)
		return -1;
	if (auth != NULL && *auth != '\0')
		return take_auth(visitor, pattern, auth, entry, e);
	return take_members(visitor, pattern, entry, e);
}

static int visit_entry(const struct kt_docker_visitor *visitor, size_t number, const char *key,
	struct json_object *entry, struct kt_error *e)
{
	auto_free char *pattern = NULL;
	int wanted;

	if (strlen(key) > KEY_MAX)
		return kt_fail(e, KT_E_INPUT, "auths, entry %zu: name of more than %d bytes",
			number, KEY_MAX);
	if (entry == NULL || !json_object_is_type(entry, json_type_object))
		return kt_fail(e, KT_E_INPUT, "auths, entry %zu: not an object", number);
	if (kt_docker_pattern(key, &pattern, e) < 0)
		return -1;
	wanted = visitor->wants(visitor->ctx, number, pattern);
	if (wanted > 0 && take_entry(visitor, pattern, entry, e) < 0)
		return kt_wrap(
			e, "auths, entry %zu (%.*s)", number, (int)strcspn(pattern, "/"), pattern);
	return 0;
}

int kt_docker_config_visit(
	const struct kt_secret *text, const struct kt_docker_visitor *visitor, struct kt_error *e)
{
	auto_json_wipe struct json_object *root = NULL;
	struct json_object *auths = NULL;
	size_t number = 0;

	if (kt_json_parse_secret(text, &root, e) < 0 ||
		kt_json_get_object(root, "auths", &auths, e) < 0)
		return -1;
	if (json_object_object_length(auths) > REGISTRIES_MAX)
		return kt_fail(e, KT_E_INPUT, "auths: more than %d registries", REGISTRIES_MAX);
	json_object_object_foreach(auths, key, entry)
	{
		if (visit_entry(visitor, ++number, key, entry, e) < 0)
			return -1;
	}
	return 0;
}
