/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/conclusion.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

int kt_conclusion_init(
	struct kt_conclusion *verdict, const struct kt_demands *demands, struct kt_error *e)
{
	*verdict = (struct kt_conclusion){.demands = demands};
	verdict->found = calloc(KT_CONCLUSION_FINDINGS_MAX, sizeof(verdict->found[0]));
	return verdict->found != NULL ? 0 : kt_fail_memory(e);
}

void kt_conclusion_clear(struct kt_conclusion *verdict)
{
	kt_audit_keyset_drop(verdict->keys);
	verdict->keys = NULL;
	free(verdict->found);
	verdict->found = NULL;
}

static void add_found(struct kt_conclusion *verdict, const struct kt_found *found)
{
	verdict->has_finding[found->finding] = true;
	if (verdict->found_count < KT_CONCLUSION_FINDINGS_MAX)
		verdict->found[verdict->found_count++] = *found;
	else
		verdict->found_more++;
}

void kt_conclusion_found(
	struct kt_conclusion *verdict, enum kt_audit_finding finding, const char *fmt, ...)
{
	struct kt_found found = {.finding = finding, .place = verdict->end};
	va_list args;

	if (found.place.line == 0)
		found.place.line = 1;

	va_start(args, fmt);
	vsnprintf(found.text, sizeof(found.text), fmt, args);
	va_end(args);
	add_found(verdict, &found);
}

/* What was found before a checkpoint that was accepted, was accepted with it. */
static void accept_findings(struct kt_conclusion *verdict, const struct kt_unit *unit)
{
	verdict->has_accepted = true;
	verdict->accepted_findings =
		verdict->found_count + verdict->found_more + unit->accepted_findings;
	verdict->found_count = 0;
	verdict->found_more = 0;
	memset(verdict->has_finding, 0, sizeof(verdict->has_finding));
}

static void add_totals(struct kt_audit_totals *sum, const struct kt_audit_totals *totals)
{
	sum->encryptions += totals->encryptions;
	sum->decryptions += totals->decryptions;
	sum->redone += totals->redone;
	sum->certificates += totals->certificates;
	sum->checkpoints += totals->checkpoints;
}

static void begin(struct kt_conclusion *verdict, const struct kt_unit *unit)
{
	const struct kt_accepted *accepted = &verdict->demands->accepted;

	verdict->is_begun = true;
	verdict->first_n = unit->first_n;
	memcpy(verdict->first_head, unit->first_head, KT_SHA256_BYTES);
	if (!accepted->is_known || memcmp(accepted->head, unit->first_head, KT_SHA256_BYTES) != 0)
		return;
	/* The first file goes on right behind it: if it also says so of what the TPM counted. */
	verdict->has_accepted = true;
	if (!kt_audit_counts_equal(&accepted->counts, &unit->first_counts))
		kt_conclusion_found(verdict, KT_AUDIT_F_ROTATION,
			"the file says of the checkpoint that was accepted what that does not say");
}

static void take_end(struct kt_conclusion *verdict, const struct kt_unit *unit)
{
	verdict->entries = unit->results;
	verdict->tier = unit->tier;
	verdict->is_open = unit->is_open;
	verdict->unattested = unit->unattested;
	verdict->last = unit->last;
	verdict->end = unit->end;
	memcpy(verdict->head, unit->head, sizeof(verdict->head));
	if (unit->end_keys != NULL) {
		kt_audit_keyset_drop(verdict->keys);
		verdict->keys = kt_audit_keyset_hold(unit->end_keys);
	}
	if (!unit->has_checkpoint)
		return;
	verdict->has_checkpoint = true;
	verdict->last_ts = unit->last_ts;
	memcpy(verdict->nonce, unit->nonce, sizeof(verdict->nonce));
}

int kt_conclusion_add(struct kt_conclusion *verdict, const struct kt_unit *unit, struct kt_error *e)
{
	if (unit->is_internal)
		return kt_fail_memory(e);
	if (!verdict->is_begun)
		begin(verdict, unit);
	if (unit->has_accepted)
		accept_findings(verdict, unit);
	for (size_t i = 0; i < unit->found_count; i++)
		add_found(verdict, &unit->found[i]);
	verdict->found_more += unit->found_more;
	for (int i = 0; i < KT_AUDIT_FINDINGS; i++)
		verdict->has_finding[i] = verdict->has_finding[i] || unit->has_more[i];
	verdict->pins_seen |= unit->pins_seen;
	add_totals(&verdict->totals, &unit->totals);
	take_end(verdict, unit);
	verdict->is_over = unit->is_malformed;
	return 0;
}

