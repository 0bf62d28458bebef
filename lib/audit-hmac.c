/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intent is written when the policy is run and only TPM2_HMAC is left to be sent: what fails
 * before, as most does, leaves no trace to be settled.
 */
#include "lib/audit-hmac.h"

#include <string.h>

#include <openssl/crypto.h>

/* One computation under way. */
struct work {
	const struct kt_audit_hmac *with;
	const struct kt_audit_hmac_key *key; /* NULL: repeats what a crash left */
	const struct kt_audit_call *call;
	uint8_t *id;
	uint8_t input[KT_HMAC_BYTES];
	bool is_intended;
	uint64_t connection; /* on which it was */
};

static int intend(struct work *work, struct kt_tpm *tpm, const struct kt_parent *srk,
	ESYS_TR handle, struct kt_error *e)
{
	struct kt_audit *audit = work->with->audit;
	uint64_t number;

	if (kt_audit_attach(audit, tpm, kt_hmac_connections(work->with->hmac), e) < 0)
		return -1;
	if (work->key == NULL)
		return kt_audit_redo_intend(audit, e);
	if (kt_audit_enter(audit, tpm, srk, handle, &work->key->entrant, &number, e) < 0)
		return -1;
	return kt_audit_intend_hmac(audit, number, work->call, work->id, work->input, e);
}

/* kt_hmac_hook: once for a computation, however often the policy has to be run for it. */
static int before(struct kt_tpm *tpm, const struct kt_parent *srk, ESYS_TR handle, void *ctx,
	struct kt_error *e)
{
	struct work *work = ctx;

	if (work->is_intended)
		return kt_hmac_connections(work->with->hmac) == work->connection
			       ? 0
			       : kt_fail(e, KT_E_TPM,
					 "the connection to the TPM was lost between intent and "
					 "command");
	work->connection = kt_hmac_connections(work->with->hmac);
	if (intend(work, tpm, srk, handle, e) < 0)
		return -1;
	work->is_intended = true;
	return 0;
}

static struct kt_tpm_audit_session *session(void *ctx)
{
	const struct work *work = ctx;

	return kt_audit_session(work->with->audit);
}

static int compute(struct work *work, struct kt_hmac_key *key, uint8_t ret_output[KT_HMAC_BYTES],
	struct kt_error *e)
{
	const struct kt_hmac_hook hook = {before, session, work};

	return kt_hmac_compute_hooked(work->with->hmac, key, &hook, work->input, ret_output, e);
}

/* For kt_hmac_run(): attaches, and looks what there is to be settled. */
struct look {
	const struct kt_audit_hmac *with;
	enum kt_audit_verdict verdict;
};

static int look(struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	struct look *l = ctx;

	if (kt_audit_attach(l->with->audit, tpm, kt_hmac_connections(l->with->hmac), e) < 0)
		return -1;
	return kt_audit_settle(l->with->audit, tpm, srk, &l->verdict, e);
}

struct redone {
	const struct kt_audit_hmac *with;
	uint8_t output[KT_HMAC_BYTES];
};

static int note_redone(
	struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	struct redone *r = ctx;

	return kt_audit_redo_result(r->with->audit, tpm, srk, r->output, e);
}

static int redo(const struct kt_audit_hmac *with, struct kt_error *e)
{
	struct kt_hmac_key *key = NULL;
	struct work work = {.with = with};
	struct redone redone = {.with = with};
	int status;

	if (with->find(with->ctx, kt_audit_redo_key(with->audit)->name, &key, e) < 0)
		return kt_wrap(e, "repeating an operation that was cut off");
	if (key == NULL)
		return kt_fail(e, KT_E_BUSY,
			"an operation with another key was cut off, and only who has that key can "
			"repeat it: start the kms-shim that has it, or give it up with 'sealtool "
			"audit checkpoint --abandon'");
	kt_audit_redo_input(with->audit, work.input);
	if (compute(&work, key, redone.output, e) < 0)
		return kt_wrap(e, "repeating an operation that was cut off");
	status = kt_hmac_run(with->hmac, note_redone, &redone, e);
	OPENSSL_cleanse(&redone, sizeof(redone));
	return status;
}

/* With the lock held. A connection that nobody has looked through yet is looked through. */
static int settle(const struct kt_audit_hmac *with, struct kt_error *e)
{
	struct look l = {.with = with};

	if (kt_hmac_run(with->hmac, look, &l, e) < 0)
		return -1;
	return l.verdict == KT_AUDIT_NEEDS_KEY ? redo(with, e) : 0;
}

static int checkpoint(
	struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	const struct kt_audit_hmac *with = ctx;

	if (kt_audit_attach(with->audit, tpm, kt_hmac_connections(with->hmac), e) < 0)
		return -1;
	return kt_audit_checkpoint(with->audit, tpm, srk, "", e);
}

/* The result, and in tiers B and C what vouches for it. */
static int note_result(struct work *work, const uint8_t output[KT_HMAC_BYTES], struct kt_error *e)
{
	struct kt_audit_hmac copy = *work->with;

	if (kt_audit_hmac_result(copy.audit, output, e) < 0)
		return -1;
	return kt_audit_session(copy.audit) == NULL ? 0
						    : kt_hmac_run(copy.hmac, checkpoint, &copy, e);
}

static int compute_locked(struct work *work, uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	struct kt_audit *audit = work->with->audit;
	struct kt_error ignored;

	if (kt_audit_is_unsettled(audit) && settle(work->with, e) < 0)
		return -1;
	work->is_intended = false;
	if (compute(work, work->key->key, ret_output, e) < 0) {
		/* Now or, if the TPM does not answer, when it does. */
		if (kt_audit_state(audit)->pending_count > 0)
			(void)settle(work->with, &ignored);
		return -1;
	}
	if (note_result(work, ret_output, e) == 0)
		return 0;
	OPENSSL_cleanse(ret_output, KT_HMAC_BYTES);
	return -1;
}

int kt_audit_hmac_compute(const struct kt_audit_hmac *with, const struct kt_audit_hmac_key *key,
	const struct kt_audit_call *call, uint8_t id[KT_SHA256_BYTES],
	uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	struct work work = {.with = with, .key = key, .call = call, .id = id};
	int status;

	if (kt_audit_lock(with->audit, with->deadline_ms, e) < 0)
		return -1;
	status = compute_locked(&work, ret_output, e);
	kt_audit_unlock(with->audit);
	return status;
}

static int idle(const struct kt_audit_hmac *with, struct kt_error *e)
{
	struct kt_audit_hmac copy = *with;

	if (kt_audit_is_unsettled(with->audit) && settle(with, e) < 0)
		return -1;
	/* Without anything new the TPM is left in peace. */
	if (!kt_audit_replay_is_open(kt_audit_state(with->audit)) &&
		!kt_audit_is_rotation_due(with->audit))
		return 0;
	return kt_hmac_run(with->hmac, checkpoint, &copy, e);
}

int kt_audit_hmac_idle(const struct kt_audit_hmac *with, struct kt_error *e)
{
	int status;

	if (kt_audit_lock(with->audit, with->deadline_ms, e) < 0)
		return -1;
	status = idle(with, e);
	kt_audit_unlock(with->audit);
	return status;
}
