/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool reseal: binds a slot of this machine to other PCR values, in place. Recipients come from
 * the protected header alone, and all get a new content key.
 */
#include <string.h>

#include "lib/tpm-pcr.h"
#include "sealtool/change.h"
#include "sealtool/recipients.h"

struct options {
	struct common common;
	const char *pcrs;
	const char *slot;
};

static const struct kt_opt opts[] = {
	{"pcrs", 0, "SELECTION",
		"bind to these, e.g. sha256:0,7=HEX (default: the present values of the same PCRs)",
		KT_OPT_TEXT, offsetof(struct options, pcrs)},
	{"slot", 's', "N",
		"which slot (default: the one that opened, or the only one of this machine)",
		KT_OPT_TEXT, offsetof(struct options, slot)},
	OPT_PIN(struct options),
	OPT_POLICY_DIR(struct options),
	OPT_NEW_PIN(struct options, "for the slots of this machine that have one"),
	OPT_KEY(struct options, "open the file with this recovery key instead of the TPM"),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* The only slot of this machine. */
static int only_slot(const struct change *change, size_t *ret_slot, struct kt_error *e)
{
	size_t count = 0;

	for (size_t i = 0; i < change->sealed->count; i++)
		if (change->sealed->recipients[i].kind == KT_RECIPIENT_TPM2 &&
			kt_seal_is_local(&change->sealed->recipients[i], &change->srk)) {
			*ret_slot = i;
			count++;
		}
	if (count == 0)
		return kt_fail(e, KT_E_WRONG_TPM,
			"no slot of this machine's TPM; 'sealtool recipient add' makes one");
	if (count > 1)
		return kt_fail(e, KT_E_USAGE,
			"%zu slots of this machine: choose one with --slot, as 'sealtool show' "
			"numbers them",
			count);
	return 0;
}

static int choose_slot(const struct change *change, const struct options *options, size_t *ret_slot,
	struct kt_error *e)
{
	const struct kt_recipient *recipient;
	long slot;

	if (options->slot == NULL && change->opened_by != OPENED_BY_RECOVERY_KEY) {
		*ret_slot = (size_t)change->opened_by;
		return 0;
	}
	if (options->slot == NULL)
		return only_slot(change, ret_slot, e);
	if (parse_slot(options->slot, &slot, e) < 0)
		return -1;
	recipient = &change->sealed->recipients[slot];
	if ((size_t)slot >= change->sealed->count || recipient->kind != KT_RECIPIENT_TPM2 ||
		!kt_seal_is_local(recipient, &change->srk))
		return kt_fail(
			e, KT_E_USAGE, "--slot: %ld is not a slot of this machine's TPM", slot);
	*ret_slot = (size_t)slot;
	return 0;
}

/* A slot's new words, and with them its policy. */
static int rebind(struct kt_recipient *recipient, const struct options *options, struct kt_tpm *tpm,
	struct kt_error *e)
{
	struct kt_slot_policy words = {.pin = recipient->words.pin};

	if (!recipient->words_agree)
		return kt_fail(e, KT_E_REFUSED,
			"the slot's policy in words is not the policy of its digest: the file was "
			"changed");
	if (options->pcrs == NULL && recipient->words.is_signed) {
		words = recipient->words;
	} else if (options->pcrs == NULL) {
		words.pcrs = recipient->words.pcrs;
		if (kt_tpm_read_pcrs(tpm, &words.pcrs, e) < 0)
			return -1;
		warn_about_pcrs(&words.pcrs);
	} else if (choose_pcrs(options->pcrs, tpm, &words.pcrs, e) < 0) {
		return -1;
	}
	recipient->words = words;
	return kt_slot_policy_digest(&words, &recipient->policy, e);
}

static int check_no_twin(const struct kt_sealed *sealed, size_t slot, struct kt_error *e)
{
	const struct kt_recipient *new = &sealed->recipients[slot];

	for (size_t i = 0; i < sealed->count; i++) {
		const struct kt_recipient *old = &sealed->recipients[i];

		if (i != slot && old->kind == KT_RECIPIENT_TPM2 &&
			kt_name_equal(&old->name, &new->name) &&
			old->policy.size ==
				new->policy.size &&memcmp(old->policy.buffer, new->policy.buffer,
					new->policy.size) == 0)
			return kt_fail(e, KT_E_USAGE,
				"slot %zu would demand what slot %zu demands already; remove one "
				"with "
				"'sealtool recipient remove'",
				slot, i);
	}
	return 0;
}

static int reseal(struct change *change, const struct options *options, struct kt_error *e)
{
	size_t slot = 0;

	if (choose_slot(change, options, &slot, e) < 0)
		return -1;
	if (rebind(&change->sealed->recipients[slot], options, change->tpm, e) < 0)
		return kt_wrap(e, "slot %zu", slot);
	return check_no_twin(change->sealed, slot, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	struct change change;
	bool done;
	int first, status;

	if (parse_options(&verb_reseal, argc, argv, &options, &options.common, &first, &done, e) <
		0)
		return -1;
	if (done)
		return 0;
	status = change_begin(&change, argv[first], &options.common, e);
	if (status == 0 && reseal(&change, &options, e) < 0)
		status = kt_wrap(e, "%s", argv[first]);
	if (status == 0)
		status = change_commit(&change, e);
	change_fini(&change);
	return status;
}

const struct kt_verb verb_reseal = {
	.command = {PROGRAM, "reseal", "FILE",
		"bind a sealed file to present or given PCR values, in place", opts, 1, 1},
	.run = run,
};
