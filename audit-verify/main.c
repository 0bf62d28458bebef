/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit-verify: says whether an audit log is complete, on a machine that needs no TPM. This file
 * reads the command line, and what the examiner knows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit-verify/pool.h"
#include "audit-verify/report.h"
#include "audit-verify/state.h"
#include "audit-verify/verify.h"
#include "lib/harden.h"
#include "lib/hex.h"
#include "lib/io.h"
#include "lib/jwk.h"
#include "lib/log.h"
#include "lib/opt.h"

#define PROGRAM "audit-verify"
#define NONCE_MAX 128
#define THREADS_DEFAULT_MAX 8

struct options {
	const char *ak, *nonce, *state, *tier, *join, *threads;
	struct kt_opt_list key_names, join_resources;
	bool accept, json, list, verbose;
};

static const struct kt_opt opts[] = {
	{"ak", 'a', "FILE",
		"the attestation key's public half, from sealtool audit init (required)",
		KT_OPT_TEXT, offsetof(struct options, ak)},
	{"key-name", 'k', "HEX", "Name of a key that has to be in the log; may be repeated",
		KT_OPT_LIST, offsetof(struct options, key_names)},
	{"nonce", 'n', "HEX",
		"the last checkpoint must have it (sealtool audit checkpoint --nonce)", KT_OPT_TEXT,
		offsetof(struct options, nonce)},
	{"state", 's', "FILE",
		"the log must go on from the checkpoint in FILE; if it is complete, FILE gets its "
		"last",
		KT_OPT_TEXT, offsetof(struct options, state)},
	{"tier", 0, "TIER", "the tier that the log was begun with: a (default), b or c",
		KT_OPT_TEXT, offsetof(struct options, tier)},
	{"accept", 0, NULL, "with --state: also if it is not, since you have looked into that",
		KT_OPT_FLAG, offsetof(struct options, accept)},
	{"list", 'l', NULL, "print each entry", KT_OPT_FLAG, offsetof(struct options, list)},
	{"join", 0, "FILE",
		"a kube-apiserver's audit log: which decryptions fall into the time of no request",
		KT_OPT_TEXT, offsetof(struct options, join)},
	{"join-resource", 0, "NAME", "a resource that is encrypted (default: secrets)", KT_OPT_LIST,
		offsetof(struct options, join_resources)},
	{"threads", 't', "N", "how many (default: one a processor, at most 8)", KT_OPT_TEXT,
		offsetof(struct options, threads)},
	{"json", 'j', NULL, "print JSON for machines", KT_OPT_FLAG, offsetof(struct options, json)},
	{"verbose", 'v', NULL, "say more on standard error", KT_OPT_FLAG,
		offsetof(struct options, verbose)},
	{0},
};

static const struct kt_command command = {
	.program = PROGRAM,
	.arguments = "LOG...",
	.summary = "does an audit log have every use of the TPM's keys?",
	.opts = opts,
	.min_args = 1,
	.max_args = -1,
};

static int read_ak(const char *path, struct kt_ak *ret_ak, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (path == NULL)
		return kt_fail(e, KT_E_USAGE,
			"whose log? give --ak FILE, which 'sealtool audit init --ak-out' wrote");
	if (kt_read_file(path, KT_KEY_FILE_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return kt_ak_read(text, len, ret_ak, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}

/* As sealtool writes it into the log. */
static int read_nonce(const char *hex, char ret_nonce[NONCE_MAX + 1], struct kt_error *e)
{
	uint8_t bytes[NONCE_MAX / 2];
	size_t len = strlen(hex) / 2;

	if (len == 0 || len > sizeof(bytes) || kt_hex_decode(hex, bytes, len, e) < 0)
		return kt_fail(
			e, KT_E_USAGE, "--nonce: 1 to %d bytes in hexadecimal", NONCE_MAX / 2);
	kt_hex_encode(bytes, len, ret_nonce);
	return 0;
}

static int read_pins(
	const struct kt_opt_list *names, struct kt_demands *demands, struct kt_error *e)
{
	for (size_t i = 0; i < names->count; i++)
		if (kt_hex_decode(names->values[i], demands->pins[i], KT_AUDIT_NAME_BYTES, e) < 0) {
			e->code = KT_E_USAGE;
			return kt_wrap(e, "--key-name %s", names->values[i]);
		}
	demands->pin_count = names->count;
	return 0;
}

static int read_tier(const char *text, enum kt_audit_tier *ret_tier, struct kt_error *e)
{
	static const enum kt_audit_tier tiers[] = {
		KT_AUDIT_TIER_A, KT_AUDIT_TIER_B, KT_AUDIT_TIER_C};

	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		*ret_tier = tiers[i];
		if (strcmp(text != NULL ? text : "a", kt_audit_tier_name(tiers[i])) == 0)
			return 0;
	}
	return kt_fail(e, KT_E_USAGE, "--tier: 'a', 'b' or 'c', not '%s'", text);
}

static int read_threads(const char *text, unsigned *ret_threads, struct kt_error *e)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN), value;
	char *end;

	if (text == NULL) {
		*ret_threads = processors < 1			  ? 1
			       : processors > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
								  : (unsigned)processors;
		return 0;
	}
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < 1 ||
		value > KT_POOL_THREADS_MAX)
		return kt_fail(e, KT_E_USAGE, "--threads: 1 to %d", KT_POOL_THREADS_MAX);
	*ret_threads = (unsigned)value;
	return 0;
}

