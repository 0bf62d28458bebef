/* SPDX-License-Identifier: Apache-2.0 */
/* Claims a descriptor that is shorter than version 1. */
#include <stddef.h>

#include <kubetpm/module.h>

static const struct kt_module module = {
	.size = offsetof(struct kt_module, close), /* its last member */
	.name = "short-size",
};

KT_MODULE(module)
