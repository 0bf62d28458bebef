/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool key: makes HMAC keys in this machine's TPM for kms-shim, and tells what key files say.
 * What is not given to a key when it is made cannot be given to it later, so that making one says
 * what will be lost.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/rand.h>

#include "lib/io.h"
#include "lib/key-id.h"
#include "lib/keyfile.h"
#include "lib/log.h"
#include "lib/tpm-hmac.h"
#include "lib/tpm-info.h"
#include "lib/tpm-object.h"
#include "lib/uuid.h"
#include "sealtool/policy-key.h"
#include "sealtool/recipients.h"

#define MODULE "kms-tpm"
#define KEY_SUFFIX ".key"
#define EPOCH_DIGITS_MAX 18

struct options {
	struct common common;
	const char *type;
	struct kt_opt_list pcrs;
	const char *policy_key;
	const char *cluster;
	const char *epoch;
};

static const struct kt_opt opts[] = {
	{"type", 0, "TYPE", "new: hmac, for kms-shim's module kms-tpm", KT_OPT_TEXT,
		offsetof(struct options, type)},
	{"pcrs", 0, "SELECTION",
		"new: PCRs the key is bound to, e.g. sha256:7,11 or sha256:7=HEX; if repeated, to "
		"any of these states",
		KT_OPT_LIST, offsetof(struct options, pcrs)},
	{"policy-key", 0, "PUB",
		"new: instead, to the states that this key approves ('sealtool policy sign')",
		KT_OPT_TEXT, offsetof(struct options, policy_key)},
	OPT_OUTPUT(struct options, "new: the key file, which must not exist yet"),
	{"cluster", 'c', "NAME", "show, list: print the key_id that kms-shim gives it there",
		KT_OPT_TEXT, offsetof(struct options, cluster)},
	{"epoch", 0, "N", "show, list: in this epoch (default 0)", KT_OPT_TEXT,
		offsetof(struct options, epoch)},
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

/* A key's names on the KMS protocol's side; empty without --cluster. */
struct key_names {
	char id[KT_KMS_KEY_ID_SIZE];
	char hash[KT_KMS_KEY_ID_SIZE];
};

static int check_epoch(const char *epoch, struct kt_error *e)
{
	size_t digits = strspn(epoch, "0123456789");

	if (digits == 0 || digits > EPOCH_DIGITS_MAX || epoch[digits] != '\0' ||
		(digits > 1 && epoch[0] == '0'))
		return kt_fail(e, KT_E_USAGE, "--epoch: not a number: '%s'", epoch);
	return 0;
}

static int name_key(const struct kt_keyfile *file, const struct options *options,
	struct key_names *ret_names, struct kt_error *e)
{
	const char *epoch = options->epoch != NULL ? options->epoch : "0";
	char version[KT_KEYFILE_VERSION_SIZE];
	struct key_names names = {0};

	if (options->cluster != NULL) {
		kt_keyfile_version(file, version);
		if (check_epoch(epoch, e) < 0 ||
			kt_key_id(&(struct kt_key_id_parts){.cluster = options->cluster,
					  .module = MODULE,
					  .key_name = file->uuid,
					  .version = version,
					  .epoch = epoch},
				names.id, e) < 0 ||
			kt_key_id_hash(names.id, names.hash, e) < 0)
			return -1;
	}
	*ret_names = names;
	return 0;
}

/* The Name by which approvals call their signer; "" if nobody approves. */
static void name_signer(const struct kt_keyfile *file, char ret_text[KT_NAME_TEXT_MAX])
{
	TPM2B_PUBLIC public;
	TPM2B_NAME name;
	struct kt_error ignored;

	ret_text[0] = '\0';
	kt_signer_public_of_point(file->signer, &public);
	if (file->is_signed && kt_public_name(&public, &name, &ignored) == 0)
		kt_name_format(&name, ret_text);
}

static void write_key(const struct kt_keyfile *file, const char *path,
	const struct key_names *names, const char *name, struct kt_jsonw *w)
{
	char version[KT_KEYFILE_VERSION_SIZE], parent[KT_NAME_TEXT_MAX], signer[KT_NAME_TEXT_MAX];

	kt_keyfile_version(file, version);
	kt_name_format(&file->parent, parent);
	name_signer(file, signer);
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "file", path);
	kt_jsonw_member(w, "type", "hmac");
	kt_jsonw_member(w, "uuid", file->uuid);
	kt_jsonw_member(w, "version", version);
	kt_jsonw_member(w, "name", name);
	kt_jsonw_member(w, "parent", parent);
	if (file->is_signed)
		kt_jsonw_member(w, "signer", signer);
	kt_jsonw_name(w, "states");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < file->state_count; i++)
		kt_pcr_write_json(&file->states[i], w);
	kt_jsonw_end_array(w);
	if (names->id[0] != '\0') {
		kt_jsonw_member(w, "keyId", names->id);
		kt_jsonw_member(w, "keyIdHash", names->hash);
	}
	kt_jsonw_end_object(w);
}

