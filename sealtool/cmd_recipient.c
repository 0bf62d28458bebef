/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool recipient: lists, adds and removes who can open a file, in place. The file is opened
 * first, and all recipients get a new content key: one who is removed cannot open what is sealed
 * from then on.
 */
#include <string.h>

#include "lib/log.h"
#include "sealtool/change.h"
#include "sealtool/describe.h"
#include "sealtool/recipients.h"

struct options {
	struct common common;
	struct recipient_options recipients;
	const char *slot;
	bool this_tpm;
};

static const struct kt_opt opts[] = {
	OPT_RECIPIENTS(struct options),
	{"this-tpm", 0, NULL, "add: a slot of this machine, also without --pcrs", KT_OPT_FLAG,
		offsetof(struct options, this_tpm)},
	{"slot", 's', "N", "remove: which slot, as 'recipient list' numbers them", KT_OPT_TEXT,
		offsetof(struct options, slot)},
	OPT_PIN(struct options),
	OPT_POLICY_DIR(struct options),
	OPT_NEW_PIN(struct options, "for the new slot, and those of this machine that have one"),
	OPT_KEY(struct options, "open the file with this recovery key instead of the TPM"),
	OPT_NO_TPM(struct options),
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* A new slot of this machine has a PIN if a new PIN is given; all slots of a machine share one. */
static int add(struct change *change, const struct options *options, struct kt_error *e)
{
	const struct recipient_options *new = &options->recipients;
	bool pin = change->new_pin != NULL;
	bool this_tpm = options->this_tpm || new->pcrs != NULL || new->policy_key != NULL || pin;

	if (this_tpm && change->tpm == NULL)
		return kt_fail(
			e, KT_E_USAGE, "a slot of this machine cannot be made with --no-tpm");
	if (change->tpm != NULL && check_parent_name(new, &change->srk, e) < 0)
		return -1;
	if (this_tpm && add_this_tpm(change->sealed, new, pin, change->tpm, &change->srk, e) < 0)
		return -1;
	return add_offline_recipients(change->sealed, new, e);
}

static bool has_kind(const struct kt_sealed *sealed, enum kt_recipient_kind kind)
{
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == kind)
			return true;
	return false;
}

static int remove_slot(struct change *change, const struct options *options, struct kt_error *e)
{
	struct kt_sealed *sealed = change->sealed;
	long slot;

	if (parse_slot(options->slot, &slot, e) < 0)
		return -1;
	if ((size_t)slot >= sealed->count)
		return kt_fail(e, KT_E_USAGE, "no slot %ld: there are %zu", slot, sealed->count);
	if (sealed->count == 1)
		return kt_fail(e, KT_E_USAGE,
			"this is the last recipient: nobody could open the file any more");
	kt_sealed_remove(sealed, (size_t)slot);
	if (!has_kind(sealed, KT_RECIPIENT_TPM2))
		kt_warn("no TPM can open the file any more, only recovery keys");
	if (!has_kind(sealed, KT_RECIPIENT_RECOVERY))
		kt_warn("no recovery key can open the file: with its TPM it is lost");
	return 0;
}

/* What can be known to be wrong before anything is asked of the TPM. */
static int check_options(bool adding, const struct options *options, struct kt_error *e)
{
	const struct recipient_options *new = &options->recipients;

	if (!adding && options->slot == NULL)
		return kt_fail(
			e, KT_E_USAGE, "which one? give --slot N, as 'recipient list' shows");
	if (adding && !options->this_tpm &&
		new->pcrs == NULL &&new->policy_key == NULL &&new->for_keys.count == 0 &&
		new->recovery.count == 0 && !options->common.new_pin &&
		options->common.new_pin_file == NULL)
		return kt_fail(e, KT_E_USAGE,
			"whom to add? give --pcrs, --policy-key, --this-tpm, --new-pin, --for or "
			"--recovery");
	return 0;
}

static int modify(bool adding, const char *path, const struct options *options, struct kt_error *e)
{
	struct change change;
	int status;

	if (check_options(adding, options, e) < 0)
		return -1;
	status = change_begin(&change, path, &options->common, e);
	if (status == 0 && (adding ? add : remove_slot)(&change, options, e) < 0)
		status = kt_wrap(e, "%s", path);
	if (status == 0)
		status = change_commit(&change, e);
	change_fini(&change);
	return status;
}

static int list(const char *path, const struct options *options, struct kt_error *e)
{
	auto_sealed struct kt_sealed *sealed = NULL;

	if (kt_seal_read(path, &sealed, e) < 0 ||
		describe_sealed(sealed, options->common.json, e) < 0)
		return -1;
	return check_words(sealed, e) < 0 ? kt_wrap(e, "%s", path) : 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	bool done;
	int first;

	if (parse_options(
		    &verb_recipient, argc, argv, &options, &options.common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (strcmp(argv[first], "list") == 0)
		return list(argv[first + 1], &options, e);
	if (strcmp(argv[first], "add") == 0 || strcmp(argv[first], "remove") == 0)
		return modify(strcmp(argv[first], "add") == 0, argv[first + 1], &options, e);
	return kt_fail(e, KT_E_USAGE, "recipient: list, add or remove, not '%s'", argv[first]);
}

const struct kt_verb verb_recipient = {
	.command = {PROGRAM, "recipient", "list|add|remove FILE",
		"list, add or remove who can open a sealed file, in place", opts, 2, 2},
	.run = run,
};
