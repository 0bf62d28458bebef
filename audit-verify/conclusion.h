/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on a log: what its units say, one after the other, and what can only be said at its
 * end. Pure.
 */
#ifndef KT_AUDIT_VERIFY_CONCLUSION_H
#define KT_AUDIT_VERIFY_CONCLUSION_H

#include "audit-verify/unit.h"

#define KT_CONCLUSION_FINDINGS_MAX 1000 /* more are only counted */
#define KT_CONCLUSION_PINS_MAX 16

/* A checkpoint that was accepted before (--state). */
struct kt_accepted {
	bool is_known;
	uint8_t ak_name[KT_AUDIT_NAME_BYTES];
	uint64_t entries;
	uint8_t head[KT_SHA256_BYTES]; /* after its line */
	struct kt_audit_counts counts;
};

/* What is asked for; borrowed. */
struct kt_demands {
	const struct kt_ak *ak;
	enum kt_audit_tier tier; /* of the log: what its absence of findings proves depends on it */
	const char *nonce;	 /* lower case; NULL: none */
	size_t pin_count;
	uint8_t pins[KT_CONCLUSION_PINS_MAX][KT_AUDIT_NAME_BYTES];
	struct kt_accepted accepted;
};

struct kt_conclusion {
	const struct kt_demands *demands;
	bool is_begun;
	uint64_t first_n; /* entries before the first file */
	uint8_t first_head[KT_SHA256_BYTES];
	struct kt_audit_totals totals;
	uint64_t entries; /* of the log: those before the first file too */
	bool has_checkpoint;
	struct kt_audit_counts last;
	uint64_t last_ts;
	uint8_t head[KT_SHA256_BYTES];
	char nonce[KT_AUDIT_UID_MAX + 1];
	enum kt_audit_tier tier; /* 0: no file's head was read */
	bool is_open;
	uint64_t unattested;
	struct kt_place end;
	uint32_t pins_seen;
	struct kt_audit_keyset *keys; /* of the last file; owned */
	bool is_over;		      /* a malformed line: nothing behind it counts */
	bool has_accepted;
	uint64_t accepted_findings; /* before the checkpoint that was accepted */
	size_t found_count;
	uint64_t found_more;
	bool has_finding[KT_AUDIT_FINDINGS]; /* those of `found_more` too */
	struct kt_found *found;		     /* owned */
};

KT_CHECKED int kt_conclusion_init(
	struct kt_conclusion *verdict, const struct kt_demands *demands, struct kt_error *e);
void kt_conclusion_clear(struct kt_conclusion *verdict);

/* Units in order. KT_E_INTERNAL if one could not be judged. */
KT_CHECKED int kt_conclusion_add(
	struct kt_conclusion *verdict, const struct kt_unit *unit, struct kt_error *e);

/* Something that no unit has found. */
void kt_conclusion_found(struct kt_conclusion *verdict, enum kt_audit_finding finding,
	const char *fmt, ...) KT_PRINTF(3, 4);

/* After the last one: is it whole, is it fresh, does it go on from what was accepted? */
void kt_conclusion_draw(struct kt_conclusion *verdict);

/* KT_E_NONE if it is complete; else KT_E_INPUT, KT_E_WRONG_TPM, KT_E_EVIDENCE or KT_E_REVOKED, of
 * which the first that applies counts. */
enum kt_code kt_conclusion_code(const struct kt_conclusion *verdict);

#endif
