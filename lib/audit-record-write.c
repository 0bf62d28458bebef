/* SPDX-License-Identifier: Apache-2.0 */
/* Writing lines of the audit log: what audit-record.c reads, word for word. */
#include <string.h>

#include "lib/audit-record.h"
#include "lib/hex.h"

/* A line under construction; more than fits is noticed at the end. */
struct line {
	char *text;
	size_t len;
};

static void put(struct line *l, const char *text, size_t len)
{
	if (l->len + len < KT_AUDIT_LINE_MAX)
		memcpy(l->text + l->len, text, len);
	l->len += len < KT_AUDIT_LINE_MAX ? len : KT_AUDIT_LINE_MAX;
}
#define PUT(l, literal) put(l, literal, sizeof(literal) - 1)

static void put_text(struct line *l, const struct kt_audit_text *text)
{
	put(l, text->text, text->len);
}

static void put_number(struct line *l, uint64_t value)
{
	char digits[24], *first = digits + sizeof(digits);

	do {
		*--first = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put(l, first, (size_t)(digits + sizeof(digits) - first));
}

static void put_bytes(struct line *l, const uint8_t *data, size_t len)
{
	char hex[2 * KT_AUDIT_POINT_BYTES + 1];

	kt_hex_encode(data, len, hex);
	put(l, hex, 2 * len);
}

static void write_file(struct line *l, const struct kt_audit_record *r)
{
	const char tier = (char)r->file.tier;

	PUT(l, ",\"v\":1,\"seq\":");
	put_number(l, r->file.seq);
	PUT(l, ",\"prev\":\"");
	put_bytes(l, r->file.prev, sizeof(r->file.prev));
	PUT(l, "\",\"n\":");
	put_number(l, r->n);
	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"tier\":\"");
	put(l, &tier, 1);
	PUT(l, "\",\"ak\":\"");
	put_bytes(l, r->file.ak, sizeof(r->file.ak));
	PUT(l, "\",\"counter\":");
	put_number(l, r->file.last.counter);
	PUT(l, ",\"reset\":");
	put_number(l, r->file.last.reset);
	PUT(l, ",\"restart\":");
	put_number(l, r->file.last.restart);
	PUT(l, ",\"clock\":");
	put_number(l, r->file.last.clock);
	PUT(l, ",\"max\":");
	put_number(l, r->file.max);
	PUT(l, ",\"age\":");
	put_number(l, r->file.age);
	PUT(l, "}");
}

static void write_set(struct line *l, const struct kt_audit_record *r)
{
	PUT(l, ",\"raw\":\"");
	put_text(l, &r->set.raw);
	PUT(l, "\"}");
}

static void write_steps(struct line *l, const struct kt_audit_record *r)
{
	for (size_t i = 0; i < r->key.step_count; i++) {
		uint32_t code = r->key.steps[i].code;
		const uint8_t octets[] = {(uint8_t)(code >> 24), (uint8_t)(code >> 16),
			(uint8_t)(code >> 8), (uint8_t)code};

		if (i > 0)
			PUT(l, ",");
		PUT(l, "[\"");
		put_bytes(l, octets, sizeof(octets));
		PUT(l, "\",\"");
		put_text(l, &r->key.steps[i].argument);
		PUT(l, "\"]");
	}
}

static void write_key(struct line *l, const struct kt_audit_record *r)
{
	PUT(l, ",\"k\":");
	put_number(l, r->key.number);
	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"type\":\"");
	put(l, r->key.type == KT_AUDIT_HMAC ? "hmac" : "p256", 4);
	PUT(l, "\",\"pub\":\"");
	put_text(l, &r->key.public);
	PUT(l, "\",\"policy\":[");
	write_steps(l, r);
	PUT(l, "],\"att\":\"");
	put_text(l, &r->key.attest);
	PUT(l, "\",\"sig\":\"");
	put_bytes(l, r->key.signature, sizeof(r->key.signature));
	PUT(l, "\",\"cluster\":\"");
	put_text(l, &r->key.cluster);
	PUT(l, "\",\"key_id\":\"");
	put_text(l, &r->key.key_id);
	PUT(l, "\"}");
}

static void write_boot(struct line *l, const struct kt_audit_record *r)
{
	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"reset\":");
	put_number(l, r->boot.reset);
	PUT(l, ",\"restart\":");
	put_number(l, r->boot.restart);
	PUT(l, "}");
}

