/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool recipient: lists, adds and removes who can open a file, in place. The file is opened
 * first, and all recipients get a new content key: one who is removed cannot open what is sealed
 * from then on.
 */
#include <string.h>

#include "lib/log.h"
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
	{"this-tpm", 0, NULL, "add: a slot of this machine without PCRs or PIN", KT_OPT_FLAG,
		offsetof(struct options, this_tpm)},
	{"slot", 's', "N", "remove: which slot, as 'recipient list' numbers them", KT_OPT_TEXT,
		offsetof(struct options, slot)},
	OPT_PIN(struct options),
	OPT_KEY(struct options, "open the file with this recovery key instead of the TPM"),
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static bool wants_slot_here(const struct options *options)
{
	return options->this_tpm || options->recipients.pcrs != NULL;
}

static bool has_tpm_recipient(const struct kt_sealed *sealed)
{
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2)
			return true;
	return false;
}

/* The storage key tells which slots are this machine's. With a recovery key the work may be done
 * where there is no TPM: then all slots are other machines'. */
static int open_srk(const struct options *options, struct kt_tpm **ret_tpm,
	struct kt_parent *ret_srk, struct kt_error *e)
{
	bool optional = options->common.key != NULL && !wants_slot_here(options);
	auto_tpm struct kt_tpm *tpm = NULL;

	*ret_tpm = NULL;
	if (kt_tpm_open(options->common.tcti, &tpm, e) < 0 || kt_srk_load(tpm, ret_srk, e) < 0) {
		if (!optional || (e->code != KT_E_TPM && e->code != KT_E_NOT_PROVISIONED))
			return -1;
		kt_debug("no TPM here, so all slots are other machines': %s", e->msg);
		return 0;
	}
	if (check_parent_name(&options->recipients, ret_srk, e) < 0)
		return -1;
	*ret_tpm = kt_take(tpm);
	return 0;
}

static int add(struct kt_sealed *sealed, const struct options *options, const struct kt_secret *pin,
	struct kt_error *e)
{
	const struct recipient_options *new = &options->recipients;
	bool this_tpm = wants_slot_here(options);
	auto_secret struct kt_secret *secret = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent srk;

	if (!this_tpm && new->for_keys.count == 0 && new->recovery.count == 0)
		return kt_fail(
			e, KT_E_USAGE, "whom to add? give --pcrs, --this-tpm, --for or --recovery");
	if (open_sealed(sealed, &options->common, pin, &secret, e) < 0)
		return -1;
	if ((this_tpm || has_tpm_recipient(sealed)) && open_srk(options, &tpm, &srk, e) < 0)
		return -1;
	if (this_tpm && add_this_tpm(sealed, new, pin != NULL, tpm, &srk, e) < 0)
		return -1;
	if (add_offline_recipients(sealed, new, e) < 0)
		return -1;
	return kt_seal_encrypt(sealed, tpm, tpm != NULL ? &srk : NULL, pin, secret, e);
}

static int remove_slot(struct kt_sealed *sealed, const struct options *options,
	const struct kt_secret *pin, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent srk;
	long slot;

	if (options->slot == NULL)
		return kt_fail(
			e, KT_E_USAGE, "which one? give --slot N, as 'recipient list' shows");
	if (parse_slot(options->slot, &slot, e) < 0)
		return -1;
	if ((size_t)slot >= sealed->count)
		return kt_fail(e, KT_E_USAGE, "no slot %ld: there are %zu", slot, sealed->count);
	if (sealed->count == 1)
		return kt_fail(e, KT_E_USAGE,
			"this is the last recipient: nobody could open the file any more");
	if (open_sealed(sealed, &options->common, pin, &secret, e) < 0)
		return -1;
	kt_sealed_remove(sealed, (size_t)slot);
	if (has_tpm_recipient(sealed) && open_srk(options, &tpm, &srk, e) < 0)
		return -1;
	return kt_seal_encrypt(sealed, tpm, tpm != NULL ? &srk : NULL, pin, secret, e);
}

static int change(
	const char *action, const char *path, const struct options *options, struct kt_error *e)
{
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *pin = NULL;
	bool adding = strcmp(action, "add") == 0;

	if (kt_seal_read(path, &sealed, e) < 0 || read_pin(&options->common, adding, &pin, e) < 0)
		return -1;
	if ((adding ? add : remove_slot)(sealed, options, pin, e) < 0)
		return kt_wrap(e, "%s", path);
	return kt_seal_write(path, sealed, e);
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
		return change(argv[first], argv[first + 1], &options, e);
	return kt_fail(e, KT_E_USAGE, "recipient: list, add or remove, not '%s'", argv[first]);
}

const struct verb verb_recipient = {
	.command = {PROGRAM, "recipient", "list|add|remove FILE",
		"list, add or remove who can open a sealed file, in place", opts, 2, 2},
	.run = run,
};
