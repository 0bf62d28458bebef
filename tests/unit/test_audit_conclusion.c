/* SPDX-License-Identifier: Apache-2.0 */
/* A log that a software TPM vouches for (tests/data/audit), as it is and changed: judged as a
 * whole, and cut at each checkpoint. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/io.h"
#include "tests/fuzz/audit-log.h"

#define LOG "tests/data/audit/honest.log"
#define AK "tests/data/audit/ak.pub"

static struct kt_ak ak;
static struct kt_demands demands;
static char *text;
static size_t text_len;

static void set_up(void)
{
	uint8_t *data;
	struct kt_error e;
	size_t len;

	cr_assert_eq(kt_read_file(AK, 4096, &data, &len, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_ak_read(data, len, &ak, &e), 0);
	free(data);
	cr_assert_eq(kt_read_file(LOG, 1 << 20, &data, &text_len, &e), 0);
	text = (char *)data;
	demands = (struct kt_demands){.ak = &ak, .tier = KT_AUDIT_TIER_A};
}

static void tear_down(void)
{
	kt_ak_clear(&ak);
	free(text);
}

TestSuite(audit_conclusion, .init = set_up, .fini = tear_down);

/* Concludes on `len` bytes in both ways, and compares; the caller clears *conclusion. */
static void conclude(const char *log, size_t len, struct kt_conclusion *conclusion)
{
	struct kt_conclusion cut;
	struct kt_error e;

	cr_assert_eq(kt_conclusion_init(conclusion, &demands, &e), 0);
	cr_assert_eq(kt_conclusion_init(&cut, &demands, &e), 0);
	cr_assert_eq(conclude_text(&demands, log, len, 100, KT_CUTTER_UNIT_BYTES, conclusion), 0);
	cr_assert_eq(conclude_text(&demands, log, len, 1, 1, &cut), 0);
	cr_expect_eq(kt_conclusion_code(&cut), kt_conclusion_code(conclusion));
	cr_expect_eq(cut.found_count, conclusion->found_count);
	cr_expect_eq(cut.entries, conclusion->entries);
	for (size_t i = 0; i < cut.found_count && i < conclusion->found_count; i++) {
		cr_expect_eq(cut.found[i].finding, conclusion->found[i].finding);
		cr_expect_eq(cut.found[i].place.line, conclusion->found[i].place.line);
	}
	kt_conclusion_clear(&cut);
}

static enum kt_code code_of(const char *log, size_t len)
{
	struct kt_conclusion conclusion;
	enum kt_code code;

	conclude(log, len, &conclusion);
	code = kt_conclusion_code(&conclusion);
	kt_conclusion_clear(&conclusion);
	return code;
}

Test(audit_conclusion, the_log_is_complete)
{
	struct kt_conclusion c;

	conclude(text, text_len, &c);
	cr_expect_eq(kt_conclusion_code(&c), KT_E_NONE);
	cr_expect_eq(c.entries, 8);
	cr_expect_eq(c.totals.encryptions, 1);
	cr_expect_eq(c.totals.decryptions, 4);
	cr_expect_eq(c.totals.redone, 1);
	cr_expect_eq(c.totals.certificates, 2);
	cr_expect_str_eq(c.nonce, "c0ffee");
	kt_conclusion_clear(&c);
}

/* One bit is another everywhere: nothing in the log can be changed unseen. */
static void no_bit_can_be_changed(void)
{
	for (size_t i = 0; i < text_len; i++) {
		struct kt_conclusion c;
		struct kt_error e;

		text[i] ^= 1;
		cr_assert_eq(kt_conclusion_init(&c, &demands, &e), 0);
		cr_assert_eq(
			conclude_text(&demands, text, text_len, 4096, KT_CUTTER_UNIT_BYTES, &c), 0);
		cr_expect_neq(kt_conclusion_code(&c), KT_E_NONE, "byte %zu", i);
		kt_conclusion_clear(&c);
		text[i] ^= 1;
	}
}

Test(audit_conclusion, nothing_can_be_changed)
{
	no_bit_can_be_changed();
}

Test(audit_conclusion, it_is_complete_only_where_a_checkpoint_ends_it)
{
	for (size_t len = 0; len < text_len; len++) {
		const char *end = text + len, *line = end;

		while (line > text && (line == end || line[-1] != '\n'))
			line--;
		if (code_of(text, len) == KT_E_NONE)
			cr_expect(
				len > 0 && end[-1] == '\n' && memcmp(line, "{\"t\":\"C\"", 8) == 0,
				"%zu bytes", len);
	}
}

Test(audit_conclusion, a_nonce_is_compared)
{
	demands.nonce = "c0ffee";
	cr_expect_eq(code_of(text, text_len), KT_E_NONE);
	demands.nonce = "c0ffef";
	cr_expect_eq(code_of(text, text_len), KT_E_REVOKED);
}

Test(audit_conclusion, another_attestation_key_is_another_tpm)
{
	/* The base point of P-256 (FIPS 186-4, D.1.2.3). */
	static const uint8_t point[KT_AUDIT_POINT_BYTES] = {0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c,
		0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81,
		0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3,
		0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
		0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
		0x51, 0xf5};
	struct kt_error e;

	kt_ak_clear(&ak);
	cr_assert_eq(kt_ak_from_point(point, &ak, &e), 0);
	cr_expect_eq(code_of(text, text_len), KT_E_WRONG_TPM);
}

