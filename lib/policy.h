/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enhanced-authorisation policies as a list of steps, and the digest the TPM will compute for them
 * (TPM 2.0 Part 1, 19.7, and Part 3, chapter 23), without a TPM. Pure.
 */
#ifndef KT_LIB_POLICY_H
#define KT_LIB_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"

#define KT_POLICY_STEPS_MAX 8

/* One policy command, in the order of execution. Which member of the union counts follows from
 * `command`. */
struct kt_policy_step {
	TPM2_CC command;
	union {
		struct { /* TPM2_CC_PolicyPCR; digest.size 0: whatever the TPM holds */
			TPML_PCR_SELECTION selection;
			TPM2B_DIGEST digest;
		} pcr;
		TPML_DIGEST branches;	/* TPM2_CC_PolicyOR: 2 to 8 */
		TPM2_CC command_code;	/* TPM2_CC_PolicyCommandCode */
		TPMA_LOCALITY locality; /* TPM2_CC_PolicyLocality */
		struct {		/* TPM2_CC_PolicyCounterTimer */
			TPM2B_OPERAND operand;
			UINT16 offset;
			TPM2_EO operation;
		} counter;
		struct { /* TPM2_CC_PolicySecret; hint 0: none */
			TPM2_HANDLE hint;
			TPM2B_NAME name;
			TPM2B_NONCE ref;
		} secret;
		struct { /* TPM2_CC_PolicyAuthorize; signature.sigAlg TPM2_ALG_NULL: none yet */
			TPM2B_PUBLIC key;
			TPM2B_NONCE ref;
			TPMT_SIGNATURE signature;
		} authorize;
	};
	/* TPM2_CC_PolicyAuthValue and TPM2_CC_PolicyPassword have no parameters. */
};

struct kt_policy {
	size_t count;
	struct kt_policy_step steps[KT_POLICY_STEPS_MAX];
};

/* A policy digest under construction; starts as zeros of the hash's size. `alg`: TPM2_ALG_SHA1 …
 * SHA512; KT_E_INPUT for another. */
KT_CHECKED int kt_policy_start(TPMI_ALG_HASH alg, TPM2B_DIGEST *ret_digest, struct kt_error *e);

/*
 * Each extends `digest` as the TPM does for the command of the same name. KT_E_INTERNAL.
 */
KT_CHECKED int kt_policy_extend_pcr(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPML_PCR_SELECTION *selection, const TPM2B_DIGEST *pcr_digest, struct kt_error *e);
KT_CHECKED int kt_policy_extend_auth_value(
	TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, struct kt_error *e);
KT_CHECKED int kt_policy_extend_command_code(
	TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPM2_CC code, struct kt_error *e);
KT_CHECKED int kt_policy_extend_locality(
	TPMI_ALG_HASH alg, TPM2B_DIGEST *digest, TPMA_LOCALITY locality, struct kt_error *e);
KT_CHECKED int kt_policy_extend_counter_timer(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPM2B_OPERAND *operand, UINT16 offset, TPM2_EO operation, struct kt_error *e);
KT_CHECKED int kt_policy_extend_secret(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPM2B_NAME *name, const TPM2B_NONCE *ref, struct kt_error *e);
/* Resets, then extends with the signer's Name and the reference. */
KT_CHECKED int kt_policy_extend_authorize(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPM2B_NAME *key_name, const TPM2B_NONCE *ref, struct kt_error *e);
/* Resets, then extends with 2 to 8 branches. KT_E_INPUT for another number. */
KT_CHECKED int kt_policy_extend_or(TPMI_ALG_HASH alg, TPM2B_DIGEST *digest,
	const TPM2B_DIGEST *branches, size_t count, struct kt_error *e);

/* Digest of all steps in order. KT_E_INPUT if a step cannot be computed offline (a PolicyPCR
 * without digest) or is of an unknown command. */
KT_CHECKED int kt_policy_digest(TPMI_ALG_HASH alg, const struct kt_policy *policy,
	TPM2B_DIGEST *ret_digest, struct kt_error *e);

/* What the TPM hashes for a step besides its command code, at most KT_POLICY_ARGUMENT_MAX bytes (of
 * PolicyAuthorize and PolicySecret: Name and reference, one after the other). KT_E_INPUT for a step
 * other than these, PolicyPCR, PolicyOR and PolicyCommandCode. */
#define KT_POLICY_ARGUMENT_MAX 512
KT_CHECKED int kt_policy_step_argument(const struct kt_policy_step *step,
	uint8_t ret_argument[KT_POLICY_ARGUMENT_MAX], size_t *ret_len, struct kt_error *e);

/* Word for a step's command, e.g. "PolicyPCR"; "unknown" for others. */
const char *kt_policy_command_name(TPM2_CC command);

#endif
