/* SPDX-License-Identifier: Apache-2.0 */
#include "csr-approver/review.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <tss2/tss2_mu.h>

#include "lib/attest.h"
#include "lib/challenge.h"

#define SELECTION_MAX_BYTES 256

/* A request under review. */
struct matter {
	const struct kt_csr_object *csr;
	struct kt_evidence evidence;
	struct csr_subject subject;
	TPM2B_PUBLIC ek;
	struct kt_ak ak;
	const struct inventory_machine *machine;
	struct verdict *verdict;
};

/* False, so that checks can end with it. */
static bool deny(struct matter *m, const char *reason, const char *fmt, ...) KT_PRINTF(3, 4);
static bool deny(struct matter *m, const char *reason, const char *fmt, ...)
{
	va_list args;

	m->verdict->kind = VERDICT_DENY;
	m->verdict->reason = reason;
	va_start(args, fmt);
	vsnprintf(m->verdict->message, sizeof(m->verdict->message), fmt, args);
	va_end(args);
	return false;
}

static bool has(const struct matter *m, enum kt_evidence_block block)
{
	return m->evidence.blocks[block].data != NULL;
}

/* Exactly the blocks up to `last`. */
static bool check_blocks(struct matter *m, enum kt_evidence_block last)
{
	for (int i = 0; i < KT_EVIDENCE_BLOCKS; i++)
		if (has(m, (enum kt_evidence_block)i) != (i <= (int)last))
			return deny(m, "MalformedEvidence", "block %s %s",
				kt_evidence_block_name((enum kt_evidence_block)i),
				i <= (int)last ? "is missing" : "does not belong here");
	return true;
}

/* Who asks: subject, EK and AK, as far as they say it themselves. */
static bool read_identity(struct matter *m, enum kt_evidence_block last)
{
	struct kt_error e;

	if (kt_evidence_read(m->csr->request, m->csr->request_len, &m->evidence, &e) < 0)
		return deny(m, "MalformedEvidence", "%s", e.msg);
	if (!check_blocks(m, last))
		return false;
	if (csr_read_subject(m->evidence.blocks[KT_EVIDENCE_REQUEST].data,
		    m->evidence.blocks[KT_EVIDENCE_REQUEST].len, &m->subject, &e) < 0)
		return deny(m, "MalformedRequest", "%s", e.msg);
	memcpy(m->verdict->node, m->subject.node, sizeof(m->verdict->node));
	if (kt_ek_read(m->evidence.blocks[KT_EVIDENCE_EK].data,
		    m->evidence.blocks[KT_EVIDENCE_EK].len, &m->ek, &e) < 0 ||
		kt_ek_fingerprint(&m->ek, m->verdict->ek, &e) < 0)
		return deny(m, "MalformedEvidence", "endorsement key: %s", e.msg);
	if (kt_ak_from_public(m->evidence.blocks[KT_EVIDENCE_AK].data,
		    m->evidence.blocks[KT_EVIDENCE_AK].len, &m->ak, &e) < 0)
		return deny(m, "MalformedEvidence", "%s", e.msg);
	return true;
}

static bool check_machine(struct matter *m, const struct inventory *inventory)
{
	m->machine = inventory_find(inventory, m->verdict->ek);
	if (m->machine == NULL)
		return deny(m, "UnknownMachine",
			"no machine with the endorsement key %s is in the inventory: if it is "
			"yours, 'csr-approver inventory add --ek %s --node %s'",
			m->verdict->ek, m->verdict->ek, m->subject.node);
	if (strcmp(m->machine->node, m->subject.node) != 0)
		return deny(m, "WrongName",
			"the machine with this endorsement key is node %s, and asks for %s",
			m->machine->node, m->subject.node);
	if (m->machine->quarantined)
		return deny(m, "Quarantined",
			"the machine is in quarantine: 'csr-approver "
			"inventory accept' lets it out");
	return true;
}

/* The only ones that the signer takes; key encipherment is of no use to a P-256 key. */
static bool check_usages(struct matter *m)
{
	const struct kt_csr_object *csr = m->csr;

	if (csr->usage_count == 2 && strcmp(csr->usages[0], "digital signature") == 0 &&
		strcmp(csr->usages[1], "client auth") == 0)
		return true;
	return deny(m, "MalformedRequest", "usages are not 'digital signature', 'client auth'");
}

static bool check_lifetime(struct matter *m)
{
	if (m->csr->expiration == 0)
		return deny(m, "TooLong",
			"no expirationSeconds: at most %" PRId64 " for this machine",
			m->machine->max_lifetime);
	if (m->csr->expiration > m->machine->max_lifetime)
		return deny(m, "TooLong",
			"expirationSeconds %" PRId64 ": at most %" PRId64 " for this machine",
			m->csr->expiration, m->machine->max_lifetime);
	return true;
}

static bool same_block(const struct matter *a, const struct matter *b, enum kt_evidence_block block)
{
	return a->evidence.blocks[block].len == b->evidence.blocks[block].len &&
	       memcmp(a->evidence.blocks[block].data, b->evidence.blocks[block].data,
		       a->evidence.blocks[block].len) == 0;
}

