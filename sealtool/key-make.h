/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool key new: makes a key in this machine's TPM, and its file. */
#ifndef KT_SEALTOOL_KEY_MAKE_H
#define KT_SEALTOOL_KEY_MAKE_H

#include "sealtool/sealtool.h"

/* What the command line says; borrowed, each but `common` and `pcrs` may be NULL. */
struct key_request {
	const struct common *common;
	const char *type, *audit_tier, *policy_key;
	const struct kt_opt_list *pcrs;
};

/* To --output or standard output. KT_E_REFUSED if the file is there. */
KT_CHECKED int key_make(const struct key_request *request, struct kt_error *e);

#endif
