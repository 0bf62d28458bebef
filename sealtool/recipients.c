/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From command-line options to the recipients of a sealed file.
 */
#include "sealtool/recipients.h"

#include <string.h>
#include <time.h>

#include "lib/io.h"
#include "lib/log.h"
#include "lib/pcr-file.h"
#include "lib/tpm-pcr.h"
#include "lib/uuid.h"
#include "sealtool/policy-key.h"

bool wants_this_tpm(const struct recipient_options *options, const struct common *common)
{
	return options->pcrs != NULL || options->policy_key != NULL || common->pin ||
	       common->pin_file != NULL ||
	       (options->for_keys.count == 0 && options->recovery.count == 0);
}

/* For another machine: this TPM's PIN means nothing there. */
static int add_other_tpm(
	struct kt_sealed *sealed, const char *key_path, const char *pcrs_path, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	struct kt_slot_policy words = {0};
	TPM2B_PUBLIC public;
	size_t len;

	if (kt_read_file(key_path, sizeof(TPM2B_PUBLIC), &data, &len, e) < 0)
		return -1;
	if (kt_public_unmarshal(data, len, &public, e) < 0 ||
		kt_public_check_storage_key(&public, e) < 0) {
		kt_wrap(e, "%s", key_path);
		return kt_hint(e, "--for takes what 'sealtool srk -o FILE' wrote on that machine");
	}
	if (pcrs_path != NULL) {
		if (kt_pcr_file_read(pcrs_path, &words.pcrs, e) < 0)
			return kt_hint(
				e, "--for-pcrs takes what 'sealtool pcrs --json' printed there");
		warn_about_pcrs(&words.pcrs);
	} else {
		kt_warn("%s: bound to that TPM but to no state of the machine; --for-pcrs would",
			key_path);
	}
	return kt_sealed_add_tpm(sealed, &public, &words, e);
}

static int add_recovery(struct kt_sealed *sealed, const char *path, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	auto_pkey EVP_PKEY *key = NULL;
	size_t len;

	if (kt_read_file(path, KT_KEY_FILE_MAX_BYTES, &data, &len, e) < 0)
		return -1;
	if (kt_jwk_read_public(data, len, &key, e) < 0)
		return kt_wrap(e, "%s", path);
	return kt_sealed_add_recovery(sealed, key, e);
}

int add_offline_recipients(
	struct kt_sealed *sealed, const struct recipient_options *options, struct kt_error *e)
{
	size_t pcr_files = options->for_pcrs.count;

	if (pcr_files != 0 && pcr_files != options->for_keys.count)
		return kt_fail(e, KT_E_USAGE,
			"%zu --for but %zu --for-pcrs: give each --for its own, in the same order",
			options->for_keys.count, pcr_files);
	for (size_t i = 0; i < options->for_keys.count; i++)
		if (add_other_tpm(sealed, options->for_keys.values[i],
			    pcr_files != 0 ? options->for_pcrs.values[i] : NULL, e) < 0)
			return -1;
	for (size_t i = 0; i < options->recovery.count; i++)
		if (add_recovery(sealed, options->recovery.values[i], e) < 0)
			return -1;
	return 0;
}

int check_parent_name(
	const struct recipient_options *options, const struct kt_parent *srk, struct kt_error *e)
{
	TPM2B_NAME expected;

	if (options->parent_name == NULL)
		return 0;
	if (kt_name_parse(options->parent_name, &expected, e) < 0) {
		e->code = KT_E_USAGE;
		return kt_wrap(e, "--parent-name");
	}
	return kt_parent_check_name(srk, &expected, e);
}

/* Values for a state to come are meant to differ from the present ones; typing errors are not. */
static void warn_if_not_present(const struct kt_pcr_set *wanted, const struct kt_pcr_set *present)
{
	for (size_t b = 0; b < wanted->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			TPMI_ALG_HASH alg = wanted->banks[b].alg;
			const uint8_t *want = kt_pcr_value(wanted, alg, i);
			const uint8_t *have = kt_pcr_value(present, alg, i);

			if (want != NULL && have != NULL &&
				memcmp(want, have, kt_pcr_bank_size(alg)) != 0)
				kt_warn("PCR %u (%s) does not have the given value now: this slot "
					"opens only when it has (to keep what opens now, use "
					"'recipient add', not 'reseal')",
					i, kt_pcr_bank_name(alg));
		}
}

