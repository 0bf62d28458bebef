/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a TPM's bare refusal to open a slot into what a person needs to know. */
#ifndef KT_LIB_SEAL_EXPLAIN_H
#define KT_LIB_SEAL_EXPLAIN_H

#include "lib/slot-policy.h"
#include "lib/tpm.h"

/* Adds to *e, which holds a failure to open a slot with policy `words`: for KT_E_POLICY which PCR
 * differs, with expected and present value; for KT_E_PIN the tries that are left; for KT_E_LOCKOUT
 * when the TPM will forgive. Asks the TPM. Returns -1. */
int kt_seal_explain(struct kt_tpm *tpm, const struct kt_slot_policy *words, bool has_recovery,
	struct kt_error *e);

#endif
