/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool audit status: what the TPM audits, and whether a log agrees with it. Changes nothing. */
#ifndef KT_SEALTOOL_AUDIT_STATUS_H
#define KT_SEALTOOL_AUDIT_STATUS_H

#include <stdbool.h>

#include "lib/error.h"

/* Borrowed. */
struct audit_question {
	const char *log; /* NULL: of the TPM alone */
	const char *tcti;
	const char *endorsement_auth_file; /* NULL: the value is empty */
	bool json;
};

/* Prints the answer. */
KT_CHECKED int audit_status(const struct audit_question *question, struct kt_error *e);

#endif
