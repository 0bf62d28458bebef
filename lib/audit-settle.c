/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a crash: the TPM's audit digest, looked at without being started anew, tells which of the
 * commands that were intended were carried out (an HMAC is deterministic and goes in clear: done
 * once more, it gives the hash that the lost answer had). What cannot be told is written down as
 * that.
 */
#include <string.h>

#include "lib/audit-internal.h"

bool kt_audit_is_unsettled(const struct kt_audit *audit)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);

	/* In tiers B and C whoever made an entry vouches for it before it unlocks. */
	return now->pending_count > 0 || now->is_unknown ||
	       (now->tier != KT_AUDIT_TIER_A && now->unattested > now->orphans);
}

/* The audit digest as it is now: *ret_digest, or *ret_empty. */
static int peek(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	uint8_t ret_digest[KT_SHA256_BYTES], bool *ret_empty, struct kt_error *e)
{
	static const uint8_t nothing[KT_SHA256_BYTES];
	struct kt_tpm_attest attest;
	struct kt_attest parsed;

	if (kt_tpm_audit_digest(tpm, srk, NULL, audit->endorsement_auth, nothing, &attest, e) < 0)
		return -1;
	if (kt_attest_parse(attest.data, attest.len, KT_ATTEST_COMMAND_AUDIT, &parsed, e) < 0)
		return kt_wrap(e, "the TPM's answer");
	*ret_empty = parsed.digest.len == 0;
	if (!*ret_empty && parsed.digest.len != KT_SHA256_BYTES)
		return kt_fail(e, KT_E_REFUSED,
			"the TPM's audit digest is not SHA-256 any more: somebody changed that; a "
			"new log has to be begun");
	if (!*ret_empty)
		memcpy(ret_digest, parsed.digest.data, KT_SHA256_BYTES);
	return 0;
}

static int append_gap(
	struct kt_audit *audit, enum kt_audit_why why, uint64_t count, struct kt_error *e)
{
	struct kt_audit_record record = {
		.type = KT_AUDIT_GAP, .ts = kt_audit_now(), .gap = {.why = why, .count = count}};

	return kt_audit_log_append(audit->log, &record, true, e);
}

/* All intents are given up, and the TPM vouches for what is known at once. */
static int give_up(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	enum kt_audit_why why, struct kt_error *e)
{
	kt_audit_warn(audit, why == KT_AUDIT_TAKEN ? "an attestation of the audit log was lost: "
						     "audit-verify will show a window"
						   : "the answer to an audited command was lost: "
						     "audit-verify will show a window");
	if (append_gap(audit, why, kt_audit_state(audit)->pending_count, e) < 0)
		return -1;
	return kt_audit_checkpoint(audit, tpm, srk, "", e);
}

static int not_executed(struct kt_audit *audit, struct kt_error *e)
{
	uint64_t count = kt_audit_state(audit)->pending_count;

	return count == 0 ? 0 : append_gap(audit, KT_AUDIT_NOT_EXECUTED, count, e);
}

/* The digest is not what the log says. */
static int explain(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	bool is_taken, enum kt_audit_verdict *ret_verdict, struct kt_error *e)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);

	if (is_taken)
		return give_up(audit, tpm, srk, KT_AUDIT_TAKEN, e);
	if (now->is_unknown || (now->pending_count > 0 && now->pending[0].op == KT_AUDIT_SIGN) ||
		now->pending_count == KT_AUDIT_PENDING_MAX)
		return give_up(audit, tpm, srk, KT_AUDIT_LOST, e);
	if (now->pending_count > 0 && now->pending[0].op != KT_AUDIT_ATTEST) {
		*ret_verdict = KT_AUDIT_NEEDS_KEY;
		return 0;
	}
	/* Somebody else used an audited command: nothing to be added, and to be seen at once. */
	if (not_executed(audit, e) < 0)
		return -1;
	return kt_audit_checkpoint(audit, tpm, srk, "", e);
}

