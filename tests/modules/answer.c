/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as its arguments say: for tests of stacks and of what a host makes of odd answers. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>

#include <kubetpm/module.h>

#define ARGS_MAX 16

struct state {
	int argc;
	char *argv[ARGS_MAX];
};

static const char *arg(const struct state *state, const char *key)
{
	size_t len = strlen(key);

	for (int i = 0; i < state->argc; i++)
		if (strncmp(state->argv[i], key, len) == 0 && state->argv[i][len] == '=')
			return state->argv[i] + len + 1;
	return NULL;
}

static enum kt_result open_state(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));

	(void)host;
	*ret_state = state;
	for (int i = 0; state != NULL && i < argc && i < ARGS_MAX; i++)
		state->argv[state->argc++] = strdup(argv[i]);
	return state != NULL ? KT_OK : KT_ERROR;
}

static void close_state(void *opaque)
{
	struct state *state = opaque;

	for (int i = 0; state != NULL && i < state->argc; i++)
		free(state->argv[i]);
	free(state);
}

static struct kt_secret *secret(const struct kt_host *host, const char *text)
{
	struct kt_secret *secret;

	if (text == NULL)
		return NULL;
	secret = host->secret_new(host->ctx, strlen(text) + 1);
	if (secret != NULL && host->secret_append(host->ctx, secret, text, strlen(text)) < 0)
		abort();
	return secret;
}

static enum kt_result result(const char *word)
{
	static const char *const words[] = {"ok", "pass", "denied", "unavailable", "error"};

	for (int i = 0; i < 5; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum kt_result)i;
	return (enum kt_result)99;
}

static enum kt_result credential(
	void *opaque, const struct kt_host *host, struct kt_credential *out)
{
	const struct state *state = opaque;

	out->token = secret(host, arg(state, "token"));
	out->certificate = secret(host, arg(state, "certificate"));
	out->key = secret(host, arg(state, "key"));
	if (arg(state, "not-after") != NULL)
		out->not_after = strtoll(arg(state, "not-after"), NULL, 10);
	if (arg(state, "registry") != NULL && host->offer_registry != NULL)
		host->offer_registry(host->ctx, arg(state, "registry"), "user",
			secret(host, arg(state, "password")));
	if (arg(state, "cache") != NULL && host->image_cache != NULL)
		host->image_cache(host->ctx, arg(state, "cache"), 90);
	if (arg(state, "code") != NULL)
		host->fail(host->ctx, (enum kt_code)atoi(arg(state, "code")), "%s",
			arg(state, "say") != NULL ? arg(state, "say") : "as told");
	return result(arg(state, "result"));
}

static const struct kt_param params[] = {
	{"result", "ok, pass, denied, unavailable, error or nonsense", KT_PARAM_REQUIRED},
	{"token", "bearer token", 0},
	{"certificate", "certificate", 0},
	{"key", "key", 0},
	{"not-after", "seconds since the epoch", 0},
	{"registry", "pattern", 0},
	{"password", "password", 0},
	{"cache", "key type", 0},
	{"code", "code of the failure", 0},
	{"say", "reason of the failure", 0},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "answer",
	.summary = "answers as told",
	.params = params,
	.open = open_state,
	.credential = credential,
	.close = close_state,
};

KT_MODULE(module)