/* Is `c` the challenge that the request's name says, and does the same TPM ask for the same? */
static bool check_pair(struct matter *m, struct matter *c, int64_t now)
{
	const struct kt_csr_object *challenge = c->csr;
	const char *uid = m->csr->name + strlen(CLIENT_NAME_PREFIX);

	if (strcmp(uid, challenge->uid) != 0 || strcmp(challenge->signer, SIGNER_CHALLENGE) != 0)
		return deny(m, "NoPossession", "the name is not that of a challenge");
	if (challenge->denied != NULL || challenge->approved == NULL)
		return deny(m, "NoPossession", "the challenge was not approved");
	if (challenge->created > now + CHALLENGE_SECONDS_MAX ||
		now - challenge->created > CHALLENGE_SECONDS_MAX)
		return deny(m, "NotFresh", "the challenge is older than %d seconds",
			CHALLENGE_SECONDS_MAX);
	if (m->csr->username == NULL || challenge->username == NULL ||
		strcmp(m->csr->username, challenge->username) != 0)
		return deny(m, "NoPossession", "the challenge was another requester's");
	if (!read_identity(c, KT_EVIDENCE_AK))
		return deny(m, "NoPossession", "the challenge does not hold");
	if (!same_block(m, c, KT_EVIDENCE_EK) || !same_block(m, c, KT_EVIDENCE_AK) ||
		!same_block(m, c, KT_EVIDENCE_REQUEST))
		return deny(m, "NoPossession", "the challenge was for other keys");
	return true;
}

static bool check_secret(struct matter *m, const struct kt_csr_object *challenge)
{
	uint8_t revealed[KT_SHA256_BYTES];
	struct kt_challenge made;
	struct kt_error e;

	if (kt_challenge_read(challenge->approved, &made, &e) < 0)
		return deny(m, "NoPossession", "%s", e.msg);
	kt_evidence_commitment(challenge->uid, m->ak.name,
		m->evidence.blocks[KT_EVIDENCE_SECRET].data,
		m->evidence.blocks[KT_EVIDENCE_SECRET].len, revealed);
	if (CRYPTO_memcmp(made.committed, revealed, sizeof(revealed)) != 0)
		return deny(m, "NoPossession",
			"not the challenge's secret: the TPM that asks has not this endorsement "
			"key and this attestation key");
	m->verdict->possession = "proven";
	return true;
}

static bool check_quote(
	struct matter *m, const struct kt_csr_object *challenge, struct kt_attest *ret_quote)
{
	const struct kt_csr_object *csr = m->csr;
	const struct kt_evidence_binding binding = {
		.uid = challenge->uid,
		.secret = m->evidence.blocks[KT_EVIDENCE_SECRET].data,
		.secret_len = m->evidence.blocks[KT_EVIDENCE_SECRET].len,
		.request = m->evidence.blocks[KT_EVIDENCE_REQUEST].data,
		.request_len = m->evidence.blocks[KT_EVIDENCE_REQUEST].len,
		.signer = csr->signer,
		.usages = csr->usages,
		.usage_count = csr->usage_count,
		.expiration = csr->expiration,
	};
	const uint8_t *data = m->evidence.blocks[KT_EVIDENCE_QUOTE].data;
	const size_t len = m->evidence.blocks[KT_EVIDENCE_QUOTE].len;
	uint8_t extra[KT_SHA256_BYTES];
	struct kt_error e;

	if (kt_attest_parse(data, len, KT_ATTEST_QUOTE, ret_quote, &e) < 0)
		return deny(m, "MalformedEvidence", "quote: %s", e.msg);
	if (m->evidence.blocks[KT_EVIDENCE_SIGNATURE].len != KT_AUDIT_POINT_BYTES ||
		!kt_attest_part_is(
			&ret_quote->signer, m->ak.qualified_name, sizeof(m->ak.qualified_name)) ||
		!kt_ak_signed(&m->ak, data, len, m->evidence.blocks[KT_EVIDENCE_SIGNATURE].data))
		return deny(
			m, "MalformedEvidence", "the quote is not signed by the attestation key");
	kt_evidence_qualify(&binding, extra);
	if (!kt_attest_part_is(&ret_quote->extra, extra, sizeof(extra)))
		return deny(
			m, "NotFresh", "the quote is for another request, or another challenge");
	return true;
}

/* Do the values in the evidence make up what was quoted? */
static bool read_values(
	struct matter *m, const struct kt_attest *quote, struct kt_pcr_set *ret_values)
{
	auto_json struct json_object *json = NULL;
	uint8_t selected[SELECTION_MAX_BYTES];
	TPML_PCR_SELECTION selection;
	TPM2B_DIGEST digest;
	struct kt_error e;
	size_t len = 0;

