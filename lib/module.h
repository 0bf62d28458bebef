/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our own modules share: answering with a kt_error, reading their arguments, and handing a
 * secret over. A module's lib.a is its own copy: a struct kt_secret of the library and one of the
 * host are never mixed; kt_module_give() is the one crossing.
 */
#ifndef KT_LIB_MODULE_H
#define KT_LIB_MODULE_H

#include <kubetpm/module.h>

#include "lib/error.h"

/* Tells the host why, and turns the code into the result that goes with it. */
enum kt_result kt_module_fail(const struct kt_host *host, const struct kt_error *e);

/* Value of the argument `key=`, or NULL. Borrowed from argv. */
const char *kt_module_arg(int argc, const char *const argv[], const char *key);

/* Adds to one of the host's counters, if it has them. */
void kt_module_count(const struct kt_host *host, enum kt_counter counter, uint64_t n);

/* A copy in a secret of the host. KT_E_INTERNAL. */
KT_CHECKED int kt_module_give(const struct kt_host *host, const void *bytes, size_t len,
	struct kt_secret **ret_secret, struct kt_error *e);

#endif
