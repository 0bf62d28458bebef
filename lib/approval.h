/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator's approval of a state of the machine, for one key: what TPM2_PolicyAuthorize takes
 * (Part 3, 23.16), in words that a person reads. The words are believed only as far as the
 * signature goes: the policy is computed from the PCRs, never read.
 *
 *	{"kind":"kubetpm-approval","version":1,
 *	 "key":"UUID",			the policyRef: an approval for one key opens no other
 *	 "signer":"HEX",		Name of the signing key
 *	 "pcrs":{"sha256":{"7":"HEX"}},	the approved state
 *	 "policy":"HEX",		its PolicyPCR, for whoever reads along; recomputed
 *	 "created":"2026-11-26T10:00:00Z", "comment":"…",	not signed
 *	 "signature":"base64url"}	ECDSA, r ‖ s, over SHA-256(policy ‖ key)
 *
 * Pure; fuzzed.
 */
#ifndef KT_LIB_APPROVAL_H
#define KT_LIB_APPROVAL_H

#include <openssl/evp.h>

#include "lib/pcr.h"
#include "lib/policy.h"
#include "lib/rfc3339.h"
#include "lib/tpm-public.h"
#include "lib/uuid.h"

#define KT_APPROVAL_MAX_BYTES 65536
#define KT_APPROVAL_COMMENT_MAX_BYTES 200
#define KT_APPROVAL_SIGNATURE_BYTES 64 /* r ‖ s */
#define KT_APPROVAL_ALG TPM2_ALG_SHA256

/* A plain value. */
struct kt_approval {
	char key[KT_UUID_SIZE];
	TPM2B_NAME signer;
	struct kt_pcr_set pcrs; /* complete */
	char created[KT_RFC3339_SIZE];
	char comment[KT_APPROVAL_COMMENT_MAX_BYTES + 1]; /* "" for none */
	uint8_t signature[KT_APPROVAL_SIGNATURE_BYTES];
};

/* KT_E_INPUT, also if `policy` is not that of `pcrs`. The signature is not looked at. */
KT_CHECKED int kt_approval_parse(
	const char *text, size_t len, struct kt_approval *ret_approval, struct kt_error *e);

/* Indented, with a newline at its end; owned by the caller. */
KT_CHECKED int kt_approval_format(
	const struct kt_approval *approval, char **ret_text, struct kt_error *e);

/* The approved policy: PolicyPCR of the PCRs. */
KT_CHECKED int kt_approval_policy(
	const struct kt_approval *approval, TPM2B_DIGEST *ret_policy, struct kt_error *e);

/* Fills in signer and signature. */
KT_CHECKED int kt_approval_sign(
	struct kt_approval *approval, EVP_PKEY *private_key, struct kt_error *e);

/* KT_E_EVIDENCE if it is not this key's signature on what the approval says. */
KT_CHECKED int kt_approval_verify(
	const struct kt_approval *approval, EVP_PKEY *signer, struct kt_error *e);

/* The step that asks for an approval for `key` by this signer, without one yet. */
void kt_approval_step(
	const TPM2B_PUBLIC *signer, const char key[KT_UUID_SIZE], struct kt_policy_step *ret_step);

/* Makes a policy that begins with such a step one that can be run: PolicyPCR goes before it, the
 * signature into it. KT_E_INTERNAL if there is no room. */
KT_CHECKED int kt_approval_apply(
	const struct kt_approval *approval, struct kt_policy *policy, struct kt_error *e);

#endif
