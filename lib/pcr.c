/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR sets: membership, values, the TPM's form and digest. Banks are kept in the order of their
 * algorithm identifiers and PCRs in that of their indices, so that equal sets have equal TPM forms
 * and equal digests whatever order a person typed them in. Text and JSON are in pcr-text.c and
 * pcr-json.c, doubts in pcr-lint.c.
 */
#include "lib/pcr.h"

#include <string.h>

#include "lib/tpm-public.h"

/* TPMS_PCR_SELECTION (Part 2, 10.6.2): bit n of octet n/8; PC Client TPMs want three octets. */
#define SELECT_OCTETS (KT_PCR_COUNT / 8)

static const struct {
	TPMI_ALG_HASH alg;
	const char *name;
} bank_names[KT_PCR_BANKS_MAX] = {
	{TPM2_ALG_SHA1, "sha1"},
	{TPM2_ALG_SHA256, "sha256"},
	{TPM2_ALG_SHA384, "sha384"},
	{TPM2_ALG_SHA512, "sha512"},
};

const char *kt_pcr_bank_name(TPMI_ALG_HASH alg)
{
	for (size_t i = 0; i < KT_PCR_BANKS_MAX; i++)
		if (bank_names[i].alg == alg)
			return bank_names[i].name;
	return NULL;
}

size_t kt_pcr_bank_size(TPMI_ALG_HASH alg)
{
	return kt_pcr_bank_name(alg) != NULL ? kt_hash_size(alg) : 0;
}

TPMI_ALG_HASH kt_pcr_bank_alg(const char *name)
{
	for (size_t i = 0; i < KT_PCR_BANKS_MAX; i++)
		if (strcmp(bank_names[i].name, name) == 0)
			return bank_names[i].alg;
	return TPM2_ALG_NULL;
}

bool kt_pcr_is_empty(const struct kt_pcr_set *set)
{
	return set->count == 0;
}

bool kt_pcr_is_complete(const struct kt_pcr_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->banks[i].known != set->banks[i].selected)
			return false;
	return true;
}

static const struct kt_pcr_bank *find_bank(const struct kt_pcr_set *set, TPMI_ALG_HASH alg)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->banks[i].alg == alg)
			return &set->banks[i];
	return NULL;
}

/* The bank of `alg`, put where the order wants it if it is new. There is room: each of the
 * KT_PCR_BANKS_MAX known algorithms occurs once. */
static struct kt_pcr_bank *want_bank(struct kt_pcr_set *set, TPMI_ALG_HASH alg)
{
	size_t at = 0;

	while (at < set->count && set->banks[at].alg < alg)
		at++;
	if (at < set->count && set->banks[at].alg == alg)
		return &set->banks[at];
	memmove(&set->banks[at + 1], &set->banks[at], (set->count - at) * sizeof(set->banks[0]));
	memset(&set->banks[at], 0, sizeof(set->banks[at]));
	set->banks[at].alg = alg;
	set->count++;
	return &set->banks[at];
}

int kt_pcr_add(struct kt_pcr_set *set, TPMI_ALG_HASH alg, unsigned index, const uint8_t *value,
	struct kt_error *e)
{
	size_t size = kt_pcr_bank_size(alg);
	struct kt_pcr_bank *bank;

	if (size == 0)
		return kt_fail(e, KT_E_USAGE, "unknown PCR bank 0x%04x", alg);
	if (index >= KT_PCR_COUNT)
		return kt_fail(e, KT_E_USAGE, "there is no PCR %u: indices go from 0 to %u", index,
			KT_PCR_COUNT - 1);
	bank = want_bank(set, alg);
	bank->selected |= UINT32_C(1) << index;
	if (value != NULL) {
		bank->known |= UINT32_C(1) << index;
		memcpy(bank->value[index], value, size);
	}
	return 0;
}

int kt_pcr_add_all(struct kt_pcr_set *set, const struct kt_pcr_set *from, struct kt_error *e)
{
	for (size_t b = 0; b < from->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++)
			if ((from->banks[b].selected >> i & 1) != 0 &&
				kt_pcr_add(set, from->banks[b].alg, i, NULL, e) < 0)
				return -1;
	return 0;
}

