/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool export: the secret itself as a TSS2 key file (draft-bottomley-tpm2-keys), which other
 * tools can open. One TPM object, so at most 128 bytes, one machine, and no envelope.
 */
#include <string.h>

#include "lib/io.h"
#include "lib/log.h"
#include "lib/tpm-object.h"
#include "lib/wrap.h"
#include "sealtool/recipients.h"

struct options {
	struct common common;
	bool tss2;
	const char *pcrs;
};

static const struct kt_opt opts[] = {
	{"tss2", 0, NULL, "as a TSS2 PRIVATE KEY file (the only format there is)", KT_OPT_FLAG,
		offsetof(struct options, tss2)},
	{"pcrs", 0, "SELECTION", "bind to these PCRs (default: those of this machine's slot)",
		KT_OPT_TEXT, offsetof(struct options, pcrs)},
	OPT_PIN(struct options),
	OPT_OUTPUT(struct options, "the TSS2 key file (default: standard output)"),
	OPT_OWNER_AUTH(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* The policy the exported object gets: what was asked for, or what this machine's first slot has.
 */
static int choose_words(const struct kt_sealed *sealed, const struct options *options, bool pin,
	struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_slot_policy *ret_words,
	struct kt_error *e)
{
	auto_sealed struct kt_sealed *scratch = kt_sealed_new();
	const struct recipient_options wanted = {.pcrs = options->pcrs};

	if (scratch == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; options->pcrs == NULL && i < sealed->count; i++) {
		const struct kt_recipient *slot = &sealed->recipients[i];

		if (slot->kind == KT_RECIPIENT_TPM2 && slot->words_agree &&
			kt_name_equal(&slot->name, &srk->name)) {
			*ret_words = slot->words;
			return 0;
		}
	}
	if (add_this_tpm(scratch, &wanted, pin, tpm, srk, e) < 0)
		return -1;
	*ret_words = scratch->recipients[0].words;
	return 0;
}

/* The owner hierarchy's H-2 primary encodes alike for all readers; a persistent handle does not
 * (its sign bit). Which one the storage key is, only making the primary again can tell. */
static TPM2_HANDLE parent_handle(
	struct kt_tpm *tpm, const struct kt_parent *srk, const struct kt_secret *owner_auth)
{
	struct kt_parent primary;
	struct kt_error ignored;
	bool same;

	if (kt_primary_create(tpm, ESYS_TR_RH_OWNER, owner_auth, &kt_template_srk_ecc, &primary,
		    &ignored) < 0) {
		kt_debug("parent is written as 0x%08x: %s", KT_SRK_HANDLE, ignored.msg);
		return KT_SRK_HANDLE;
	}
	same = kt_name_equal(&primary.name, &srk->name);
	kt_parent_release(tpm, &primary);
	return same ? TPM2_RH_OWNER : KT_SRK_HANDLE;
}

static int make_key(struct kt_sealed *sealed, const struct options *options,
	const struct kt_secret *pin, const struct kt_secret *secret, struct kt_tss2key *key,
	struct kt_error *e)
{
	auto_secret struct kt_secret *owner_auth = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_slot_policy words;
	struct kt_parent srk;
	TPM2B_DIGEST policy;

	if (read_owner_auth(&options->common, &owner_auth, e) < 0 ||
		kt_tpm_open(options->common.tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		choose_words(sealed, options, pin != NULL, tpm, &srk, &words, e) < 0 ||
		kt_slot_policy_steps(&words, &key->policy, e) < 0 ||
		kt_slot_policy_digest(&words, &policy, e) < 0)
		return -1;
	if (words.pin && pin == NULL)
		return kt_fail(e, KT_E_PIN, "the slot has a PIN; give it with --pin or --pin-file");
	key->type = KT_TSS2KEY_SEALED;
	key->empty_auth = !words.pin;
	key->has_policy = policy.size != 0;
	key->parent = parent_handle(tpm, &srk, owner_auth);
	memcpy(key->description, sealed->name, strlen(sealed->name) + 1);
	return kt_object_seal(
		tpm, &srk, secret, &policy, words.pin ? pin : NULL, &key->public, &key->private, e);
}

static int write_pem(const struct common *common, const struct kt_tss2key *key, struct kt_error *e)
{
	auto_free char *pem = NULL;

	if (kt_tss2key_to_pem(key, &pem, e) < 0)
		return -1;
	if (common->output == NULL)
		return write_stdout(pem, strlen(pem), e);
	return kt_replace_file(common->output, pem, strlen(pem), 0600, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *pin = NULL, *secret = NULL;
	auto_free struct kt_tss2key *key = kt_tss2key_new();
	bool done;
	int first;

	if (key == NULL)
		return kt_fail_memory(e);
	if (parse_options(&verb_export, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (!options.tss2)
		return kt_fail(e, KT_E_USAGE, "--tss2 is needed: say which format");
	if (kt_seal_read(argv[first], &sealed, e) < 0 || read_pin(common, false, &pin, e) < 0)
		return -1;
	if (open_sealed(sealed, common, pin, &secret, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	if (kt_secret_len(secret) > KT_SEALED_DATA_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT,
			"%s: the secret has %zu bytes, and a TSS2 key file holds at most %d",
			argv[first], kt_secret_len(secret), KT_SEALED_DATA_MAX_BYTES);
	if (make_key(sealed, &options, pin, secret, key, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	return write_pem(common, key, e);
}

const struct verb verb_export = {
	.command = {PROGRAM, "export", "FILE",
		"reseal the secret as a TSS2 key file for other tools", opts, 1, 1},
	.run = run,
};