static void write_intent(struct line *l, const struct kt_audit_record *r)
{
	const char op = (char)r->intent.op;

	PUT(l, ",\"n\":");
	put_number(l, r->n);
	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"op\":\"");
	put(l, &op, 1);
	if (r->intent.op == KT_AUDIT_REDO || r->intent.op == KT_AUDIT_ATTEST) {
		PUT(l, "\"}");
		return;
	}
	PUT(l, "\",\"k\":");
	put_number(l, r->intent.key);
	if (r->intent.op == KT_AUDIT_SIGN) {
		PUT(l, ",\"tbs\":\"");
		put_text(l, &r->intent.tbs);
		PUT(l, "\"}");
		return;
	}
	PUT(l, ",\"uid\":\"");
	put_text(l, &r->intent.uid);
	PUT(l, "\",\"id\":\"");
	put_bytes(l, r->intent.id, sizeof(r->intent.id));
	if (r->intent.op == KT_AUDIT_ENCRYPT) {
		PUT(l, "\",\"rnd\":\"");
		put_bytes(l, r->intent.random, sizeof(r->intent.random));
	}
	PUT(l, "\"}");
}

static void write_result(struct line *l, const struct kt_audit_record *r)
{
	PUT(l, ",\"n\":");
	put_number(l, r->n);
	if (r->result.is_signature) {
		PUT(l, ",\"sig\":\"");
		put_bytes(l, r->result.signature, sizeof(r->result.signature));
	} else {
		PUT(l, ",\"rp\":\"");
		put_bytes(l, r->result.rp_hash, sizeof(r->result.rp_hash));
	}
	PUT(l, "\"}");
}

static void write_gap(struct line *l, const struct kt_audit_record *r)
{
	const char *why = kt_audit_why_name(r->gap.why);

	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"why\":\"");
	put(l, why, strlen(why));
	PUT(l, "\",\"count\":");
	put_number(l, r->gap.count);
	PUT(l, "}");
}

static void write_checkpoint(struct line *l, const struct kt_audit_record *r)
{
	PUT(l, ",\"n\":");
	put_number(l, r->n);
	PUT(l, ",\"ts\":");
	put_number(l, r->ts);
	PUT(l, ",\"nonce\":\"");
	put_text(l, &r->checkpoint.nonce);
	PUT(l, "\",\"head\":\"");
	put_bytes(l, r->checkpoint.head, sizeof(r->checkpoint.head));
	PUT(l, "\",\"");
	if (r->checkpoint.has_uses) {
		PUT(l, "uses\":");
		put_number(l, r->checkpoint.uses);
		PUT(l, ",\"");
	}
	PUT(l, "att\":\"");
	put_text(l, &r->checkpoint.attest);
	PUT(l, "\",\"sig\":\"");
	put_bytes(l, r->checkpoint.signature, sizeof(r->checkpoint.signature));
	PUT(l, "\"}");
}

static void write_members(struct line *l, const struct kt_audit_record *r)
{
	switch (r->type) {
	case KT_AUDIT_FILE:
		write_file(l, r);
		return;
	case KT_AUDIT_SET:
		write_set(l, r);
		return;
	case KT_AUDIT_KEY:
		write_key(l, r);
		return;
	case KT_AUDIT_BOOT:
		write_boot(l, r);
		return;
	case KT_AUDIT_INTENT:
		write_intent(l, r);
		return;
	case KT_AUDIT_RESULT:
		write_result(l, r);
		return;
	case KT_AUDIT_GAP:
		write_gap(l, r);
		return;
	case KT_AUDIT_CHECKPOINT:
		write_checkpoint(l, r);
		return;
	}
}

int kt_audit_record_format(
	const struct kt_audit_record *record, char *ret_line, size_t *ret_len, struct kt_error *e)
{
	const char type = (char)record->type;
	struct line l = {ret_line, 0};

	PUT(&l, "{\"t\":\"");
	put(&l, &type, 1);
	PUT(&l, "\"");
	write_members(&l, record);
	if (l.len >= KT_AUDIT_LINE_MAX)
		return kt_fail(e, KT_E_INPUT,
			"a line of the audit log would have more than %d bytes", KT_AUDIT_LINE_MAX);
	*ret_len = l.len;
	return 0;
}
