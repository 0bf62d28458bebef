/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: the smallest module. Build it against nothing but the public header:
 *
 *	cc -shared -fPIC -fvisibility=hidden -o hello.so hello.c
 *
 * (in the source tree with -Iinclude as well), and use it in a profile: sufficient hello name=world
 */
#include <stdlib.h>
#include <string.h>

#include <kubetpm/module.h>

#define NAME_MAX_BYTES 63

/* Called first, once for each line of the profile, with its arguments. They are lent: keep a copy.
 */
static enum kt_result hello_open(
	const struct kt_host *host, int argc, const char *const argv[], void **state)
{
	const char *name = "";

	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "name=", 5) == 0)
			name = argv[i] + 5;
	if (*name == '\0' || strlen(name) > NAME_MAX_BYTES) {
		host->fail(host->ctx, KT_E_USAGE, "name= has 1 to %d characters", NAME_MAX_BYTES);
		return KT_ERROR;
	}
	*state = malloc(strlen(name) + 1);
	if (*state == NULL) {
		host->fail(host->ctx, KT_E_INTERNAL, "no memory for a name");
		return KT_ERROR;
	}
	memcpy(*state, name, strlen(name) + 1);
	return KT_OK;
}

/* Secrets come from the host and go back to it in the credential. */
static enum kt_result hello_credential(
	void *state, const struct kt_host *host, struct kt_credential *out)
{
	const char *name = state, *request = host->get_item(host->ctx, KT_ITEM_REQUEST);
	struct kt_secret *token;

	if (request == NULL || strcmp(request, "exec") != 0)
		return KT_PASS; /* images are for others */
	token = host->secret_new(host->ctx, 6 + strlen(name));
	if (token == NULL || host->secret_append(host->ctx, token, "hello-", 6) < 0 ||
		host->secret_append(host->ctx, token, name, strlen(name)) < 0) {
		host->secret_free(host->ctx, token);
		host->fail(host->ctx, KT_E_INTERNAL, "no memory for a token");
		return KT_ERROR;
	}
	out->token = token;
	host->log(host->ctx, KT_LOG_DEBUG, "said hello to %s", name);
	return KT_OK;
}

static const struct kt_param params[] = {
	{"name", "whom to greet", KT_PARAM_REQUIRED},
	{0},
};

static const struct kt_module hello = {
	.size = sizeof(hello),
	.name = "hello",
	.summary = "an example: the token hello-NAME",
	.params = params,
	.open = hello_open,
	.credential = hello_credential,
	.close = free,
};

KT_MODULE(hello)
