/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "lib/audit-checkpoint.h"
#include "lib/audit-counter.h"
#include "lib/certificate.h"
#include "lib/kms-input.h"
#include "lib/octets.h"

#define TBS_MAX_BYTES (KT_AUDIT_LINE_MAX / 2)
#define ALG_NULL 0x0010u

static const char *const finding_names[KT_AUDIT_FINDINGS] = {
	[KT_AUDIT_F_MALFORMED] = "malformed",
	[KT_AUDIT_F_WRONG_TPM] = "wrong-tpm",
	[KT_AUDIT_F_TRUNCATED] = "truncated",
	[KT_AUDIT_F_ROLLED_BACK] = "rolled-back",
	[KT_AUDIT_F_SIGNATURE] = "signature",
	[KT_AUDIT_F_CHAIN] = "chain",
	[KT_AUDIT_F_DIGEST] = "digest",
	[KT_AUDIT_F_SEQUENCE] = "sequence",
	[KT_AUDIT_F_AUDIT_SET] = "audit-set",
	[KT_AUDIT_F_GAP] = "gap",
	[KT_AUDIT_F_WINDOW] = "window",
	[KT_AUDIT_F_LOST] = "lost",
	[KT_AUDIT_F_TAKEN] = "taken",
	[KT_AUDIT_F_RESTART] = "restart",
	[KT_AUDIT_F_CLEARED] = "cleared",
	[KT_AUDIT_F_CLOCK] = "clock",
	[KT_AUDIT_F_KEY] = "key",
	[KT_AUDIT_F_DISGUISED] = "disguised",
	[KT_AUDIT_F_ROTATION] = "rotation",
	[KT_AUDIT_F_USES] = "uses",
	[KT_AUDIT_F_TIER] = "tier",
};

const char *kt_audit_finding_name(enum kt_audit_finding finding)
{
	return finding_names[finding];
}

void kt_audit_found(
	struct kt_audit_replay *replay, enum kt_audit_finding finding, const char *fmt, ...)
{
	char text[256];
	va_list args;

