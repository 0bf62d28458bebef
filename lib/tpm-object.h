/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed data objects in the TPM: making one, and opening one. Secrets cross the bus encrypted, in
 * sessions salted to `parent`.
 */
#ifndef KT_LIB_TPM_OBJECT_H
#define KT_LIB_TPM_OBJECT_H

#include "lib/policy.h"
#include "lib/tpm-key.h"
#include "lib/tpm-policy.h"
#include "lib/tss2key.h"

/* An object as it lies in a file; borrowed. `seed` is NULL for one that was made here, and
 * inSymSeed for one to be imported first. */
struct kt_object {
	const TPM2B_PUBLIC *public;
	const TPM2B_PRIVATE *private;
	const TPM2B_ENCRYPTED_SECRET *seed;
};

/* What it takes to open an object; borrowed, members may be NULL. */
struct kt_object_auth {
	const struct kt_secret *value; /* authValue (PIN) */
	struct kt_policy_auth policy;
};

/*
 * Seals `data` (1 to 128 bytes) to `parent` under `policy` (size 0: none; userWithAuth is set
 * then). Fixed to this TPM and parent. With `pin` (1 to 32 bytes) the object is protected by the
 * dictionary-attack lockout; without, it is not. Two TPM commands.
 */
KT_CHECKED int kt_object_seal(struct kt_tpm *tpm, const struct kt_parent *parent,
	const struct kt_secret *data, const TPM2B_DIGEST *policy, const struct kt_secret *pin,
	TPM2B_PUBLIC *ret_public, TPM2B_PRIVATE *ret_private, struct kt_error *e);

/*
 * Opens a sealed data object: StartAuthSession, the policy's steps, Load, Unseal, FlushContext (and
 * Import first if there is a seed; the policy again if PCRs changed in between). With an empty
 * policy an HMAC session with the authValue. KT_E_POLICY, KT_E_PIN, KT_E_LOCKOUT, KT_E_WRONG_TPM,
 * KT_E_BUSY, ...
 */
KT_CHECKED int kt_object_unseal(struct kt_tpm *tpm, const struct kt_parent *parent,
	const struct kt_object *object, const struct kt_policy *policy,
	const struct kt_object_auth *auth, struct kt_secret **ret_data, struct kt_error *e);

#endif
