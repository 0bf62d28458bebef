/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the approval under which a slot of a sealed file opens now. */
#ifndef KT_LIB_SEAL_APPROVE_H
#define KT_LIB_SEAL_APPROVE_H

#include "lib/policy.h"
#include "lib/slot-policy.h"
#include "lib/tpm.h"

/* Makes *policy, which follows from `words` and begins with an approval's step, one that can be run
 * now, by the approval in `policy_dir` that fits the present PCRs. KT_E_POLICY if there is none:
 * the message tells which PCRs differ from the nearest one; KT_E_USAGE without a folder. One or
 * more TPM commands, for reading the PCRs. */
KT_CHECKED int kt_seal_approve(struct kt_tpm *tpm, const struct kt_slot_policy *words,
	const char *policy_dir, struct kt_policy *policy, struct kt_error *e);

#endif
