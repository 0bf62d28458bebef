/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC keys in the TPM, used for long.
 *
 * A struct kt_hmac is what a program that lives long keeps of the TPM: a connection, one policy
 * session, and the key that was used last. All are made when they are needed, and made anew when
 * the TPM or a resource manager lost them. Between calls the turn on a bare software TPM is given
 * back. One thread at a time.
 *
 * TPM2_HMAC goes in clear both ways, in an unsalted session: the TPM may be asked to audit it, and
 * then the log must let others recompute what crossed the wire. Without a session key there is
 * nothing to compute on this side either, which is why the layer below ESYS is enough, and fast.
 */
#ifndef KT_LIB_TPM_HMAC_H
#define KT_LIB_TPM_HMAC_H

#include "lib/policy.h"
#include "lib/tpm-counter.h"
#include "lib/tpm-key.h"

#define KT_HMAC_BYTES 32 /* of the input, and of the output: HMAC-SHA256 */

/* What TPM2_PolicyAuthorize takes besides the policy's own words (Part 3, 23.16): worked out once,
 * and kept. */
struct kt_hmac_approval {
	bool known;
	TPM2B_DIGEST approved;
	TPM2B_NAME signer;
	TPMT_TK_VERIFIED ticket;
};

/* A key as it lies in a file; it stays where it is until kt_hmac_drop_key(). The policy has only
 * PolicyPCR, PolicyOR and PolicyCommandCode, or PolicyPCR, PolicyAuthorize and PolicyCommandCode,
 * and PolicySecret on the use counter behind them. Whoever gives it another policy clears
 * `approval`. */
struct kt_hmac_key {
	TPM2B_NAME parent; /* Name of the storage key */
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private;
	struct kt_policy policy;
	struct kt_hmac_approval approval;
};

struct kt_hmac;

/* Touches no TPM yet. `tcti` as for kt_tpm_open(), copied. */
KT_CHECKED int kt_hmac_new(const char *tcti, struct kt_hmac **ret_hmac, struct kt_error *e);

/* Flushes and disconnects. NULL is fine. */
void kt_hmac_free(struct kt_hmac *hmac);

/* Until when the caller of what comes next waits: see kt_tpm_set_deadline(). */
void kt_hmac_set_deadline(struct kt_hmac *hmac, int64_t deadline_ms);

/* What was done since this was asked last. */
void kt_hmac_take_figures(struct kt_hmac *hmac, struct kt_tpm_figures *ret_figures);

/* Runs `operation` on the connection, with the storage key found. If it fails on a connection that
 * was made before, it runs once more on a new one, unless it is the policy that failed. */
typedef int kt_hmac_operation(
	struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e);
KT_CHECKED int kt_hmac_run(
	struct kt_hmac *hmac, kt_hmac_operation *operation, void *ctx, struct kt_error *e);

/* How many connections were made so far: another number means another connection, and perhaps a TPM
 * that was reset. */
uint64_t kt_hmac_connections(const struct kt_hmac *hmac);

/* Called when all is ready and nothing but the counting, if the policy asks for it, and TPM2_HMAC
 * is left to be sent, perhaps more than once for one computation: it may still change the input.
 * `key` is the loaded key. If it fails, so does the computation. */
struct kt_hmac_hook {
	int (*before)(struct kt_tpm *tpm, const struct kt_parent *srk, ESYS_TR key, void *ctx,
		struct kt_error *e);
	/* Then: the session that audits TPM2_HMAC, or NULL. */
	struct kt_tpm_audit_session *(*session)(void *ctx);
	void *ctx;
};

/* HMAC of exactly KT_HMAC_BYTES bytes. One TPM command for each step of the policy and one for the
 * HMAC, once key, session and ticket are there. KT_E_POLICY if the PCRs do not fit, KT_E_WRONG_TPM,
 * KT_E_TPM, KT_E_BUSY … */
KT_CHECKED int kt_hmac_compute(struct kt_hmac *hmac, struct kt_hmac_key *key,
	const uint8_t input[KT_HMAC_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e);
/* The same with a hook (NULL: none). The command is not sent again if it is not known whether the
 * TPM has carried it out. */
KT_CHECKED int kt_hmac_compute_hooked(struct kt_hmac *hmac, struct kt_hmac_key *key,
	const struct kt_hmac_hook *hook, const uint8_t input[KT_HMAC_BYTES],
	uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e);

/* `key` is about to go away. */
void kt_hmac_drop_key(struct kt_hmac *hmac, const struct kt_hmac_key *key);

#endif