/* Tiers B and C: no digest outlives its session; in B the counter tells whether anything was done.
 */
static int was_nothing_done(
	struct kt_audit *audit, struct kt_tpm *tpm, bool *ret_nothing, struct kt_error *e)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);
	uint64_t uses;

	*ret_nothing = false;
	if (now->unattested != now->orphans || now->lost != 0)
		return 0;
	*ret_nothing = now->pending[0].op == KT_AUDIT_ATTEST;
	if (*ret_nothing || now->tier == KT_AUDIT_TIER_C)
		return 0;
	if (kt_tpm_counter_read(tpm, NULL, &uses, e) < 0)
		return -1;
	*ret_nothing = uses == now->last.counter + now->unattested;
	return 0;
}

static int settle_session(
	struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	bool nothing;

	if (was_nothing_done(audit, tpm, &nothing, e) < 0)
		return -1;
	return nothing ? not_executed(audit, e) : give_up(audit, tpm, srk, KT_AUDIT_LOST, e);
}

int kt_audit_settle(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	enum kt_audit_verdict *ret_verdict, struct kt_error *e)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);
	uint8_t digest[KT_SHA256_BYTES];
	bool is_empty, fits;

	*ret_verdict = KT_AUDIT_SETTLED;
	if (!kt_audit_is_unsettled(audit))
		return 0;
	if (now->tier != KT_AUDIT_TIER_A)
		return settle_session(audit, tpm, srk, e);
	if (peek(audit, tpm, srk, digest, &is_empty, e) < 0)
		return -1;
	fits = !now->is_unknown &&
	       (is_empty ? now->is_empty
			 : !now->is_empty && memcmp(digest, now->digest, sizeof(digest)) == 0);
	if (fits)
		return not_executed(audit, e);
	return explain(audit, tpm, srk, is_empty && !now->is_empty, ret_verdict, e);
}

const struct kt_audit_key *kt_audit_redo_key(const struct kt_audit *audit)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);

	return &now->keys->keys[now->pending[0].key];
}

void kt_audit_redo_input(const struct kt_audit *audit, uint8_t ret_input[KT_SHA256_BYTES])
{
	memcpy(ret_input, kt_audit_state(audit)->pending[0].input, KT_SHA256_BYTES);
}

int kt_audit_abandon(
	struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	return give_up(audit, tpm, srk, KT_AUDIT_LOST, e);
}

/* How many of the intents were carried out, if each gave `rp_hash` and all of them `digest`. False
 * if no number fits. */
static bool count_executed(const struct kt_audit_replay *now,
	const uint8_t rp_hash[KT_SHA256_BYTES], const uint8_t digest[KT_SHA256_BYTES],
	size_t *ret_count)
{
	uint8_t model[KT_SHA256_BYTES];

	memcpy(model, now->digest, sizeof(model));
	for (size_t i = 1; i <= now->pending_count; i++) {
		kt_audit_extend(model, now->pending[0].cp_hash, rp_hash);
		if (memcmp(model, digest, sizeof(model)) == 0) {
			*ret_count = i;
			return true;
		}
	}
	return false;
}

/* The repeated one is among those that wait, and was carried out last. */
int kt_audit_redo_result(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	const uint8_t output[KT_SHA256_BYTES], struct kt_error *e)
{
	uint8_t rp_hash[KT_SHA256_BYTES], digest[KT_SHA256_BYTES];
	size_t waiting = kt_audit_state(audit)->pending_count, executed;
	bool is_empty;

	kt_audit_rp_hmac(output, rp_hash);
	if (peek(audit, tpm, srk, digest, &is_empty, e) < 0)
		return -1;
	if (is_empty || !count_executed(kt_audit_state(audit), rp_hash, digest, &executed))
		return give_up(audit, tpm, srk, KT_AUDIT_LOST, e);
	for (size_t i = 0; i < executed; i++)
		if (kt_audit_hmac_result(audit, output, e) < 0)
			return -1;
	return executed < waiting ? not_executed(audit, e) : 0;
}
