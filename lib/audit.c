/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting log and TPM: whose log it is, keys, intents and results, checkpoints. What is done
 * after a crash is in audit-settle.c. */
#include <string.h>

#include <openssl/rand.h>

#include "lib/audit-internal.h"
#include "lib/hex.h"
#include "lib/policy.h"
#include "lib/tpm-info.h"

int kt_audit_open(const char *path, const struct kt_secret *endorsement_auth,
	struct kt_audit **ret_audit, struct kt_error *e)
{
	auto_audit struct kt_audit *audit = calloc(1, sizeof(*audit));

	if (audit == NULL)
		return kt_fail_memory(e);
	audit->endorsement_auth = endorsement_auth;
	if (kt_audit_log_open(path, &audit->log, e) < 0)
		return -1;
	*ret_audit = kt_take(audit);
	return 0;
}

void kt_audit_close(struct kt_audit *audit)
{
	if (audit == NULL)
		return;
	kt_audit_log_close(audit->log);
	free(audit);
}

int kt_audit_lock(struct kt_audit *audit, int64_t deadline_ms, struct kt_error *e)
{
	return kt_audit_log_lock(audit->log, deadline_ms, e);
}

void kt_audit_unlock(struct kt_audit *audit)
{
	kt_audit_log_unlock(audit->log);
}

const struct kt_audit_replay *kt_audit_state(const struct kt_audit *audit)
{
	return kt_audit_log_state(audit->log);
}

bool kt_audit_is_rotation_due(const struct kt_audit *audit)
{
	return kt_audit_log_is_due(audit->log);
}

void kt_audit_warn(struct kt_audit *audit, const char *text)
{
	audit->warning = text;
}

const char *kt_audit_next_warning(struct kt_audit *audit)
{
	const char *warning = audit->warning;

	audit->warning = NULL;
	return warning;
}

bool kt_audit_set_is_ours(const TPML_CC *commands)
{
	return commands->count == 3 && commands->commandCodes[0] == KT_AUDIT_CC_SET &&
	       commands->commandCodes[1] == KT_AUDIT_CC_HMAC &&
	       commands->commandCodes[2] == KT_AUDIT_CC_SIGN;
}

static int check_set(struct kt_tpm *tpm, struct kt_error *e)
{
	TPML_CC commands;

	if (kt_tpm_audited_commands(tpm, &commands, e) < 0)
		return -1;
	if (kt_audit_set_is_ours(&commands))
		return 0;
	return kt_fail(e, KT_E_REFUSED,
		"the TPM does not audit TPM2_HMAC and TPM2_Sign alone any more: somebody changed "
		"the "
		"set ('sealtool audit status' shows it); a new log has to be begun");
}

static bool is_counted(const struct kt_audit *audit)
{
	return kt_audit_state(audit)->tier == KT_AUDIT_TIER_B;
}

static bool is_in_session(const struct kt_audit *audit)
{
	return kt_audit_state(audit)->tier != KT_AUDIT_TIER_A;
}

static int check_tier(struct kt_audit *audit, struct kt_tpm *tpm, struct kt_error *e)
{
	if (!is_in_session(audit))
		return check_set(tpm, e);
	if (is_counted(audit) && kt_tpm_counter_check(tpm, e) < 0)
		return -1;
	return kt_tpm_audit_session_start(tpm, &audit->session, e);
}

struct kt_tpm_audit_session *kt_audit_session(struct kt_audit *audit)
{
	return is_in_session(audit) ? &audit->session : NULL;
}

/* A reset or restart since the last line that tells of one is told of. */
static int note_boot(struct kt_audit *audit, struct kt_tpm *tpm, struct kt_error *e)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);
	struct kt_audit_counts counts;
	struct kt_audit_record record = {.type = KT_AUDIT_BOOT};

	if (kt_tpm_read_counts(tpm, &counts, e) < 0)
		return -1;
	if (now->has_boot ? counts.reset == now->boot_reset && counts.restart == now->boot_restart
			  : counts.reset == now->last.reset && counts.restart == now->last.restart)
		return 0;
	record.ts = kt_audit_now();
	record.boot.reset = counts.reset;
	record.boot.restart = counts.restart;
	return kt_audit_log_append(audit->log, &record, true, e);
}

