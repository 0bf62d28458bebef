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
	OPT_POLICY_DIR(struct options),
	OPT_NEW_PIN(struct options, "for the exported key"),
	OPT_OUTPUT(struct options, "the TSS2 key file (default: standard output)"),
	OPT_OWNER_AUTH(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* The policy the exported object gets: that of the slot that opened, unless something else is asked
 * for. */
static int choose_words(const struct kt_recipient *slot, const struct options *options,
	bool new_pin, struct kt_tpm *tpm, struct kt_slot_policy *ret_words, struct kt_error *e)
{
	struct kt_slot_policy words = slot->words;

	words.pin = words.pin || new_pin;
	/* What approves it is this file's UUID, which an exported one does not have. */
	if (words.is_signed && options->pcrs == NULL)
		return kt_fail(e, KT_E_USAGE,
			"the file opens in approved states; an exported one needs --pcrs");
	words.is_signed = false;
	if (options->pcrs != NULL && choose_pcrs(options->pcrs, tpm, &words.pcrs, e) < 0)
		return -1;
	*ret_words = words;
	return 0;
}

/* The owner hierarchy's H-2 primary encodes alike for all readers; a persistent handle does not
 * (its sign bit). Which one the storage key is, only making the primary again can tell. */
static int choose_parent(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, TPM2_HANDLE *ret_parent, struct kt_error *e)
{
	struct kt_parent primary;
	bool same;

	*ret_parent = KT_SRK_HANDLE;
	if (kt_primary_create(
		    tpm, ESYS_TR_RH_OWNER, owner_auth, &kt_template_srk_ecc, &primary, e) < 0) {
		if (owner_auth != NULL || e->code != KT_E_PIN)
			return -1;
		kt_debug("the owner hierarchy has an authorisation value, so the parent is written "
			 "as 0x%08x",
			KT_SRK_HANDLE);
		return 0;
	}
	same = kt_name_equal(&primary.name, &srk->name);
	kt_parent_release(tpm, &primary);
	if (same)
		*ret_parent = TPM2_RH_OWNER;
	return 0;
}

/* What export works with; all owned by run(). */
struct inputs {
	struct kt_sealed *sealed;
	struct kt_secret *pin, *new_pin, *owner_auth;
};

static int make_key(const struct inputs *in, const struct options *options, struct kt_tss2key *key,
	struct kt_error *e)
{
	const struct kt_seal_means means = {
		.pin = in->pin, .policy_dir = options->common.policy_dir};
	auto_secret struct kt_secret *secret = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_slot_policy words;
	struct kt_parent srk;
	TPM2B_DIGEST policy;
	size_t slot = 0;

	if (kt_tpm_open(options->common.tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		kt_seal_open_tpm(in->sealed, tpm, &srk, &means, &slot, &secret, e) < 0)
		return -1;
	if (kt_secret_len(secret) > KT_SEALED_DATA_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT,
			"the secret has %zu bytes, and a TSS2 key file holds at most %d",
			kt_secret_len(secret), KT_SEALED_DATA_MAX_BYTES);
	if (choose_words(&in->sealed->recipients[slot], options, in->new_pin != NULL, tpm, &words,
		    e) < 0 ||
		kt_slot_policy_steps(&words, &key->policy, e) < 0 ||
		kt_slot_policy_digest(&words, &policy, e) < 0 ||
		choose_parent(tpm, &srk, in->owner_auth, &key->parent, e) < 0)
		return -1;
	key->type = KT_TSS2KEY_SEALED;
	key->empty_auth = !words.pin;
	key->has_policy = policy.size != 0;
	/* If the slot has a PIN, opening it has just proven the one that was given. */
	return kt_object_seal(tpm, &srk, secret, &policy,
		!words.pin	      ? NULL
		: in->new_pin != NULL ? in->new_pin
				      : in->pin,
		&key->public, &key->private, e);
}

static void inputs_fini(struct inputs *in)
{
	kt_sealed_free(in->sealed);
	kt_secret_free(in->pin);
	kt_secret_free(in->new_pin);
	kt_secret_free(in->owner_auth);
}

static int read_inputs(
	const char *path, const struct common *common, struct inputs *in, struct kt_error *e)
{
	if (kt_seal_read(path, &in->sealed, e) < 0 || read_pin(common, false, &in->pin, e) < 0 ||
		read_new_pin(common, &in->new_pin, e) < 0)
		return -1;
	return read_auth(common->owner_auth_file, &in->owner_auth, e);
}

static int write_pem(const struct common *common, const struct kt_tss2key *key, struct kt_error *e)
{
	auto_free char *pem = NULL;

	if (kt_tss2key_to_pem(key, &pem, e) < 0)
		return -1;
	if (is_stdout(common))
		return write_stdout(pem, strlen(pem), e);
	return kt_replace_file(common->output, pem, strlen(pem), 0600, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	struct inputs in = {0};
	auto_free struct kt_tss2key *key = kt_tss2key_new();
	bool done;
	int first, status;

	if (key == NULL)
		return kt_fail_memory(e);
	if (parse_options(&verb_export, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (!options.tss2)
		return kt_fail(e, KT_E_USAGE, "--tss2 is needed: say which format");
	status = read_inputs(argv[first], common, &in, e);
	if (status == 0 && make_key(&in, &options, key, e) < 0)
		status = kt_wrap(e, "%s", argv[first]);
	if (status == 0)
		status = write_pem(common, key, e);
	inputs_fini(&in);
	return status;
}

const struct kt_verb verb_export = {
	.command = {PROGRAM, "export", "FILE",
		"reseal the secret as a TSS2 key file for other tools", opts, 1, 1},
	.run = run,
};