int choose_pcrs(
	const char *text, struct kt_tpm *tpm, struct kt_pcr_set *ret_pcrs, struct kt_error *e)
{
	struct kt_pcr_set pcrs, present;

	if (kt_pcr_parse(text, &pcrs, e) < 0)
		return kt_wrap(e, "--pcrs");
	/* Also where all values are given: a bank that is not active would never open. */
	present = pcrs;
	if (kt_tpm_read_pcrs(tpm, &present, e) < 0)
		return -1;
	warn_if_not_present(&pcrs, &present);
	kt_pcr_fill(&pcrs, &present);
	warn_about_pcrs(&pcrs);
	*ret_pcrs = pcrs;
	return 0;
}

/* Approvals are for this file: its UUID stays, whatever becomes of its recipients. */
static int choose_signer(const char *path, const struct kt_sealed *sealed,
	struct kt_slot_policy *words, struct kt_error *e)
{
	auto_pkey EVP_PKEY *signer = NULL;

	if (policy_key_read_public(path, &signer, e) < 0 ||
		kt_p256_point(signer, words->signer, e) < 0)
		return -1;
	memcpy(words->approved_for, sealed->kid, sizeof(words->approved_for));
	words->is_signed = true;
	kt_warn("the slot opens in no state yet: approve one with 'sealtool policy sign --for %s'",
		sealed->kid);
	return 0;
}

int add_this_tpm(struct kt_sealed *sealed, const struct recipient_options *options, bool pin,
	struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e)
{
	struct kt_slot_policy words = {.pin = pin};

	if (options->pcrs != NULL && options->policy_key != NULL)
		return kt_fail(e, KT_E_USAGE, "--pcrs and --policy-key exclude each other");
	if (options->pcrs != NULL && choose_pcrs(options->pcrs, tpm, &words.pcrs, e) < 0)
		return -1;
	if (options->policy_key != NULL &&
		choose_signer(options->policy_key, sealed, &words, e) < 0)
		return -1;
	if (kt_slot_policy_is_empty(&words))
		kt_warn("bound to this TPM but to no state of the machine; --pcrs would");
	return kt_sealed_add_tpm(sealed, &srk->public, &words, e);
}

int seal_to_recipients(struct kt_sealed *sealed, const struct recipient_options *options,
	const struct common *common, const struct kt_secret *pin, const struct kt_secret *secret,
	struct kt_error *e)
{
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent srk;

	if (!wants_this_tpm(options, common)) {
		if (options->parent_name != NULL)
			return kt_fail(e, KT_E_USAGE,
				"--parent-name is about this machine's TPM, which is no recipient");
		if (add_offline_recipients(sealed, options, e) < 0)
			return -1;
		return kt_seal_encrypt(sealed, NULL, NULL, NULL, secret, e);
	}
	if (kt_tpm_open(common->tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		check_parent_name(options, &srk, e) < 0 ||
		add_this_tpm(sealed, options, pin != NULL, tpm, &srk, e) < 0 ||
		add_offline_recipients(sealed, options, e) < 0)
		return -1;
	return kt_seal_encrypt(sealed, tpm, &srk, pin, secret, e);
}

/* Purposes are the user's to make up, and typing errors would only show when the file is used. */
static void warn_about_purpose(const char *purpose)
{
	/* The last two are names that the design keeps for programs to come. */
	static const char *const known[] = {KT_PURPOSE_EXEC, KT_PURPOSE_IMAGE, "kms", "node-key"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], purpose) == 0)
			return;
	kt_warn("no program of kubetpm asks for purpose \"%s\": exec-plugin takes exec-credential "
		"and image-credential",
		purpose);
}

void warn_about_file(const struct kt_sealed *sealed)
{
	warn_about_purpose(sealed->purpose);
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_RECOVERY)
			return;
	kt_warn("no recovery key can open the file: without its TPM, or after a change of its "
		"state, the secret is lost (--recovery adds one)");
}

int name_sealed(struct kt_sealed *sealed, const char *name, const char *purpose, struct kt_error *e)
{
	if (name == NULL || purpose == NULL)
		return kt_fail(e, KT_E_USAGE,
			"--name and --purpose are needed; purposes are exec-credential, "
			"image-credential, or one of your own");
	if (kt_sealed_check_text("--name", name, e) < 0 ||
		kt_sealed_check_text("--purpose", purpose, e) < 0)
		return -1;
	memcpy(sealed->name, name, strlen(name) + 1);
	memcpy(sealed->purpose, purpose, strlen(purpose) + 1);
	sealed->iat = (int64_t)time(NULL);
	return kt_uuid_new(sealed->kid, e);
}
