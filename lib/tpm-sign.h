/* SPDX-License-Identifier: Apache-2.0 */
/* TPM2_Sign (Part 3, 20.2) with a P-256 key of ours. In clear both ways: the TPM may be asked to
 * audit it. */
#ifndef KT_LIB_TPM_SIGN_H
#define KT_LIB_TPM_SIGN_H

#include "lib/audit-record.h"
#include "lib/policy.h"
#include "lib/tpm-counter.h"
#include "lib/tpm-key.h"

/* ECDSA over a digest: StartAuthSession, the policy's steps, Sign. KT_E_POLICY if a step
 * does not hold. */
KT_CHECKED int kt_tpm_sign(struct kt_tpm *tpm, const struct kt_parent *srk, ESYS_TR key,
	const struct kt_policy *policy, const uint8_t digest[KT_SHA256_BYTES],
	uint8_t ret_signature[KT_AUDIT_POINT_BYTES], struct kt_error *e);

/* The same in a session that audits it; the policy may end with the use counter. */
KT_CHECKED int kt_tpm_sign_in_session(struct kt_tpm *tpm, ESYS_TR key,
	const struct kt_policy *policy, struct kt_tpm_audit_session *audit,
	const uint8_t digest[KT_SHA256_BYTES], uint8_t ret_signature[KT_AUDIT_POINT_BYTES],
	struct kt_error *e);

#endif
