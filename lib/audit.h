/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audited operations: the log and the TPM together. Each is
 *
 *	lock, settle what a crash left, intent, TPM command, result, unlock
 *
 * with the intent and the result on the disk before the next step. All processes that use audited
 * commands take the same lock, so that the order of the log is the order of the TPM.
 */
#ifndef KT_LIB_AUDIT_H
#define KT_LIB_AUDIT_H

#include "lib/audit-log.h"
#include "lib/tpm-counter.h"

#define KT_AUDIT_CHECKPOINT_EVERY 64 /* results */

/* Why an entry is made. */
struct kt_audit_call {
	enum kt_audit_op op; /* KT_AUDIT_ENCRYPT or KT_AUDIT_DECRYPT */
	const char *uid;     /* the API server's; may be NULL */
};

/* A key that enters the log; borrowed. */
struct kt_audit_entrant {
	enum kt_audit_key_type type;
	const TPM2B_PUBLIC *public;
	const struct kt_policy *policy;
	const struct kt_tpm_creation *creation;
	const char *cluster, *key_id; /* "" for p256 */
};

struct kt_audit;

/* The log that `sealtool audit init` began; touches no TPM. `endorsement_auth`: of the hierarchy,
 * borrowed; NULL if empty. Errors as kt_audit_log_open(). */
KT_CHECKED int kt_audit_open(const char *path, const struct kt_secret *endorsement_auth,
	struct kt_audit **ret_audit, struct kt_error *e);
/* NULL is fine. */
void kt_audit_close(struct kt_audit *audit);
KT_AUTO(audit, struct kt_audit *, kt_audit_close)
#define auto_audit __attribute__((cleanup(kt_auto_audit)))

/* As kt_audit_log_lock() and kt_audit_log_unlock(). */
KT_CHECKED int kt_audit_lock(struct kt_audit *audit, int64_t deadline_ms, struct kt_error *e);
void kt_audit_unlock(struct kt_audit *audit);
const struct kt_audit_replay *kt_audit_state(const struct kt_audit *audit);

/*
 * All that follows with the lock held.
 */

/* Makes sure that this connection's TPM is the log's, audits what it should, and has not been reset
 * since; else says so in the log (B). In tier B the TPM has to have the counter instead, and a
 * session is started. `connection` numbers connections: for the one that was looked at last nothing
 * is done. Four TPM commands. KT_E_WRONG_TPM, KT_E_NOT_PROVISIONED, KT_E_REFUSED.
 */
KT_CHECKED int kt_audit_attach(
	struct kt_audit *audit, struct kt_tpm *tpm, uint64_t connection, struct kt_error *e);

/* Is there something that a crash left, or may have left, in the log? */
bool kt_audit_is_unsettled(const struct kt_audit *audit);

/* What is to be done about it. */
enum kt_audit_verdict {
	KT_AUDIT_SETTLED,   /* nothing more */
	KT_AUDIT_NEEDS_KEY, /* an HMAC was computed, and has to be once more: kt_audit_redo() */
};

/* Looks at the audit digest, and writes down what it tells of intents that have no result. One TPM
 * command, and a checkpoint's if something is lost. */
KT_CHECKED int kt_audit_settle(struct kt_audit *audit, struct kt_tpm *tpm,
	const struct kt_parent *srk, enum kt_audit_verdict *ret_verdict, struct kt_error *e);

/* Whose key the HMAC to be repeated is of, and its input. */
const struct kt_audit_key *kt_audit_redo_key(const struct kt_audit *audit);
void kt_audit_redo_input(const struct kt_audit *audit, uint8_t ret_input[KT_SHA256_BYTES]);
/* Before and after it is computed. */
KT_CHECKED int kt_audit_redo_intend(struct kt_audit *audit, struct kt_error *e);
KT_CHECKED int kt_audit_redo_result(struct kt_audit *audit, struct kt_tpm *tpm,
	const struct kt_parent *srk, const uint8_t output[KT_SHA256_BYTES], struct kt_error *e);

/* Gives up an operation that has to be repeated and cannot be: a window that the examiner sees. */
KT_CHECKED int kt_audit_abandon(struct kt_audit *audit, struct kt_tpm *tpm,
	const struct kt_parent *srk, struct kt_error *e);

/* Puts a loaded key into the log, unless it is there: *ret_number. KT_E_REFUSED if the TPM does not
 * attest its creation. */
KT_CHECKED int kt_audit_enter(struct kt_audit *audit, struct kt_tpm *tpm,
	const struct kt_parent *srk, ESYS_TR handle, const struct kt_audit_entrant *entrant,
	uint64_t *ret_number, struct kt_error *e);

/* An intent to compute the HMAC of a record: *ret_input is what to compute it of. For
 * KT_AUDIT_ENCRYPT `id` is made here, for KT_AUDIT_DECRYPT it is the record's. */
KT_CHECKED int kt_audit_intend_hmac(struct kt_audit *audit, uint64_t key,
	const struct kt_audit_call *call, uint8_t id[KT_SHA256_BYTES],
	uint8_t ret_input[KT_SHA256_BYTES], struct kt_error *e);
/* To sign a certificate: *ret_digest is what to sign. */
KT_CHECKED int kt_audit_intend_sign(struct kt_audit *audit, uint64_t key, const uint8_t *tbs,
	size_t len, uint8_t ret_digest[KT_SHA256_BYTES], struct kt_error *e);

/* The TPM's answer; only when it is written may it be given away. */
KT_CHECKED int kt_audit_hmac_result(
	struct kt_audit *audit, const uint8_t output[KT_SHA256_BYTES], struct kt_error *e);
KT_CHECKED int kt_audit_sign_result(
	struct kt_audit *audit, const uint8_t signature[KT_AUDIT_POINT_BYTES], struct kt_error *e);

/* Has the TPM vouch for all that is in the log; begins another file if it is time. `nonce`: text of
 * an examiner, or "". Nothing is done if nothing is new and there is no nonce. */
KT_CHECKED int kt_audit_checkpoint(struct kt_audit *audit, struct kt_tpm *tpm,
	const struct kt_parent *srk, const char *nonce, struct kt_error *e);

/* Has the time come for another file? A checkpoint begins it. */
bool kt_audit_is_rotation_due(const struct kt_audit *audit);

/* Tiers B and C: the session for audited commands of this connection, and every operation has to
 * end with a checkpoint before the log is unlocked, as nobody else can vouch for it. Tier A: NULL.
 */
struct kt_tpm_audit_session *kt_audit_session(struct kt_audit *audit);

/* Exactly the commands that a log is about? */
bool kt_audit_set_is_ours(const TPML_CC *commands);

/* What an operator should hear of, each once; NULL: nothing more. */
const char *kt_audit_next_warning(struct kt_audit *audit);

#endif
