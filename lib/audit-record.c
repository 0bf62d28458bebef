/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading is a cursor that takes what must stand there, or fails. It is on the path of every entry,
 * millions of them in audit-verify. The same words in the same order are in audit-record-write.c.
 */
#include "lib/audit-record.h"

#include <string.h>

/* What is left of the line; `failed` at the first thing that is not what must be there. */
struct cursor {
	const char *next, *end;
	bool failed;
};

/* Digits in lower case, with IS_HEX set; 0 for other characters. A table, because most of what is
 * read is digits. */
#define IS_HEX 0x10
static const uint8_t hex_values[256] = {
	['0'] = IS_HEX | 0,
	['1'] = IS_HEX | 1,
	['2'] = IS_HEX | 2,
	['3'] = IS_HEX | 3,
	['4'] = IS_HEX | 4,
	['5'] = IS_HEX | 5,
	['6'] = IS_HEX | 6,
	['7'] = IS_HEX | 7,
	['8'] = IS_HEX | 8,
	['9'] = IS_HEX | 9,
	['a'] = IS_HEX | 10,
	['b'] = IS_HEX | 11,
	['c'] = IS_HEX | 12,
	['d'] = IS_HEX | 13,
	['e'] = IS_HEX | 14,
	['f'] = IS_HEX | 15,
};

static uint8_t digit(char c)
{
	return hex_values[(uint8_t)c];
}

static void take(struct cursor *c, const char *literal, size_t len)
{
	if (c->failed || (size_t)(c->end - c->next) < len || memcmp(c->next, literal, len) != 0)
		c->failed = true;
	else
		c->next += len;
}
#define TAKE(c, literal) take(c, literal, sizeof(literal) - 1)

static uint64_t take_number(struct cursor *c)
{
	const char *start = c->next;
	uint64_t value = 0;

	while (!c->failed && c->next < c->end && *c->next >= '0' && *c->next <= '9') {
		unsigned d = (unsigned)(*c->next++ - '0');

		if (value > ((uint64_t)INT64_MAX - d) / 10)
			c->failed = true;
		value = value * 10 + d;
	}
	if (c->next == start || (*start == '0' && c->next - start > 1))
		c->failed = true;
	return value;
}

static void take_bytes(struct cursor *c, uint8_t *ret_data, size_t len)
{
	uint8_t good = IS_HEX;

	if (c->failed || (size_t)(c->end - c->next) < 2 * len) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		uint8_t high = digit(c->next[2 * i]), low = digit(c->next[2 * i + 1]);

		good &= high & low;
		ret_data[i] = (uint8_t)(high << 4 | (low & 0xf));
	}
	c->failed = good == 0;
	c->next += 2 * len;
}

static void take_hex(struct cursor *c, struct kt_audit_text *ret_hex)
{
	const char *start = c->next;

	while (!c->failed && c->next < c->end && digit(*c->next) != 0)
		c->next++;
	*ret_hex = (struct kt_audit_text){start, (size_t)(c->next - start)};
	if (ret_hex->len % 2 != 0)
		c->failed = true;
}

static bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '%';
}

static int upper_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "%XX" stands for, or -1: also if it needs no escape. */
static int escaped(const char *text, size_t left)
{
	int high, low;

	if (left < 3 || text[0] != '%')
		return -1;
	high = upper_digit(text[1]);
	low = upper_digit(text[2]);
	if (high < 0 || low < 0 || is_plain((char)(high << 4 | low)))
		return -1;
	return high << 4 | low;
}

static void take_text(struct cursor *c, struct kt_audit_text *ret_text)
{
	const char *start = c->next;

	while (!c->failed && c->next < c->end && *c->next != '"') {
		if (is_plain(*c->next))
			c->next++;
		else if (escaped(c->next, (size_t)(c->end - c->next)) >= 0)
			c->next += 3;
		else
			c->failed = true;
	}
	*ret_text = (struct kt_audit_text){start, (size_t)(c->next - start)};
}

const char *kt_audit_tier_name(enum kt_audit_tier tier)
{
	switch (tier) {
	case KT_AUDIT_TIER_A:
		return "a";
	case KT_AUDIT_TIER_B:
		return "b";
	case KT_AUDIT_TIER_C:
		return "c";
	}
	return "none";
}

static void read_tier(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"tier\":\"");
	if (c->failed || c->next == c->end || *c->next < KT_AUDIT_TIER_A ||
		*c->next > KT_AUDIT_TIER_C)
		c->failed = true;
	else
		r->file.tier = (enum kt_audit_tier) * c->next++;
}

