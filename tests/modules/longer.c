/* SPDX-License-Identifier: Apache-2.0 */
/* Of a later minor version: its descriptor has members that this host does not know. */
#include <kubetpm/module.h>

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	(void)state;
	(void)host;
	(void)out;
	return KT_PASS;
}

static const struct {
	struct kt_module known;
	void (*later[8])(void);
} module = {
	.known =
		{
			.size = sizeof(module),
			.name = "longer",
			.summary = "from the future",
			.credential = credential,
		},
};

KT_MODULE(module.known)
