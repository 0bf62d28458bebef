/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A challenge, as it stands in the message of a condition: what TPM2_ActivateCredential takes, and
 * what the approver commits to, so that it has nothing to remember.
 *
 *	kubetpm-challenge/1 BASE64(TPM2B_ID_OBJECT) BASE64(TPM2B_ENCRYPTED_SECRET) HEX64
 */
#ifndef KT_LIB_CHALLENGE_H
#define KT_LIB_CHALLENGE_H

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/sha256.h"

/* For the TPM with `ek`, if it has the attestation key `name`. */
KT_CHECKED int kt_challenge_make(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name, const char *uid,
	char *ret_message, size_t size, struct kt_error *e);

struct kt_challenge {
	TPM2B_ID_OBJECT blob;
	TPM2B_ENCRYPTED_SECRET seed;
	uint8_t committed[KT_SHA256_BYTES];
};

/* KT_E_INPUT. */
KT_CHECKED int kt_challenge_read(
	const char *message, struct kt_challenge *ret_challenge, struct kt_error *e);

#endif
