/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the audit log: from text to a structure and back. There is exactly one way to write a
 * line, and only that is read (kubetpm-formats(5), Audit log). Whether what a line says is true is
 * the business of lib/audit-replay.h. Pure; fuzzed.
 */
#ifndef KT_LIB_AUDIT_RECORD_H
#define KT_LIB_AUDIT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/sha256.h"

#define KT_AUDIT_LINE_MAX 65536 /* with its newline */
#define KT_AUDIT_KEYS_MAX 256	/* in one file */
#define KT_AUDIT_STEPS_MAX 8	/* of a key's policy */
#define KT_AUDIT_UID_MAX 256	/* bytes, before they are escaped */
#define KT_AUDIT_POINT_BYTES 64 /* x ‖ y, and r ‖ s, on P-256 */

enum kt_audit_type {
	KT_AUDIT_FILE = 'G',
	KT_AUDIT_SET = 'A',
	KT_AUDIT_KEY = 'K',
	KT_AUDIT_BOOT = 'B',
	KT_AUDIT_INTENT = 'I',
	KT_AUDIT_RESULT = 'O',
	KT_AUDIT_GAP = 'X',
	KT_AUDIT_CHECKPOINT = 'C',
};

enum kt_audit_op {
	KT_AUDIT_ENCRYPT = 'E',
	KT_AUDIT_DECRYPT = 'D',
	KT_AUDIT_REDO = 'R',
	KT_AUDIT_SIGN = 'S',
	KT_AUDIT_ATTEST = 'C', /* a checkpoint */
};

enum kt_audit_why { KT_AUDIT_NOT_EXECUTED, KT_AUDIT_LOST, KT_AUDIT_TAKEN };

/* How the TPM vouches: by command audit, by session audit and a use counter, by session audit
 * alone. */
enum kt_audit_tier { KT_AUDIT_TIER_A = 'A', KT_AUDIT_TIER_B = 'B', KT_AUDIT_TIER_C = 'C' };
/* "a", "b", "c", as options and reports have it; "none" of another value. */
const char *kt_audit_tier_name(enum kt_audit_tier tier);

enum kt_audit_key_type { KT_AUDIT_HMAC, KT_AUDIT_P256 };

/* Part of a line, borrowed: `len` characters. Of hexadecimal, 2 for each byte, checked. */
struct kt_audit_text {
	const char *text;
	size_t len;
};

/* What the TPM counted at a checkpoint (TPMS_ATTEST, Part 2, 10.12.12). */
struct kt_audit_counts {
	uint64_t counter, reset, restart, clock;
};

/* A line. Which members count follows from `type`; the others are not set. */
struct kt_audit_record {
	enum kt_audit_type type;
	uint64_t n;  /* G I O C */
	uint64_t ts; /* G K B I X C: milliseconds since the epoch */
	union {
		struct {
			enum kt_audit_tier tier;
			uint64_t seq, max, age;
			uint8_t prev[KT_SHA256_BYTES];
			uint8_t ak[KT_AUDIT_POINT_BYTES];
			struct kt_audit_counts last;
		} file;
		struct {
			struct kt_audit_text raw;
		} set;
		struct {
			uint64_t number;
			enum kt_audit_key_type type;
			struct kt_audit_text public, attest, cluster, key_id;
			size_t step_count;
			struct {
				uint32_t code;
				struct kt_audit_text argument;
			} steps[KT_AUDIT_STEPS_MAX];
			uint8_t signature[KT_AUDIT_POINT_BYTES];
		} key;
		struct {
			uint64_t reset, restart;
		} boot;
		struct {
			enum kt_audit_op op;
			uint64_t key;
			struct kt_audit_text uid, tbs;
			uint8_t id[KT_SHA256_BYTES], random[KT_SHA256_BYTES];
		} intent;
		struct {
			bool is_signature;
			uint8_t rp_hash[KT_SHA256_BYTES];
			uint8_t signature[KT_AUDIT_POINT_BYTES];
		} result;
		struct {
			enum kt_audit_why why;
			uint64_t count;
		} gap;
		struct {
			struct kt_audit_text nonce, attest;
			bool has_uses; /* of tier B, and only there */
			uint64_t uses;
			uint8_t head[KT_SHA256_BYTES];
			uint8_t signature[KT_AUDIT_POINT_BYTES];
		} checkpoint;
	};
};

/* One line without its newline. The result borrows from `line`. KT_E_INPUT, with the place. */
KT_CHECKED int kt_audit_record_parse(
	const char *line, size_t len, struct kt_audit_record *ret_record, struct kt_error *e);

/* The line, without newline and NUL, into `ret_line`, which has room for KT_AUDIT_LINE_MAX.
 * KT_E_INPUT if it would be longer. */
KT_CHECKED int kt_audit_record_format(
	const struct kt_audit_record *record, char *ret_line, size_t *ret_len, struct kt_error *e);

/* Bytes of a hexadecimal part, of which there have to be at most `max`: *ret_len of them. -1 if
 * there are more. */
KT_CHECKED int kt_audit_unhex(
	const struct kt_audit_text *hex, void *ret_data, size_t max, size_t *ret_len);

/* Any bytes as TEXT: what is outside of it becomes %XX. `ret_text` has room for 3 * len + 1. */
void kt_audit_escape(const void *data, size_t len, char *ret_text);
/* And back, with a NUL: `ret_data` has room for text->len + 1. It may hold NULs. */
size_t kt_audit_unescape(const struct kt_audit_text *text, char *ret_data);

const char *kt_audit_why_name(enum kt_audit_why why);

#endif
