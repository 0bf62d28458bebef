/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool policy: an operator approves states of a machine, for one key or sealed file at a time.
 * The private key lives off the nodes; no verb but new-key and sign touches it, and none needs a
 * TPM.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/approvals.h"
#include "lib/io.h"
#include "lib/keyfile.h"
#include "lib/log.h"
#include "lib/pcr-file.h"
#include "lib/pin.h"
#include "lib/policy-signer.h"
#include "sealtool/policy-key.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
	const char *pub;
	const char *whom;
	const char *pcrs;
	const char *pcrs_file;
	const char *comment;
	bool no_passphrase;
};

static const struct kt_opt opts[] = {
	OPT_KEY(struct options, "sign: the policy-signing key (PEM)"),
	{"pub", 0, "FILE", "new-key: write the public half there; verify: the signer's public key",
		KT_OPT_TEXT, offsetof(struct options, pub)},
	{"for", 0, "KEY", "sign, verify: for which key: its file, a sealed file, or a UUID",
		KT_OPT_TEXT, offsetof(struct options, whom)},
	{"pcrs", 0, "SELECTION", "sign: the state, e.g. sha256:7=HEX,11=HEX", KT_OPT_TEXT,
		offsetof(struct options, pcrs)},
	{"for-pcrs", 0, "FILE", "sign: the state in FILE ('sealtool pcrs --json' of that machine)",
		KT_OPT_TEXT, offsetof(struct options, pcrs_file)},
	{"comment", 0, "TEXT", "sign: why; shown, not signed", KT_OPT_TEXT,
		offsetof(struct options, comment)},
	{"no-passphrase", 0, NULL, "new-key: leave the private key unprotected", KT_OPT_FLAG,
		offsetof(struct options, no_passphrase)},
	OPT_OUTPUT(struct options, "new-key: the private key; sign: the approval"),
	OPT_JSON(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int check_absent(const char *path, struct kt_error *e)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return kt_fail(e, KT_E_REFUSED, "%s is there already, and is not replaced", path);
	return 0;
}

static int read_new_passphrase(
	const struct options *options, struct kt_secret **ret_passphrase, struct kt_error *e)
{
	*ret_passphrase = NULL;
	if (options->no_passphrase)
		return options->common.passphrase_file == NULL
			       ? 0
			       : kt_fail(e, KT_E_USAGE,
					 "--no-passphrase and --passphrase-file exclude each "
					 "other");
	if (options->common.passphrase_file != NULL)
		return kt_pin_read_file(options->common.passphrase_file, KT_PASSPHRASE_MAX_BYTES,
			ret_passphrase, e);
	return kt_pin_prompt(
		"passphrase for the new key: ", true, KT_PASSPHRASE_MAX_BYTES, ret_passphrase, e);
}

static int new_key(const struct options *options, struct kt_error *e)
{
	auto_secret struct kt_secret *passphrase = NULL, *private_pem = NULL;
	auto_free char *public_pem = NULL;
	auto_pkey EVP_PKEY *key = NULL;

	if (is_stdout(&options->common) || options->pub == NULL)
		return kt_fail(e, KT_E_USAGE, "where to? give -o PRIVATE.pem and --pub PUBLIC.pub");
	if (check_absent(options->common.output, e) < 0 || check_absent(options->pub, e) < 0 ||
		read_new_passphrase(options, &passphrase, e) < 0 || policy_key_new(&key, e) < 0 ||
		policy_key_private_pem(key, passphrase, &private_pem, e) < 0 ||
		policy_key_public_pem(key, &public_pem, e) < 0)
		return -1;
	if (write_secret(&options->common, private_pem, e) < 0)
		return -1;
	return kt_replace_file(options->pub, public_pem, strlen(public_pem), 0644, e);
}

/* What --for names. *ret_file is the key file, if it is one, else NULL. */
static int find_key(const char *whom, char ret_uuid[KT_UUID_SIZE], struct kt_keyfile **ret_file,
	struct kt_error *e)
{
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_free uint8_t *text = NULL;
	struct kt_error ignored;
	size_t len;

	*ret_file = NULL;
	if (kt_uuid_is_valid(whom)) {
		memcpy(ret_uuid, whom, KT_UUID_SIZE);
		return 0;
	}
	if (kt_read_file(whom, KT_SEALED_FILE_MAX_BYTES, &text, &len, e) < 0)
		return kt_hint(e, "--for takes a key file, a sealed file or a UUID");
	if (kt_sealed_parse((const char *)text, len, &sealed, &ignored) == 0) {
		snprintf(ret_uuid, KT_UUID_SIZE, "%s", sealed->kid);
		return 0;
	}
	if (kt_keyfile_parse((const char *)text, len, ret_file, e) < 0)
		return kt_wrap(e, "%s is neither a sealed file nor a key file", whom);
	memcpy(ret_uuid, (*ret_file)->uuid, KT_UUID_SIZE);
	return 0;
}

/* Would the key take this signer's word? */
static int check_signer(
	const struct kt_keyfile *file, const EVP_PKEY *key, const char *whom, struct kt_error *e)
{
	uint8_t point[KT_SIGNER_POINT_BYTES];

	if (file == NULL)
		return 0;
	if (!file->is_signed)
		return kt_fail(e, KT_E_USAGE,
			"%s is bound to the states that are in it; no approval changes that", whom);
	if (kt_p256_point(key, point, e) < 0)
		return -1;
	if (memcmp(point, file->signer, sizeof(point)) != 0)
		return kt_fail(e, KT_E_REFUSED, "%s takes approvals of another signing key", whom);
	return 0;
}

static int choose_state(
	const struct options *options, struct kt_pcr_set *ret_pcrs, struct kt_error *e)
{
	if ((options->pcrs != NULL) == (options->pcrs_file != NULL))
		return kt_fail(e, KT_E_USAGE, "which state? give --pcrs or --for-pcrs");
	if (options->pcrs_file != NULL)
		return kt_pcr_file_read(options->pcrs_file, ret_pcrs, e);
	if (kt_pcr_parse(options->pcrs, ret_pcrs, e) < 0)
		return -1;
	if (!kt_pcr_is_complete(ret_pcrs))
		return kt_fail(e, KT_E_USAGE,
			"--pcrs: each PCR needs its value here, as in sha256:7=HEX; for the "
			"present ones of a machine use --for-pcrs");
	return 0;
}

static int sign(const struct options *options, struct kt_error *e)
{
	auto_free struct kt_approval *approval = calloc(1, sizeof(*approval));
	auto_free struct kt_keyfile *file = NULL;
	auto_pkey EVP_PKEY *key = NULL;
	auto_free char *text = NULL;

	if (approval == NULL)
		return kt_fail_memory(e);
	if (options->common.key == NULL || options->whom == NULL || options->common.output == NULL)
		return kt_fail(e, KT_E_USAGE,
			"sign: give --key PRIVATE.pem, --for KEY, a state, and -o APPROVAL.json");
	if (options->comment != NULL && strlen(options->comment) > KT_APPROVAL_COMMENT_MAX_BYTES)
		return kt_fail(e, KT_E_USAGE, "--comment: at most %d bytes",
			KT_APPROVAL_COMMENT_MAX_BYTES);
	if (options->comment != NULL)
		memcpy(approval->comment, options->comment, strlen(options->comment) + 1);
	if (find_key(options->whom, approval->key, &file, e) < 0 ||
		choose_state(options, &approval->pcrs, e) < 0 ||
		kt_rfc3339_format(time(NULL), approval->created, e) < 0 ||
		read_recovery_key(&options->common, &key, e) < 0 ||
		check_signer(file, key, options->whom, e) < 0 ||
		kt_approval_sign(approval, key, e) < 0 ||
		kt_approval_format(approval, &text, e) < 0)
		return -1;
	warn_about_pcrs(&approval->pcrs);
	if (is_stdout(&options->common))
		return write_stdout(text, strlen(text), e);
	return kt_replace_file(options->common.output, text, strlen(text), 0644, e);
}

static void print_approval(const struct kt_approval *approval, const char *path)
{
	char signer[KT_NAME_TEXT_MAX];

	kt_name_format(&approval->signer, signer);
	printf("file:       %s\nfor:        %s\nsigner:     %s\nsigned:     %s\n", path,
		approval->key, signer, approval->created);
	if (approval->comment[0] != '\0')
		printf("comment:    %s\n", approval->comment);
	print_pcrs(&approval->pcrs);
}

static int write_approval(const struct kt_approval *approval, const char *path, const char *verdict,
	struct kt_jsonw *w, struct kt_error *e)
{
	auto_free char *text = NULL;

	if (kt_approval_format(approval, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "file", path);
	if (verdict != NULL)
		kt_jsonw_member(w, "verdict", verdict);
	kt_jsonw_name(w, "approval");
	kt_jsonw_raw(w, text);
	kt_jsonw_end_object(w);
	return 0;
}

/* Files are looked at one after the other; the last failure is what the program ends with. */
struct walk {
	EVP_PKEY *signer;   /* NULL: show */
	const char *uuid;   /* NULL: for any key */
	struct kt_jsonw *w; /* NULL: for people */
};

static int verify_one(
	const struct walk *walk, const struct kt_approval *approval, struct kt_error *e)
{
	if (walk->signer == NULL)
		return 0;
	if (kt_approval_verify(approval, walk->signer, e) < 0)
		return -1;
	if (walk->uuid != NULL && strcmp(walk->uuid, approval->key) != 0)
		return kt_fail(e, KT_E_EVIDENCE, "the approval is for %s, not for %s",
			approval->key, walk->uuid);
	return 0;
}

static int visit(const struct walk *walk, const char *path, struct kt_error *e)
{
	auto_free struct kt_approval *approval = malloc(sizeof(*approval));
	struct kt_error why = {0};
	int verdict;

	if (approval == NULL)
		return kt_fail_memory(e);
	if (kt_approval_read(path, approval, e) < 0)
		return -1;
	verdict = verify_one(walk, approval, &why);
	if (walk->w != NULL) {
		if (write_approval(approval, path,
			    walk->signer == NULL ? NULL
			    : verdict == 0	 ? "ok"
						 : why.msg,
			    walk->w, e) < 0)
			return -1;
	} else if (walk->signer == NULL) {
		print_approval(approval, path);
	} else if (verdict == 0) {
		printf("%s: ok, for %s\n", path, approval->key);
	}
	if (verdict < 0) {
		*e = why;
		return kt_wrap(e, "%s", path);
	}
	return 0;
}

static int visit_all(const struct walk *walk, int count, char *const paths[], struct kt_error *e)
{
	struct kt_error failure = {0};

	for (int i = 0; i < count; i++) {
		struct kt_error why;

		if (walk->w == NULL && walk->signer == NULL && i > 0)
			printf("\n");
		if (visit(walk, paths[i], &why) == 0)
			continue;
		if (failure.code != KT_E_NONE)
			kt_warn("%s", failure.msg);
		failure = why;
	}
	if (failure.code == KT_E_NONE)
		return 0;
	*e = failure;
	return -1;
}

static int look(EVP_PKEY *signer, const char *uuid, bool json, int count, char *const paths[],
	struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct walk walk = {.signer = signer, .uuid = uuid};
	struct kt_error failure;
	struct kt_jsonw w;
	int status;

	if (!json)
		return visit_all(&walk, count, paths, e);
	if (start_json(&w, &text, e) < 0)
		return -1;
	walk.w = &w;
	kt_jsonw_begin_object(&w);
	kt_jsonw_name(&w, "approvals");
	kt_jsonw_begin_array(&w);
	status = visit_all(&walk, count, paths, &failure);
	kt_jsonw_end_array(&w);
	kt_jsonw_end_object(&w);
	if (finish_json(&w, text, e) < 0)
		return -1;
	if (status < 0)
		*e = failure;
	return status;
}

static int verify(const struct options *options, int count, char *const paths[], struct kt_error *e)
{
	auto_free struct kt_keyfile *file = NULL;
	auto_pkey EVP_PKEY *signer = NULL;
	char uuid[KT_UUID_SIZE];

	if (options->pub == NULL)
		return kt_fail(e, KT_E_USAGE, "verify: whose? give --pub PUBLIC.pub");
	if (policy_key_read_public(options->pub, &signer, e) < 0 ||
		(options->whom != NULL && find_key(options->whom, uuid, &file, e) < 0))
		return -1;
	return look(
		signer, options->whom != NULL ? uuid : NULL, options->common.json, count, paths, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	bool done;
	int first, count;

	if (parse_options(&verb_policy, argc, argv, &options, &options.common, &first, &done, e) <
		0)
		return -1;
	if (done)
		return 0;
	count = argc - first - 1;
	if (strcmp(argv[first], "new-key") == 0 && count == 0)
		return new_key(&options, e);
	if (strcmp(argv[first], "sign") == 0 && count == 0)
		return sign(&options, e);
	if (strcmp(argv[first], "show") == 0 && count > 0)
		return look(NULL, NULL, options.common.json, count, argv + first + 1, e);
	if (strcmp(argv[first], "verify") == 0 && count > 0)
		return verify(&options, count, argv + first + 1, e);
	return kt_fail(e, KT_E_USAGE,
		"policy: 'new-key -o PRIVATE.pem --pub PUBLIC.pub', 'sign --key PRIVATE.pem --for "
		"KEY --pcrs SELECTION -o FILE', 'show FILE...' or 'verify --pub PUBLIC.pub "
		"FILE...'");
}

const struct kt_verb verb_policy = {
	.command = {PROGRAM, "policy", "new-key|sign|show|verify [FILE...]",
		"approve states of a machine for a key, and look at approvals", opts, 1, -1},
	.run = run,
};
