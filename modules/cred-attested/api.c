/* SPDX-License-Identifier: Apache-2.0 */
#include "modules/cred-attested/api.h"

#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/rand.h>

#include "lib/auto.h"

#define URL_MAX 2048
#define AUTHORIZATION_MAX 16384
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 4000
#define MESSAGE_MAX 512
#define CONFLICT 409

struct api {
	CURL *curl;
	struct curl_slist *headers;
	const char *server; /* borrowed */
	int64_t deadline;
	char reason[CURL_ERROR_SIZE];
	char *body; /* API_BODY_MAX_BYTES */
	size_t len;
	bool too_long;
};

int64_t api_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
	struct api *api = ctx;
	size_t len = size * count;

	if (len > API_BODY_MAX_BYTES - api->len) {
		api->too_long = true;
		return 0;
	}
	memcpy(api->body + api->len, data, len);
	api->len += len;
	return len;
}

static bool add_header(struct api *api, const char *header)
{
	struct curl_slist *more = curl_slist_append(api->headers, header);

	if (more == NULL)
		return false;
	api->headers = more;
	return true;
}

static int add_token(struct api *api, const struct kt_secret *token, struct kt_error *e)
{
	auto_secret struct kt_secret *header = NULL;
	bool ok;

	if (kt_secret_new(AUTHORIZATION_MAX, &header, e) < 0)
		return -1;
	if (kt_secret_append(header, "Authorization: Bearer ", 22, e) < 0 ||
		kt_secret_append(header, kt_secret_bytes(token), kt_secret_len(token), e) < 0 ||
		kt_secret_append(header, "", 1, e) < 0)
		return -1;
	ok = add_header(api, kt_secret_bytes(header));
	return ok ? 0 : kt_fail_memory(e);
}

static bool set_blob(CURL *curl, CURLoption option, const struct kt_secret *secret)
{
	struct curl_blob blob = {kt_secret_buffer((struct kt_secret *)(uintptr_t)secret),
		kt_secret_len(secret), CURL_BLOB_COPY};

	return curl_easy_setopt(curl, option, &blob) == CURLE_OK;
}

static int set_identity(struct api *api, const struct api_place *place, struct kt_error *e)
{
	if (place->certificate == NULL)
		return place->token != NULL ? add_token(api, place->token, e) : 0;
	if (curl_easy_setopt(api->curl, CURLOPT_SSLCERTTYPE, "PEM") == CURLE_OK &&
		curl_easy_setopt(api->curl, CURLOPT_SSLKEYTYPE, "PEM") == CURLE_OK &&
		set_blob(api->curl, CURLOPT_SSLCERT_BLOB, place->certificate) &&
		set_blob(api->curl, CURLOPT_SSLKEY_BLOB, place->key))
		return 0;
	return kt_fail(e, KT_E_INTERNAL, "libcurl does not take the client certificate");
}

static int set_up(struct api *api, const struct api_place *place, struct kt_error *e)
{
	CURL *curl = api->curl;
	char *ca = (char *)(uintptr_t)place->ca;
	struct curl_blob blob = {ca, strlen(place->ca), CURL_BLOB_COPY};

	if (!add_header(api, "Accept: application/json") ||
		!add_header(api, "Content-Type: application/json") ||
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, api) != CURLE_OK ||
		curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, api->reason) != CURLE_OK)
		return kt_fail(e, KT_E_INTERNAL, "libcurl is not what it should be");
	if (place->proxy != NULL && curl_easy_setopt(curl, CURLOPT_PROXY, place->proxy) != CURLE_OK)
		return kt_fail(e, KT_E_USAGE, "not a proxy: '%s'", place->proxy);
	if (set_identity(api, place, e) < 0)
		return -1;
	return curl_easy_setopt(curl, CURLOPT_HTTPHEADER, api->headers) == CURLE_OK
		       ? 0
		       : kt_fail_memory(e);
}

int api_open(
	const struct api_place *place, int64_t deadline, struct api **ret_api, struct kt_error *e)
{
	struct api *api;

	if (place->server == NULL || strncmp(place->server, "https://", 8) != 0)
		return kt_fail(e, KT_E_USAGE,
			"no API server with https: give server=URL, or "
			"provideClusterInfo in the kubeconfig");
	if (place->ca == NULL)
		return kt_fail(e, KT_E_USAGE,
			"no CA of the API server: give ca=FILE, or "
			"provideClusterInfo in the kubeconfig");
	api = calloc(1, sizeof(*api));
	if (api == NULL)
		return kt_fail_memory(e);
	api->server = place->server;
	api->deadline = deadline;
	api->body = malloc(API_BODY_MAX_BYTES);
	api->curl = curl_easy_init();
	if (api->body == NULL || api->curl == NULL) {
		api_close(api);
		return kt_fail_memory(e);
	}
	if (set_up(api, place, e) < 0) {
		api_close(api);
		return -1;
	}
	*ret_api = api;
	return 0;
}

