/* SPDX-License-Identifier: Apache-2.0 */
/* Running a policy's steps in a session (Part 3, chapter 23). */
#ifndef KT_LIB_TPM_POLICY_H
#define KT_LIB_TPM_POLICY_H

#include "lib/policy.h"
#include "lib/tpm-session.h"

/* What steps may ask for besides the machine's state; borrowed, each may be NULL (empty). */
struct kt_policy_auth {
	const struct kt_secret *owner_auth; /* for a PolicySecret on the owner hierarchy */
	const struct kt_secret *endorsement_auth;
	const struct kt_secret *object_auth; /* for one on a persistent object */
};

/* One TPM command a step (three for PolicyAuthorize). KT_E_POLICY if a step does not hold.
 * PolicyAuthValue and PolicyPassword only take note that the object's value will be asked for. A
 * PolicyAuthorize whose signature is absent cannot be run: KT_E_POLICY. `salt`: for a further
 * session, if a step takes one. */
KT_CHECKED int kt_tpm_run_policy(struct kt_tpm *tpm, ESYS_TR session, const struct kt_parent *salt,
	const struct kt_policy *policy, const struct kt_policy_auth *auth, struct kt_error *e);

/* The ticket that says that the signature of a PolicyAuthorize step is its key's, over `approved`
 * (and the step's reference). It holds until the owner hierarchy is cleared. Three TPM commands.
 * KT_E_POLICY if the TPM does not take the signature. */
KT_CHECKED int kt_tpm_verify_approval(struct kt_tpm *tpm, const struct kt_policy_step *step,
	const TPM2B_DIGEST *approved, TPMT_TK_VERIFIED *ret_ticket, struct kt_error *e);

#endif
