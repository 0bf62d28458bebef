/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool import: opens a TSS2 key file with sealed data, ours or another implementation's, and
 * seals what is in it anew.
 */
#include <string.h>

#include "lib/io.h"
#include "lib/pin.h"
#include "lib/tpm-info.h"
#include "lib/tpm-object.h"
#include "sealtool/recipients.h"

struct options {
	struct common common;
	struct recipient_options recipients;
	const char *name;
	const char *purpose;
	const char *key_auth_file;
	const char *policy_auth_file;
	const char *endorsement_auth_file;
};

static const struct kt_opt opts[] = {
	{"name", 'n', "NAME", "what the secret is called", KT_OPT_TEXT,
		offsetof(struct options, name)},
	{"purpose", 'p', "PURPOSE", "what may use it: exec-credential, image-credential, …",
		KT_OPT_TEXT, offsetof(struct options, purpose)},
	{"key-auth-file", 0, "FILE", "authorisation value (password) of the TSS2 key", KT_OPT_TEXT,
		offsetof(struct options, key_auth_file)},
	{"policy-auth-file", 0, "FILE", "authorisation value of the object its policy asks for",
		KT_OPT_TEXT, offsetof(struct options, policy_auth_file)},
	{"endorsement-auth-file", 0, "FILE", "the endorsement hierarchy's authorisation value",
		KT_OPT_TEXT, offsetof(struct options, endorsement_auth_file)},
	OPT_RECIPIENTS(struct options),
	OPT_PIN(struct options),
	OPT_OWNER_AUTH(struct options),
	OPT_OUTPUT(struct options, "the sealed file (default: standard output)"),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int read_key(const char *path, struct kt_tss2key *ret_key, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len;

	if (kt_read_file(path, KT_TSS2KEY_MAX_BYTES, &data, &len, e) < 0)
		return -1;
	if (len > 0 && data[0] == '{')
		return kt_fail(e, KT_E_INPUT,
			"%s: looks like a sealed file, not a TSS2 key file: 'sealtool unseal' "
			"opens it",
			path);
	if (kt_tss2key_from_file(data, len, ret_key, e) < 0)
		return kt_wrap(e, "%s", path);
	if (!kt_public_is_sealed_data(&ret_key->public))
		return kt_fail(e, KT_E_INPUT,
			"%s: a TSS2 key, but not sealed data: there is no secret in it to take out",
			path);
	return 0;
}

/* Authorisation values that opening may take; owned by open_key(). */
struct auths {
	struct kt_secret *key, *object, *owner, *endorsement;
};

/* The parent: a persistent key as it is, or the primary that the draft's templates give. */
static int open_parent(const struct kt_tss2key *key, struct kt_tpm *tpm, const struct auths *auths,
	struct kt_parent *ret_parent, struct kt_error *e)
{
	TPM2B_PUBLIC template = key->rsa_parent ? kt_template_srk_rsa : kt_template_srk_ecc;

	/* What the first versions of the format meant by "a primary of the hierarchy". */
	if (key->legacy)
		template.publicArea.objectAttributes &=
			~(TPMA_OBJECT)(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT);
	switch (key->parent) {
	case TPM2_RH_OWNER:
		return kt_primary_create(
			tpm, ESYS_TR_RH_OWNER, auths->owner, &template, ret_parent, e);
	case TPM2_RH_ENDORSEMENT:
		return kt_primary_create(
			tpm, ESYS_TR_RH_ENDORSEMENT, auths->endorsement, &template, ret_parent, e);
	case TPM2_RH_NULL:
		return kt_primary_create(tpm, ESYS_TR_RH_NULL, NULL, &template, ret_parent, e);
	}
	if (key->parent >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
		return kt_fail(e, KT_E_REFUSED,
			"its parent is hierarchy 0x%08x, whose keys are the firmware's business",
			key->parent);
	return kt_parent_load(tpm, key->parent, ret_parent, e);
}

/* A signed alternative, then what the key's own policy asks for behind its PolicyAuthorize. */
static int join_policies(const struct kt_tss2key *key, size_t which, struct kt_policy *ret_policy,
	struct kt_error *e)
{
	*ret_policy = key->auth_policies[which].policy;
	for (size_t i = 1; i < key->policy.count; i++) {
		if (ret_policy->count == KT_POLICY_STEPS_MAX)
			return kt_fail(e, KT_E_INPUT, "a policy of too many steps");
		ret_policy->steps[ret_policy->count++] = key->policy.steps[i];
	}
	return 0;
}

static int unseal_key(const struct kt_tss2key *key, struct kt_tpm *tpm,
	const struct kt_parent *parent, const struct kt_object_auth *auth,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	const struct kt_object object = {
		.public = &key->public,
		.private = &key->private,
		.seed = key->has_secret ? &key->secret : NULL,
	};
	auto_free struct kt_policy *policy = calloc(1, sizeof(*policy));

	if (policy == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < key->auth_policy_count; i++) {
		if (join_policies(key, i, policy, e) < 0)
			return -1;
		if (kt_object_unseal(tpm, parent, &object, policy, auth, ret_secret, e) == 0)
			return 0;
		if (e->code == KT_E_PIN || e->code == KT_E_LOCKOUT || e->code == KT_E_TPM ||
			e->code == KT_E_BUSY)
			return -1;
	}
	if (key->auth_policy_count > 0)
		return kt_hint(e, "none of the %zu signed policies holds", key->auth_policy_count);
	if (kt_object_unseal(tpm, parent, &object, &key->policy, auth, ret_secret, e) == 0)
		return 0;
	if (e->code == KT_E_POLICY && !key->has_policy)
		return kt_fail(e, KT_E_POLICY,
			"the object has a policy, but the key file does not say which "
			"(tpm2_encodeobject "
			"leaves it out)");
	return -1;
}

/* Some writers say "has a password" of a key that has none (tpm2-tools before 5.8 writes emptyAuth
 * inverted), so the empty value is worth a try. Where failed tries count, the last one before the
 * lockout is left to the operator. */
static int check_auth(const struct kt_tss2key *key, const struct kt_object_auth *auth,
	struct kt_tpm *tpm, struct kt_error *e)
{
	bool counted = (key->public.publicArea.objectAttributes & TPMA_OBJECT_NODA) == 0;
	UINT32 tries, interval;

	if (key->empty_auth || auth->value != NULL || !counted)
		return 0;
	if (kt_tpm_tries_left(tpm, &tries, &interval, e) < 0)
		return -1;
	if (tries < 2)
		return kt_fail(e, KT_E_PIN,
			"the key may have a password, and one more wrong one locks the TPM: give "
			"it "
			"with --key-auth-file");
	return 0;
}

static int read_auths(const struct options *options, struct auths *auths, struct kt_error *e)
{
	if (read_auth(options->key_auth_file, &auths->key, e) < 0 ||
		read_auth(options->policy_auth_file, &auths->object, e) < 0 ||
		read_auth(options->common.owner_auth_file, &auths->owner, e) < 0)
		return -1;
	return read_auth(options->endorsement_auth_file, &auths->endorsement, e);
}

static int open_with(const struct kt_tss2key *key, const char *tcti, const struct auths *auths,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	const struct kt_object_auth auth = {
		.value = auths->key,
		.policy = {.owner_auth = auths->owner,
			.endorsement_auth = auths->endorsement,
			.object_auth = auths->object},
	};
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_parent parent;

	if (kt_tpm_open(tcti, &tpm, e) < 0 || check_auth(key, &auth, tpm, e) < 0 ||
		open_parent(key, tpm, auths, &parent, e) < 0)
		return -1;
	return unseal_key(key, tpm, &parent, &auth, ret_secret, e);
}

static int open_key(const struct kt_tss2key *key, const struct options *options,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	struct auths auths = {0};
	int status = read_auths(options, &auths, e);

	if (status == 0)
		status = open_with(key, options->common.tcti, &auths, ret_secret, e);
	kt_secret_free(auths.key);
	kt_secret_free(auths.object);
	kt_secret_free(auths.owner);
	kt_secret_free(auths.endorsement);
	return status;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_free struct kt_tss2key *key = kt_tss2key_new();
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	auto_secret struct kt_secret *pin = NULL, *secret = NULL;
	bool done;
	int first;

	if (key == NULL || sealed == NULL)
		return kt_fail_memory(e);
	if (parse_options(&verb_import, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (name_sealed(sealed, options.name, options.purpose, e) < 0 ||
		read_pin(common, true, &pin, e) < 0)
		return -1;
	if (read_key(argv[first], key, e) < 0)
		return -1;
	if (open_key(key, &options, &secret, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	if (seal_to_recipients(sealed, &options.recipients, common, pin, secret, e) < 0)
		return -1;
	if (write_sealed(common, sealed, e) < 0)
		return -1;
	warn_about_file(sealed);
	return 0;
}

const struct kt_verb verb_import = {
	.command = {PROGRAM, "import", "FILE", "open a TSS2 key file and seal its secret anew",
		opts, 1, 1},
	.run = run,
};
