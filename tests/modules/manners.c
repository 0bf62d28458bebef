/* SPDX-License-Identifier: Apache-2.0 */
/* Does what a module must not do: hangs, ends the program, leaves a child behind. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kubetpm/module.h>

static enum kt_result open_how(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	(void)host;
	*ret_state = argc == 1 ? strdup(argv[0] + strlen("how=")) : NULL;
	return *ret_state != NULL ? KT_OK : KT_ERROR;
}

/* A daemon, as it were, that keeps what it has inherited but standard error. */
static void leave_a_child(void)
{
	if (fork() != 0)
		return;
	close(1);
	close(2);
	sleep(30);
	_exit(0);
}

static enum kt_result credential(void *how, const struct kt_host *host, struct kt_credential *out)
{
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "exit") == 0)
		exit(0);
	if (strcmp(how, "fork") == 0)
		leave_a_child();
	out->token = host->secret_new(host->ctx, 16);
	return host->secret_append(host->ctx, out->token, "token", 5) == 0 ? KT_OK : KT_ERROR;
}

static const struct kt_param params[] = {
	{"how", "hang, exit or fork", KT_PARAM_REQUIRED},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "manners",
	.summary = "has none",
	.params = params,
	.open = open_how,
	.credential = credential,
	.close = free,
};

KT_MODULE(module)
