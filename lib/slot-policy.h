/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TPM slot of a sealed file demands, in words that a person reads and that the TPM's policy
 * digest is recomputed from: PCR values, or an operator's approval of them, and a PIN. Pure.
 *
 *	JSON:	{"pcrs":{"sha256":{"7":"HEX"}},"pin":true}
 *		{"signer":"HEX","for":"UUID","pin":false}	(P-256 point, x and y; the file's
 *kid)
 */
#ifndef KT_LIB_SLOT_POLICY_H
#define KT_LIB_SLOT_POLICY_H

#include <stdbool.h>

#include "lib/pcr.h"
#include "lib/policy-signer.h"
#include "lib/policy.h"
#include "lib/uuid.h"

/* The policy sessions and sealed objects we make use SHA-256. */
#define KT_SLOT_POLICY_ALG TPM2_ALG_SHA256

/* A plain value; zero-initialise for "no policy". */
struct kt_slot_policy {
	struct kt_pcr_set pcrs; /* complete, or empty; empty if `is_signed` */
	bool pin;
	bool is_signed; /* in the states that this key approves, for this UUID */
	uint8_t signer[KT_SIGNER_POINT_BYTES];
	char approved_for[KT_UUID_SIZE];
};

/* Neither PCRs nor signer nor PIN: the object then has no policy at all. */
bool kt_slot_policy_is_empty(const struct kt_slot_policy *words);

/* Steps in the order of execution: PolicyPCR with the expected digest, or PolicyAuthorize without a
 * signature (see kt_approval_apply()), then PolicyAuthValue. KT_E_INTERNAL if a PCR has no value.
 */
KT_CHECKED int kt_slot_policy_steps(
	const struct kt_slot_policy *words, struct kt_policy *ret_policy, struct kt_error *e);

/* The authPolicy of the object; size 0 if there is no policy. */
KT_CHECKED int kt_slot_policy_digest(
	const struct kt_slot_policy *words, TPM2B_DIGEST *ret_digest, struct kt_error *e);

/* JSON both ways. KT_E_INPUT. */
KT_CHECKED int kt_slot_policy_from_json(
	struct json_object *object, struct kt_slot_policy *ret_words, struct kt_error *e);
void kt_slot_policy_write(const struct kt_slot_policy *words, struct kt_jsonw *w);

#endif
