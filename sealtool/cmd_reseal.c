/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool reseal: binds this machine's slots to other PCR values, in place. Recipients come from
 * the protected header alone, and all get a new content key.
 */
#include "lib/tpm-pcr.h"
#include "sealtool/recipients.h"

#define ALL_SLOTS (-1)

struct options {
	struct common common;
	const char *pcrs;
	const char *slot;
};

static const struct kt_opt opts[] = {
	{"pcrs", 0, "SELECTION",
		"bind to these, e.g. sha256:0,7=HEX (default: the present values of the same PCRs)",
		KT_OPT_TEXT, offsetof(struct options, pcrs)},
	{"slot", 's', "N", "only slot N (default: each slot of this machine)", KT_OPT_TEXT,
		offsetof(struct options, slot)},
	OPT_PIN(struct options),
	OPT_KEY(struct options, "open the file with this recovery key instead of the TPM"),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* New words for one slot of this machine. */
static int rebind(struct kt_recipient *recipient, const struct options *options, struct kt_tpm *tpm,
	struct kt_error *e)
{
	struct kt_slot_policy words = {.pin = recipient->words.pin};
	struct kt_pcr_set present;

	if (!recipient->words_agree)
		return kt_fail(e, KT_E_REFUSED,
			"the slot's policy in words is not the policy of its digest: the file was "
			"changed");
	if (options->pcrs != NULL) {
		if (kt_pcr_parse(options->pcrs, &words.pcrs, e) < 0)
			return kt_wrap(e, "--pcrs");
		present = words.pcrs;
	} else {
		present = recipient->words.pcrs;
	}
	if (kt_tpm_read_pcrs(tpm, &present, e) < 0)
		return -1;
	if (options->pcrs != NULL)
		kt_pcr_fill(&words.pcrs, &present);
	else
		words.pcrs = present;
	warn_about_pcrs(&words.pcrs);
	recipient->words = words;
	return kt_slot_policy_digest(&words, &recipient->policy, e);
}

static int rebind_all(struct kt_sealed *sealed, const struct options *options, long slot,
	struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	size_t rebound = 0;

	for (size_t i = 0; i < sealed->count; i++) {
		struct kt_recipient *recipient = &sealed->recipients[i];

		if ((slot != ALL_SLOTS && (size_t)slot != i) ||
			recipient->kind != KT_RECIPIENT_TPM2 ||
			!kt_name_equal(&recipient->name, &srk->name))
			continue;
		if (rebind(recipient, options, tpm, e) < 0)
			return kt_wrap(e, "slot %zu", i);
		rebound++;
	}
	if (rebound == 0)
		return kt_fail(e, KT_E_WRONG_TPM,
			"no such slot of this machine's TPM; 'sealtool recipient add' makes one");
	if (rebound > 1 && options->pcrs != NULL)
		return kt_fail(e, KT_E_USAGE,
			"the file has %zu slots of this machine: choose one with --slot", rebound);
	return 0;
}

static int reseal(struct kt_sealed *sealed, const struct options *options, long slot,
	const struct kt_secret *pin, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent srk;

	if (open_sealed(sealed, &options->common, pin, &secret, e) < 0 ||
		kt_tpm_open(options->common.tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		rebind_all(sealed, options, slot, tpm, &srk, e) < 0)
		return -1;
	return kt_seal_encrypt(sealed, tpm, &srk, pin, secret, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *pin = NULL;
	long slot = ALL_SLOTS;
	bool done;
	int first;

	if (parse_options(&verb_reseal, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if ((options.slot != NULL && parse_slot(options.slot, &slot, e) < 0) ||
		kt_seal_read(argv[first], &sealed, e) < 0 || read_pin(common, false, &pin, e) < 0)
		return -1;
	if (reseal(sealed, &options, slot, pin, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	return kt_seal_write(argv[first], sealed, e);
}

const struct verb verb_reseal = {
	.command = {PROGRAM, "reseal", "FILE",
		"bind a sealed file to present or given PCR values, in place", opts, 1, 1},
	.run = run,
};
