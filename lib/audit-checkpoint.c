/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-checkpoint.h"

#include <inttypes.h>
#include <string.h>

#define ALG_SHA256 0x000bu

/* Of which tier: B says so, and for the others the TPM does (Part 2, 10.12.12: the type is behind
 * TPM_GENERATED). */
static enum kt_audit_tier tier_of(const struct kt_audit_record *r, const uint8_t *data, size_t len)
{
	if (r->checkpoint.has_uses)
		return KT_AUDIT_TIER_B;
	return len >= 6 && (data[4] << 8 | data[5]) == KT_ATTEST_SESSION_AUDIT ? KT_AUDIT_TIER_C
									       : KT_AUDIT_TIER_A;
}

static int read_attest(const struct kt_audit_record *r, uint8_t data[KT_ATTEST_MAX_BYTES],
	size_t *ret_len, enum kt_audit_tier *ret_tier, struct kt_attest *ret_attest,
	struct kt_error *e)
{
	if (kt_audit_unhex(&r->checkpoint.attest, data, KT_ATTEST_MAX_BYTES, ret_len) < 0)
		return kt_fail(e, KT_E_INPUT, "the attestation is too long");
	*ret_tier = tier_of(r, data, *ret_len);
	if (kt_attest_parse(data, *ret_len,
		    *ret_tier == KT_AUDIT_TIER_A ? KT_ATTEST_COMMAND_AUDIT
						 : KT_ATTEST_SESSION_AUDIT,
		    ret_attest, e) < 0)
		return -1;
	if (!r->checkpoint.has_uses)
		return 0;
	if (r->checkpoint.uses > UINT32_MAX)
		return kt_fail(e, KT_E_INPUT, "more uses than a TPM can count");
	ret_attest->counts.counter = r->checkpoint.uses;
	return 0;
}

static void qualify(const struct kt_audit_record *r, uint8_t ret_data[KT_SHA256_BYTES])
{
	kt_audit_qualify(
		r->checkpoint.nonce.text, r->checkpoint.nonce.len, r->checkpoint.head, ret_data);
}

/* Who signed, and what. */
static void check_signer(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const struct kt_attest *attest, const uint8_t *data, size_t len)
{
	uint8_t extra[KT_SHA256_BYTES];

	if (!kt_attest_part_is(&attest->signer, replay->ak->qualified_name,
		    sizeof(replay->ak->qualified_name)))
		kt_audit_found(replay, KT_AUDIT_F_WRONG_TPM, "attested by another TPM's key");
	else if (!kt_ak_signed(replay->ak, data, len, r->checkpoint.signature))
		kt_audit_found(replay, KT_AUDIT_F_SIGNATURE,
			"the attestation's signature does not verify: it was changed");
	qualify(r, extra);
	if (!kt_attest_part_is(&attest->extra, extra, sizeof(extra)))
		kt_audit_found(replay, KT_AUDIT_F_CHAIN,
			"the attestation is for other lines, or another nonce");
}

static void check_chain(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const uint8_t before[KT_SHA256_BYTES])
{
	if (memcmp(r->checkpoint.head, before, KT_SHA256_BYTES) != 0)
		kt_audit_found(replay, KT_AUDIT_F_CHAIN,
			"lines between the checkpoint before and this one were changed, dropped, "
			"added or reordered");
	if (r->n != replay->results)
		kt_audit_found(replay, KT_AUDIT_F_SEQUENCE,
			"the checkpoint is for %" PRIu64 " results, and %" PRIu64 " are here", r->n,
			replay->results);
}

