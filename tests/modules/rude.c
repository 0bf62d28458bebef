/* SPDX-License-Identifier: Apache-2.0 */
/* Prints wherever it can, from its constructor on, and asks what is on standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <kubetpm/module.h>

static void shout(const char *where)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "RUDE in %s\n", where);

	printf("%s", text);
	fflush(stdout);
	for (int fd = 1; fd <= 2; fd++)
		if (write(fd, text, (size_t)len) != len)
			abort();
}

__attribute__((constructor)) static void start(void)
{
	shout("constructor");
}

__attribute__((destructor)) static void end(void)
{
	printf("RUDE in destructor\n");
	fflush(stdout);
}

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	char byte;

	(void)state;
	shout("credential");
	printf("RUDE and left in a buffer\n");
	out->token = host->secret_new(host->ctx, 16);
	/* Standard input must not be the client's. */
	if (read(0, &byte, 1) != 0)
		return KT_ERROR;
	return host->secret_append(host->ctx, out->token, "rude-token", 10) == 0 ? KT_OK : KT_ERROR;
}

static const struct kt_module rude = {
	.size = sizeof(rude),
	.name = "rude",
	.summary = "prints to stdout",
	.credential = credential,
};

KT_MODULE(rude)
