/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM2_MakeCredential (Part 3, 12.6) in software: a secret that only the TPM with this endorsement
 * key can give back, and only if it has the object with this Name (TPM2_ActivateCredential).
 * Pure (OpenSSL).
 */
#ifndef KT_LIB_MAKE_CREDENTIAL_H
#define KT_LIB_MAKE_CREDENTIAL_H

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KT_CHALLENGE_SECRET_BYTES 32 /* fits the smallest nameAlg that we take, SHA-256 */

struct kt_made_credential {
	TPM2B_ID_OBJECT blob;
	TPM2B_ENCRYPTED_SECRET seed;
};

/* `secret` has KT_CHALLENGE_SECRET_BYTES. KT_E_REFUSED if `ek` is no storage key. */
KT_CHECKED int kt_make_credential(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name,
	const struct kt_secret *secret, struct kt_made_credential *ret_credential,
	struct kt_error *e);

#endif
