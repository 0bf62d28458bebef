/* SPDX-License-Identifier: Apache-2.0 */
/* `kms-shim check`: asks the running shim what an API server asks, and says what is wrong. */
#ifndef KT_KMS_SHIM_CHECK_H
#define KT_KMS_SHIM_CHECK_H

#include "kms-shim/conf.h"

struct kt_check_options {
	bool status_only, json;
	int64_t timeout_us; /* for all of it */
};

/* Prints its findings on standard output. KT_E_USAGE if the configuration names no socket; KT_E_…
 * as the code that the shim answered with has it (kms-shim(8)). */
KT_CHECKED int kt_check(
	const struct kt_kms_conf *conf, const struct kt_check_options *options, struct kt_error *e);

#endif
