/* SPDX-License-Identifier: Apache-2.0 */
/* A module as it should be: one argument, a token. */
#include <kubetpm/module.h>

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	(void)state;
	out->token = host->secret_new(host->ctx, 16);
	return host->secret_append(host->ctx, out->token, "good-token", 10) == 0 ? KT_OK : KT_ERROR;
}

static const struct kt_param params[] = {
	{"path", "a path", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"word", "a word", 0},
	{0},
};

static const struct kt_module good = {
	.size = sizeof(good),
	.name = "good",
	.summary = "as it should be",
	.params = params,
	.credential = credential,
};

KT_MODULE(good)
