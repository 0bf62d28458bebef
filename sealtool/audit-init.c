/* SPDX-License-Identifier: Apache-2.0 */
#include "sealtool/audit-init.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/audit-log.h"
#include "lib/audit.h"
#include "lib/hex.h"
#include "lib/io.h"
#include "lib/tpm-counter.h"
#include "lib/tpm-info.h"
#include "sealtool/policy-key.h"

/* TPM2_PERSISTENT_FIRST shifts a sign bit. */
#define PERSISTENT_FIRST ((TPM2_HANDLE)0x81000000)
#define TEXT_MAX ((size_t)4 * KT_AUDIT_LINE_MAX)

/* The log under construction; it gets its name when it is whole. */
struct text {
	char *bytes; /* TEXT_MAX */
	size_t len;
	const struct audit_request *request; /* borrowed */
	enum kt_audit_tier tier;
	struct kt_tpm_audit_session session; /* tiers B and C */
	TPML_CC others;			     /* tier A: what else is audited, to be cleared */
	struct kt_audit_replay replay;
	struct kt_error wrong; /* what an examiner would say of it */
};

/* A signing key that is not restricted, or one for HMACs, is there to be used with the commands
 * that are audited. */
static bool is_user(const TPM2B_PUBLIC *public)
{
	const TPMA_OBJECT attributes = public->publicArea.objectAttributes;

	return (attributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0 &&
	       (attributes & TPMA_OBJECT_RESTRICTED) == 0;
}

/* Names the first persistent key of others whose uses would break the chain. */
static int check_users(struct kt_tpm *tpm, struct kt_error *e)
{
	TPML_HANDLE handles;
	struct kt_parent key;

	if (kt_tpm_handles(tpm, PERSISTENT_FIRST, &handles, e) < 0)
		return -1;
	for (size_t i = 0; i < handles.count; i++) {
		if (kt_parent_load(tpm, handles.handle[i], &key, e) < 0)
			return -1;
		if (is_user(&key.public))
			return kt_fail(e, KT_E_REFUSED,
				"somebody else's key at 0x%08x is for TPM2_Sign or TPM2_HMAC: each "
				"of "
				"its uses would look like one that this log hides; remove it, or "
				"insist with --force",
				handles.handle[i]);
	}
	return 0;
}

/* Commands that somebody else has audited: *ret_others. */
static int check_set(struct kt_tpm *tpm, bool force, TPML_CC *ret_others, struct kt_error *e)
{
	TPML_CC commands;

	if (kt_tpm_audited_commands(tpm, &commands, e) < 0)
		return -1;
	ret_others->count = 0;
	for (size_t i = 0; i < commands.count; i++) {
		const TPM2_CC code = commands.commandCodes[i];

		if (code == KT_AUDIT_CC_SET || code == KT_AUDIT_CC_HMAC || code == KT_AUDIT_CC_SIGN)
			continue;
		if (!force)
			return kt_fail(e, KT_E_REFUSED,
				"somebody else has command 0x%03x audited by this TPM: two logs "
				"cannot share its one digest; insist with --force to take it over",
				code);
		ret_others->commandCodes[ret_others->count++] = code;
	}
	return 0;
}

/* What the audit digest is made of now; SHA-256 afterwards. */
static int choose_hash(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct audit_request *request, struct kt_error *e)
{
	static const uint8_t nothing[KT_SHA256_BYTES];
	const struct kt_tpm_audit_change change = {.alg = TPM2_ALG_SHA256};
	struct kt_tpm_attest peek;
	struct kt_attest parsed;

	if (kt_tpm_audit_digest(tpm, srk, NULL, request->endorsement_auth, nothing, &peek, e) < 0 ||
		kt_attest_parse(peek.data, peek.len, KT_ATTEST_COMMAND_AUDIT, &parsed, e) < 0)
		return -1;
	if (parsed.digest_alg == TPM2_ALG_SHA256)
		return 0;
	return kt_tpm_audit_change(tpm, srk, request->owner_auth, &change, e);
}

/* Attested, and empty from here on. */
static int start_digest(struct kt_tpm *tpm, const struct kt_parent *srk, const struct kt_parent *ak,
	const struct audit_request *request, struct kt_audit_counts *ret_counts, struct kt_error *e)
{
	static const uint8_t nothing[KT_SHA256_BYTES];
	struct kt_tpm_attest attest;
	struct kt_attest parsed;

	if (kt_tpm_audit_digest(tpm, srk, ak, request->endorsement_auth, nothing, &attest, e) < 0 ||
		kt_attest_parse(attest.data, attest.len, KT_ATTEST_COMMAND_AUDIT, &parsed, e) < 0)
		return -1;
	*ret_counts = parsed.counts;
	return 0;
}

static int add(struct text *text, const struct kt_audit_record *record, struct kt_error *e)
{
	struct kt_audit_record again;
	char *line = text->bytes + text->len;
	size_t len;

	if (TEXT_MAX - text->len < KT_AUDIT_LINE_MAX)
		return kt_fail(e, KT_E_INTERNAL, "no room for the log's first lines");
	if (kt_audit_record_format(record, line, &len, e) < 0 ||
		kt_audit_replay_line(&text->replay, line, len, &again, e) < 0)
		return -1;
	line[len] = '\n';
	text->len += len + 1;
	return 0;
}

static int add_head(struct text *text, const uint8_t point[KT_AUDIT_POINT_BYTES],
	const struct kt_audit_counts *counts, struct kt_error *e)
{
	struct kt_audit_record record = {.type = KT_AUDIT_FILE,
		.ts = kt_audit_now(),
		.file = {.tier = text->tier,
			.max = text->request->max,
			.age = text->request->age,
			.last = *counts}};

	memcpy(record.file.ak, point, KT_AUDIT_POINT_BYTES);
	return add(text, &record, e);
}

/* Turns the audit on: the first thing that the digest has. */
static int add_set(
	struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	struct kt_tpm_audit_change change = {.alg = TPM2_ALG_NULL};
	struct kt_audit_record record = {.type = KT_AUDIT_SET};
	uint8_t raw[KT_TPM_AUDIT_RAW_MAX];
	char hex[2 * KT_TPM_AUDIT_RAW_MAX + 1];
	TPML_CC commands;
	size_t len;

	change.set.count = 2;
	change.set.commandCodes[0] = KT_AUDIT_CC_HMAC;
	change.set.commandCodes[1] = KT_AUDIT_CC_SIGN;
	change.clear = text->others;
	if (kt_tpm_audit_change_marshal(&change, raw, &len, e) < 0 ||
		kt_tpm_audit_change(tpm, srk, text->request->owner_auth, &change, e) < 0 ||
		kt_tpm_audited_commands(tpm, &commands, e) < 0)
		return -1;
	/* Commands that cannot be audited are passed over without a word (Part 3, 21.2). */
	if (!kt_audit_set_is_ours(&commands))
		return kt_fail(e, KT_E_TPM, "this TPM does not audit TPM2_HMAC and TPM2_Sign");
	kt_hex_encode(raw, len, hex);
	record.set.raw = (struct kt_audit_text){hex, 2 * len};
	return add(text, &record, e);
}

/* What the TPM says of the digest, and in tier B of the counter. */
static int ask_tpm(struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_parent *ak, const uint8_t qualifying[KT_SHA256_BYTES], uint64_t *ret_uses,
	struct kt_tpm_attest *ret_attest, struct kt_error *e)
{
	const struct kt_secret *auth = text->request->endorsement_auth;
	struct kt_tpm_audit_vouch vouch = {.srk = srk,
		.ak = ak,
		.endorsement_auth = auth,
		.counts = text->tier == KT_AUDIT_TIER_B};

	*ret_uses = 0;
	if (text->tier == KT_AUDIT_TIER_A)
		return kt_tpm_audit_digest(tpm, srk, ak, auth, qualifying, ret_attest, e);
	memcpy(vouch.qualifying, qualifying, sizeof(vouch.qualifying));
	return kt_tpm_audit_session_vouch(tpm, &text->session, &vouch, ret_uses, ret_attest, e);
}

static int add_checkpoint(struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_parent *ak, struct kt_error *e)
{
	struct kt_audit_record intent = {
		.type = KT_AUDIT_INTENT, .ts = kt_audit_now(), .intent.op = KT_AUDIT_ATTEST};
	struct kt_audit_record record = {.type = KT_AUDIT_CHECKPOINT, .ts = intent.ts};
	char hex[2 * KT_ATTEST_MAX_BYTES + 1];
	uint8_t qualifying[KT_SHA256_BYTES];
	struct kt_tpm_attest attest;

	if (add(text, &intent, e) < 0)
		return -1;
	kt_audit_qualify("", 0, text->replay.head, qualifying);
	if (ask_tpm(text, tpm, srk, ak, qualifying, &record.checkpoint.uses, &attest, e) < 0)
		return -1;
	kt_hex_encode(attest.data, attest.len, hex);
	record.checkpoint.has_uses = text->tier == KT_AUDIT_TIER_B;
	record.checkpoint.nonce = (struct kt_audit_text){"", 0};
	record.checkpoint.attest = (struct kt_audit_text){hex, 2 * attest.len};
	memcpy(record.checkpoint.head, text->replay.head, sizeof(record.checkpoint.head));
	memcpy(record.checkpoint.signature, attest.signature, sizeof(attest.signature));
	return add(text, &record, e);
}

/* An examiner's rules hold for the first lines too. */
static void complain(void *ctx, enum kt_audit_finding finding, const char *sentence)
{
	struct kt_error *e = ctx;

	kt_fail(e, KT_E_EVIDENCE, "the new log does not verify (%s): %s",
		kt_audit_finding_name(finding), sentence);
}

static int write_ak(const char *path, const struct kt_ak *ak, struct kt_error *e)
{
	auto_free char *pem = NULL;

	if (policy_key_public_pem(ak->key, &pem, e) < 0)
		return -1;
	return kt_replace_file(path, pem, strlen(pem), 0644, e);
}

/* The audit digest has every use from here on. */
static int begin_commands(struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_parent *ak, const uint8_t point[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	const struct audit_request *request = text->request;
	struct kt_audit_counts counts;

	if (choose_hash(tpm, srk, request, e) < 0 ||
		start_digest(tpm, srk, ak, request, &counts, e) < 0 ||
		add_head(text, point, &counts, e) < 0)
		return -1;
	return add_set(text, tpm, srk, e);
}

/* In tier B the counter has every use of the keys that are made for it; in C nothing has. */
static int begin_session(struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk,
	const uint8_t point[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	struct kt_audit_counts counts;
	uint64_t uses = 0;

	if (text->tier == KT_AUDIT_TIER_B &&
		(kt_tpm_counter_make(tpm, srk, text->request->owner_auth, e) < 0 ||
			kt_tpm_counter_read(tpm, NULL, &uses, e) < 0))
		return -1;
	if (kt_tpm_read_counts(tpm, &counts, e) < 0 ||
		kt_tpm_audit_session_start(tpm, &text->session, e) < 0)
		return -1;
	counts.counter = uses;
	return add_head(text, point, &counts, e);
}

static int write_log(struct text *text, struct kt_tpm *tpm, const struct kt_parent *srk,
	struct audit_facts *ret_facts, struct kt_error *e)
{
	const struct audit_request *request = text->request;
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_parent ak;
	int status;

	if (kt_tpm_ak_provision(
		    tpm, srk, request->owner_auth, request->endorsement_auth, &ak, point, e) < 0 ||
		kt_ak_from_point(point, &ret_facts->ak, e) < 0)
		return -1;
	text->replay.ak = &ret_facts->ak;
	text->replay.report = complain;
	text->replay.ctx = &text->wrong;
	status = text->tier == KT_AUDIT_TIER_A ? begin_commands(text, tpm, srk, &ak, point, e)
					       : begin_session(text, tpm, srk, point, e);
	if (status < 0 || add_checkpoint(text, tpm, srk, &ak, e) < 0)
		return -1;
	if (text->wrong.code != KT_E_NONE) {
		*e = text->wrong;
		return -1;
	}
	ret_facts->tier = text->tier;
	ret_facts->counts = text->replay.last;
	/* A log without it would be of no use, and could not be begun again. */
	if (write_ak(request->ak_out, &ret_facts->ak, e) < 0)
		return -1;
	return kt_audit_log_create(request->log, text->bytes, text->len, e);
}

/* Whoever has the owner's authorisation value can make the counter anew and raise it to where it
 * was, with uses in between that nobody sees. */
static int check_owner(struct kt_tpm *tpm, struct kt_error *e)
{
	UINT32 permanent;

	if (kt_tpm_property(tpm, TPM2_PT_PERMANENT, &permanent, e) < 0)
		return -1;
	if ((permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0)
		return 0;
	return kt_fail(e, KT_E_REFUSED,
		"the TPM's owner has no authorisation value: root could make the use counter of "
		"tier b anew, and hide uses; set one (tpm2_changeauth -c owner), give it with "
		"--owner-auth-file and keep it elsewhere, or insist with --force");
}

static int check_others(struct text *text, struct kt_tpm *tpm, struct kt_error *e)
{
	if (text->tier == KT_AUDIT_TIER_A &&
		check_set(tpm, text->request->force, &text->others, e) < 0)
		return -1;
	if (text->request->force)
		return 0;
	if (text->tier == KT_AUDIT_TIER_A)
		return check_users(tpm, e);
	if (text->tier == KT_AUDIT_TIER_B)
		return check_owner(tpm, e);
	return kt_fail(e, KT_E_REFUSED,
		"session audit alone (tier c) cannot show a use that was left out of the log: it "
		"would prove what was done, and never that nothing else was; insist with --force");
}

int audit_init(struct kt_tpm *tpm, const struct audit_request *request,
	struct audit_facts *ret_facts, struct kt_error *e)
{
	auto_free char *bytes = malloc(TEXT_MAX);
	struct text text = {.bytes = bytes, .request = request};
	struct kt_parent srk;
	struct stat st;
	int status;

	if (bytes == NULL)
		return kt_fail_memory(e);
	/* Before anything is changed in the TPM. */
	if (lstat(request->log, &st) == 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s is there already, and a log is not begun anew: move it away",
			request->log);
	if (kt_srk_load(tpm, &srk, e) < 0 ||
		audit_choose_tier(tpm, request->tier, &text.tier, e) < 0 ||
		check_others(&text, tpm, e) < 0 || kt_audit_replay_init(&text.replay, e) < 0)
		return -1;
	status = write_log(&text, tpm, &srk, ret_facts, e);
	kt_audit_replay_clear(&text.replay);
	return status;
}