	if (replay->report == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	replay->report(replay->ctx, finding, text);
}

int kt_audit_replay_init(struct kt_audit_replay *replay, struct kt_error *e)
{
	memset(replay, 0, sizeof(*replay));
	replay->file_begins = true;
	replay->is_empty = true;
	return kt_audit_keyset_new(&replay->keys, e);
}

void kt_audit_replay_clear(struct kt_audit_replay *replay)
{
	kt_audit_keyset_drop(replay->keys);
	replay->keys = NULL;
}

bool kt_audit_replay_is_open(const struct kt_audit_replay *replay)
{
	return replay->lines > 0 || replay->pending_count > 0;
}

void kt_audit_replay_close(const struct kt_audit_replay *replay,
	const uint8_t qualifying[KT_SHA256_BYTES], uint64_t uses,
	uint8_t ret_digest[KT_SHA256_BYTES])
{
	uint8_t cp_hash[KT_SHA256_BYTES], rp_hash[KT_SHA256_BYTES];

	memcpy(ret_digest, replay->digest, KT_SHA256_BYTES);
	kt_audit_cp_stir(qualifying, cp_hash);
	kt_audit_rp_stir(rp_hash);
	kt_audit_extend(ret_digest, cp_hash, rp_hash);
	if (replay->tier != KT_AUDIT_TIER_B)
		return;
	kt_audit_cp_read(cp_hash);
	kt_audit_rp_read(uses, rp_hash);
	kt_audit_extend(ret_digest, cp_hash, rp_hash);
}

bool kt_audit_counts_equal(const struct kt_audit_counts *a, const struct kt_audit_counts *b)
{
	return a->counter == b->counter && a->reset == b->reset && a->restart == b->restart &&
	       a->clock == b->clock;
}

/* The first file that is given need not be the first of the log. */
static int start_log(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	static const uint8_t zeros[KT_SHA256_BYTES];

	if (r->file.seq == 0 && (r->n != 0 || memcmp(r->file.prev, zeros, sizeof(zeros)) != 0))
		return kt_fail(e, KT_E_INPUT, "file 0 has something before it");
	replay->is_started = true;
	memcpy(replay->head, r->file.prev, sizeof(replay->head));
	replay->results = r->n;
	replay->last = r->file.last;
	return 0;
}

void kt_audit_begin_epoch(struct kt_audit_replay *replay)
{
	memset(replay->digest, 0, sizeof(replay->digest));
	replay->is_empty = true;
	replay->is_unknown = false;
	replay->unattested = replay->lines = replay->taken = 0;
	replay->orphans = replay->lost = 0;
	replay->set_lines_allowed = false;
	replay->pending_count = replay->boot_pending = 0;
	replay->has_boot = replay->has_window = replay->has_cleared = false;
}

/* Another file than the next one is judged from what it says of itself: one finding is enough. */
static void continue_log(struct kt_audit_replay *replay, const struct kt_audit_record *r)
{
	if (r->file.seq == replay->seq + 1 && r->n == replay->results &&
		memcmp(r->file.prev, replay->head, sizeof(replay->head)) == 0 &&
		kt_audit_counts_equal(&r->file.last, &replay->last)) {
		if (kt_audit_replay_is_open(replay))
			kt_audit_found(replay, KT_AUDIT_F_ROTATION,
				"the file before this one does not end with a checkpoint");
		return;
	}
	kt_audit_found(replay, KT_AUDIT_F_ROTATION,
		"this file does not continue the one before it: a file is missing, out of order, "
		"or was changed");
	kt_audit_begin_epoch(replay);
	memcpy(replay->head, r->file.prev, sizeof(replay->head));
	replay->results = r->n;
	replay->last = r->file.last;
}

static int replay_file(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	if (!replay->file_begins)
		return kt_fail(e, KT_E_INPUT, "the head of a file within a file");
	if (replay->is_started && r->file.tier != replay->tier)
		return kt_fail(e, KT_E_INPUT, "a file of another tier than the one before");
	if (replay->is_started)
		continue_log(replay, r);
	else if (start_log(replay, r, e) < 0)
		return -1;
	if (replay->ak != NULL &&
		memcmp(r->file.ak, replay->ak->point, sizeof(replay->ak->point)) != 0)
		kt_audit_found(replay, KT_AUDIT_F_WRONG_TPM,
			"the log of another TPM: it names another attestation key");
	kt_audit_keyset_drop(replay->keys);
	replay->keys = NULL;
	if (kt_audit_keyset_new(&replay->keys, e) < 0)
		return -1;
	replay->file_begins = false;
	replay->set_lines_allowed = true;
	replay->tier = r->file.tier;
	replay->seq = r->file.seq;
	replay->max = r->file.max;
	replay->age = r->file.age;
	replay->began_ts = r->ts;
	memcpy(replay->file_ak, r->file.ak, sizeof(replay->file_ak));
	return 0;
}

static void extend(struct kt_audit_replay *replay, const uint8_t cp_hash[KT_SHA256_BYTES],
	const uint8_t rp_hash[KT_SHA256_BYTES])
{
	kt_audit_extend(replay->digest, cp_hash, rp_hash);
	replay->is_empty = false;
}

/* The one change that a log may have: HMAC and Sign are added, before anything else. Whoever could
 * write down that he turned the audit off, and on again, could use keys in between. */
static bool is_beginning(const uint8_t *raw, size_t len)
{
	struct kt_octets o = {raw, len, false};
	bool fits = kt_octets_number(&o, 2) == ALG_NULL && kt_octets_number(&o, 4) == 2 &&
		    kt_octets_number(&o, 4) == KT_AUDIT_CC_HMAC &&
		    kt_octets_number(&o, 4) == KT_AUDIT_CC_SIGN;
	uint64_t cleared = kt_octets_number(&o, 4);

	for (uint64_t i = 0; i < cleared && !o.failed; i++) {
		uint64_t code = kt_octets_number(&o, 4);

		if (code == KT_AUDIT_CC_SET || code == KT_AUDIT_CC_HMAC || code == KT_AUDIT_CC_SIGN)
			return false;
	}
	return fits && kt_octets_end(&o);
}

static int replay_set(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	uint8_t raw[256], cp_hash[KT_SHA256_BYTES], rp_hash[KT_SHA256_BYTES];
	size_t len;

	if (!replay->set_lines_allowed || replay->seq != 0 || !replay->is_empty ||
		replay->tier != KT_AUDIT_TIER_A)
		return kt_fail(
			e, KT_E_INPUT, "an A line that does not follow the first file's head");
	if (kt_audit_unhex(&r->set.raw, raw, sizeof(raw), &len) < 0 || !is_beginning(raw, len))
		return kt_fail(
			e, KT_E_INPUT, "not the change of audited commands that begins a log");
	kt_audit_cp_set(raw, len, cp_hash);
	kt_audit_rp_set(rp_hash);
	extend(replay, cp_hash, rp_hash);
	return 0;
}

static int replay_key(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	struct kt_error reason;

	if (replay->unattested > 0 || replay->pending_count > 0)
		return kt_fail(e, KT_E_INPUT, "a key between entries and their checkpoint");
	if (kt_audit_keyset_add(&replay->keys, r, e) < 0)
		return -1;
	if (replay->ak == NULL)
		return 0;
	switch (kt_audit_key_judge(r, replay->ak, replay->tier, &reason)) {
	case KT_AUDIT_KEY_GOOD:
		break;
	case KT_AUDIT_KEY_OTHER_TPM:
		kt_audit_found(replay, KT_AUDIT_F_WRONG_TPM, "the key: %s", reason.msg);
		break;
	case KT_AUDIT_KEY_BAD:
		kt_audit_found(replay, KT_AUDIT_F_KEY, "the key: %s", reason.msg);
		break;
	}
	return 0;
}

/* Intents that wait, and are to use a key. */
static uint64_t count_uses(const struct kt_audit_replay *replay)
{
	uint64_t count = 0;

	for (size_t i = 0; i < replay->pending_count; i++)
		count += replay->pending[i].op != KT_AUDIT_ATTEST;
	return count;
}

static void replay_boot(struct kt_audit_replay *replay, const struct kt_audit_record *r)
{
	uint64_t known = replay->has_boot ? replay->boot_reset : replay->last.reset;

	replay->has_boot = true;
	replay->boot_reset = r->boot.reset;
	replay->boot_restart = r->boot.restart;
	if (r->boot.reset == known)
		return;
	if (r->boot.reset < known) {
		replay->has_cleared = true;
		kt_audit_found(replay, KT_AUDIT_F_CLEARED,
			"the TPM was cleared (resetCount was %" PRIu64 ", is %" PRIu64 ")", known,
			r->boot.reset);
	}
	if (replay->unattested > 0) {
		replay->has_window = true;
		kt_audit_found(replay, KT_AUDIT_F_WINDOW,
			"the TPM was reset while %" PRIu64 " entries and %zu intents before this "
			"line had no checkpoint: a crash, or a window for an attack; the number of "
			"uses in it is not known",
			replay->unattested, replay->pending_count);
	} else {
		replay->boot_pending += replay->pending_count;
		if (replay->tier == KT_AUDIT_TIER_C && count_uses(replay) > 0)
			kt_audit_found(replay, KT_AUDIT_F_WINDOW,
				"the TPM was reset after it had begun with an intent before this "
				"line: whether it was carried out is not known");
	}
	if (replay->unattested > 0)
		replay->lost += count_uses(replay);
	replay->orphans = replay->unattested;
	replay->pending_count = 0;
	memset(replay->digest, 0, sizeof(replay->digest));
	replay->is_empty = true;
	replay->is_unknown = false;
}

static int check_key(const struct kt_audit_replay *replay, const struct kt_audit_record *r,
	enum kt_audit_key_type type, struct kt_error *e)
{
	if (r->intent.key >= replay->keys->count || replay->keys->keys[r->intent.key].type != type)
		return kt_fail(e, KT_E_INPUT,
			"names key %" PRIu64 ", which this file does not have, or not of that type",
			r->intent.key);
	return 0;
}

static int intend_record(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const uint8_t head[KT_SHA256_BYTES], struct kt_audit_pending *pending, struct kt_error *e)
{
	const struct kt_audit_key *key;
	uint8_t id[KT_SHA256_BYTES];

	if (check_key(replay, r, KT_AUDIT_HMAC, e) < 0)
		return -1;
	key = &replay->keys->keys[r->intent.key];
	if (r->intent.op == KT_AUDIT_ENCRYPT) {
		kt_audit_record_id(head, r->intent.random, id);
		if (memcmp(id, r->intent.id, sizeof(id)) != 0) {
			kt_audit_found(replay, KT_AUDIT_F_DISGUISED,
				"a decryption that is written as an encryption: its identifier was "
				"not made here");
			pending->op = KT_AUDIT_DECRYPT;
		}
	}
	memcpy(pending->id, r->intent.id, sizeof(pending->id));
	kt_record_input(key->cluster, key->key_id, r->intent.id, pending->input);
	kt_audit_cp_hmac(key->name, pending->input, pending->cp_hash);
	return 0;
}

static int intend_certificate(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	struct kt_audit_pending *pending, struct kt_error *e)
{
	uint8_t tbs[TBS_MAX_BYTES];
	struct kt_sha256 hash;
	size_t len;

	if (check_key(replay, r, KT_AUDIT_P256, e) < 0)
		return -1;
	if (kt_audit_unhex(&r->intent.tbs, tbs, sizeof(tbs), &len) < 0 || !kt_cert_is_tbs(tbs, len))
		return kt_fail(e, KT_E_INPUT, "what is signed is no certificate");
	kt_sha256_start(&hash);
	kt_sha256_add(&hash, tbs, len);
	kt_sha256_finish(&hash, pending->input);
	kt_audit_cp_sign(replay->keys->keys[r->intent.key].name, pending->input, pending->cp_hash);
	return 0;
}

static int intend_redo(
	const struct kt_audit_replay *replay, struct kt_audit_pending *pending, struct kt_error *e)
{
	const struct kt_audit_pending *first = &replay->pending[0];

	if (replay->tier != KT_AUDIT_TIER_A || replay->pending_count == 0 ||
		first->op == KT_AUDIT_SIGN || first->op == KT_AUDIT_ATTEST)
		return kt_fail(e, KT_E_INPUT, "repeats an operation that does not wait");
	memcpy(pending->id, first->id, sizeof(pending->id));
	memcpy(pending->input, first->input, sizeof(pending->input));
	memcpy(pending->cp_hash, first->cp_hash, sizeof(pending->cp_hash));
	pending->key = first->key;
	return 0;
}

static int replay_intent(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const uint8_t head[KT_SHA256_BYTES], struct kt_error *e)
{
	struct kt_audit_pending *pending = &replay->pending[replay->pending_count];
	int status;

	if (r->n != replay->results + replay->pending_count)
		kt_audit_found(replay, KT_AUDIT_F_SEQUENCE,
			"intent %" PRIu64 " where %" PRIu64
			" has to be: entries are missing, or out "
			"of order",
			r->n, replay->results + replay->pending_count);
	if (replay->pending_count == KT_AUDIT_PENDING_MAX ||
		(r->intent.op != KT_AUDIT_REDO && replay->pending_count > 0))
		return kt_fail(e, KT_E_INPUT, "an intent while another one waits");
	pending->op = r->intent.op;
	pending->ts = r->ts;
	pending->key = r->intent.key;
	if (r->intent.op == KT_AUDIT_ATTEST)
		status = 0;
	else if (r->intent.op == KT_AUDIT_REDO)
		status = intend_redo(replay, pending, e);
	else if (r->intent.op == KT_AUDIT_SIGN)
		status = intend_certificate(replay, r, pending, e);
	else
		status = intend_record(replay, r, head, pending, e);
	if (status == 0)
		replay->pending_count++;
	return status;
}

static void count_result(struct kt_audit_totals *totals, enum kt_audit_op op)
{
	switch (op) {
	case KT_AUDIT_ENCRYPT:
		totals->encryptions++;
		return;
	case KT_AUDIT_DECRYPT:
		totals->decryptions++;
		return;
	case KT_AUDIT_REDO:
		totals->redone++;
		return;
	case KT_AUDIT_SIGN:
		totals->certificates++;
		return;
	case KT_AUDIT_ATTEST:
		return;
	}
}

static int replay_result(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	const struct kt_audit_pending *first = &replay->pending[0];
	uint8_t rp_hash[KT_SHA256_BYTES];

	if (replay->pending_count == 0 || first->op == KT_AUDIT_ATTEST)
		return kt_fail(e, KT_E_INPUT, "a result that no intent waits for");
	if (r->result.is_signature != (first->op == KT_AUDIT_SIGN))
		return kt_fail(e, KT_E_INPUT, "a result of another kind than its intent");
	if (r->n != replay->results)
		kt_audit_found(replay, KT_AUDIT_F_SEQUENCE,
			"result %" PRIu64 " where %" PRIu64
			" has to be: entries are missing, or out "
			"of order",
			r->n, replay->results);
	if (r->result.is_signature)
		kt_audit_rp_sign(r->result.signature, rp_hash);
	extend(replay, first->cp_hash, r->result.is_signature ? rp_hash : r->result.rp_hash);
	count_result(&replay->totals, first->op);
	replay->results++;
	replay->unattested++;
	replay->pending_count--;
	if (replay->pending_count > 0)
		memmove(replay->pending, replay->pending + 1,
			replay->pending_count * sizeof(replay->pending[0]));
	return 0;
}

/* Tiers B and C: the session's digest is gone with the session; a counter is not. */
static int lose_session(struct kt_audit_replay *replay, enum kt_audit_why why, struct kt_error *e)
{
	uint64_t uses = count_uses(replay);

	if (why != KT_AUDIT_LOST)
		return kt_fail(e, KT_E_INPUT, "an attestation that nothing was lost with");
	kt_audit_found(replay, KT_AUDIT_F_LOST,
		"a window: nothing vouches for what the %" PRIu64 " entries before this line say, "
		"and of %" PRIu64 " intents it is not known whether they were carried out%s",
		replay->unattested - replay->orphans, uses,
		replay->tier == KT_AUDIT_TIER_B ? "; the TPM still counts the uses" : "");
	replay->lost += uses;
	replay->orphans = replay->unattested;
	replay->pending_count = 0;
	memset(replay->digest, 0, sizeof(replay->digest));
	replay->is_empty = true;
	return 0;
}

static int replay_gap(
	struct kt_audit_replay *replay, const struct kt_audit_record *r, struct kt_error *e)
{
	uint64_t count = r->gap.count;