int kt_audit_attach(
	struct kt_audit *audit, struct kt_tpm *tpm, uint64_t connection, struct kt_error *e)
{
	uint8_t point[KT_AUDIT_POINT_BYTES];

	if (audit->is_attached && audit->connection == connection)
		return 0;
	audit->is_attached = false;
	if (kt_tpm_ak_load(tpm, &audit->ak, point, e) < 0)
		return -1;
	if (memcmp(point, kt_audit_state(audit)->file_ak, sizeof(point)) != 0)
		return kt_fail(e, KT_E_WRONG_TPM,
			"the audit log is another TPM's: its attestation key is not the one here");
	if (check_tier(audit, tpm, e) < 0 || note_boot(audit, tpm, e) < 0)
		return -1;
	audit->is_attached = true;
	audit->connection = connection;
	return 0;
}

static bool is_same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool find_key(const struct kt_audit_keyset *keys, const TPM2B_NAME *name,
	const struct kt_audit_entrant *entrant, uint64_t *ret_number)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct kt_audit_key *key = &keys->keys[i];

		if (name->size == sizeof(key->name) &&
			memcmp(name->name, key->name, sizeof(key->name)) == 0 &&
			is_same_text(key->cluster, entrant->cluster) &&
			is_same_text(key->key_id, entrant->key_id)) {
			*ret_number = i;
			return true;
		}
	}
	return false;
}

/* The texts of a K line under construction. */
struct key_texts {
	char public[2 * sizeof(TPM2B_PUBLIC) + 1];
	char attest[2 * KT_ATTEST_MAX_BYTES + 1];
	char arguments[KT_AUDIT_STEPS_MAX][2 * KT_POLICY_ARGUMENT_MAX + 1];
	char cluster[3 * 1024 + 1], key_id[3 * 1024 + 1];
};

static struct kt_audit_text text_of(const char *text)
{
	return (struct kt_audit_text){text, strlen(text)};
}

static int describe_policy(const struct kt_policy *policy, struct key_texts *texts,
	struct kt_audit_record *record, struct kt_error *e)
{
	uint8_t argument[KT_POLICY_ARGUMENT_MAX];
	size_t len;

	if (policy->count > KT_AUDIT_STEPS_MAX)
		return kt_fail(e, KT_E_INTERNAL, "a policy of %zu steps", policy->count);
	for (size_t i = 0; i < policy->count; i++) {
		if (kt_policy_step_argument(&policy->steps[i], argument, &len, e) < 0)
			return -1;
		kt_hex_encode(argument, len, texts->arguments[i]);
		record->key.steps[i].code = policy->steps[i].command;
		record->key.steps[i].argument = text_of(texts->arguments[i]);
	}
	record->key.step_count = policy->count;
	return 0;
}

static int describe_public(const TPM2B_PUBLIC *public, struct key_texts *texts, struct kt_error *e)
{
	uint8_t data[sizeof(TPM2B_PUBLIC)];
	size_t len;

	if (kt_public_marshal(public, data, &len, e) < 0)
		return -1;
	/* TPMT_PUBLIC is what is behind the size. */
	kt_hex_encode(data + 2, len - 2, texts->public);
	return 0;
}

static int describe_names(
	const struct kt_audit_entrant *entrant, struct key_texts *texts, struct kt_error *e)
{
	if (strlen(entrant->cluster) > 1024 || strlen(entrant->key_id) > 1024)
		return kt_fail(e, KT_E_INPUT, "a name of more than 1024 bytes");
	kt_audit_escape(entrant->cluster, strlen(entrant->cluster), texts->cluster);
	kt_audit_escape(entrant->key_id, strlen(entrant->key_id), texts->key_id);
	return 0;
}

