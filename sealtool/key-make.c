/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not given to a key when it is made cannot be given to it later, so that making one says
 * what will be lost.
 */
#include "sealtool/key-make.h"

#include <string.h>
#include <sys/stat.h>

#include <openssl/rand.h>

#include "lib/io.h"
#include "lib/keyfile.h"
#include "lib/log.h"
#include "lib/tpm-info.h"
#include "lib/tpm-object.h"
#include "lib/uuid.h"
#include "sealtool/policy-key.h"
#include "sealtool/recipients.h"

static int new_pepper(struct kt_secret **ret_pepper, struct kt_error *e)
{
	auto_secret struct kt_secret *pepper = NULL;

	if (kt_secret_new(KT_KEYFILE_PEPPER_BYTES, &pepper, e) < 0)
		return -1;
	if (RAND_priv_bytes(kt_secret_buffer(pepper), KT_KEYFILE_PEPPER_BYTES) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	kt_secret_set_len(pepper, KT_KEYFILE_PEPPER_BYTES);
	*ret_pepper = kt_take(pepper);
	return 0;
}

/* The objects of the file, whose type and PCRs are known. */
static int make_objects(struct kt_keyfile *file, struct kt_tpm *tpm, const struct kt_parent *srk,
	struct kt_error *e)
{
	auto_secret struct kt_secret *pepper = NULL;
	struct kt_policy key_policy = {0}, pepper_policy = {0};
	TPM2B_DIGEST key_digest, pepper_digest;

	TPM2B_PUBLIC template;

	if (kt_keyfile_key_policy(file, 0, &key_policy, e) < 0 ||
		kt_policy_digest(KT_KEYFILE_ALG, &key_policy, &key_digest, e) < 0)
		return -1;
	template = (file->type == KT_KEYFILE_HMAC ? kt_template_hmac : kt_template_p256)(
		KT_KEYFILE_KEY_ATTRIBUTES, &key_digest);
	if (kt_child_create(tpm, srk, &template, &file->key_public, &file->key_private,
		    &file->creation, e) < 0)
		return -1;
	file->has_creation = true;
	if (file->type == KT_KEYFILE_P256)
		return 0;
	if (kt_keyfile_pepper_policy(file, 0, &pepper_policy, e) < 0 ||
		kt_policy_digest(KT_KEYFILE_ALG, &pepper_policy, &pepper_digest, e) < 0 ||
		new_pepper(&pepper, e) < 0)
		return -1;
	return kt_object_seal(tpm, srk, pepper, &pepper_digest, NULL, &file->pepper_public,
		&file->pepper_private, e);
}

/* What was written is read again: a file that we do not take is found out now, not on the day that
 * Secrets are encrypted under it. */
static int format_checked(const struct kt_keyfile *file, char **ret_text, struct kt_error *e)
{
	auto_free struct kt_keyfile *again = NULL;
	auto_free char *text = NULL;

	if (kt_keyfile_format(file, &text, e) < 0 ||
		kt_keyfile_parse(text, strlen(text), &again, e) < 0)
		return -1;
	*ret_text = kt_take(text);
	return 0;
}

static void warn_of_loss(const struct kt_keyfile *file)
{
	char text[KT_PCR_TEXT_MAX];

	if (file->state_count == 0 && !file->is_signed)
		return;
	if (file->is_signed) {
		kt_warn("the key works in no state yet: approve one with 'sealtool policy sign "
			"--for %s', and put it where kms.conf's policy-dir says",
			file->uuid);
		return;
	}
	kt_pcr_format(&file->states[0], text);
	if (file->type == KT_KEYFILE_P256) {
		kt_warn("the key works only while the PCRs %s have %s, and cannot be made again",
			text,
			file->state_count == 1 ? "these values"
					       : "the values of one of its "
						 "states");
		return;
	}
	kt_warn("the key works only while the PCRs %s have %s: after an update of firmware, Secure "
		"Boot or boot loader that changes one, what it encrypted is lost, unless it was "
		"rotated to another key before, or kms.conf has a recovery key",
		text, file->state_count == 1 ? "these values" : "the values of one of its states");
}

static int choose_type(
	const struct key_request *request, enum kt_keyfile_type *ret_type, struct kt_error *e)
{
	if (request->type != NULL && strcmp(request->type, "hmac") == 0)
		*ret_type = KT_KEYFILE_HMAC;
	else if (request->type != NULL && strcmp(request->type, "p256") == 0)
		*ret_type = KT_KEYFILE_P256;
	else
		return kt_fail(e, KT_E_USAGE,
			"which type? give --type hmac, for kms-shim, or --type p256, for 'sealtool "
			"sign-cert'");
	return 0;
}

static int check_states(
	const struct key_request *request, enum kt_keyfile_type type, struct kt_error *e)
{
	if (type == KT_KEYFILE_P256 && request->policy_key != NULL)
		return kt_fail(e, KT_E_USAGE, "--policy-key is for keys of --type hmac");
	if (type == KT_KEYFILE_HMAC && (request->pcrs->count == 0) == (request->policy_key == NULL))
		return kt_fail(e, KT_E_USAGE,
			"to which state? give --pcrs SELECTION, or --policy-key PUB");
	if (request->pcrs->count > KT_KEYFILE_STATES_MAX)
		return kt_fail(e, KT_E_USAGE, "at most %d states: a TPM takes no more alternatives",
			KT_KEYFILE_STATES_MAX);
	return 0;
}

static int choose_tier(const char *tier, bool *ret_is_counted, struct kt_error *e)
{
	*ret_is_counted = tier != NULL && strcmp(tier, "b") == 0;
	if (tier == NULL || strcmp(tier, "a") == 0 || *ret_is_counted)
		return 0;
	return kt_fail(e, KT_E_USAGE,
		"--audit-tier: 'a', command audit, or 'b', session audit and a use counter; not "
		"'%s'",
		tier);
}

static int check_request(
	const struct key_request *request, enum kt_keyfile_type type, struct kt_error *e)
{
	struct stat st;

	if (check_states(request, type, e) < 0)
		return -1;
	if (request->common->output == NULL)
		return kt_fail(e, KT_E_USAGE, "where to? give -o FILE");
	/* Whoever replaced a key would lose all that it encrypted. */
	if (!is_stdout(request->common) && lstat(request->common->output, &st) == 0)
		return kt_fail(e, KT_E_REFUSED, "%s is there already, and keys are not replaced",
			request->common->output);
	return 0;
}

static int choose_signer(struct kt_keyfile *file, const char *path, struct kt_error *e)
{
	auto_pkey EVP_PKEY *signer = NULL;

	file->is_signed = true;
	if (policy_key_read_public(path, &signer, e) < 0)
		return -1;
	return kt_p256_point(signer, file->signer, e);
}

static int choose_states(struct kt_keyfile *file, const struct key_request *request,
	struct kt_tpm *tpm, struct kt_error *e)
{
	const struct kt_opt_list *pcrs = request->pcrs;

	if (request->policy_key != NULL)
		return choose_signer(file, request->policy_key, e);
	for (size_t i = 0; i < pcrs->count; i++)
		if (choose_pcrs(pcrs->values[i], tpm, &file->states[i], e) < 0)
			return -1;
	file->state_count = pcrs->count;
	return 0;
}

/* Chips without it exist, and emulating it by a sequence would be another command to allow. */
static int check_tpm(struct kt_tpm *tpm, enum kt_keyfile_type type, struct kt_error *e)
{
	const bool hmac = type == KT_KEYFILE_HMAC;
	bool has;

	if (kt_tpm_has_command(tpm, hmac ? TPM2_CC_HMAC : TPM2_CC_Sign, &has, e) < 0)
		return -1;
	return has ? 0
		   : kt_fail(e, KT_E_TPM,
			     "this TPM does not have the command %s, which such a key is for",
			     hmac ? "TPM2_HMAC" : "TPM2_Sign");
}

int key_make(const struct key_request *request, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = kt_keyfile_new();
	auto_tpm struct kt_tpm *tpm = NULL;
	auto_free char *text = NULL;
	struct kt_parent srk;

	if (file == NULL)
		return kt_fail_memory(e);
	if (choose_type(request, &file->type, e) < 0 || check_request(request, file->type, e) < 0 ||
		choose_tier(request->audit_tier, &file->is_counted, e) < 0 ||
		kt_tpm_open(request->common->tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		check_tpm(tpm, file->type, e) < 0 || choose_states(file, request, tpm, e) < 0)
		return -1;
	file->parent = srk.name;
	if (kt_uuid_new(file->uuid, e) < 0 || make_objects(file, tpm, &srk, e) < 0 ||
		format_checked(file, &text, e) < 0)
		return -1;
	warn_of_loss(file);
	if (is_stdout(request->common))
		return write_stdout(text, strlen(text), e);
	return kt_replace_file(request->common->output, text, strlen(text), 0600, e);
}