static void check_digest(struct kt_audit_replay *replay, const struct kt_attest *attest)
{
	uint8_t commands[KT_SHA256_BYTES];

	kt_audit_command_digest(commands);
	if (attest->digest_alg != ALG_SHA256 ||
		!kt_attest_part_is(&attest->command_digest, commands, sizeof(commands)))
		kt_audit_found(replay, KT_AUDIT_F_AUDIT_SET,
			"the TPM did not audit the commands that it should: somebody turned it "
			"off, or changed the set");
	if (!replay->is_unknown && !kt_attest_part_is(&attest->digest, replay->digest,
					   replay->is_empty ? 0 : KT_SHA256_BYTES))
		kt_audit_found(replay, KT_AUDIT_F_DIGEST,
			"the TPM counted other uses than the %" PRIu64 " entries since the "
			"checkpoint before: one is missing, was changed or added, or somebody else "
			"used an audited command",
			replay->unattested);
}

static void check_gap(struct kt_audit_replay *replay, uint64_t surplus, bool was_reset)
{
	if (!was_reset) {
		kt_audit_found(replay, KT_AUDIT_F_GAP,
			"%" PRIu64 " audit digests are missing and the TPM was not reset: an "
			"attestation was dropped or is withheld",
			surplus);
		return;
	}
	if (surplus == 1 && replay->has_window)
		return;
	if (surplus == 1 && replay->boot_pending > 0)
		kt_audit_found(replay, KT_AUDIT_F_WINDOW,
			"the TPM was reset after it had begun with an intent before this line (of "
			"%zu): a crash, or a window for an attack; the number of uses in it is not "
			"known",
			replay->boot_pending);
	else
		kt_audit_found(replay, KT_AUDIT_F_GAP,
			"%" PRIu64 " audit digests were started and lost at a reset: uses that are "
			"not in this log",
			surplus);
}

/* Tiers B and C: the session has the entries and what closes it, and nothing else. */
static void check_session(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const struct kt_attest *attest)
{
	uint8_t qualifying[KT_SHA256_BYTES], digest[KT_SHA256_BYTES];

	qualify(r, qualifying);
	kt_audit_replay_close(replay, qualifying, attest->counts.counter, digest);
	if (!kt_attest_part_is(&attest->digest, digest, sizeof(digest)))
		kt_audit_found(replay, KT_AUDIT_F_DIGEST,
			"the TPM's audit session had other commands than the %" PRIu64
			" entries since the checkpoint before, or the count was another one, or "
			"read before: an entry is missing, was changed or added, or uses since "
			"are hidden",
			replay->unattested);
}

/* Tier B: each use raised the count by one. So did each TPM2_PolicySecret without a use. */
static void check_uses(struct kt_audit_replay *replay, const struct kt_attest *attest)
{
	uint64_t expected = replay->last.counter + replay->unattested;
	uint64_t counted = attest->counts.counter, surplus = counted - expected;

	if (counted < expected) {
		kt_audit_found(replay, KT_AUDIT_F_GAP,
			"the TPM counted fewer uses (%" PRIu64 ") than are here (%" PRIu64
			"): the counter was made anew",
			counted, expected);
		return;
	}
	if (surplus <= replay->lost)
		return;
	if (surplus <= replay->lost + replay->boot_pending)
		kt_audit_found(replay, KT_AUDIT_F_WINDOW,
			"the TPM was reset after it had begun with an intent before this line (of "
			"%zu), and counted %" PRIu64
			" uses that have no entry: a crash, or a window "
			"for an attack",
			replay->boot_pending, surplus);
	else
		kt_audit_found(replay, KT_AUDIT_F_USES,
			"the TPM counted %" PRIu64 " uses more than there are entries, and %" PRIu64
			" of them may be intents that were cut off: keys were used that this log "
			"does not show, or somebody raised the count",
			surplus, replay->lost);
}

/* Each digest that was started has a number (Part 1, chapter 32). */
static void check_counter(struct kt_audit_replay *replay, const struct kt_attest *attest)
{
	uint64_t expected = replay->last.counter + (attest->digest.len > 0 ? 1 : 0) + replay->taken;
	bool fell = attest->counts.reset < replay->last.reset;

	if (attest->counts.counter > expected)
		check_gap(replay, attest->counts.counter - expected,
			attest->counts.reset != replay->last.reset);
	else if (attest->counts.counter < expected && !fell)
		kt_audit_found(replay, KT_AUDIT_F_GAP,
			"the TPM's count of audit digests fell from %" PRIu64 " to %" PRIu64,
			replay->last.counter, attest->counts.counter);
}