static int append_key(struct kt_audit *audit, struct kt_tpm *tpm, ESYS_TR handle,
	const struct kt_audit_entrant *entrant, struct key_texts *texts, struct kt_error *e)
{
	struct kt_audit_record record = {.type = KT_AUDIT_KEY, .ts = kt_audit_now()};
	uint8_t qualifying[KT_SHA256_BYTES];
	struct kt_tpm_attest attest;

	kt_audit_qualify_key(entrant->cluster, entrant->key_id, qualifying);
	if (describe_public(entrant->public, texts, e) < 0 ||
		describe_policy(entrant->policy, texts, &record, e) < 0 ||
		describe_names(entrant, texts, e) < 0 ||
		kt_tpm_certify_creation(
			tpm, &audit->ak, handle, entrant->creation, qualifying, &attest, e) < 0)
		return -1;
	kt_hex_encode(attest.data, attest.len, texts->attest);
	record.key.number = kt_audit_state(audit)->keys->count;
	record.key.type = entrant->type;
	record.key.public = text_of(texts->public);
	record.key.attest = text_of(texts->attest);
	record.key.cluster = text_of(texts->cluster);
	record.key.key_id = text_of(texts->key_id);
	memcpy(record.key.signature, attest.signature, sizeof(attest.signature));
	return kt_audit_log_append(audit->log, &record, true, e);
}

/* Policies cannot be changed later. */
static int check_policy(
	const struct kt_audit *audit, const struct kt_policy *policy, struct kt_error *e)
{
	bool counts = policy->count > 0 &&
		      policy->steps[policy->count - 1].command == TPM2_CC_PolicySecret;

	if (counts == is_counted(audit))
		return 0;
	return kt_fail(e, KT_E_REFUSED,
		"the key is for audit logs of tier %s, and this log is of tier %s: make one with "
		"'sealtool key new --audit-tier %s'",
		counts ? "b" : "a", kt_audit_tier_name(kt_audit_state(audit)->tier),
		counts ? "a" : "b");
}

int kt_audit_enter(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	ESYS_TR handle, const struct kt_audit_entrant *entrant, uint64_t *ret_number,
	struct kt_error *e)
{
	auto_free struct key_texts *texts = NULL;
	TPM2B_NAME name;

	if (check_policy(audit, entrant->policy, e) < 0)
		return -1;
	if (kt_audit_state(audit)->unattested >= KT_AUDIT_CHECKPOINT_EVERY &&
		kt_audit_checkpoint(audit, tpm, srk, "", e) < 0)
		return -1;
	if (kt_public_name(entrant->public, &name, e) < 0)
		return -1;
	if (find_key(kt_audit_state(audit)->keys, &name, entrant, ret_number))
		return 0;
	texts = calloc(1, sizeof(*texts));
	if (texts == NULL)
		return kt_fail_memory(e);
	if (kt_audit_state(audit)->keys->count == KT_AUDIT_KEYS_MAX)
		return kt_fail(
			e, KT_E_INTERNAL, "more than %d keys in one audit log", KT_AUDIT_KEYS_MAX);
	if (kt_audit_state(audit)->unattested > 0 &&
		kt_audit_checkpoint(audit, tpm, srk, "", e) < 0)
		return -1;
	if (append_key(audit, tpm, handle, entrant, texts, e) < 0)
		return kt_wrap(e, "the key cannot enter the audit log");
	*ret_number = kt_audit_state(audit)->keys->count - 1;
	return 0;
}

static void start_intent(
	const struct kt_audit *audit, enum kt_audit_op op, struct kt_audit_record *ret_record)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);

	*ret_record = (struct kt_audit_record){
		.type = KT_AUDIT_INTENT,
		.n = now->results + now->pending_count,
		.ts = kt_audit_now(),
		.intent.op = op,
	};
}

static const struct kt_audit_pending *last_intent(const struct kt_audit *audit)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);

	return &now->pending[now->pending_count - 1];
}