Test(audit_conclusion, what_was_accepted_must_be_there)
{
	struct kt_conclusion c;

	conclude(text, text_len, &c);
	demands.accepted = (struct kt_accepted){.is_known = true, .entries = c.entries};
	memcpy(demands.accepted.ak_name, ak.name, sizeof(ak.name));
	memcpy(demands.accepted.head, c.head, sizeof(c.head));
	kt_conclusion_clear(&c);
	cr_expect_eq(code_of(text, text_len), KT_E_NONE);
	demands.accepted.head[0] ^= 1;
	cr_expect_eq(code_of(text, text_len), KT_E_REVOKED);
	demands.accepted.entries++;
	cr_expect_eq(code_of(text, text_len), KT_E_REVOKED);
}

/* A log from here on, as if there were files before: the head is changed, and nothing else. */
static void begin_later(char *log, size_t size)
{
	const char *rest = strchr(text, '\n');

	snprintf(log, size, "%s", text);
	memcpy(strstr(log, "\"seq\":0"), "\"seq\":7", strlen("\"seq\":7"));
	cr_assert_neq(rest, NULL);
}

Test(audit_conclusion, only_the_first_file_may_turn_the_audit_on)
{
	static char log[65536];

	begin_later(log, sizeof(log));
	cr_expect_eq(code_of(log, text_len), KT_E_INPUT);
}

Test(audit_conclusion, the_audit_may_not_be_turned_off_even_if_it_is_written_down)
{
	static const char on[] = "\"raw\":\"001000000002000001550000015d00000000\"";
	static const char off[] = "\"raw\":\"001000000000000000020000015500000155\"";

	memcpy(strstr(text, on), off, sizeof(off) - 1);
	cr_expect_eq(code_of(text, text_len), KT_E_INPUT);
}

Test(audit_conclusion, a_later_file_may_not_claim_other_counts_than_were_accepted)
{
	demands.accepted = (struct kt_accepted){.is_known = true};
	memcpy(demands.accepted.ak_name, ak.name, sizeof(ak.name));
	/* The head before the first line is zeros; what the TPM had counted then is in that line.
	 */
	cr_expect_neq(code_of(text, text_len), KT_E_NONE);
}

/* Over a reset too: whoever clears the TPM can rebuild the counts. */
Test(audit_conclusion, the_clock_does_not_go_back)
{
	const char *counts = strstr(text, "\"reset\":"), *rest = strstr(text, ",\"max\":");
	struct kt_conclusion c;
	char log[65536];

	snprintf(log, sizeof(log), "%.*s\"reset\":0,\"restart\":0,\"clock\":999999999%s",
		(int)(counts - text), text, rest);
	conclude(log, strlen(log), &c);
	cr_expect(c.has_finding[KT_AUDIT_F_CLOCK]);
	kt_conclusion_clear(&c);
}

Test(audit_conclusion, a_pinned_key_must_be_there)
{
	struct kt_conclusion c;

	conclude(text, text_len, &c);
	demands.pin_count = 1;
	memcpy(demands.pins[0], c.keys->keys[1].name, KT_AUDIT_NAME_BYTES);
	kt_conclusion_clear(&c);
	cr_expect_eq(code_of(text, text_len), KT_E_NONE);
	demands.pins[0][5] ^= 1;
	cr_expect_eq(code_of(text, text_len), KT_E_EVIDENCE);
}

Test(audit_conclusion, a_flood_without_a_checkpoint_is_refused)
{
	const size_t len = KT_CUTTER_UNIT_MAX + (1 << 20);
	struct kt_conclusion c;
	struct kt_error e;
	char *flood = malloc(len);

	cr_assert_neq(flood, NULL);
	memset(flood, 'x', len);
	cr_assert_eq(kt_conclusion_init(&c, &demands, &e), 0);
	cr_expect_eq(conclude_text(&demands, flood, len, 65536, KT_CUTTER_UNIT_BYTES, &c), -1);
	kt_conclusion_clear(&c);
	free(flood);
}

/* A log of tier B that a software TPM vouches for: an Encrypt, two Decrypts, two certificates, a
 * restart. */
static void use_counted_log(void)
{
	uint8_t *data;
	struct kt_error e;
	size_t len;

	kt_ak_clear(&ak);
	free(text);
	cr_assert_eq(kt_read_file("tests/data/audit/counted.pub", 4096, &data, &len, &e), 0);
	cr_assert_eq(kt_ak_read(data, len, &ak, &e), 0);
	free(data);
	cr_assert_eq(
		kt_read_file("tests/data/audit/counted.log", 1 << 20, &data, &text_len, &e), 0);
	text = (char *)data;
	demands.tier = KT_AUDIT_TIER_B;
}

Test(audit_conclusion, uses_that_were_counted_are_complete_if_that_was_asked_for)
{
	struct kt_conclusion conclusion;

	use_counted_log();
	conclude(text, text_len, &conclusion);
	cr_expect_eq(kt_conclusion_code(&conclusion), KT_E_NONE);
	cr_expect_eq(conclusion.totals.decryptions, 2);
	cr_expect_eq(conclusion.totals.certificates, 2);
	kt_conclusion_clear(&conclusion);
	demands.tier = KT_AUDIT_TIER_A;
	conclude(text, text_len, &conclusion);
	cr_expect_eq(kt_conclusion_code(&conclusion), KT_E_EVIDENCE);
	cr_expect(conclusion.has_finding[KT_AUDIT_F_TIER]);
	kt_conclusion_clear(&conclusion);
}

Test(audit_conclusion, no_bit_of_a_counted_log_can_be_changed)
{
	use_counted_log();
	no_bit_can_be_changed();
}
