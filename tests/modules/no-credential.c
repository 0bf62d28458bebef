/* SPDX-License-Identifier: Apache-2.0 */
/* A module of another kind: nothing for exec-plugin. */
#include <kubetpm/module.h>

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "no-credential",
	.summary = "of another kind",
};

KT_MODULE(module)