int kt_audit_intend_hmac(struct kt_audit *audit, uint64_t key, const struct kt_audit_call *call,
	uint8_t id[KT_SHA256_BYTES], uint8_t ret_input[KT_SHA256_BYTES], struct kt_error *e)
{
	char uid[3 * KT_AUDIT_UID_MAX + 1];
	const char *given = call->uid != NULL ? call->uid : "";
	struct kt_audit_record record;

	start_intent(audit, call->op, &record);
	kt_audit_escape(given, strnlen(given, KT_AUDIT_UID_MAX), uid);
	record.intent.key = key;
	record.intent.uid = text_of(uid);
	if (call->op == KT_AUDIT_ENCRYPT) {
		if (RAND_bytes(record.intent.random, sizeof(record.intent.random)) != 1)
			return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
		kt_audit_record_id(kt_audit_state(audit)->head, record.intent.random, id);
	}
	memcpy(record.intent.id, id, KT_SHA256_BYTES);
	if (kt_audit_log_append(audit->log, &record, true, e) < 0)
		return -1;
	memcpy(ret_input, last_intent(audit)->input, KT_SHA256_BYTES);
	return 0;
}

int kt_audit_intend_sign(struct kt_audit *audit, uint64_t key, const uint8_t *tbs, size_t len,
	uint8_t ret_digest[KT_SHA256_BYTES], struct kt_error *e)
{
	auto_free char *hex = malloc(2 * len + 1);
	struct kt_audit_record record;

	if (hex == NULL)
		return kt_fail_memory(e);
	kt_hex_encode(tbs, len, hex);
	start_intent(audit, KT_AUDIT_SIGN, &record);
	record.intent.key = key;
	record.intent.tbs = text_of(hex);
	if (kt_audit_log_append(audit->log, &record, true, e) < 0)
		return -1;
	memcpy(ret_digest, last_intent(audit)->input, KT_SHA256_BYTES);
	return 0;
}

int kt_audit_redo_intend(struct kt_audit *audit, struct kt_error *e)
{
	struct kt_audit_record record;

	start_intent(audit, KT_AUDIT_REDO, &record);
	return kt_audit_log_append(audit->log, &record, true, e);
}

int kt_audit_hmac_result(
	struct kt_audit *audit, const uint8_t output[KT_SHA256_BYTES], struct kt_error *e)
{
	struct kt_audit_record record = {
		.type = KT_AUDIT_RESULT, .n = kt_audit_state(audit)->results};

	kt_audit_rp_hmac(output, record.result.rp_hash);
	return kt_audit_log_append(audit->log, &record, true, e);
}

