/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubts about binding a secret to a set of PCRs. Every one of these selections works today: the
 * warning is about what it will not protect, or about the boot at which it will stop working. What
 * each PCR holds: TCG PC Client Platform Firmware Profile 1.06, 3.3.4, and the UAPI group's Linux
 * TPM PCR Registry.
 */
#include "lib/pcr.h"

#include <stdio.h>
#include <string.h>

#include "lib/tpm-public.h"

typedef void warn_fn(void *ctx, const char *id, const char *sentence);

#define BIT(n) (UINT32_C(1) << (n))
/* PCRs that any software can reset: PC Client Platform TPM Profile, 4.6. */
#define RESETTABLE (BIT(16) | BIT(23))
/* PCRs of the dynamic root of trust, which start as ones: ibid. */
#define DYNAMIC (BIT(17) | BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(22))
#define LIST_MAX 128

/*
 * PCRs whose value differs between boots, or moves while the machine runs, without anybody having
 * changed what the machine boots. Left out on purpose: 0, 2, 4, 8, 9, 11, 12 and 14 change when
 * firmware, a card's ROM, loader, kernel, command line or MOK list is changed, which is what one
 * binds them for; 5 changes when the disk is repartitioned and 6 differs between vendors, but
 * neither does by itself.
 */
static const struct {
	unsigned index;
	const char *sentence;
} unstable[] = {
	{1, "PCR 1 holds firmware settings and hardware tables, which on many machines change by "
	    "themselves (boot order, asset data, a plugged-in device): expect to reseal"},
	{3, "PCR 3 holds what option ROMs found out and were set to, which changes with a card or "
	    "a "
	    "plugged-in device: expect to reseal"},
	{10, "PCR 10 belongs to IMA, which extends it with each file it measures, in an order that "
	     "differs from boot to boot: the value will not come back"},
};

/* "PCR 7 (sha256)" or "PCRs 0, 2, 7 (sha256)". */
static void list_pcrs(uint32_t bits, TPMI_ALG_HASH alg, char ret_text[LIST_MAX])
{
	const char *separator = (bits & (bits - 1)) != 0 ? "s " : " ";
	size_t used = 3;

	memcpy(ret_text, "PCR", 4);
	for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
		if ((bits >> n & 1) == 0)
			continue;
		used += (size_t)snprintf(ret_text + used, LIST_MAX - used, "%s%u", separator, n);
		separator = ", ";
	}
	snprintf(ret_text + used, LIST_MAX - used, " (%s)", kt_pcr_bank_name(alg));
}

/* PCRs of `bank` whose known value consists of `octet` alone. */
static uint32_t filled_with(const struct kt_pcr_bank *bank, uint8_t octet)
{
	uint8_t filled[TPM2_SHA512_DIGEST_SIZE];
	uint32_t bits = 0;

	memset(filled, octet, sizeof(filled));
	for (unsigned n = 0; n < KT_PCR_COUNT; n++)
		if ((bank->known >> n & 1) != 0 &&
			memcmp(bank->value[n], filled, kt_pcr_bank_size(bank->alg)) == 0)
			bits |= BIT(n);
	return bits;
}

/* A reset that anybody may do makes zeros mean nothing; those PCRs have their own warning. */
static size_t lint_zeros(const struct kt_pcr_bank *bank, warn_fn *warn, void *ctx)
{
	uint32_t zeros = filled_with(bank, 0x00) & ~(uint32_t)RESETTABLE;
	char list[LIST_MAX], sentence[2 * LIST_MAX + 128];

	if (zeros == 0)
		return 0;
	list_pcrs(zeros, bank->alg, list);
	snprintf(sentence, sizeof(sentence),
		"%s: all zeros, nothing was ever measured there (firmware may not use this bank), "
		"so "
		"the secret is bound to nothing until something extends it",
		list);
	warn(ctx, "pcr-never-extended", sentence);
	return 1;
}

static size_t lint_ones(const struct kt_pcr_bank *bank, warn_fn *warn, void *ctx)
{
	uint32_t ones = filled_with(bank, 0xff);
	char list[LIST_MAX], sentence[2 * LIST_MAX + 128];

	if (ones == 0)
		return 0;
	list_pcrs(ones, bank->alg, list);
	snprintf(sentence, sizeof(sentence), "%s: all ones, %s", list,
		(ones & ~(uint32_t)DYNAMIC) == 0
			? "no dynamic launch has taken place, so any boot without one matches"
			: "a value that no measurement gives; do not trust this bank");
	warn(ctx, "pcr-all-ones", sentence);
	return 1;
}

static size_t lint_bank(const struct kt_pcr_bank *bank, warn_fn *warn, void *ctx)
{
	size_t warnings = 0;

	if (bank->alg == TPM2_ALG_SHA1) {
		warn(ctx, "bank-sha1",
			"bank sha1: SHA-1 collisions can be made, so one value may stand for two "
			"different boots; bind to a SHA-2 bank");
		warnings++;
	}
	warnings += lint_zeros(bank, warn, ctx);
	warnings += lint_ones(bank, warn, ctx);
	return warnings;
}

static size_t lint_resettable(uint32_t selected, warn_fn *warn, void *ctx)
{
	size_t warnings = 0;
	char sentence[LIST_MAX + 128];

	for (unsigned n = 0; n < KT_PCR_COUNT; n++) {
		if ((selected & RESETTABLE & BIT(n)) == 0)
			continue;
		snprintf(sentence, sizeof(sentence),
			"PCR %u can be reset by any software that can use the TPM, which can then "
			"extend it to any value it saw: it proves nothing about the boot",
			n);
		warn(ctx, "pcr-resettable", sentence);
		warnings++;
	}
	return warnings;
}

size_t kt_pcr_lint(const struct kt_pcr_set *set, warn_fn *warn, void *ctx)
{
	uint32_t selected = 0;
	size_t warnings = 0;

	for (size_t i = 0; i < set->count; i++) {
		selected |= set->banks[i].selected;
		warnings += lint_bank(&set->banks[i], warn, ctx);
	}
	warnings += lint_resettable(selected, warn, ctx);
	if (selected == BIT(7)) {
		warn(ctx, "pcr-7-alone",
			"PCR 7 alone is the same in the initrd, in the recovery shell and on a "
			"rescue "
			"medium that the same keys sign: each of them can open the secret");
		warnings++;
	}
	for (size_t i = 0; i < sizeof(unstable) / sizeof(unstable[0]); i++) {
		if ((selected & BIT(unstable[i].index)) == 0)
			continue;
		warn(ctx, "pcr-unstable", unstable[i].sentence);
		warnings++;
	}
	return warnings;
}