const uint8_t *kt_pcr_value(const struct kt_pcr_set *set, TPMI_ALG_HASH alg, unsigned index)
{
	const struct kt_pcr_bank *bank = find_bank(set, alg);

	if (bank == NULL || index >= KT_PCR_COUNT || (bank->known >> index & 1) == 0)
		return NULL;
	return bank->value[index];
}

void kt_pcr_fill(struct kt_pcr_set *set, const struct kt_pcr_set *from)
{
	for (size_t i = 0; i < set->count; i++) {
		struct kt_pcr_bank *bank = &set->banks[i];
		const struct kt_pcr_bank *source = find_bank(from, bank->alg);
		uint32_t missing =
			source == NULL ? 0 : bank->selected & ~bank->known & source->known;

		for (unsigned n = 0; n < KT_PCR_COUNT; n++)
			if ((missing >> n & 1) != 0)
				memcpy(bank->value[n], source->value[n], sizeof(bank->value[n]));
		bank->known |= missing;
	}
}

void kt_pcr_to_tpml(const struct kt_pcr_set *set, TPML_PCR_SELECTION *ret_selection)
{
	memset(ret_selection, 0, sizeof(*ret_selection));
	ret_selection->count = (UINT32)set->count;
	for (size_t i = 0; i < set->count; i++) {
		TPMS_PCR_SELECTION *bank = &ret_selection->pcrSelections[i];

		bank->hash = set->banks[i].alg;
		bank->sizeofSelect = SELECT_OCTETS;
		for (size_t octet = 0; octet < SELECT_OCTETS; octet++)
			bank->pcrSelect[octet] = (BYTE)(set->banks[i].selected >> (8 * octet));
	}
}

/* Bits of one TPMS_PCR_SELECTION; octets beyond the third have to be zero. */
static int selected_bits(const TPMS_PCR_SELECTION *bank, uint32_t *ret_bits, struct kt_error *e)
{
	uint32_t bits = 0;

	if (bank->sizeofSelect > sizeof(bank->pcrSelect))
		return kt_fail(e, KT_E_INPUT, "PCR selection of %u octets", bank->sizeofSelect);
	for (unsigned octet = 0; octet < bank->sizeofSelect; octet++)
		bits |= (uint32_t)bank->pcrSelect[octet] << (8 * octet);
	if (bits >> KT_PCR_COUNT != 0)
		return kt_fail(
			e, KT_E_INPUT, "PCR selection has indices above %u", KT_PCR_COUNT - 1);
	*ret_bits = bits;
	return 0;
}

/* A TPM lists banks it has not allocated without any PCR: those are no banks here, known or not. */
int kt_pcr_from_tpml(
	const TPML_PCR_SELECTION *selection, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	struct kt_pcr_set set = {0};

	if (selection->count > TPM2_NUM_PCR_BANKS)
		return kt_fail(e, KT_E_INPUT, "PCR selection of %u banks", selection->count);
	for (UINT32 i = 0; i < selection->count; i++) {
		const TPMS_PCR_SELECTION *bank = &selection->pcrSelections[i];
		uint32_t bits;

		if (selected_bits(bank, &bits, e) < 0)
			return -1;
		if (bits == 0)
			continue;
		if (kt_pcr_bank_name(bank->hash) == NULL)
			return kt_fail(e, KT_E_INPUT, "unknown PCR bank 0x%04x", bank->hash);
		if (find_bank(&set, bank->hash) != NULL)
			return kt_fail(e, KT_E_INPUT, "PCR bank %s is selected twice",
				kt_pcr_bank_name(bank->hash));
		want_bank(&set, bank->hash)->selected = bits;
	}
	*ret_set = set;
	return 0;
}

int kt_pcr_digest(const struct kt_pcr_set *set, TPMI_ALG_HASH alg, TPM2B_DIGEST *ret_digest,
	struct kt_error *e)
{
	struct kt_span spans[KT_PCR_BANKS_MAX * KT_PCR_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct kt_pcr_bank *bank = &set->banks[i];
		size_t size = kt_pcr_bank_size(bank->alg);

		if (bank->known != bank->selected)
			return kt_fail(e, KT_E_INTERNAL, "PCR values of bank %s are missing",
				kt_pcr_bank_name(bank->alg));
		for (unsigned n = 0; n < KT_PCR_COUNT; n++)
			if ((bank->selected >> n & 1) != 0)
				spans[count++] = (struct kt_span){bank->value[n], size};
	}
	return kt_hash(alg, spans, count, ret_digest, e);
}