	if (r->gap.why == KT_AUDIT_NOT_EXECUTED) {
		if (count == 0 || count > replay->pending_count)
			return kt_fail(e, KT_E_INPUT, "gives up %" PRIu64 " of %zu intents", count,
				replay->pending_count);
		replay->pending_count -= count;
		return 0;
	}
	if (count != replay->pending_count)
		return kt_fail(e, KT_E_INPUT, "gives up %" PRIu64 " of %zu intents", count,
			replay->pending_count);
	if (replay->tier != KT_AUDIT_TIER_A)
		return lose_session(replay, r->gap.why, e);
	replay->pending_count = 0;
	if (r->gap.why == KT_AUDIT_LOST) {
		replay->is_unknown = true;
		kt_audit_found(replay, KT_AUDIT_F_LOST,
			"a window with an unknown number of uses: the answer to %" PRIu64
			" intents is lost, and until the next checkpoint the TPM's count cannot be "
			"compared",
			count);
		return 0;
	}
	replay->taken++;
	kt_audit_found(replay, KT_AUDIT_F_TAKEN,
		"an attestation is lost: nothing vouches for the %" PRIu64 " entries and %" PRIu64
		" intents before this line; if no crash is known, somebody "
		"withholds it",
		replay->unattested, count);
	memset(replay->digest, 0, sizeof(replay->digest));
	replay->is_empty = true;
	replay->is_unknown = false;
	return 0;
}

static int replay_record(struct kt_audit_replay *replay, const struct kt_audit_record *r,
	const uint8_t before[KT_SHA256_BYTES], struct kt_error *e)
{
	if (r->type != KT_AUDIT_SET && r->type != KT_AUDIT_FILE)
		replay->set_lines_allowed = false;
	switch (r->type) {
	case KT_AUDIT_FILE:
		return replay_file(replay, r, e);
	case KT_AUDIT_SET:
		return replay_set(replay, r, e);
	case KT_AUDIT_KEY:
		return replay_key(replay, r, e);
	case KT_AUDIT_BOOT:
		replay_boot(replay, r);
		return 0;
	case KT_AUDIT_INTENT:
		return replay_intent(replay, r, before, e);
	case KT_AUDIT_RESULT:
		return replay_result(replay, r, e);
	case KT_AUDIT_GAP:
		return replay_gap(replay, r, e);
	case KT_AUDIT_CHECKPOINT:
		return kt_audit_check_checkpoint(replay, r, before, e);
	}
	return kt_fail(e, KT_E_INTERNAL, "a line of an unknown type");
}

int kt_audit_replay_line(struct kt_audit_replay *replay, const char *line, size_t len,
	struct kt_audit_record *ret_record, struct kt_error *e)
{
	uint8_t before[KT_SHA256_BYTES];

	if (kt_audit_record_parse(line, len, ret_record, e) < 0)
		return -1;
	if (replay->file_begins && ret_record->type != KT_AUDIT_FILE)
		return kt_fail(e, KT_E_INPUT, "the first line of a file is not its head");
	memcpy(before, replay->head, sizeof(before));
	if (ret_record->type == KT_AUDIT_FILE) {
		/* A first file brings its own head. */
		if (replay_record(replay, ret_record, before, e) < 0)
			return -1;
		kt_audit_chain(replay->head, line, len);
		replay->lines++;
		return 0;
	}
	kt_audit_chain(replay->head, line, len);
	if (replay_record(replay, ret_record, before, e) < 0)
		return -1;
	if (ret_record->type == KT_AUDIT_CHECKPOINT)
		return kt_audit_replay_seed(replay, ret_record, line, len, replay->seq, NULL, e);
	replay->lines++;
	return 0;
}