static int read_join(const struct options *options, struct kt_join **ret_join, struct kt_error *e)
{
	static const char *const secrets[] = {"secrets"};
	const struct kt_opt_list *given = &options->join_resources;

	if (options->join == NULL)
		return given->count == 0
			       ? 0
			       : kt_fail(e, KT_E_USAGE, "--join-resource goes with --join");
	return kt_join_read(options->join, given->count > 0 ? given->values : secrets,
		given->count > 0 ? given->count : 1, ret_join, e);
}

/* The last checkpoint becomes the one to go on from. */
static int write_state(
	const struct options *options, const struct kt_conclusion *verdict, struct kt_error *e)
{
	const bool complete = kt_conclusion_code(verdict) == KT_E_NONE;
	struct kt_accepted accepted = {
		.is_known = true, .entries = verdict->entries, .counts = verdict->last};

	if (options->state == NULL || (!complete && !options->accept))
		return 0;
	if (verdict->is_over || verdict->is_open || !verdict->has_checkpoint)
		return kt_fail(e, KT_E_USAGE,
			"nothing to be accepted: the log does not end with a checkpoint");
	memcpy(accepted.ak_name, verdict->demands->ak->name, sizeof(accepted.ak_name));
	memcpy(accepted.head, verdict->head, sizeof(accepted.head));
	return kt_state_write(options->state, &accepted, e);
}

static int report(const struct options *options, const struct kt_report *r, struct kt_error *e)
{
	if (options->json && kt_report_json(r, e) < 0)
		return -1;
	if (!options->json)
		kt_report_text(r);
	if (write_state(options, r->verdict, e) < 0)
		return -1;
	return kt_conclusion_code(r->verdict) == KT_E_NONE ? 0 : kt_report_failure(r, e);
}

static int judge(const struct options *options, const struct kt_demands *demands,
	char *const *paths, size_t count, struct kt_error *e)
{
	auto_join struct kt_join *join = NULL;
	struct kt_verification verification = {
		.paths = paths,
		.path_count = count,
		.entries = options->list,
		.progress = isatty(STDERR_FILENO) && !options->list,
	};
	struct kt_conclusion verdict;
	int status;

	if (read_threads(options->threads, &verification.threads, e) < 0 ||
		read_join(options, &join, e) < 0 || kt_conclusion_init(&verdict, demands, e) < 0)
		return -1;
	verification.join = join;
	status = kt_verify(&verification, &verdict, e);
	if (status == 0)
		status = report(options,
			&(struct kt_report){
				.verdict = &verdict,
				.paths = paths,
				.path_count = count,
				.join = join,
			},
			e);
	kt_conclusion_clear(&verdict);
	return status;
}

static int check_options(const struct options *options, struct kt_error *e)
{
	if (options->accept && options->state == NULL)
		return kt_fail(e, KT_E_USAGE, "--accept goes with --state");
	if (options->list && options->json)
		return kt_fail(e, KT_E_USAGE, "--list is for people, --json for machines");
	return 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	struct kt_demands demands = {0};
	char nonce[NONCE_MAX + 1];
	struct kt_ak ak = {0};
	bool done;
	int first, status = -1;

	if (kt_opt_parse(&command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init(PROGRAM, options.verbose);
	if (check_options(&options, e) < 0 || read_tier(options.tier, &demands.tier, e) < 0 ||
		read_pins(&options.key_names, &demands, e) < 0 ||
		(options.nonce != NULL && read_nonce(options.nonce, nonce, e) < 0) ||
		(options.state != NULL && kt_state_read(options.state, &demands.accepted, e) < 0) ||
		read_ak(options.ak, &ak, e) < 0)
		return -1;
	demands.ak = &ak;
	demands.nonce = options.nonce != NULL ? nonce : NULL;
	status = judge(&options, &demands, argv + first, (size_t)(argc - first), e);
	kt_ak_clear(&ak);
	return status;
}

int main(int argc, char *argv[])
{
	struct kt_error e;

	kt_log_init(PROGRAM, false);
	if (kt_harden(&e) < 0)
		return kt_report(&e);
	if (run(argc, argv, &e) < 0) {
		fflush(stdout);
		return kt_report(&e);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		kt_fail_errno(&e, KT_E_INTERNAL, "cannot write standard output");
		return kt_report(&e);
	}
	return KT_E_NONE;
}
