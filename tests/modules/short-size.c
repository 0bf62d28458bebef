/* SPDX-License-Identifier: Apache-2.0 */
/* Claims a descriptor that is shorter than version 1. */
#include <kubetpm/module.h>

static const struct kt_module module = {
	.size = sizeof(module) - sizeof(void *),
	.name = "short-size",
};

KT_MODULE(module)