static void read_file(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"v\":1,\"seq\":");
	r->file.seq = take_number(c);
	TAKE(c, ",\"prev\":\"");
	take_bytes(c, r->file.prev, sizeof(r->file.prev));
	TAKE(c, "\",\"n\":");
	r->n = take_number(c);
	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	read_tier(c, r);
	TAKE(c, "\",\"ak\":\"");
	take_bytes(c, r->file.ak, sizeof(r->file.ak));
	TAKE(c, "\",\"counter\":");
	r->file.last.counter = take_number(c);
	TAKE(c, ",\"reset\":");
	r->file.last.reset = take_number(c);
	TAKE(c, ",\"restart\":");
	r->file.last.restart = take_number(c);
	TAKE(c, ",\"clock\":");
	r->file.last.clock = take_number(c);
	TAKE(c, ",\"max\":");
	r->file.max = take_number(c);
	TAKE(c, ",\"age\":");
	r->file.age = take_number(c);
	TAKE(c, "}");
}

static void read_set(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"raw\":\"");
	take_hex(c, &r->set.raw);
	TAKE(c, "\"}");
}

static void read_steps(struct cursor *c, struct kt_audit_record *r)
{
	uint8_t code[4];
	size_t n = 0;

	do {
		if (n == KT_AUDIT_STEPS_MAX) {
			c->failed = true;
			return;
		}
		if (n > 0)
			TAKE(c, ",");
		TAKE(c, "[\"");
		take_bytes(c, code, sizeof(code));
		TAKE(c, "\",\"");
		take_hex(c, &r->key.steps[n].argument);
		TAKE(c, "\"]");
		r->key.steps[n++].code = (uint32_t)code[0] << 24 | (uint32_t)code[1] << 16 |
					 (uint32_t)code[2] << 8 | code[3];
	} while (!c->failed && c->next < c->end && *c->next == ',');
	r->key.step_count = n;
}

static void read_key_type(struct cursor *c, struct kt_audit_record *r)
{
	struct cursor hmac = *c;

	TAKE(&hmac, "hmac");
	r->key.type = hmac.failed ? KT_AUDIT_P256 : KT_AUDIT_HMAC;
	if (hmac.failed)
		TAKE(c, "p256");
	else
		*c = hmac;
}

static void read_key(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"k\":");
	r->key.number = take_number(c);
	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	TAKE(c, ",\"type\":\"");
	read_key_type(c, r);
	TAKE(c, "\",\"pub\":\"");
	take_hex(c, &r->key.public);
	TAKE(c, "\",\"policy\":[");
	read_steps(c, r);
	TAKE(c, "],\"att\":\"");
	take_hex(c, &r->key.attest);
	TAKE(c, "\",\"sig\":\"");
	take_bytes(c, r->key.signature, sizeof(r->key.signature));
	TAKE(c, "\",\"cluster\":\"");
	take_text(c, &r->key.cluster);
	TAKE(c, "\",\"key_id\":\"");
	take_text(c, &r->key.key_id);
	TAKE(c, "\"}");
	if (r->key.number >= KT_AUDIT_KEYS_MAX ||
		(r->key.type == KT_AUDIT_P256 && r->key.cluster.len + r->key.key_id.len > 0))
		c->failed = true;
}

static void read_boot(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	TAKE(c, ",\"reset\":");
	r->boot.reset = take_number(c);
	TAKE(c, ",\"restart\":");
	r->boot.restart = take_number(c);
	TAKE(c, "}");
}

/* uid and id, of E and D. */
static void read_record(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"uid\":\"");
	take_text(c, &r->intent.uid);
	TAKE(c, "\",\"id\":\"");
	take_bytes(c, r->intent.id, sizeof(r->intent.id));
	if (r->intent.op == KT_AUDIT_ENCRYPT) {
		TAKE(c, "\",\"rnd\":\"");
		take_bytes(c, r->intent.random, sizeof(r->intent.random));
	}
	if (r->intent.uid.len > (size_t)3 * KT_AUDIT_UID_MAX)
		c->failed = true;
}

static void read_intent(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"n\":");
	r->n = take_number(c);
	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	TAKE(c, ",\"op\":\"");
	if (c->failed || c->next == c->end) {
		c->failed = true;
		return;
	}
	r->intent.op = (enum kt_audit_op) * c->next++;
	TAKE(c, "\"");
	if (r->intent.op == KT_AUDIT_REDO || r->intent.op == KT_AUDIT_ATTEST) {
		TAKE(c, "}");
		return;
	}
	TAKE(c, ",\"k\":");
	r->intent.key = take_number(c);
	switch (r->intent.op) {
	case KT_AUDIT_ENCRYPT:
	case KT_AUDIT_DECRYPT:
		read_record(c, r);
		break;
	case KT_AUDIT_SIGN:
		TAKE(c, ",\"tbs\":\"");
		take_hex(c, &r->intent.tbs);
		break;
	default:
		c->failed = true;
	}
	TAKE(c, "\"}");
}

static void read_result(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"n\":");
	r->n = take_number(c);
	TAKE(c, ",\"");
	r->result.is_signature = !c->failed && c->next < c->end && *c->next == 's';
	if (r->result.is_signature) {
		TAKE(c, "sig\":\"");
		take_bytes(c, r->result.signature, sizeof(r->result.signature));
	} else {
		TAKE(c, "rp\":\"");
		take_bytes(c, r->result.rp_hash, sizeof(r->result.rp_hash));
	}
	TAKE(c, "\"}");
}

