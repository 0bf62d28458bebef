/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit of work: some hundred kilobytes of log from one checkpoint to another, which can be judged
 * without what comes before, since the checkpoint before it claims all that matters, and is itself
 * judged in the unit before. Pure.
 */
#ifndef KT_AUDIT_VERIFY_UNIT_H
#define KT_AUDIT_VERIFY_UNIT_H

#include "lib/audit-replay.h"

#define KT_UNIT_FINDINGS_MAX 64 /* of one unit; more are only counted */
#define KT_UNIT_FILES_MAX 64	/* files that begin in one unit */

/* Where something is: numbers of the file, from 0, and of the line in it, from 1. */
struct kt_place {
	size_t file;
	uint64_t line;
};

struct kt_found {
	enum kt_audit_finding finding;
	struct kt_place place;
	char text[256];
};

/* Where a file begins in a unit's text. */
struct kt_unit_file {
	size_t offset;
	size_t file;
	bool is_torn_before; /* the one before it ends in the middle of a line */
};

/* What whoever verifies wants to know of each unit. */
struct kt_unit_wishes {
	const struct kt_ak *ak;
	const uint8_t *accepted_head; /* a checkpoint that was accepted before; NULL: none */
	size_t pin_count;	      /* at most 32 */
	const uint8_t (*pins)[KT_AUDIT_NAME_BYTES]; /* Names of keys to be looked for */
	bool entries;				    /* a line for each entry, for people */
	bool decryptions;			    /* when each was */
};

/* A decryption, or what counts as one. */
struct kt_decryption {
	uint64_t n, ts; /* ts: milliseconds */
	struct kt_place place;
	char uid[KT_AUDIT_UID_MAX + 1];
};

struct kt_unit {
	/* What is to be judged. Owned. */
	char *text;
	size_t len, capacity;
	struct kt_place start; /* of the first line */
	size_t file_count;
	struct kt_unit_file files[KT_UNIT_FILES_MAX];
	char *checkpoint; /* the line before; NULL: the log begins here */
	size_t checkpoint_len;
	uint64_t seq;
	struct kt_audit_keyset *keys; /* at the start; owned */
	bool is_torn;		      /* the last file ends in the middle of a line */

	/* What came out. */
	struct kt_audit_totals totals;
	size_t found_count;
	uint64_t found_more;
	bool has_more[KT_AUDIT_FINDINGS]; /* of which kinds */
	struct kt_found found[KT_UNIT_FINDINGS_MAX];
	bool is_malformed;
	bool is_internal;		     /* it could not be judged: out of memory */
	uint64_t first_n;		     /* results before it, if the log begins here */
	uint8_t first_head[KT_SHA256_BYTES]; /* the head before it, then */
	struct kt_audit_counts first_counts; /* what it claims of the checkpoint before it */
	bool has_accepted;		     /* the accepted checkpoint is here ... */
	uint64_t accepted_findings; /* ... after so many findings, which are not among the others */
	uint32_t pins_seen;	    /* bits, as in the wishes */
	bool has_checkpoint;
	uint64_t results; /* at its end */
	uint8_t head[KT_SHA256_BYTES];
	struct kt_audit_counts last;
	uint64_t last_ts;
	char nonce[KT_AUDIT_UID_MAX + 1]; /* of the last checkpoint */
	bool is_open;			  /* there are lines behind the last checkpoint */
	enum kt_audit_tier tier;
	uint64_t unattested;
	struct kt_place end;		  /* the last line */
	struct kt_audit_keyset *end_keys; /* owned; those of the last file */
	char *entries;			  /* owned; with a NUL */
	size_t entries_len, entries_capacity;
	struct kt_decryption *decryptions; /* owned */
	size_t decryption_count, decryption_capacity;
};

/* Judges; touches nothing but the unit. For several threads at once, a unit each. */
void kt_unit_judge(struct kt_unit *unit, const struct kt_unit_wishes *wishes);

/* NULL is fine. */
void kt_unit_free(struct kt_unit *unit);

#endif