	if (kt_json_parse((const char *)m->evidence.blocks[KT_EVIDENCE_PCRS].data,
		    m->evidence.blocks[KT_EVIDENCE_PCRS].len, &json, &e) < 0 ||
		kt_pcr_from_json(json, ret_values, &e) < 0 ||
		kt_pcr_digest(ret_values, TPM2_ALG_SHA256, &digest, &e) < 0)
		return deny(m, "MalformedEvidence", "PCR values: %s", e.msg);
	kt_pcr_to_tpml(ret_values, &selection);
	if (Tss2_MU_TPML_PCR_SELECTION_Marshal(&selection, selected, sizeof(selected), &len) !=
			TSS2_RC_SUCCESS ||
		!kt_attest_part_is(&quote->selection, selected, len) ||
		!kt_attest_part_is(&quote->digest, digest.buffer, digest.size))
		return deny(m, "MalformedEvidence", "the PCR values are not those of the quote");
	return true;
}

/* In any of the machine's states; else says what is nearest to the first. */
static bool check_state(
	struct matter *m, const struct inventory *inventory, const struct kt_pcr_set *values)
{
	char difference[1024];

	for (size_t i = 0; i < m->machine->set_count; i++)
		if (kt_pcr_describe_difference(&inventory->sets[m->machine->sets[i]].values, values,
			    difference, sizeof(difference)) == 0)
			return true;
	kt_pcr_describe_difference(&inventory->sets[m->machine->sets[0]].values, values, difference,
		sizeof(difference));
	return deny(m, "PCRMismatch",
		"the machine is in none of its %zu states; of '%s' differ: %s",
		m->machine->set_count, inventory->sets[m->machine->sets[0]].name, difference);
}

static void approve(struct matter *m)
{
	m->verdict->kind = VERDICT_APPROVE;
	m->verdict->reason = "TPMAttested";
	snprintf(m->verdict->message, sizeof(m->verdict->message),
		"node %s, endorsement key %s, boot state as in the inventory", m->subject.node,
		m->verdict->ek);
}

static void review_client(
	struct matter *m, struct matter *c, const struct inventory *inventory, int64_t now)
{
	struct kt_pcr_set values;
	struct kt_attest quote;

	if (!read_identity(m, KT_EVIDENCE_PCRS) || !check_usages(m) ||
		!check_machine(m, inventory) || !check_lifetime(m))
		return;
	if (c->csr == NULL) {
		m->verdict->kind = VERDICT_IGNORE;
		m->verdict->reason = "PossessionNotChecked";
		snprintf(m->verdict->message, sizeof(m->verdict->message),
			"possession not checked: the challenge is not at hand");
		return;
	}
	if (check_pair(m, c, now) && check_secret(m, c->csr) && check_quote(m, c->csr, &quote) &&
		read_values(m, &quote, &values) && check_state(m, inventory, &values))
		approve(m);
}

static int review_challenge(struct matter *m, const struct inventory *inventory, struct kt_error *e)
{
	TPM2B_NAME name = {.size = KT_AUDIT_NAME_BYTES};

	if (!read_identity(m, KT_EVIDENCE_AK) || !check_machine(m, inventory))
		return 0;
	memcpy(name.name, m->ak.name, KT_AUDIT_NAME_BYTES);
	if (kt_challenge_make(&m->ek, &name, m->csr->uid, m->verdict->message,
		    sizeof(m->verdict->message), e) < 0)
		return -1;
	m->verdict->kind = VERDICT_APPROVE;
	m->verdict->reason = "TPMChallenge";
	m->verdict->possession = "asked";
	return 0;
}

static int review_matter(struct matter *m, struct matter *c, const struct inventory *inventory,
	int64_t now, struct kt_error *e)
{
	const struct kt_csr_object *csr = m->csr;

	if (csr->approved != NULL || csr->denied != NULL) {
		m->verdict->reason = "Decided";
		return 0;
	}
	if (strcmp(csr->signer, SIGNER_CHALLENGE) == 0)
		return review_challenge(m, inventory, e);
	if (strcmp(csr->signer, SIGNER_CLIENT) == 0 &&
		strncmp(csr->name, CLIENT_NAME_PREFIX, strlen(CLIENT_NAME_PREFIX)) == 0)
		review_client(m, c, inventory, now);
	return 0;
}

int review(const struct kt_csr_object *csr, const struct kt_csr_object *challenge,
	const struct inventory *inventory, int64_t now, struct verdict *ret_verdict,
	struct kt_error *e)
{
	struct verdict ignored;
	struct matter m = {.csr = csr, .verdict = ret_verdict};
	struct matter c = {.csr = challenge, .verdict = &ignored};
	int status;

	*ret_verdict = (struct verdict){
		.kind = VERDICT_IGNORE, .reason = "NotOurs", .possession = "not checked"};
	status = review_matter(&m, &c, inventory, now, e);
	kt_evidence_clear(&m.evidence);
	kt_evidence_clear(&c.evidence);
	kt_ak_clear(&m.ak);
	kt_ak_clear(&c.ak);
	return status;
}