static void print_key(const struct kt_keyfile *file, const char *path,
	const struct key_names *names, const char *name)
{
	char version[KT_KEYFILE_VERSION_SIZE], parent[KT_NAME_TEXT_MAX], signer[KT_NAME_TEXT_MAX];

	kt_keyfile_version(file, version);
	kt_name_format(&file->parent, parent);
	name_signer(file, signer);
	printf("file:       %s\nkey:        %s\nversion:    %s\n", path, file->uuid, version);
	printf("type:       HMAC-SHA256, for kms-shim's module " MODULE "\n");
	printf("Name:       %s\nparent:     %s\n", name, parent);
	if (file->is_signed)
		printf("states:     those that the key with the Name %s approves\n", signer);
	for (size_t i = 0; i < file->state_count; i++) {
		if (i > 0)
			printf("or\n");
		print_pcrs(&file->states[i]);
	}
	if (names->id[0] != '\0')
		printf("key_id:     %s\nmetrics:    %s\n", names->id, names->hash);
}

/* Anybody's file can be looked at; only using one asks whose it is. */
static int read_keyfile(const char *path, struct kt_keyfile **ret_file, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (kt_read_file(path, KT_KEYFILE_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return kt_keyfile_parse((const char *)text, len, ret_file, e) < 0 ? kt_wrap(e, "%s", path)
									  : 0;
}

static int show(const char *path, const struct options *options, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = NULL;
	auto_secret struct kt_secret *text = NULL;
	char name_text[KT_NAME_TEXT_MAX];
	struct key_names names;
	struct kt_jsonw w;
	TPM2B_NAME name;

	if (read_keyfile(path, &file, e) < 0 || name_key(file, options, &names, e) < 0 ||
		kt_public_name(&file->key_public, &name, e) < 0)
		return -1;
	kt_name_format(&name, name_text);
	if (!options->common.json) {
		print_key(file, path, &names, name_text);
		return 0;
	}
	if (start_json(&w, &text, e) < 0)
		return -1;
	write_key(file, path, &names, name_text, &w);
	return finish_json(&w, text, e);
}

/* What list() does with each file. */
struct listing {
	const struct options *options;
	struct kt_jsonw *w; /* NULL: lines for people */
};

static int list_file(const struct listing *listing, const char *path, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = NULL;
	char name_text[KT_NAME_TEXT_MAX], pcrs[KT_PCR_TEXT_MAX], more[32] = "";
	struct key_names names;
	TPM2B_NAME name;

	if (read_keyfile(path, &file, e) < 0 || name_key(file, listing->options, &names, e) < 0 ||
		kt_public_name(&file->key_public, &name, e) < 0)
		return -1;
	kt_name_format(&name, name_text);
	if (file->is_signed)
		snprintf(pcrs, sizeof(pcrs), "approved states");
	else
		kt_pcr_format(&file->states[0], pcrs);
	if (file->state_count > 1)
		snprintf(more, sizeof(more), " (%zu states)", file->state_count);
	if (listing->w != NULL)
		write_key(file, path, &names, name_text, listing->w);
	else
		printf("%s  %s%s  %s%s%s\n", file->uuid, pcrs, more, path,
			names.id[0] != '\0' ? "  " : "", names.id);
	return 0;
}

static int is_keyfile_name(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > strlen(KEY_SUFFIX) &&
	       strcmp(entry->d_name + len - strlen(KEY_SUFFIX), KEY_SUFFIX) == 0;
}

/* One bad file must not hide the others: it is told of, and the last one is what fails. */
static int list_or_warn(const struct listing *listing, const char *path, struct kt_error *failure,
	struct kt_error *e)
{
	if (list_file(listing, path, e) == 0)
		return 0;
	if (e->code == KT_E_USAGE || e->code == KT_E_INTERNAL)
		return -1;
	if (failure->code != KT_E_NONE)
		kt_warn("%s", failure->msg);
	*failure = *e;
	return 0;
}

static int list_folder(const struct listing *listing, const char *folder, struct kt_error *failure,
	struct kt_error *e)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_keyfile_name, alphasort);
	int status = 0;

	if (count < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot read the folder %s", folder);
	for (int i = 0; i < count; i++) {
		auto_free char *path = NULL;

		if (status == 0 && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
			path = NULL;
			status = kt_fail_memory(e);
		}
		if (status == 0)
			status = list_or_warn(listing, path, failure, e);
		free(entries[i]);
	}
	free(entries);
	return status;
}

static int list_all(
	const struct listing *listing, int count, char *const paths[], struct kt_error *e)
{
	struct kt_error failure = {0};
	struct stat st;
	int status = 0;

	for (int i = 0; i < count && status == 0; i++)
		status = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode)
				 ? list_folder(listing, paths[i], &failure, e)
				 : list_or_warn(listing, paths[i], &failure, e);
	if (status == 0 && failure.code != KT_E_NONE) {
		*e = failure;
		return -1;
	}
	return status;
}

