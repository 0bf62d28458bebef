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
#include "sealtool/audit-status.h"

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
	{"tier", 0, "TIER",
		"init: a, command audit; b, session audit and a use counter; c, session audit "
		"alone (default: the first that the TPM can do)",
		KT_OPT_TEXT, offsetof(struct options, tier)},
	{"max-size", 0, "BYTES", "init: begin another file when one has so many (default 64 MiB)",
		KT_OPT_TEXT, offsetof(struct options, max_size)},
	{"max-age", 0, "TIME", "init: or when it is so old, e.g. 24h (default: never)", KT_OPT_TEXT,
		offsetof(struct options, max_age)},
	{"force", 'f', NULL,
		"init: though others use the commands that will be audited, or the TPM's owner "
		"has no authorisation value, or uses can be hidden",
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
	request->tier = options->tier;
	return 0;
}

static void print_init(
	const struct options *options, const struct audit_facts *facts, const char *name)
{
	const bool default_tier = facts->tier == KT_AUDIT_TIER_A;
	char counter[64] = "";

	if (facts->tier != KT_AUDIT_TIER_C)
		snprintf(counter, sizeof(counter), "%-17s %" PRIu64 "\n",
			default_tier ? "auditCounter:" : "uses counted:", facts->counts.counter);
	printf("log:              %s\ntier:             %s (%s)\n"
	       "attestation key:  0x%08x, public half in %s\nName:             %s\n"
	       "%sresetCount:       %" PRIu64 "\n"
	       "Keep %s where whoever administers this machine cannot replace it: it is all that "
	       "audit-verify%s%s takes from here.\n",
		options->log, kt_audit_tier_name(facts->tier), audit_tier_text(facts->tier),
		KT_AK_HANDLE, options->ak_out, name, counter, facts->counts.reset, options->ak_out,
		default_tier ? "" : " --tier ",
		default_tier ? "" : kt_audit_tier_name(facts->tier));
}

static int report_init(
	const struct options *options, const struct audit_facts *facts, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	char name[2 * KT_AUDIT_NAME_BYTES + 1];
	struct kt_jsonw w;

	kt_hex_encode(facts->ak.name, sizeof(facts->ak.name), name);
	if (!options->common.json) {
		print_init(options, facts, name);
		return 0;
	}
	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "log", options->log);
	kt_jsonw_member(&w, "tier", kt_audit_tier_name(facts->tier));
	kt_jsonw_member(&w, "attestationKey", name);
	if (facts->tier != KT_AUDIT_TIER_C)
		kt_jsonw_member_int(&w, facts->tier == KT_AUDIT_TIER_B ? "uses" : "auditCounter",
			facts->counts.counter);
	kt_jsonw_member_int(&w, "resetCount", facts->counts.reset);
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
		printf("checkpoint: %" PRIu64 " entries, %s %" PRIu64 ", resetCount %" PRIu64 "\n",
			now->results,
			now->tier == KT_AUDIT_TIER_B ? "uses counted" : "auditCounter",
			now->last.counter, now->last.reset);
		return 0;
	}
	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member_int(&w, "entries", now->results);
	kt_jsonw_member_int(
		&w, now->tier == KT_AUDIT_TIER_B ? "uses" : "auditCounter", now->last.counter);
	kt_jsonw_member_int(&w, "resetCount", now->last.reset);
	kt_jsonw_member_int(&w, "restartCount", now->last.restart);
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
		return audit_status(&(struct audit_question){options.log, options.common.tcti,
					    options.endorsement_auth_file, options.common.json},
			e);
	if (strcmp(argv[first], "checkpoint") == 0)
		return checkpoint(&options, e);
	return kt_fail(e, KT_E_USAGE,
		"audit: 'init --log FILE --ak-out FILE', 'status' or 'checkpoint --log FILE'");
}

const struct kt_verb verb_audit = {
	.command = {PROGRAM, "audit", "init|status|checkpoint",
		"begin an audit log that the TPM vouches for; say how it stands", opts, 1, 1},
	.run = run,
};
