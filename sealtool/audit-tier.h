/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of audit a chip can do, and which one a log gets (kubetpm-audit(7)). */
#ifndef KT_SEALTOOL_AUDIT_TIER_H
#define KT_SEALTOOL_AUDIT_TIER_H

#include "lib/audit-record.h"
#include "lib/tpm.h"

#define AUDIT_TIER_NONE ((enum kt_audit_tier)0)

/* What it is, in a few words. */
const char *audit_tier_text(enum kt_audit_tier tier);

/* The best that the chip can do. */
KT_CHECKED int audit_probe_tier(
	struct kt_tpm *tpm, enum kt_audit_tier *ret_tier, struct kt_error *e);

/* The one that was asked for by name, or with NULL the best. KT_E_USAGE if there is no such one,
 * KT_E_TPM if the chip cannot do it, or none. */
KT_CHECKED int audit_choose_tier(
	struct kt_tpm *tpm, const char *name, enum kt_audit_tier *ret_tier, struct kt_error *e);

#endif