static int list(int count, char *const paths[], const struct options *options, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct listing listing = {.options = options};
	struct kt_error failure;
	struct kt_jsonw w;
	int status;

	if (!options->common.json)
		return list_all(&listing, count, paths, e);
	if (start_json(&w, &text, e) < 0)
		return -1;
	listing.w = &w;
	kt_jsonw_begin_object(&w);
	kt_jsonw_name(&w, "keys");
	kt_jsonw_begin_array(&w);
	status = list_all(&listing, count, paths, &failure);
	kt_jsonw_end_array(&w);
	kt_jsonw_end_object(&w);
	if (finish_json(&w, text, e) < 0)
		return -1;
	if (status < 0)
		*e = failure;
	return status;
}

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

/* Both objects of the file, whose PCRs are known. */
static int make_objects(struct kt_keyfile *file, struct kt_tpm *tpm, const struct kt_parent *srk,
	struct kt_error *e)
{
	auto_secret struct kt_secret *pepper = NULL;
	struct kt_policy key_policy = {0}, pepper_policy = {0};
	TPM2B_DIGEST key_digest, pepper_digest;

	if (kt_keyfile_key_policy(file, 0, &key_policy, e) < 0 ||
		kt_keyfile_pepper_policy(file, 0, &pepper_policy, e) < 0 ||
		kt_policy_digest(KT_KEYFILE_ALG, &key_policy, &key_digest, e) < 0 ||
		kt_policy_digest(KT_KEYFILE_ALG, &pepper_policy, &pepper_digest, e) < 0 ||
		new_pepper(&pepper, e) < 0)
		return -1;
	if (kt_hmac_create(tpm, srk, KT_KEYFILE_KEY_ATTRIBUTES, &key_digest, &file->key_public,
		    &file->key_private, e) < 0)
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

	if (file->is_signed) {
		kt_warn("the key works in no state yet: approve one with 'sealtool policy sign "
			"--for %s', and put it where kms.conf's policy-dir says",
			file->uuid);
		return;
	}
	kt_pcr_format(&file->states[0], text);
	kt_warn("the key works only while the PCRs %s have %s: after an update of firmware, Secure "
		"Boot or boot loader that changes one, what it encrypted is lost, unless it was "
		"rotated to another key before, or kms.conf has a recovery key",
		text, file->state_count == 1 ? "these values" : "the values of one of its states");
}

