/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator's policy-signing key as the TPM knows it. Its Name is part of every policy that asks
 * for its approval, so that this public area never changes: ECC P-256, nameAlg SHA-256, attributes
 * sign and userWithAuth, no scheme (Part 2, 12.2.4 TPMT_PUBLIC). Pure.
 */
#ifndef KT_LIB_POLICY_SIGNER_H
#define KT_LIB_POLICY_SIGNER_H

#include <openssl/evp.h>

#include "lib/jwk.h"
#include "lib/tpm-public.h"

#define KT_SIGNER_POINT_BYTES (2 * KT_P256_COORD_BYTES) /* x ‖ y */

/* The public area of a P-256 key. KT_E_INPUT if it is another kind of key. */
KT_CHECKED int kt_signer_public(const EVP_PKEY *key, TPM2B_PUBLIC *ret_public, struct kt_error *e);

/* From the point. Nobody has looked whether it is on the curve: the TPM will. */
void kt_signer_public_of_point(
	const uint8_t point[KT_SIGNER_POINT_BYTES], TPM2B_PUBLIC *ret_public);

#endif
