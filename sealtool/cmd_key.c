/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool key: makes keys in this machine's TPM, and tells what key files say. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "lib/key-id.h"
#include "lib/keyfile.h"
#include "lib/log.h"
#include "sealtool/key-make.h"
#include "sealtool/policy-key.h"

#define MODULE "kms-tpm"
#define KEY_SUFFIX ".key"
#define EPOCH_DIGITS_MAX 18

struct options {
	struct common common;
	const char *type;
	const char *audit_tier;
	struct kt_opt_list pcrs;
	const char *policy_key;
	const char *cluster;
	const char *epoch;
};

static const struct kt_opt opts[] = {
	{"type", 0, "TYPE",
		"new: hmac, for kms-shim's module kms-tpm, or p256, for 'sealtool sign-cert'",
		KT_OPT_TEXT, offsetof(struct options, type)},
	{"audit-tier", 0, "TIER",
		"new: a, for an audit log by command audit (default), or b, by a use counter",
		KT_OPT_TEXT, offsetof(struct options, audit_tier)},
	{"pcrs", 0, "SELECTION",
		"new: PCRs the key is bound to, e.g. sha256:7,11 or sha256:7=HEX; if repeated, to "
		"any of these states",
		KT_OPT_LIST, offsetof(struct options, pcrs)},
	{"policy-key", 0, "PUB",
		"new: instead, to the states that this key approves ('sealtool policy sign')",
		KT_OPT_TEXT, offsetof(struct options, policy_key)},
	OPT_OUTPUT(struct options,
		"new: the key file, which must not exist yet; public: the public key"),
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

static bool is_hmac(const struct kt_keyfile *file)
{
	return file->type == KT_KEYFILE_HMAC;
}

static const char *audit_of(const struct kt_keyfile *file)
{
	if (!file->has_creation)
		return "cannot be audited: made before keys were for that";
	return file->is_counted ? "tier b: each use is counted" : "tier a";
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
	kt_jsonw_member(w, "type", is_hmac(file) ? "hmac" : "p256");
	if (file->has_creation)
		kt_jsonw_member(w, "auditTier", "a");
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
	printf("type:       %s\n", is_hmac(file) ? "HMAC-SHA256, for kms-shim's module " MODULE
						 : "ECDSA with P-256, for certificates");
	printf("audit:      %s\n", audit_of(file));
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
	else if (file->state_count == 0)
		snprintf(pcrs, sizeof(pcrs), "any state");
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

/* The public half of a P-256 key, as PEM. */
static int print_public(const char *path, const struct options *options, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = NULL;
	auto_pkey EVP_PKEY *key = NULL;
	auto_free char *pem = NULL;

	if (read_keyfile(path, &file, e) < 0)
		return -1;
	if (kt_keyfile_public(file, &key, e) < 0)
		return kt_wrap(e, "%s", path);
	if (policy_key_public_pem(key, &pem, e) < 0)
		return -1;
	if (is_stdout(&options->common))
		return write_stdout(pem, strlen(pem), e);
	return kt_replace_file(options->common.output, pem, strlen(pem), 0644, e);
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
		return key_make(&(struct key_request){.common = &options.common,
					.type = options.type,
					.audit_tier = options.audit_tier,
					.policy_key = options.policy_key,
					.pcrs = &options.pcrs},
			e);
	if (strcmp(argv[first], "show") == 0 && argc - first == 2)
		return show(argv[first + 1], &options, e);
	if (strcmp(argv[first], "list") == 0 && argc - first > 1)
		return list(argc - first - 1, argv + first + 1, &options, e);
	if (strcmp(argv[first], "public") == 0 && argc - first == 2)
		return print_public(argv[first + 1], &options, e);
	return kt_fail(e, KT_E_USAGE,
		"key: 'new --type hmac --pcrs SELECTION|--policy-key PUB -o FILE', 'new --type "
		"p256 "
		"-o FILE', 'list FOLDER|FILE...', 'show FILE' or 'public FILE'");
}

const struct kt_verb verb_key = {
	.command = {PROGRAM, "key", "new|list|show|public [FILE...]",
		"make a key in this TPM; tell what key files say", opts, 1, -1},
	.run = run,
};
