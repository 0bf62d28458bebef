/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading CredentialProviderRequest and writing CredentialProviderResponse (k8s.io/kubelet,
 * pkg/apis/credentialprovider/v1/types.go). The token of a service account may be in the request:
 * the tree is wiped, and nothing of it is repeated.
 */
#include "exec-plugin/credprovider.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exec-plugin/escape.h"
#include "exec-plugin/image.h"

#define TEXT_MAX 65536

static const char *const versions[] = {
	"credentialprovider.kubelet.k8s.io/v1",
	"credentialprovider.kubelet.k8s.io/v1beta1",
	"credentialprovider.kubelet.k8s.io/v1alpha1",
};

static const char *const cache_keys[] = {
	[KT_CACHE_GLOBAL] = "Global",
	[KT_CACHE_REGISTRY] = "Registry",
	[KT_CACHE_IMAGE] = "Image",
};

static int check_type(struct json_object *root, const char **ret_version, struct kt_error *e)
{
	const char *kind, *version;

	if (kt_json_get_string(root, "kind", TEXT_MAX, &kind, e) < 0 ||
		kt_json_get_string(root, "apiVersion", TEXT_MAX, &version, e) < 0)
		return -1;
	if (strcmp(kind, "CredentialProviderRequest") != 0)
		return kt_fail(
			e, KT_E_INPUT, "kind is \"%.64s\", not CredentialProviderRequest", kind);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (strcmp(version, versions[i]) != 0)
			continue;
		*ret_version = versions[i];
		return 0;
	}
	return kt_fail(e, KT_E_INPUT,
		"apiVersion \"%.64s\" is not supported (%s, v1beta1 and "
		"v1alpha1 are)",
		version, versions[0]);
}

/* map[string]string: Go takes null for the empty string. */
static int check_annotations(struct json_object *annotations, struct kt_error *e)
{
	json_object_object_foreach(annotations, key, value)
	{
		(void)key;
		if (value != NULL && !json_object_is_type(value, json_type_string))
			return kt_fail(e, KT_E_INPUT,
				"\"serviceAccountAnnotations\" has a member that is not a string");
	}
	return 0;
}

/* No module gets to see it, so it does not stay while they run. */
static int drop_token(struct json_object *root, struct kt_error *e)
{
	const char *name = "serviceAccountToken";
	struct json_object *token = NULL;
	const char *text = NULL;

	if (kt_json_get_string_opt(root, name, KT_CREDPROVIDER_MAX_BYTES, &text, e) < 0)
		return -1;
	if (text == NULL || !json_object_object_get_ex(root, name, &token))
		return 0;
	json_object_get(token);
	json_object_object_del(root, name);
	kt_json_wipe(token);
	return 0;
}

