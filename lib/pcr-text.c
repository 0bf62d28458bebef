/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR sets as people type and read them: sha256:0,2,7=HEX+sha384:4. Only the spelling that
 * kt_pcr_format() writes is accepted (no blanks, no leading zeros, lower-case bank names), because
 * a selection that was read differently from how it was meant protects nothing.
 */
#include "lib/pcr.h"

#include <stdio.h>
#include <string.h>

#include "lib/hex.h"

#define VALUE_DIGITS_MAX (2 * TPM2_SHA512_DIGEST_SIZE)

/* One or two decimal digits, canonical; range is kt_pcr_add()'s business. */
static int parse_index(const char *text, size_t len, unsigned *ret_index, struct kt_error *e)
{
	unsigned index = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || len > 2 || (text[0] == '0' && len > 1))
			return kt_fail(e, KT_E_USAGE, "not a PCR index: %.*s",
				len < 20 ? (int)len : 20, text);
		index = index * 10 + (unsigned)(text[i] - '0');
	}
	if (len == 0)
		return kt_fail(e, KT_E_USAGE, "a PCR index is missing");
	*ret_index = index;
	return 0;
}

/* HEX of the bank's size, `len` characters of `text`. */
static int parse_value(const char *text, size_t len, TPMI_ALG_HASH alg, unsigned index,
	uint8_t ret_value[TPM2_SHA512_DIGEST_SIZE], struct kt_error *e)
{
	size_t size = kt_pcr_bank_size(alg);
	char digits[VALUE_DIGITS_MAX + 1];

	if (len != 2 * size)
		return kt_fail(e, KT_E_USAGE,
			"value of PCR %u has %zu hex digits where bank %s wants %zu", index, len,
			kt_pcr_bank_name(alg), 2 * size);
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (kt_hex_decode(digits, ret_value, size, e) < 0)
		return kt_fail(e, KT_E_USAGE, "value of PCR %u is not hexadecimal", index);
	return 0;
}

/* INDEX or INDEX=HEX, `len` characters of `text`. */
static int parse_pcr(
	const char *text, size_t len, TPMI_ALG_HASH alg, struct kt_pcr_set *set, struct kt_error *e)
{
	const char *equals = memchr(text, '=', len);
	size_t index_len = equals != NULL ? (size_t)(equals - text) : len;
	uint8_t value[TPM2_SHA512_DIGEST_SIZE];
	unsigned index;

	if (parse_index(text, index_len, &index, e) < 0)
		return -1;
	for (size_t i = 0; i < set->count; i++)
		if (set->banks[i].alg == alg && index < KT_PCR_COUNT &&
			(set->banks[i].selected >> index & 1) != 0)
			return kt_fail(e, KT_E_USAGE, "PCR %u (%s) is named twice", index,
				kt_pcr_bank_name(alg));
	if (equals != NULL &&
		parse_value(equals + 1, len - index_len - 1, alg, index, value, e) < 0)
		return -1;
	return kt_pcr_add(set, alg, index, equals != NULL ? value : NULL, e);
}

/* BANK:PCR,PCR… up to `end`. */
static int parse_bank(const char *text, const char *end, struct kt_pcr_set *set, struct kt_error *e)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));
	TPMI_ALG_HASH alg = TPM2_ALG_NULL;
	char name[8] = "";

	if (colon == NULL)
		return kt_fail(e, KT_E_USAGE,
			"PCRs are written as BANK:INDEX,INDEX, for example sha256:0,2,7");
	if ((size_t)(colon - text) < sizeof(name)) {
		memcpy(name, text, (size_t)(colon - text));
		alg = kt_pcr_bank_alg(name);
	}
	if (alg == TPM2_ALG_NULL)
		return kt_fail(e, KT_E_USAGE,
			"unknown PCR bank \"%.*s\": choose from sha1, sha256, sha384, sha512",
			colon - text < 20 ? (int)(colon - text) : 20, text);
	for (size_t i = 0; i < set->count; i++)
		if (set->banks[i].alg == alg)
			return kt_fail(e, KT_E_USAGE, "PCR bank %s is named twice", name);
	for (text = colon + 1;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma != NULL ? comma : end;

		if (parse_pcr(text, (size_t)(stop - text), alg, set, e) < 0)
			return -1;
		if (comma == NULL)
			return 0;
		text = comma + 1;
	}
}

int kt_pcr_parse(const char *text, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	struct kt_pcr_set set = {0};

	for (;;) {
		const char *end = text + strcspn(text, "+");

		if (parse_bank(text, end, &set, e) < 0)
			return -1;
		if (*end == '\0')
			break;
		text = end + 1;
	}
	*ret_set = set;
	return 0;
}

/* Appends at *used, whole or not at all; false if it does not fit. */
static bool append(char *text, size_t size, size_t *used, const char *piece)
{
	size_t len = strlen(piece);

	if (len >= size - *used)
		return false;
	memcpy(text + *used, piece, len + 1);
	*used += len;
	return true;
}

/* The longest text, four banks of 24 indices each, takes 274 of the KT_PCR_TEXT_MAX bytes. */
void kt_pcr_format(const struct kt_pcr_set *set, char ret_text[KT_PCR_TEXT_MAX])
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < set->count; i++) {
		const char *separator = ":";
		char piece[8];

		if (i > 0)
			append(ret_text, KT_PCR_TEXT_MAX, &used, "+");
		append(ret_text, KT_PCR_TEXT_MAX, &used, kt_pcr_bank_name(set->banks[i].alg));
		for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
			if ((set->banks[i].selected >> n & 1) == 0)
				continue;
			snprintf(piece, sizeof(piece), "%s%u", separator, n);
			append(ret_text, KT_PCR_TEXT_MAX, &used, piece);
			separator = ",";
		}
	}
}

/* One line of kt_pcr_describe_difference(). */
static void describe(TPMI_ALG_HASH alg, unsigned index, const uint8_t *expected,
	const uint8_t *present, char *ret_line, size_t line_size)
{
	char expected_hex[VALUE_DIGITS_MAX + 1], present_hex[VALUE_DIGITS_MAX + 1] = "unknown";
	size_t size = kt_pcr_bank_size(alg);

	kt_hex_encode(expected, size, expected_hex);
	if (present != NULL)
		kt_hex_encode(present, size, present_hex);
	snprintf(ret_line, line_size, "PCR %u (%s): expected %s, present %s", index,
		kt_pcr_bank_name(alg), expected_hex, present_hex);
}

size_t kt_pcr_describe_difference(const struct kt_pcr_set *expected,
	const struct kt_pcr_set *present, char *ret_text, size_t text_size)
{
	size_t used = 0, differing = 0;
	bool room = text_size > 0;

	if (room)
		ret_text[0] = '\0';
	for (size_t i = 0; i < expected->count; i++) {
		const struct kt_pcr_bank *bank = &expected->banks[i];
		size_t size = kt_pcr_bank_size(bank->alg);

		for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
			const uint8_t *value = kt_pcr_value(present, bank->alg, n);
			char line[2 * VALUE_DIGITS_MAX + 64] = "\n";
			size_t skip = differing == 0 ? 1 : 0;

			if ((bank->known >> n & 1) == 0 ||
				(value != NULL && memcmp(value, bank->value[n], size) == 0))
				continue;
			describe(bank->alg, n, bank->value[n], value, line + 1, sizeof(line) - 1);
			room = room && append(ret_text, text_size, &used, line + skip);
			differing++;
		}
	}
	return differing;
}
