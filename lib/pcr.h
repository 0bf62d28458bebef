/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR selections with or without values: the text form of the command line, the JSON form of files
 * and headers, the digest that TPM2_PolicyPCR wants, and what differs between two sets. Pure.
 *
 *	text:	sha256:0,2,7=HEX+sha384:4	(HEX belongs to the index before it)
 *	JSON:	{"sha256":{"0":"HEX","7":"HEX"}}
 */
#ifndef KT_LIB_PCR_H
#define KT_LIB_PCR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/json.h"

#define KT_PCR_COUNT 24	    /* PC Client Platform TPM Profile, 4.6 */
#define KT_PCR_BANKS_MAX 4  /* sha1, sha256, sha384, sha512 */
#define KT_PCR_TEXT_MAX 512 /* longest kt_pcr_format() output with NUL */

struct kt_pcr_bank {
	TPMI_ALG_HASH alg;
	uint32_t selected; /* bit n: PCR n is selected */
	uint32_t known;	   /* bit n: value[n] is set; a subset of `selected` */
	uint8_t value[KT_PCR_COUNT][TPM2_SHA512_DIGEST_SIZE];
};

/* Banks in ascending order of their algorithm identifier, each at most once, none empty. A plain
 * value: zero-initialise to get the empty set. */
struct kt_pcr_set {
	size_t count;
	struct kt_pcr_bank banks[KT_PCR_BANKS_MAX];
};

/* Name of a bank ("sha256"), or NULL; its digest size in bytes, or 0; its algorithm, or
 * TPM2_ALG_NULL. */
const char *kt_pcr_bank_name(TPMI_ALG_HASH alg);
size_t kt_pcr_bank_size(TPMI_ALG_HASH alg);
TPMI_ALG_HASH kt_pcr_bank_alg(const char *name);

/* Text form. KT_E_USAGE: unknown bank, index above 23, an index or bank twice, a value of the wrong
 * length, nothing selected. */
KT_CHECKED int kt_pcr_parse(const char *text, struct kt_pcr_set *ret_set, struct kt_error *e);

/* Selection without values, e.g. "sha256:0,2,7+sha384:4". */
void kt_pcr_format(const struct kt_pcr_set *set, char ret_text[KT_PCR_TEXT_MAX]);

/* JSON form; every PCR in it has a value. KT_E_INPUT, also for an object or a bank without PCRs: as
 * a set it would match any machine. */
KT_CHECKED int kt_pcr_from_json(
	struct json_object *object, struct kt_pcr_set *ret_set, struct kt_error *e);
/* Writes the object; PCRs without a value are left out. */
void kt_pcr_write_json(const struct kt_pcr_set *set, struct kt_jsonw *w);

bool kt_pcr_is_empty(const struct kt_pcr_set *set);
/* Does each selected PCR have a value? */
bool kt_pcr_is_complete(const struct kt_pcr_set *set);

/* Adds a PCR (selected, and known if `value` is not NULL; `value` has the bank's size). KT_E_USAGE
 * for an unknown bank or index. Setting one again replaces its value. */
KT_CHECKED int kt_pcr_add(struct kt_pcr_set *set, TPMI_ALG_HASH alg, unsigned index,
	const uint8_t *value, struct kt_error *e);
/* Selects the PCRs of `from` too; values are left out. */
KT_CHECKED int kt_pcr_add_all(
	struct kt_pcr_set *set, const struct kt_pcr_set *from, struct kt_error *e);
/* The value, borrowed, or NULL if not selected or not known. */
const uint8_t *kt_pcr_value(const struct kt_pcr_set *set, TPMI_ALG_HASH alg, unsigned index);

/* Values that `set` lacks are taken from `from`, where it has them. */
void kt_pcr_fill(struct kt_pcr_set *set, const struct kt_pcr_set *from);

/* TPM form (Part 2, 10.9.7 TPML_PCR_SELECTION), three select bytes each. */
void kt_pcr_to_tpml(const struct kt_pcr_set *set, TPML_PCR_SELECTION *ret_selection);
/* From the TPM form; banks without PCRs are skipped, order is lost. KT_E_INPUT for unknown banks, a
 * bank twice or indices above 23. */
KT_CHECKED int kt_pcr_from_tpml(
	const TPML_PCR_SELECTION *selection, struct kt_pcr_set *ret_set, struct kt_error *e);

/* H(value ‖ value ‖ …) in the order of the TPM form (Part 3, 23.7 TPM2_PolicyPCR). `alg` is the
 * policy session's hash. KT_E_INTERNAL if a value is missing. */
KT_CHECKED int kt_pcr_digest(const struct kt_pcr_set *set, TPMI_ALG_HASH alg,
	TPM2B_DIGEST *ret_digest, struct kt_error *e);

/* Where `present` differs from `expected`: a line a PCR for a person,
 * "PCR 7 (sha256): expected 3d45…, present 0000…", values in full, lines separated by "\n", only
 * whole ones; "" if equal. A PCR that `present` lacks differs ("present unknown"); one whose
 * expected value is not known is left out. Returns how many differ. */
size_t kt_pcr_describe_difference(const struct kt_pcr_set *expected,
	const struct kt_pcr_set *present, char *ret_text, size_t text_size);

/*
 * Policy lint: calls `warn` for each doubt about binding to `set`, with a stable identifier
 * ("pcr-never-extended", "pcr-all-ones", "pcr-resettable", "pcr-7-alone", "pcr-unstable",
 * "bank-sha1") and one sentence with the reason. Known values are judged too. Returns the number of
 * warnings.
 */
size_t kt_pcr_lint(const struct kt_pcr_set *set,
	void (*warn)(void *ctx, const char *id, const char *sentence), void *ctx);

#endif
