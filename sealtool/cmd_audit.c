/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool audit: begins an audit log, says how it stands, has the TPM vouch for it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/audit-once.h"
#include "lib/hex.h"
#include "lib/rfc3339.h"
#include "lib/tpm-info.h"
#include "sealtool/audit-init.h"

#define NONCE_BYTES_MAX 64
#define SIZE_MIN (1 << 16)

struct options {
	struct common common;
	const char *log, *ak_out, *nonce, *max_size, *max_age, *endorsement_auth_file, *tier;
	bool force, abandon;
};

static const struct kt_opt opts[] = {
	{"log", 'l', "FILE", "the audit log", KT_OPT_TEXT, offsetof(struct options, log)},
	{"ak-out", 0, "FILE", "init: write the attestation key's public half, for audit-verify",
		KT_OPT_TEXT, offsetof(struct options, ak_out)},
	{"tier", 0, "TIER", "init: a, command audit (default; the only one there is)", KT_OPT_TEXT,
		offsetof(struct options, tier)},
	{"max-size", 0, "BYTES", "init: begin another file when one has so many (default 64 MiB)",
		KT_OPT_TEXT, offsetof(struct options, max_size)},
	{"max-age", 0, "TIME", "init: or when it is so old, e.g. 24h (default: never)", KT_OPT_TEXT,
		offsetof(struct options, max_age)},
	{"force", 'f', NULL, "init: though others use the commands that will be audited",
		KT_OPT_FLAG, offsetof(struct options, force)},
	{"nonce", 'n', "HEX", "checkpoint: an examiner's random number, up to 64 bytes",
		KT_OPT_TEXT, offsetof(struct options, nonce)},
	{"abandon", 0, NULL,
		"checkpoint: give up what was cut off and cannot be repeated; leaves a window",
		KT_OPT_FLAG, offsetof(struct options, abandon)},
	OPT_OWNER_AUTH(struct options),
	{"endorsement-auth-file", 0, "FILE", "the endorsement hierarchy's authorisation value",
		KT_OPT_TEXT, offsetof(struct options, endorsement_auth_file)},
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int need_log(const struct options *options, struct kt_error *e)
{
	return options->log != NULL ? 0 : kt_fail(e, KT_E_USAGE, "which log? give --log FILE");
}

static int parse_size(const char *text, uint64_t *ret_size, struct kt_error *e)
{
	char *end;
	unsigned long long size;

	errno = 0;
	size = strtoull(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || size < SIZE_MIN ||
		size > INT64_MAX)
		return kt_fail(
			e, KT_E_USAGE, "--max-size: a number of bytes, at least %d", SIZE_MIN);
	*ret_size = size;
	return 0;
}

static int read_limits(
	const struct options *options, struct audit_request *request, struct kt_error *e)
{
	int64_t age = KT_AUDIT_AGE_DEFAULT;

	request->max = KT_AUDIT_MAX_BYTES_DEFAULT;
	if (options->max_size != NULL && parse_size(options->max_size, &request->max, e) < 0)
		return -1;
	if (options->max_age != NULL && kt_duration_parse(options->max_age, &age, e) < 0) {
		e->code = KT_E_USAGE;
		return kt_wrap(e, "--max-age");
	}
	request->age = (uint64_t)age;
	if (options->tier != NULL && strcmp(options->tier, "a") != 0)
		return kt_fail(e, KT_E_USAGE,
			"--tier: only 'a', command audit, is there; other chips' tiers are not "
			"yet");
	return 0;
}

static int report_init(
	const struct options *options, const struct audit_facts *facts, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	char name[2 * KT_AUDIT_NAME_BYTES + 1];
	struct kt_jsonw w;

	kt_hex_encode(facts->ak.name, sizeof(facts->ak.name), name);
	if (!options->common.json) {
		printf("log:              %s\ntier:             a (command audit)\n"
		       "attestation key:  0x%08x, public half in %s\nName:             %s\n"
		       "auditCounter:     %" PRIu64 "\nresetCount:       %" PRIu64 "\n"
		       "Keep %s where whoever administers this machine cannot replace it: it is "
		       "all "
		       "that audit-verify takes from here.\n",
			options->log, KT_AK_HANDLE, options->ak_out, name, facts->counts.counter,
			facts->counts.reset, options->ak_out);
		return 0;
	}
	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "log", options->log);
	kt_jsonw_member(&w, "tier", "a");
	kt_jsonw_member(&w, "attestationKey", name);
	kt_jsonw_name(&w, "auditCounter");
	kt_jsonw_int(&w, (int64_t)facts->counts.counter);
	kt_jsonw_name(&w, "resetCount");
	kt_jsonw_int(&w, (int64_t)facts->counts.reset);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static int init(const struct options *options, struct kt_error *e)
{
	auto_secret struct kt_secret *owner_auth = NULL, *endorsement_auth = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct audit_request request = {
		.log = options->log, .ak_out = options->ak_out, .force = options->force};
	struct audit_facts facts = {0};
	int status;

	if (need_log(options, e) < 0 || read_limits(options, &request, e) < 0)
		return -1;
	if (options->ak_out == NULL)
		return kt_fail(e, KT_E_USAGE,
			"where to with the attestation key's public half? give --ak-out FILE");
	if (read_auth(options->common.owner_auth_file, &owner_auth, e) < 0 ||
		read_auth(options->endorsement_auth_file, &endorsement_auth, e) < 0 ||
		kt_tpm_open(options->common.tcti, &tpm, e) < 0)
		return -1;
	request.owner_auth = owner_auth;
	request.endorsement_auth = endorsement_auth;
	status = audit_init(tpm, &request, &facts, e);
	if (status == 0)
		status = report_init(options, &facts, e);
	kt_ak_clear(&facts.ak);
	return status;
}

/* What `status` tells of the TPM. */
struct tpm_state {
	enum audit_tier tier;
	TPML_CC commands;
	bool has_ak, is_ours;
	char ak_name[2 * KT_AUDIT_NAME_BYTES + 1];
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_audit_counts counts;
	uint16_t alg;
	bool is_empty;
	uint8_t digest[KT_SHA256_BYTES];
};

static int look_at_counter(struct kt_tpm *tpm, const struct kt_secret *endorsement_auth,
	struct tpm_state *state, struct kt_error *e)
{
	static const uint8_t nothing[KT_SHA256_BYTES];
	struct kt_tpm_attest peek;
	struct kt_attest parsed;
	struct kt_parent srk;

	if (kt_srk_load(tpm, &srk, e) < 0 ||
		kt_tpm_audit_digest(tpm, &srk, NULL, endorsement_auth, nothing, &peek, e) < 0 ||
		kt_attest_parse(peek.data, peek.len, KT_ATTEST_COMMAND_AUDIT, &parsed, e) < 0)
		return -1;
	state->counts.counter = parsed.counts.counter;
	state->alg = parsed.digest_alg;
	state->is_empty = parsed.digest.len == 0;
	if (parsed.digest.len == KT_SHA256_BYTES)
		memcpy(state->digest, parsed.digest.data, KT_SHA256_BYTES);
	return 0;
}

static int look_at_tpm(struct kt_tpm *tpm, const struct kt_secret *endorsement_auth,
	struct tpm_state *state, struct kt_error *e)
{
	struct kt_error missing;
	struct kt_parent ak;

	if (audit_probe_tier(tpm, &state->tier, e) < 0)
		return -1;
	if (state->tier != AUDIT_TIER_A)
		return 0;
	if (kt_tpm_audited_commands(tpm, &state->commands, e) < 0 ||
		kt_tpm_read_counts(tpm, &state->counts, e) < 0 ||
		look_at_counter(tpm, endorsement_auth, state, e) < 0)
		return -1;
	state->is_ours = kt_audit_set_is_ours(&state->commands) && state->alg == TPM2_ALG_SHA256;
	state->has_ak = kt_tpm_ak_load(tpm, &ak, state->point, &missing) == 0;
	if (state->has_ak)
		kt_hex_encode(ak.name.name, KT_AUDIT_NAME_BYTES, state->ak_name);
	return 0;
}

/* And of the log; nothing is changed. */
struct log_state {
	const char *path; /* NULL: not asked for */
	struct kt_audit_log *log;
	bool fits; /* the TPM's digest is what the log says */
};

/* Before the TPM is opened, as all who take both. */
static int open_log(const struct options *options, struct log_state *log, struct kt_error *e)
{
	log->path = options->log;
	if (options->log == NULL)
		return 0;
	if (kt_audit_log_open(options->log, &log->log, e) < 0)
		return -1;
	return kt_audit_log_lock(log->log, 0, e);
}

static void compare(struct log_state *log, const struct tpm_state *tpm)
{
	const struct kt_audit_replay *now;

	if (log->path == NULL)
		return;
	now = kt_audit_log_state(log->log);
	log->fits = tpm->has_ak && memcmp(tpm->point, now->file_ak, sizeof(now->file_ak)) == 0 &&
		    tpm->is_empty == now->is_empty &&
		    (now->is_empty || memcmp(tpm->digest, now->digest, KT_SHA256_BYTES) == 0);
}

static void write_number(struct kt_jsonw *w, const char *name, uint64_t value)
{
	kt_jsonw_name(w, name);
	kt_jsonw_int(w, (int64_t)value);
}

static void write_bool(struct kt_jsonw *w, const char *name, bool value)
{
	kt_jsonw_name(w, name);
	kt_jsonw_bool(w, value);
}

static void write_log_state(const struct log_state *log, struct kt_jsonw *w)
{
	const struct kt_audit_replay *now = kt_audit_log_state(log->log);
	char hex[2 * KT_AUDIT_NAME_BYTES + 1];

	kt_jsonw_name(w, "log");
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "file", log->path);
	write_number(w, "number", now->seq);
	write_number(w, "entries", now->results);
	write_number(w, "unattested", now->unattested);
	write_number(w, "pending", now->pending_count);
	kt_hex_encode(now->head, sizeof(now->head), hex);
	kt_jsonw_member(w, "head", hex);
	kt_jsonw_name(w, "keys");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < now->keys->count; i++) {
		kt_hex_encode(now->keys->keys[i].name, KT_AUDIT_NAME_BYTES, hex);
		kt_jsonw_string(w, hex);
	}
	kt_jsonw_end_array(w);
	write_bool(w, "agreesWithTpm", log->fits);
	kt_jsonw_end_object(w);
}

