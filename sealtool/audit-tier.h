/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of audit a chip can do, and which one a log gets. */
#ifndef KT_SEALTOOL_AUDIT_TIER_H
#define KT_SEALTOOL_AUDIT_TIER_H

#include "lib/tpm.h"

/* A is command audit, of which the TPM's digest has every use; B session audit and a counter of
 * uses; C neither (kubetpm-audit(7)). */
enum audit_tier { AUDIT_TIER_A, AUDIT_TIER_B, AUDIT_TIER_C };

/* "a", "b", "c". */
const char *audit_tier_name(enum audit_tier tier);

/* What it is, in a few words. */
const char *audit_tier_text(enum audit_tier tier);

/* The best that the chip can do. */
KT_CHECKED int audit_probe_tier(struct kt_tpm *tpm, enum audit_tier *ret_tier, struct kt_error *e);

/* The one that was asked for by name, or with NULL the best. KT_E_USAGE if there is no such one,
 * KT_E_TPM if the chip cannot do it, or only C. */
KT_CHECKED int audit_choose_tier(
	struct kt_tpm *tpm, const char *name, enum audit_tier *ret_tier, struct kt_error *e);

#endif
