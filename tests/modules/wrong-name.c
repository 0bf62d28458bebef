/* SPDX-License-Identifier: Apache-2.0 */
/* Calls itself something else than its file. */
#include <kubetpm/module.h>

static const struct kt_module module = {.size = sizeof(module), .name = "other"};

KT_MODULE(module)
