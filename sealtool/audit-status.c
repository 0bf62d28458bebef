/* SPDX-License-Identifier: Apache-2.0 */
#include "sealtool/audit-status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/audit-log.h"
#include "lib/audit.h"
#include "lib/hex.h"
#include "lib/tpm-counter.h"
#include "lib/tpm-info.h"
#include "sealtool/audit-tier.h"
#include "sealtool/sealtool.h"

/* What is asked of the TPM depends on the tier: the log's, or without one the chip's. */
struct tpm_state {
	enum kt_audit_tier tier;
	TPML_CC commands;
	bool has_ak, is_on;
	char ak_name[2 * KT_AUDIT_NAME_BYTES + 1];
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_audit_counts counts; /* the counter: of digests (A), of uses (B) */
	uint16_t alg;
	bool is_empty;
	uint8_t digest[KT_SHA256_BYTES];
};

struct log_state {
	const char *path; /* NULL: not asked for */
	struct kt_audit_log *log;
	bool fits; /* what the TPM says is what the log says; in tier C only its key does */
};

static int look_at_digest(struct kt_tpm *tpm, const struct kt_secret *endorsement_auth,
	struct tpm_state *state, struct kt_error *e)
{
	static const uint8_t nothing[KT_SHA256_BYTES];
	struct kt_tpm_attest peek;
	struct kt_attest parsed;
	struct kt_parent srk;

	if (kt_tpm_audited_commands(tpm, &state->commands, e) < 0 ||
		kt_srk_load(tpm, &srk, e) < 0 ||
		kt_tpm_audit_digest(tpm, &srk, NULL, endorsement_auth, nothing, &peek, e) < 0 ||
		kt_attest_parse(peek.data, peek.len, KT_ATTEST_COMMAND_AUDIT, &parsed, e) < 0)
		return -1;
	state->counts.counter = parsed.counts.counter;
	state->alg = parsed.digest_alg;
	state->is_empty = parsed.digest.len == 0;
	if (parsed.digest.len == KT_SHA256_BYTES)
		memcpy(state->digest, parsed.digest.data, KT_SHA256_BYTES);
	state->is_on = kt_audit_set_is_ours(&state->commands) && state->alg == TPM2_ALG_SHA256;
	return 0;
}

/* Reading it does not raise it. */
static int look_at_counter(struct kt_tpm *tpm, struct tpm_state *state, struct kt_error *e)
{
	if (kt_tpm_counter_check(tpm, e) < 0)
		return e->code == KT_E_NOT_PROVISIONED ? 0 : -1;
	state->is_on = true;
	return kt_tpm_counter_read(tpm, NULL, &state->counts.counter, e);
}

static int look_at_tpm(struct kt_tpm *tpm, const struct kt_secret *endorsement_auth,
	struct tpm_state *state, struct kt_error *e)
{
	struct kt_error missing;
	struct kt_parent ak;
	int status = 0;

	if (kt_tpm_read_counts(tpm, &state->counts, e) < 0)
		return -1;
	if (state->tier == KT_AUDIT_TIER_A)
		status = look_at_digest(tpm, endorsement_auth, state, e);
	else if (state->tier == KT_AUDIT_TIER_B)
		status = look_at_counter(tpm, state, e);
	else
		state->is_on = state->tier == KT_AUDIT_TIER_C;
	if (status < 0)
		return -1;
	state->has_ak = kt_tpm_ak_load(tpm, &ak, state->point, &missing) == 0;
	if (state->has_ak)
		kt_hex_encode(ak.name.name, KT_AUDIT_NAME_BYTES, state->ak_name);
	return 0;
}

static int choose_tier(struct kt_tpm *tpm, const struct log_state *log,
	enum kt_audit_tier *ret_tier, struct kt_error *e)
{
	if (log->path == NULL)
		return audit_probe_tier(tpm, ret_tier, e);
	*ret_tier = kt_audit_log_state(log->log)->tier;
	return 0;
}

/* Before the TPM is opened, as all who take both. */
static int open_log(
	const struct audit_question *question, struct log_state *log, struct kt_error *e)
{
	log->path = question->log;
	if (question->log == NULL)
		return 0;
	if (kt_audit_log_open(question->log, &log->log, e) < 0)
		return -1;
	return kt_audit_log_lock(log->log, 0, e);
}

static void compare(struct log_state *log, const struct tpm_state *tpm)
{
	const struct kt_audit_replay *now;

	if (log->path == NULL)
		return;
	now = kt_audit_log_state(log->log);
	log->fits = tpm->has_ak && memcmp(tpm->point, now->file_ak, sizeof(now->file_ak)) == 0;
	if (tpm->tier == KT_AUDIT_TIER_C)
		return;
	if (tpm->tier == KT_AUDIT_TIER_B)
		log->fits = log->fits && tpm->is_on &&
			    tpm->counts.counter == now->last.counter + now->unattested;
	else
		log->fits =
			log->fits && tpm->is_empty == now->is_empty &&
			(now->is_empty || memcmp(tpm->digest, now->digest, KT_SHA256_BYTES) == 0);
}