static void conclude_state(struct kt_conclusion *verdict)
{
	const struct kt_accepted *accepted = &verdict->demands->accepted;

	if (!accepted->is_known || verdict->has_accepted)
		return;
	if (memcmp(accepted->ak_name, verdict->demands->ak->name, KT_AUDIT_NAME_BYTES) != 0)
		kt_conclusion_found(verdict, KT_AUDIT_F_WRONG_TPM,
			"the state that was accepted before is of another attestation key");
	else if (verdict->entries < accepted->entries)
		kt_conclusion_found(verdict, KT_AUDIT_F_ROLLED_BACK,
			"the log ends with entry %" PRIu64 ", and was accepted up to %" PRIu64
			" before: it was cut off, or is an old copy",
			verdict->entries, accepted->entries);
	else if (verdict->first_n > accepted->entries)
		kt_conclusion_found(verdict, KT_AUDIT_F_TRUNCATED,
			"files are missing: the first one begins after entry %" PRIu64
			", and the log was accepted up to %" PRIu64,
			verdict->first_n, accepted->entries);
	else
		kt_conclusion_found(verdict, KT_AUDIT_F_ROLLED_BACK,
			"the checkpoint that was accepted before is not in this log: it was rolled "
			"back and continued, or is another log");
}

static void conclude_pins(struct kt_conclusion *verdict)
{
	for (size_t i = 0; i < verdict->demands->pin_count; i++)
		if ((verdict->pins_seen >> i & 1) == 0)
			kt_conclusion_found(verdict, KT_AUDIT_F_KEY,
				"a key whose Name was given is not in this log");
}

/* Whoever writes the log also writes its tier: it could be one that sees less. */
static void conclude_tier(struct kt_conclusion *verdict)
{
	if (!verdict->is_begun || verdict->tier == 0 || verdict->tier == verdict->demands->tier)
		return;
	if (verdict->tier == KT_AUDIT_TIER_B)
		kt_conclusion_found(verdict, KT_AUDIT_F_TIER,
			"the log is of tier b: not the TPM's command audit vouches for it, but a "
			"count of uses, which whoever has the owner's authorisation value can make "
			"anew; if that is how it was begun, give --tier b");
	else if (verdict->tier == KT_AUDIT_TIER_C)
		kt_conclusion_found(verdict, KT_AUDIT_F_TIER,
			"the log is of tier c: nothing shows a use that was left out of it; if "
			"that is how it was begun, and enough, give --tier c");
	else
		kt_conclusion_found(verdict, KT_AUDIT_F_TIER,
			"the log is of tier a, and --tier %s was given",
			kt_audit_tier_name(verdict->demands->tier));
}

void kt_conclusion_draw(struct kt_conclusion *verdict)
{
	const char *nonce = verdict->demands->nonce;

	if (verdict->is_over)
		return;
	if (!verdict->has_checkpoint)
		kt_conclusion_found(verdict, KT_AUDIT_F_TRUNCATED,
			"there is no checkpoint: nothing here is vouched for by a TPM");
	else if (verdict->is_open)
		kt_conclusion_found(verdict, KT_AUDIT_F_TRUNCATED,
			"the last %" PRIu64
			" entries, and what is behind them, are not vouched for by "
			"a checkpoint: take one ('sealtool audit checkpoint'), or the log was cut "
			"off",
			verdict->unattested);
	if (nonce != NULL && strcmp(verdict->nonce, nonce) != 0)
		kt_conclusion_found(verdict, KT_AUDIT_F_TRUNCATED,
			"the last checkpoint does not have the nonce: this is an old copy, or the "
			"checkpoint was cut off");
	conclude_tier(verdict);
	conclude_pins(verdict);
	conclude_state(verdict);
}

enum kt_code kt_conclusion_code(const struct kt_conclusion *verdict)
{
	const bool *has = verdict->has_finding;

	if (has[KT_AUDIT_F_MALFORMED])
		return KT_E_INPUT;
	if (has[KT_AUDIT_F_WRONG_TPM])
		return KT_E_WRONG_TPM;
	for (int i = 0; i < KT_AUDIT_FINDINGS; i++)
		if (has[i] && i != KT_AUDIT_F_TRUNCATED && i != KT_AUDIT_F_ROLLED_BACK)
			return KT_E_EVIDENCE;
	return has[KT_AUDIT_F_TRUNCATED] || has[KT_AUDIT_F_ROLLED_BACK] ? KT_E_REVOKED : KT_E_NONE;
}