static int read_request(struct kt_credprovider *request, struct kt_error *e)
{
	struct json_object *annotations = NULL;

	if (drop_token(request->root, e) < 0 ||
		check_type(request->root, &request->api_version, e) < 0 ||
		kt_json_get_string(request->root, "image", KT_IMAGE_MAX_BYTES, &request->image, e) <
			0)
		return -1;
	if (kt_image_check(request->image, e) < 0)
		return kt_wrap(e, "image");
	if (kt_json_get_object_opt(request->root, "serviceAccountAnnotations", &annotations, e) < 0)
		return -1;
	if (annotations == NULL)
		return 0;
	if (check_annotations(annotations, e) < 0)
		return -1;
	request->annotations = json_object_to_json_string_ext(
		annotations, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (request->annotations == NULL)
		return kt_fail_memory(e);
	return 0;
}

int kt_credprovider_parse(
	const struct kt_secret *text, struct kt_credprovider *ret_request, struct kt_error *e)
{
	struct kt_credprovider request = {0};

	if (kt_secret_len(text) > KT_CREDPROVIDER_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %zu bytes", KT_CREDPROVIDER_MAX_BYTES);
	if (kt_json_parse_secret(text, &request.root, e) < 0)
		return -1;
	if (read_request(&request, e) < 0) {
		kt_credprovider_fini(&request);
		return -1;
	}
	*ret_request = request;
	return 0;
}

void kt_credprovider_fini(struct kt_credprovider *request)
{
	kt_json_wipe(request->root);
	*request = (struct kt_credprovider){0};
}

int kt_offers_add(struct kt_offers *offers, const char *pattern, const char *username,
	struct kt_secret *password, struct kt_error *e)
{
	auto_secret struct kt_secret *taken = password;
	auto_secret struct kt_secret *name = NULL;
	char *copy;

	for (size_t i = 0; i < offers->count; i++)
		if (strcmp(offers->offers[i].pattern, pattern) == 0)
			return 0;
	if (offers->count == KT_OFFERS_MAX)
		return kt_fail(e, KT_E_INPUT, "more than %d registries", KT_OFFERS_MAX);
	if (kt_secret_from(username, strlen(username), &name, e) < 0)
		return -1;
	copy = strdup(pattern);
	if (copy == NULL)
		return kt_fail_memory(e);
	offers->offers[offers->count++] = (struct kt_offer){
		.pattern = copy, .username = kt_take(name), .password = kt_take(taken)};
	return 0;
}

void kt_offers_narrow(struct kt_offers *offers, enum kt_cache_key key)
{
	if (key > offers->cache_key)
		offers->cache_key = key;
}

int kt_offers_cache(
	struct kt_offers *offers, const char *key_type, int64_t seconds, struct kt_error *e)
{
	enum kt_cache_key key = KT_CACHE_IMAGE;

	if (seconds < 0 || seconds > KT_CACHE_MAX_SECONDS)
		return kt_fail(e, KT_E_INPUT, "cache duration out of range");
	while (key_type != NULL && key > KT_CACHE_UNSET && strcmp(cache_keys[key], key_type) != 0)
		key--;
	if (key == KT_CACHE_UNSET)
		return kt_fail(e, KT_E_INPUT, "unknown cacheKeyType \"%.64s\"", key_type);
	if (key_type != NULL)
		kt_offers_narrow(offers, key);
	if (!offers->has_cache_seconds || seconds < offers->cache_seconds)
		offers->cache_seconds = seconds;
	offers->has_cache_seconds = true;
	return 0;
}

void kt_offers_truncate(struct kt_offers *offers, size_t count)
{
	while (offers->count > count) {
		struct kt_offer *offer = &offers->offers[--offers->count];

		free(offer->pattern);
		kt_secret_free(offer->username);
		kt_secret_free(offer->password);
	}
}

void kt_offers_fini(struct kt_offers *offers)
{
	kt_offers_truncate(offers, 0);
	*offers = (struct kt_offers){0};
}

/* As Go's time.Duration prints whole seconds: "1h0m0s", "10m0s", "45s". */
static void format_duration(int64_t seconds, char ret_text[48])
{
	int64_t hours = seconds / 3600, minutes = seconds / 60 % 60;

	if (hours > 0)
		snprintf(ret_text, 48, "%" PRId64 "h%" PRId64 "m%" PRId64 "s", hours, minutes,
			seconds % 60);
	else if (minutes > 0)
		snprintf(ret_text, 48, "%" PRId64 "m%" PRId64 "s", minutes, seconds % 60);
	else
		snprintf(ret_text, 48, "%" PRId64 "s", seconds);
}

static size_t answer_capacity(const struct kt_offers *offers)
{
	size_t capacity = 512;

	for (size_t i = 0; i < offers->count; i++)
		capacity += 128 +
			    kt_escaped_len(
				    offers->offers[i].pattern, strlen(offers->offers[i].pattern)) +
			    kt_escaped_secret_len(offers->offers[i].username) +
			    kt_escaped_secret_len(offers->offers[i].password);
	return capacity < KT_SECRET_MAX_BYTES ? capacity : KT_SECRET_MAX_BYTES;
}

static void write_cache(struct kt_jsonw *w, const struct kt_offers *offers)
{
	char duration[48];
	enum kt_cache_key key = offers->cache_key;
	int64_t seconds =
		offers->has_cache_seconds ? offers->cache_seconds : KT_CACHE_DEFAULT_SECONDS;

	if (offers->count == 0) {
		key = KT_CACHE_IMAGE;
		seconds = 0;
	}
	format_duration(seconds, duration);
	kt_jsonw_member(
		w, "cacheKeyType", cache_keys[key == KT_CACHE_UNSET ? KT_CACHE_REGISTRY : key]);
	kt_jsonw_member(w, "cacheDuration", duration);
}

/* Says whose password it was that could not be written. */
static int write_offer(struct kt_jsonw *w, const struct kt_offer *offer, struct kt_error *e)
{
	kt_jsonw_name(w, offer->pattern);
	kt_jsonw_begin_object(w);
	kt_jsonw_name(w, "username");
	kt_jsonw_secret(w, offer->username);
	kt_jsonw_name(w, "password");
	kt_jsonw_secret(w, offer->password);
	kt_jsonw_end_object(w);
	if (kt_jsonw_end(w, e) < 0)
		return kt_wrap(e, "answer: user or password of %.128s", offer->pattern);
	return 0;
}

int kt_credprovider_write(const char *api_version, const struct kt_offers *offers,
	struct kt_secret **ret_answer, struct kt_error *e)
{
	auto_secret struct kt_secret *answer = NULL;
	struct kt_jsonw w;

	if (kt_secret_new(answer_capacity(offers), &answer, e) < 0)
		return -1;
	kt_jsonw_init(&w, answer);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "kind", "CredentialProviderResponse");
	kt_jsonw_member(&w, "apiVersion", api_version);
	write_cache(&w, offers);
	kt_jsonw_name(&w, "auth");
	kt_jsonw_begin_object(&w);
	for (size_t i = 0; i < offers->count; i++)
		if (write_offer(&w, &offers->offers[i], e) < 0)
			return -1;
	kt_jsonw_end_object(&w);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(answer, "\n", 1, e) < 0)
		return kt_wrap(e, "answer");
	*ret_answer = kt_take(answer);
	return 0;
}