static const char *const why_names[] = {
	[KT_AUDIT_NOT_EXECUTED] = "not-executed",
	[KT_AUDIT_LOST] = "lost",
	[KT_AUDIT_TAKEN] = "taken",
};

const char *kt_audit_why_name(enum kt_audit_why why)
{
	return why_names[why];
}

static void read_gap(struct cursor *c, struct kt_audit_record *r)
{
	struct kt_audit_text why;

	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	TAKE(c, ",\"why\":\"");
	take_text(c, &why);
	TAKE(c, "\",\"count\":");
	r->gap.count = take_number(c);
	TAKE(c, "}");
	for (size_t i = 0; i < sizeof(why_names) / sizeof(why_names[0]); i++)
		if (strlen(why_names[i]) == why.len &&
			memcmp(why_names[i], why.text, why.len) == 0) {
			r->gap.why = (enum kt_audit_why)i;
			return;
		}
	c->failed = true;
}

static void read_checkpoint(struct cursor *c, struct kt_audit_record *r)
{
	TAKE(c, ",\"n\":");
	r->n = take_number(c);
	TAKE(c, ",\"ts\":");
	r->ts = take_number(c);
	TAKE(c, ",\"nonce\":\"");
	take_text(c, &r->checkpoint.nonce);
	TAKE(c, "\",\"head\":\"");
	take_bytes(c, r->checkpoint.head, sizeof(r->checkpoint.head));
	TAKE(c, "\",\"");
	r->checkpoint.has_uses = !c->failed && c->next < c->end && *c->next == 'u';
	if (r->checkpoint.has_uses) {
		TAKE(c, "uses\":");
		r->checkpoint.uses = take_number(c);
		TAKE(c, ",\"");
	}
	TAKE(c, "att\":\"");
	take_hex(c, &r->checkpoint.attest);
	TAKE(c, "\",\"sig\":\"");
	take_bytes(c, r->checkpoint.signature, sizeof(r->checkpoint.signature));
	TAKE(c, "\"}");
}

static void read_members(struct cursor *c, struct kt_audit_record *r)
{
	switch (r->type) {
	case KT_AUDIT_FILE:
		read_file(c, r);
		return;
	case KT_AUDIT_SET:
		read_set(c, r);
		return;
	case KT_AUDIT_KEY:
		read_key(c, r);
		return;
	case KT_AUDIT_BOOT:
		read_boot(c, r);
		return;
	case KT_AUDIT_INTENT:
		read_intent(c, r);
		return;
	case KT_AUDIT_RESULT:
		read_result(c, r);
		return;
	case KT_AUDIT_GAP:
		read_gap(c, r);
		return;
	case KT_AUDIT_CHECKPOINT:
		read_checkpoint(c, r);
		return;
	}
	c->failed = true;
}

int kt_audit_record_parse(
	const char *line, size_t len, struct kt_audit_record *ret_record, struct kt_error *e)
{
	struct cursor c = {line, line + len, len >= KT_AUDIT_LINE_MAX};

	TAKE(&c, "{\"t\":\"");
	if (!c.failed && c.next < c.end) {
		ret_record->type = (enum kt_audit_type) * c.next++;
		TAKE(&c, "\"");
		read_members(&c, ret_record);
	} else {
		c.failed = true;
	}
	if (c.failed || c.next != c.end)
		return kt_fail(e, KT_E_INPUT,
			"not a line of an audit log, or not in the form that we write (about "
			"character %zu)",
			(size_t)(c.next - line) + 1);
	return 0;
}

int kt_audit_unhex(const struct kt_audit_text *hex, void *ret_data, size_t max, size_t *ret_len)
{
	struct cursor c = {hex->text, hex->text + hex->len, false};

	if (hex->len / 2 > max)
		return -1;
	take_bytes(&c, ret_data, hex->len / 2);
	*ret_len = hex->len / 2;
	return c.failed ? -1 : 0;
}

void kt_audit_escape(const void *data, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		if (is_plain((char)bytes[i])) {
			*ret_text++ = (char)bytes[i];
			continue;
		}
		*ret_text++ = '%';
		*ret_text++ = digits[bytes[i] >> 4];
		*ret_text++ = digits[bytes[i] & 15];
	}
	*ret_text = '\0';
}

size_t kt_audit_unescape(const struct kt_audit_text *text, char *ret_data)
{
	size_t len = 0;

	for (size_t i = 0; i < text->len; len++) {
		int byte = escaped(text->text + i, text->len - i);

		ret_data[len] = byte >= 0 ? (char)byte : text->text[i];
		i += byte >= 0 ? 3 : 1;
	}
	ret_data[len] = '\0';
	return len;
}
