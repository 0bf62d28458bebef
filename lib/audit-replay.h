/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaying an audit log: what the TPM's audit digest must be after each line, and whether each
 * checkpoint says so. audit-verify judges with it; whoever writes a log finds out with it where
 * another process left off. The rules are those of kubetpm-formats(5), Audit log. Pure.
 */
#ifndef KT_LIB_AUDIT_REPLAY_H
#define KT_LIB_AUDIT_REPLAY_H

#include "lib/audit-key.h"

#define KT_AUDIT_PENDING_MAX 16

/* What can be wrong with a log. Their names are in audit-verify's JSON: they only grow. */
enum kt_audit_finding {
	KT_AUDIT_F_MALFORMED,
	KT_AUDIT_F_WRONG_TPM,
	KT_AUDIT_F_TRUNCATED,
	KT_AUDIT_F_ROLLED_BACK,
	KT_AUDIT_F_SIGNATURE,
	KT_AUDIT_F_CHAIN,
	KT_AUDIT_F_DIGEST,
	KT_AUDIT_F_SEQUENCE,
	KT_AUDIT_F_AUDIT_SET,
	KT_AUDIT_F_GAP,
	KT_AUDIT_F_WINDOW,
	KT_AUDIT_F_LOST,
	KT_AUDIT_F_TAKEN,
	KT_AUDIT_F_RESTART,
	KT_AUDIT_F_CLEARED,
	KT_AUDIT_F_CLOCK,
	KT_AUDIT_F_KEY,
	KT_AUDIT_F_DISGUISED,
	KT_AUDIT_F_ROTATION,
	KT_AUDIT_F_USES,
	KT_AUDIT_F_TIER,
	KT_AUDIT_FINDINGS
};

const char *kt_audit_finding_name(enum kt_audit_finding finding);

/* Called for each finding in the line that is being replayed; `text` is borrowed. */
typedef void kt_audit_report(void *ctx, enum kt_audit_finding finding, const char *text);

/* An intent without a result yet. */
struct kt_audit_pending {
	enum kt_audit_op op; /* KT_AUDIT_REDO too */
	uint64_t key;
	uint64_t ts;
	uint8_t id[KT_SHA256_BYTES];	/* not of KT_AUDIT_SIGN */
	uint8_t input[KT_SHA256_BYTES]; /* of the HMAC, or the digest to sign */
	uint8_t cp_hash[KT_SHA256_BYTES];
};

struct kt_audit_totals {
	uint64_t encryptions, decryptions, redone, certificates, checkpoints;
};

struct kt_audit_replay {
	/* How strictly: set by whoever replays. NULL `ak`: a log of our own, whose attestations are
	 * not verified. */
	const struct kt_ak *ak;
	kt_audit_report *report;
	void *ctx;

	bool is_started;  /* a file's head was seen, or it was seeded */
	bool file_begins; /* the next line is the first of a file */
	enum kt_audit_tier tier;
	uint64_t seq;	   /* of the present file */
	uint64_t max, age; /* when it is rotated: bytes, seconds */
	uint64_t began_ts; /* of its head */
	uint8_t file_ak[KT_AUDIT_POINT_BYTES];
	uint8_t head[KT_SHA256_BYTES];
	uint64_t results;
	struct kt_audit_keyset *keys; /* owned */

	/* since the last checkpoint */
	uint8_t digest[KT_SHA256_BYTES];
	bool is_empty;	     /* no entry is in the digest */
	bool is_unknown;     /* nobody knows what it is */
	uint64_t unattested; /* results */
	uint64_t lines;
	uint64_t taken;	  /* digests whose attestation is lost */
	uint64_t orphans; /* tiers B and C: those of `unattested` whose session is gone */
	uint64_t lost;	  /* tiers B and C: intents that may have been uses */
	bool set_lines_allowed;
	size_t pending_count;
	struct kt_audit_pending pending[KT_AUDIT_PENDING_MAX];

	/* the last checkpoint, and what a B line said since */
	struct kt_audit_counts last;
	bool has_boot, has_window, has_cleared;
	uint64_t boot_reset, boot_restart;
	size_t boot_pending; /* intents that the reset left open, when no entry was */

	struct kt_audit_totals totals;
};

/* The state before the first line. kt_audit_replay_clear() frees what it owns. */
KT_CHECKED int kt_audit_replay_init(struct kt_audit_replay *replay, struct kt_error *e);
void kt_audit_replay_clear(struct kt_audit_replay *replay);

/* The state after a checkpoint, from what the checkpoint claims, so that what follows can be
 * replayed by itself: `record` is line `line`, `seq` the file's number, `keys` are those of the
 * file so far, taken in any case (NULL: they stay). KT_E_INPUT if its attestation is malformed. */
KT_CHECKED int kt_audit_replay_seed(struct kt_audit_replay *replay,
	const struct kt_audit_record *record, const char *line, size_t len, uint64_t seq,
	struct kt_audit_keyset *keys, struct kt_error *e);

/* One line without its newline; *ret_record is what it says, borrowed from it. What is wrong is
 * reported, and replaying goes on; KT_E_INPUT if it cannot: the line is malformed, or cannot stand
 * where it stands. */
KT_CHECKED int kt_audit_replay_line(struct kt_audit_replay *replay, const char *line, size_t len,
	struct kt_audit_record *ret_record, struct kt_error *e);

bool kt_audit_counts_equal(const struct kt_audit_counts *a, const struct kt_audit_counts *b);

/* Tiers B and C: the digest of the audit session once it has what comes before each attestation:
 * TPM2_StirRandom of the attestation's qualifyingData, and in B the reading of the counter. An
 * attestation may be made at any time after that: this tells that it was not read before the
 * nonce was known. */
void kt_audit_replay_close(const struct kt_audit_replay *replay,
	const uint8_t qualifying[KT_SHA256_BYTES], uint64_t uses,
	uint8_t ret_digest[KT_SHA256_BYTES]);

/* Is something not vouched for by a checkpoint? */
bool kt_audit_replay_is_open(const struct kt_audit_replay *replay);

#endif
