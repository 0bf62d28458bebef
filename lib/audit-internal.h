/* SPDX-License-Identifier: Apache-2.0 */
/* What audit.c and audit-settle.c share. Nobody else includes this. */
#ifndef KT_LIB_AUDIT_INTERNAL_H
#define KT_LIB_AUDIT_INTERNAL_H

#include "lib/audit.h"

struct kt_audit {
	struct kt_audit_log *log;
	const struct kt_secret *endorsement_auth; /* borrowed; may be NULL */
	bool is_attached;
	uint64_t connection; /* that `ak` is a handle of */
	struct kt_parent ak;
	struct kt_tpm_audit_session session; /* tiers B and C */
	const char *warning;
};

/* For kt_audit_next_warning(); `text` is constant. */
void kt_audit_warn(struct kt_audit *audit, const char *text);

#endif