static void check_boots(struct kt_audit_replay *replay, const struct kt_attest *attest)
{
	const struct kt_audit_counts *now = &attest->counts, *last = &replay->last;

	if (now->reset < last->reset && !replay->has_cleared)
		kt_audit_found(replay, KT_AUDIT_F_CLEARED,
			"the TPM was cleared (resetCount was %" PRIu64 ", is %" PRIu64 ")",
			last->reset, now->reset);
	if (now->reset == last->reset ? now->restart != last->restart : now->restart != 0)
		kt_audit_found(replay, KT_AUDIT_F_RESTART,
			"the TPM was restarted from a saved state (restartCount was %" PRIu64
			", is %" PRIu64 "): a suspend, or uses that were rolled back",
			now->reset == last->reset ? last->restart : 0, now->restart);
	else if (replay->has_boot &&
		 (replay->boot_reset != now->reset || replay->boot_restart != now->restart))
		kt_audit_found(replay, KT_AUDIT_F_RESTART,
			"the TPM's counts of resets and restarts are not those of the last B line");
	/* It goes on over resets, too: only TPM2_Clear turns it back. */
	if (now->clock < last->clock && attest->safe)
		kt_audit_found(replay, KT_AUDIT_F_CLOCK, "the TPM's clock was turned back");
}

int kt_audit_check_checkpoint(struct kt_audit_replay *replay, const struct kt_audit_record *record,
	const uint8_t before[KT_SHA256_BYTES], struct kt_error *e)
{
	uint8_t data[KT_ATTEST_MAX_BYTES];
	enum kt_audit_tier tier;
	struct kt_attest attest;
	size_t len;

	if (replay->pending_count != 1 || replay->pending[0].op != KT_AUDIT_ATTEST)
		return kt_fail(e, KT_E_INPUT,
			"a checkpoint that was not announced, or while an intent waits");
	/* Its own time would not be covered by any signature. */
	if (record->ts != replay->pending[0].ts)
		return kt_fail(e, KT_E_INPUT, "a checkpoint of another time than was announced");
	if (read_attest(record, data, &len, &tier, &attest, e) < 0)
		return -1;
	if (tier != replay->tier)
		return kt_fail(e, KT_E_INPUT, "a checkpoint of another tier");
	replay->totals.checkpoints++;
	if (replay->report == NULL)
		return 0;
	check_chain(replay, record, before);
	if (replay->ak != NULL)
		check_signer(replay, record, &attest, data, len);
	if (tier == KT_AUDIT_TIER_A) {
		check_digest(replay, &attest);
		check_counter(replay, &attest);
	} else {
		check_session(replay, record, &attest);
	}
	if (tier == KT_AUDIT_TIER_B)
		check_uses(replay, &attest);
	check_boots(replay, &attest);
	return 0;
}

int kt_audit_replay_seed(struct kt_audit_replay *replay, const struct kt_audit_record *record,
	const char *line, size_t len, uint64_t seq, struct kt_audit_keyset *keys,
	struct kt_error *e)
{
	uint8_t data[KT_ATTEST_MAX_BYTES];
	struct kt_attest attest;
	size_t attest_len;

	if (keys != NULL) {
		kt_audit_keyset_drop(replay->keys);
		replay->keys = keys;
	}
	if (read_attest(record, data, &attest_len, &replay->tier, &attest, e) < 0)
		return -1;
	replay->is_started = true;
	replay->file_begins = false;
	replay->seq = seq;
	memcpy(replay->head, record->checkpoint.head, sizeof(replay->head));
	kt_audit_chain(replay->head, line, len);
	replay->results = record->n;
	replay->last = attest.counts;
	kt_audit_begin_epoch(replay);
	return 0;
}