static int write_status(
	const struct tpm_state *tpm, const struct log_state *log, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	char code[16];
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "tier", audit_tier_name(tpm->tier));
	write_bool(&w, "on", tpm->is_ours);
	kt_jsonw_name(&w, "auditedCommands");
	kt_jsonw_begin_array(&w);
	for (size_t i = 0; i < tpm->commands.count; i++) {
		snprintf(code, sizeof(code), "0x%03x", tpm->commands.commandCodes[i]);
		kt_jsonw_string(&w, code);
	}
	kt_jsonw_end_array(&w);
	if (tpm->has_ak)
		kt_jsonw_member(&w, "attestationKey", tpm->ak_name);
	write_number(&w, "auditCounter", tpm->counts.counter);
	write_bool(&w, "digestIsEmpty", tpm->is_empty);
	write_number(&w, "resetCount", tpm->counts.reset);
	write_number(&w, "restartCount", tpm->counts.restart);
	if (log->path != NULL)
		write_log_state(log, &w);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static void print_status(const struct tpm_state *tpm, const struct log_state *log)
{
	printf("tier:             %s\n", tpm->tier == AUDIT_TIER_A
						 ? "a (command audit)"
						 : "none that kubetpm can use: no command audit");
	if (tpm->tier != AUDIT_TIER_A)
		return;
	printf("audit:            %s\n",
		tpm->is_ours ? "on: TPM2_HMAC and TPM2_Sign, SHA-256"
			     : "off, or of other commands: 'sealtool audit init' turns it on");
	printf("attestation key:  %s\n",
		tpm->has_ak ? tpm->ak_name : "none: 'sealtool audit init' makes it");
	printf("auditCounter:     %" PRIu64 "\nresetCount:       %" PRIu64
	       "\nrestartCount:     %" PRIu64 "\n",
		tpm->counts.counter, tpm->counts.reset, tpm->counts.restart);
	if (log->path == NULL)
		return;
	printf("log:              %s, file %" PRIu64 ", %" PRIu64 " entries, %" PRIu64
	       " of them without a checkpoint\n",
		log->path, kt_audit_log_state(log->log)->seq, kt_audit_log_state(log->log)->results,
		kt_audit_log_state(log->log)->unattested);
	if (kt_audit_log_state(log->log)->pending_count > 0)
		printf("                  an operation was cut off, and is not settled yet\n");
	printf("                  %s\n",
		log->fits ? "the TPM's digest agrees"
			  : "the TPM's digest is another one: an operation was cut off, the TPM "
			    "was reset, or uses are not in the log");
}