int kt_audit_sign_result(
	struct kt_audit *audit, const uint8_t signature[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	struct kt_audit_record record = {.type = KT_AUDIT_RESULT,
		.n = kt_audit_state(audit)->results,
		.result.is_signature = true};

	memcpy(record.result.signature, signature, KT_AUDIT_POINT_BYTES);
	return kt_audit_log_append(audit->log, &record, true, e);
}

/* What the TPM said, and in tier B how many uses it counted; else 0. */
struct statement {
	struct kt_tpm_attest attest;
	uint64_t uses;
	uint8_t qualifying[KT_SHA256_BYTES]; /* what it was asked with */
};

static bool is_session_as_expected(const struct kt_audit_replay *now,
	const struct kt_attest *attest, const struct statement *said)
{
	const uint64_t uses = said->uses;
	uint8_t digest[KT_SHA256_BYTES];

	kt_audit_replay_close(now, said->qualifying, uses, digest);
	if (!kt_attest_part_is(&attest->digest, digest, sizeof(digest)))
		return false;
	return now->tier == KT_AUDIT_TIER_C ||
	       (uses >= now->last.counter + now->unattested &&
		       uses <= now->last.counter + now->unattested + now->lost);
}

/* Does the attestation say what the log does? Known before the line is written, which starts the
 * log's own digest anew. */
static bool is_expected(const struct kt_audit_replay *now, const struct statement *said)
{
	const struct kt_tpm_attest *attest = &said->attest;
	const bool in_session = now->tier != KT_AUDIT_TIER_A;
	struct kt_attest parsed;
	struct kt_error ignored;

	if (now->is_unknown)
		return true;
	if (kt_attest_parse(attest->data, attest->len,
		    in_session ? KT_ATTEST_SESSION_AUDIT : KT_ATTEST_COMMAND_AUDIT, &parsed,
		    &ignored) < 0)
		return false;
	return in_session ? is_session_as_expected(now, &parsed, said)
			  : kt_attest_part_is(&parsed.digest, now->digest,
				    now->is_empty ? 0 : KT_SHA256_BYTES);
}

static int append_checkpoint(
	struct kt_audit *audit, const char *nonce, const struct statement *said, struct kt_error *e)
{
	const struct kt_tpm_attest *attest = &said->attest;
	const struct kt_audit_replay *now = kt_audit_state(audit);
	struct kt_audit_record record = {
		.type = KT_AUDIT_CHECKPOINT, .n = now->results, .ts = now->pending[0].ts};
	char hex[2 * KT_ATTEST_MAX_BYTES + 1];
	bool expected = is_expected(now, said);

	kt_hex_encode(attest->data, attest->len, hex);
	record.checkpoint.nonce = text_of(nonce);
	record.checkpoint.attest = text_of(hex);
	record.checkpoint.has_uses = is_counted(audit);
	record.checkpoint.uses = said->uses;
	memcpy(record.checkpoint.head, now->head, sizeof(record.checkpoint.head));
	memcpy(record.checkpoint.signature, attest->signature, sizeof(attest->signature));
	if (kt_audit_log_append(audit->log, &record, true, e) < 0)
		return -1;
	if (!expected)
		kt_audit_warn(audit,
			"the TPM counted other uses than this log has: another program used "
			"TPM2_HMAC or TPM2_Sign, or the log was changed; audit-verify will say so");
	return 0;
}

/* The one before may have been cut off by a connection that was lost. */
static int settle_first(
	struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	enum kt_audit_verdict verdict;

	if (kt_audit_settle(audit, tpm, srk, &verdict, e) < 0)
		return -1;
	return verdict == KT_AUDIT_SETTLED
		       ? 0
		       : kt_fail(e, KT_E_BUSY,
				 "an operation was cut off, and is to be repeated first");
}

static int ask_tpm(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	const uint8_t qualifying[KT_SHA256_BYTES], struct statement *ret_said, struct kt_error *e)
{
	struct kt_tpm_audit_vouch vouch = {.srk = srk,
		.ak = &audit->ak,
		.endorsement_auth = audit->endorsement_auth,
		.counts = is_counted(audit)};

	memcpy(ret_said->qualifying, qualifying, sizeof(ret_said->qualifying));
	ret_said->uses = 0;
	if (!is_in_session(audit))
		return kt_tpm_audit_digest(tpm, srk, &audit->ak, audit->endorsement_auth,
			qualifying, &ret_said->attest, e);
	memcpy(vouch.qualifying, qualifying, sizeof(vouch.qualifying));
	return kt_tpm_audit_session_vouch(
		tpm, &audit->session, &vouch, &ret_said->uses, &ret_said->attest, e);
}

int kt_audit_checkpoint(struct kt_audit *audit, struct kt_tpm *tpm, const struct kt_parent *srk,
	const char *nonce, struct kt_error *e)
{
	const struct kt_audit_replay *now = kt_audit_state(audit);
	uint8_t qualifying[KT_SHA256_BYTES];
	struct kt_audit_record intent;
	struct statement said;

	if (now->pending_count > 0 && settle_first(audit, tpm, srk, e) < 0)
		return -1;
	if (!kt_audit_replay_is_open(now) && *nonce == '\0')
		return kt_audit_log_rotate(audit->log, e);
	start_intent(audit, KT_AUDIT_ATTEST, &intent);
	if (kt_audit_log_append(audit->log, &intent, false, e) < 0)
		return -1;
	kt_audit_qualify(nonce, strlen(nonce), now->head, qualifying);
	if (ask_tpm(audit, tpm, srk, qualifying, &said, e) < 0 ||
		append_checkpoint(audit, nonce, &said, e) < 0)
		return kt_wrap(e, "checkpoint of the audit log");
	return kt_audit_log_rotate(audit->log, e);
}