void api_close(struct api *api)
{
	if (api == NULL)
		return;
	curl_easy_cleanup(api->curl);
	curl_slist_free_all(api->headers);
	free(api->body);
	free(api);
}

int api_wait(const struct api *api, int64_t ms, struct kt_error *e)
{
	int64_t left = api->deadline - api_now_ms();
	struct timespec time;

	if (left <= ms)
		return kt_fail(e, KT_E_NETWORK, "%s: no answer in time", api->server);
	time = (struct timespec){ms / 1000, ms % 1000 * 1000000};
	nanosleep(&time, NULL);
	return 0;
}

/* Half of it or more, so that many nodes do not come back at once. */
static int64_t jitter(int64_t ms)
{
	uint8_t byte = 0;

	if (RAND_bytes(&byte, 1) != 1)
		return ms;
	return ms / 2 + ms * byte / 510;
}

static int send_once(
	struct api *api, const char *url, const char *body, long *ret_status, struct kt_error *e)
{
	int64_t left = api->deadline - api_now_ms();
	CURLcode rc;

	if (left <= 0)
		return kt_fail(e, KT_E_NETWORK, "%s: no answer in time", api->server);
	api->len = 0;
	api->reason[0] = '\0';
	if (curl_easy_setopt(api->curl, CURLOPT_URL, url) != CURLE_OK ||
		curl_easy_setopt(api->curl, CURLOPT_TIMEOUT_MS, (long)left) != CURLE_OK ||
		(body != NULL ? curl_easy_setopt(api->curl, CURLOPT_POSTFIELDS, body)
			      : curl_easy_setopt(api->curl, CURLOPT_HTTPGET, 1L)) != CURLE_OK)
		return kt_fail_memory(e);
	rc = curl_easy_perform(api->curl);
	*ret_status = 0;
	if (rc == CURLE_OK) {
		curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, ret_status);
		return 0;
	}
	kt_fail(e, KT_E_NETWORK, "%s: %s", api->server,
		api->too_long		 ? "the answer is too long"
		: api->reason[0] != '\0' ? api->reason
					 : curl_easy_strerror(rc));
	/* Whoever answers with another certificate does so the next time, too. */
	return api->too_long || rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM
		       ? -1
		       : 0;
}

static bool is_temporary(long status)
{
	return status == 0 || status == 429 || status >= 500;
}

/* With the message of the Status object, if it is one. */
static int refuse(const struct api *api, long status, struct kt_error *e)
{
	auto_json struct json_object *json = NULL;
	struct kt_error ignored;
	const char *message = NULL;

	if (kt_json_parse(api->body, api->len, &json, &ignored) == 0 &&
		kt_json_get_string_opt(json, "message", MESSAGE_MAX, &message, &ignored) < 0)
		message = NULL;
	return kt_fail(e, KT_E_NETWORK, "%s answers %ld%s%s", api->server, status,
		message != NULL ? ": " : "", message != NULL ? message : "");
}

/* Any answer but those of a server that is overloaded. */
static int send_again(
	struct api *api, const char *path, const char *body, long *ret_status, struct kt_error *e)
{
	char url[URL_MAX];
	int64_t backoff = BACKOFF_FIRST_MS;
	int len = snprintf(url, sizeof(url), "%s%s", api->server, path);
	struct kt_error waiting;

	if (len < 0 || (size_t)len >= sizeof(url))
		return kt_fail(e, KT_E_USAGE, "the server's address is too long");
	while (true) {
		if (send_once(api, url, body, ret_status, e) < 0)
			return -1;
		if (!is_temporary(*ret_status))
			return 0;
		if (*ret_status != 0)
			(void)refuse(api, *ret_status, e);
		if (api_wait(api, jitter(backoff), &waiting) < 0)
			return -1;
		backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
	}
}

static int take_answer(
	const struct api *api, long status, struct json_object **ret_answer, struct kt_error *e)
{
	if (status != 200 && status != 201)
		return refuse(api, status, e);
	return kt_json_parse(api->body, api->len, ret_answer, e) < 0 ? kt_wrap(e, "%s", api->server)
								     : 0;
}

int api_call(struct api *api, const char *path, const char *body, struct json_object **ret_answer,
	struct kt_error *e)
{
	long status;

	if (send_again(api, path, body, &status, e) < 0)
		return -1;
	return take_answer(api, status, ret_answer, e);
}

int api_create(struct api *api, const char *path, const char *name, const char *body,
	struct json_object **ret_answer, struct kt_error *e)
{
	char own[URL_MAX];
	long status;

	if (send_again(api, path, body, &status, e) < 0)
		return -1;
	if (status == CONFLICT) {
		snprintf(own, sizeof(own), "%s/%s", path, name);
		return api_call(api, own, NULL, ret_answer, e);
	}
	return take_answer(api, status, ret_answer, e);
}