static int status(const struct options *options, struct kt_error *e)
{
	auto_secret struct kt_secret *endorsement_auth = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct tpm_state state = {0};
	struct log_state log = {0};
	int result = -1;

	if (read_auth(options->endorsement_auth_file, &endorsement_auth, e) == 0 &&
		open_log(options, &log, e) == 0 &&
		kt_tpm_open(options->common.tcti, &tpm, e) == 0 &&
		look_at_tpm(tpm, endorsement_auth, &state, e) == 0)
		result = 0;
	if (result == 0)
		compare(&log, &state);
	if (result == 0 && options->common.json)
		result = write_status(&state, &log, e);
	else if (result == 0)
		print_status(&state, &log);
	kt_audit_log_close(log.log);
	return result;
}

/* Lower case, so that what the examiner compares is what he gave. */
static int read_nonce(const char *hex, char ret_nonce[2 * NONCE_BYTES_MAX + 1], struct kt_error *e)
{
	uint8_t bytes[NONCE_BYTES_MAX];
	size_t len = hex != NULL ? strlen(hex) / 2 : 0;

	ret_nonce[0] = '\0';
	if (hex == NULL)
		return 0;
	if (len == 0 || len > sizeof(bytes) || kt_hex_decode(hex, bytes, len, e) < 0)
		return kt_fail(
			e, KT_E_USAGE, "--nonce: 1 to %d bytes in hexadecimal", NONCE_BYTES_MAX);
	kt_hex_encode(bytes, len, ret_nonce);
	return 0;
}