static int check_new(const struct options *options, struct kt_error *e)
{
	struct stat st;

	if (options->type == NULL || strcmp(options->type, "hmac") != 0)
		return kt_fail(e, KT_E_USAGE, "--type hmac is the only type there is");
	if ((options->pcrs.count == 0) == (options->policy_key == NULL))
		return kt_fail(e, KT_E_USAGE,
			"to which state? give --pcrs SELECTION, or --policy-key PUB");
	if (options->pcrs.count > KT_KEYFILE_STATES_MAX)
		return kt_fail(e, KT_E_USAGE, "at most %d states: a TPM takes no more alternatives",
			KT_KEYFILE_STATES_MAX);
	if (options->common.output == NULL)
		return kt_fail(e, KT_E_USAGE, "where to? give -o FILE");
	/* Whoever replaced a key would lose all that it encrypted. */
	if (!is_stdout(&options->common) && lstat(options->common.output, &st) == 0)
		return kt_fail(e, KT_E_REFUSED, "%s is there already, and keys are not replaced",
			options->common.output);
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

static int choose_states(struct kt_keyfile *file, const struct options *options, struct kt_tpm *tpm,
	struct kt_error *e)
{
	const struct kt_opt_list *pcrs = &options->pcrs;

	if (options->policy_key != NULL)
		return choose_signer(file, options->policy_key, e);
	for (size_t i = 0; i < pcrs->count; i++)
		if (choose_pcrs(pcrs->values[i], tpm, &file->states[i], e) < 0)
			return -1;
	file->state_count = pcrs->count;
	return 0;
}

/* Chips without it exist, and emulating it by a sequence would be another command to allow. */
static int check_tpm(struct kt_tpm *tpm, struct kt_error *e)
{
	bool has;

	if (kt_tpm_has_command(tpm, TPM2_CC_HMAC, &has, e) < 0)
		return -1;
	return has ? 0
		   : kt_fail(e, KT_E_TPM,
			     "this TPM does not have the command TPM2_HMAC, which "
			     "such a key is for");
}

static int make(const struct options *options, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = kt_keyfile_new();
	auto_tpm struct kt_tpm *tpm = NULL;
	auto_free char *text = NULL;
	struct kt_parent srk;

	if (file == NULL)
		return kt_fail_memory(e);
	if (check_new(options, e) < 0 || kt_tpm_open(options->common.tcti, &tpm, e) < 0 ||
		kt_srk_load(tpm, &srk, e) < 0 || check_tpm(tpm, e) < 0 ||
		choose_states(file, options, tpm, e) < 0)
		return -1;
	file->parent = srk.name;
	if (kt_uuid_new(file->uuid, e) < 0 || make_objects(file, tpm, &srk, e) < 0 ||
		format_checked(file, &text, e) < 0)
		return -1;
	warn_of_loss(file);
	if (is_stdout(&options->common))
		return write_stdout(text, strlen(text), e);
	return kt_replace_file(options->common.output, text, strlen(text), 0600, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	bool done;
	int first;

	if (parse_options(&verb_key, argc, argv, &options, &options.common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (strcmp(argv[first], "new") == 0 && argc - first == 1)
		return make(&options, e);
	if (strcmp(argv[first], "show") == 0 && argc - first == 2)
		return show(argv[first + 1], &options, e);
	if (strcmp(argv[first], "list") == 0 && argc - first > 1)
		return list(argc - first - 1, argv + first + 1, &options, e);
	return kt_fail(e, KT_E_USAGE,
		"key: 'new --type hmac --pcrs SELECTION|--policy-key PUB -o FILE', 'list "
		"FOLDER|FILE...' or 'show "
		"FILE'");
}

const struct verb verb_key = {
	.command = {PROGRAM, "key", "new|list|show [FILE...]",
		"make a key in this TPM for kms-shim; tell what key files say", opts, 1, -1},
	.run = run,
};