static void write_log_state(const struct log_state *log, struct kt_jsonw *w)
{
	const struct kt_audit_replay *now = kt_audit_log_state(log->log);
	char hex[2 * KT_AUDIT_NAME_BYTES + 1];

	kt_jsonw_name(w, "log");
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "file", log->path);
	kt_jsonw_member_int(w, "number", now->seq);
	kt_jsonw_member_int(w, "entries", now->results);
	kt_jsonw_member_int(w, "unattested", now->unattested);
	kt_jsonw_member_int(w, "pending", now->pending_count);
	kt_hex_encode(now->head, sizeof(now->head), hex);
	kt_jsonw_member(w, "head", hex);
	kt_jsonw_name(w, "keys");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < now->keys->count; i++) {
		kt_hex_encode(now->keys->keys[i].name, KT_AUDIT_NAME_BYTES, hex);
		kt_jsonw_string(w, hex);
	}
	kt_jsonw_end_array(w);
	kt_jsonw_member_bool(w, "agreesWithTpm", log->fits);
	kt_jsonw_end_object(w);
}

static void write_commands(const TPML_CC *commands, struct kt_jsonw *w)
{
	char code[16];

	kt_jsonw_name(w, "auditedCommands");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < commands->count; i++) {
		snprintf(code, sizeof(code), "0x%03x", commands->commandCodes[i]);
		kt_jsonw_string(w, code);
	}
	kt_jsonw_end_array(w);
}

static int write_status(
	const struct tpm_state *tpm, const struct log_state *log, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "tier", kt_audit_tier_name(tpm->tier));
	kt_jsonw_member_bool(&w, "on", tpm->is_on);
	if (tpm->has_ak)
		kt_jsonw_member(&w, "attestationKey", tpm->ak_name);
	if (tpm->tier == KT_AUDIT_TIER_A) {
		write_commands(&tpm->commands, &w);
		kt_jsonw_member_int(&w, "auditCounter", tpm->counts.counter);
		kt_jsonw_member_bool(&w, "digestIsEmpty", tpm->is_empty);
	} else if (tpm->tier == KT_AUDIT_TIER_B && tpm->is_on) {
		kt_jsonw_member_int(&w, "uses", tpm->counts.counter);
	}
	kt_jsonw_member_int(&w, "resetCount", tpm->counts.reset);
	kt_jsonw_member_int(&w, "restartCount", tpm->counts.restart);
	if (log->path != NULL)
		write_log_state(log, &w);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static const char *say_if_on(const struct tpm_state *tpm)
{
	if (tpm->tier == KT_AUDIT_TIER_A)
		return tpm->is_on ? "on: TPM2_HMAC and TPM2_Sign, SHA-256"
				  : "off, or of other commands: 'sealtool audit init' turns it on";
	if (tpm->tier == KT_AUDIT_TIER_C)
		return "of what each process says it does";
	return tpm->is_on ? "on: the use counter is there"
			  : "off: 'sealtool audit init' makes the use counter";
}

static void print_log_state(const struct log_state *log, enum kt_audit_tier tier)
{
	const struct kt_audit_replay *now = kt_audit_log_state(log->log);
	const char *what = tier == KT_AUDIT_TIER_A   ? "digest"
			   : tier == KT_AUDIT_TIER_B ? "count of uses"
						     : "attestation key";

	printf("log:              %s, file %" PRIu64 ", %" PRIu64 " entries, %" PRIu64
	       " of them without a checkpoint\n",
		log->path, now->seq, now->results, now->unattested);
	if (now->pending_count > 0)
		printf("                  an operation was cut off, and is not settled yet\n");
	if (log->fits)
		printf("                  the TPM's %s agrees\n", what);
	else
		printf("                  the TPM's %s is another one: an operation was cut off, "
		       "the TPM was reset, or uses are not in the log\n",
			what);
}

static void print_status(const struct tpm_state *tpm, const struct log_state *log)
{
	printf("tier:             %s (%s)\n", kt_audit_tier_name(tpm->tier),
		audit_tier_text(tpm->tier));
	if (tpm->tier == AUDIT_TIER_NONE)
		return;
	printf("audit:            %s\n", say_if_on(tpm));
	printf("attestation key:  %s\n",
		tpm->has_ak ? tpm->ak_name : "none: 'sealtool audit init' makes it");
	if (tpm->tier == KT_AUDIT_TIER_A)
		printf("auditCounter:     %" PRIu64 "\n", tpm->counts.counter);
	else if (tpm->tier == KT_AUDIT_TIER_B && tpm->is_on)
		printf("uses counted:     %" PRIu64 "\n", tpm->counts.counter);
	printf("resetCount:       %" PRIu64 "\nrestartCount:     %" PRIu64 "\n", tpm->counts.reset,
		tpm->counts.restart);
	if (log->path != NULL)
		print_log_state(log, tpm->tier);
}

static int ask(const struct audit_question *question, struct log_state *log,
	struct tpm_state *state, struct kt_error *e)
{
	auto_secret struct kt_secret *endorsement_auth = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;

	if (read_auth(question->endorsement_auth_file, &endorsement_auth, e) < 0 ||
		open_log(question, log, e) < 0 || kt_tpm_open(question->tcti, &tpm, e) < 0 ||
		choose_tier(tpm, log, &state->tier, e) < 0 ||
		look_at_tpm(tpm, endorsement_auth, state, e) < 0)
		return -1;
	compare(log, state);
	return 0;
}

int audit_status(const struct audit_question *question, struct kt_error *e)
{
	struct tpm_state state = {0};
	struct log_state log = {0};
	int status = ask(question, &log, &state, e);

	if (status == 0 && question->json)
		status = write_status(&state, &log, e);
	else if (status == 0)
		print_status(&state, &log);
	kt_audit_log_close(log.log);
	return status;
}