static int report_checkpoint(
	const struct options *options, const struct kt_audit_replay *now, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (!options->common.json) {
		printf("checkpoint: %" PRIu64 " entries, auditCounter %" PRIu64
		       ", resetCount %" PRIu64 "\n",
			now->results, now->last.counter, now->last.reset);
		return 0;
	}
	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	write_number(&w, "entries", now->results);
	write_number(&w, "auditCounter", now->last.counter);
	write_number(&w, "resetCount", now->last.reset);
	write_number(&w, "restartCount", now->last.restart);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static int checkpoint(const struct options *options, struct kt_error *e)
{
	auto_secret struct kt_secret *endorsement_auth = NULL;
	char nonce[2 * NONCE_BYTES_MAX + 1];
	struct kt_audit_once once;
	int result;

	if (need_log(options, e) < 0 || read_nonce(options->nonce, nonce, e) < 0 ||
		read_auth(options->endorsement_auth_file, &endorsement_auth, e) < 0)
		return -1;
	if (kt_audit_once_begin(
		    &(struct kt_audit_place){options->log, options->common.tcti, endorsement_auth},
		    options->abandon ? KT_AUDIT_ABANDON : KT_AUDIT_WAIT, &once, e) < 0)
		return -1;
	result = kt_audit_once_checkpoint(&once, nonce, e);
	if (result == 0)
		result = report_checkpoint(options, kt_audit_state(once.audit), e);
	kt_audit_once_end(&once);
	return result;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	bool done;
	int first;

	if (parse_options(&verb_audit, argc, argv, &options, &options.common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (strcmp(argv[first], "init") == 0)
		return init(&options, e);
	if (strcmp(argv[first], "status") == 0)
		return status(&options, e);
	if (strcmp(argv[first], "checkpoint") == 0)
		return checkpoint(&options, e);
	return kt_fail(e, KT_E_USAGE,
		"audit: 'init --log FILE --ak-out FILE', 'status' or 'checkpoint --log FILE'");
}

const struct verb verb_audit = {
	.command = {PROGRAM, "audit", "init|status|checkpoint",
		"begin an audit log that the TPM vouches for; say how it stands", opts, 1, 1},
	.run = run,
};
