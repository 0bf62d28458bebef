/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of sealtool share: their table, common options, and reading and writing. */
#ifndef KT_SEALTOOL_SEALTOOL_H
#define KT_SEALTOOL_SEALTOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/json.h"
#include "lib/verb.h"
#include "lib/pcr.h"
#include "lib/seal.h"
#include "lib/secret.h"

#define PROGRAM "sealtool"

/* Each cmd_*.c defines one. `run` gets argv with argv[0] the verb. */
extern const struct kt_verb verb_init, verb_seal, verb_unseal, verb_show, verb_reseal,
	verb_recipient, verb_recover, verb_recover_record, verb_export, verb_import, verb_key,
	verb_policy, verb_audit, verb_sign_cert, verb_pcrs, verb_srk, verb_doctor;

/* Options that several verbs have; a verb embeds this structure. */
struct common {
	const char *tcti;
	bool verbose;
	bool json;
	bool force;
	bool pin;
	const char *pin_file;
	bool new_pin;
	const char *new_pin_file;
	bool no_tpm;
	const char *owner_auth_file;
	const char *output;
	const char *key;
	const char *passphrase_file;
	const char *policy_dir;
};

#define OPT_TCTI(type)                                                                             \
	{                                                                                          \
		"tcti", 'T', "CONFIG",                                                             \
			"how to reach the TPM (default $KUBETPM_TCTI, or " KT_TPM_DEFAULT_TCTI     \
			")",                                                                       \
			KT_OPT_TEXT, offsetof(type, common.tcti)                                   \
	}
#define OPT_VERBOSE(type)                                                                          \
	{                                                                                          \
		"verbose", 'v', NULL, "say more on standard error", KT_OPT_FLAG,                   \
			offsetof(type, common.verbose)                                             \
	}
#define OPT_JSON(type)                                                                             \
	{                                                                                          \
		"json", 'j', NULL, "print JSON for machines", KT_OPT_FLAG,                         \
			offsetof(type, common.json)                                                \
	}
#define OPT_OUTPUT(type, text)                                                                     \
	{                                                                                          \
		"output", 'o', "FILE", text, KT_OPT_TEXT, offsetof(type, common.output)            \
	}
#define OPT_FORCE(type)                                                                            \
	{                                                                                          \
		"force", 'f', NULL, "write the secret even to a terminal", KT_OPT_FLAG,            \
			offsetof(type, common.force)                                               \
	}
#define OPT_PIN(type)                                                                              \
	{"pin", 0, NULL, "ask for the PIN on the terminal", KT_OPT_FLAG,                           \
		offsetof(type, common.pin)},                                                       \
	{                                                                                          \
		"pin-file", 0, "FILE", "read the PIN from FILE", KT_OPT_TEXT,                      \
			offsetof(type, common.pin_file)                                            \
	}
#define OPT_NEW_PIN(type, text)                                                                    \
	{"new-pin", 0, NULL, "ask for a new PIN " text, KT_OPT_FLAG,                               \
		offsetof(type, common.new_pin)},                                                   \
	{                                                                                          \
		"new-pin-file", 0, "FILE", "read that new PIN from FILE", KT_OPT_TEXT,             \
			offsetof(type, common.new_pin_file)                                        \
	}
#define OPT_NO_TPM(type)                                                                           \
	{                                                                                          \
		"no-tpm", 0, NULL, "with --key: take all TPM slots for other machines'",           \
			KT_OPT_FLAG, offsetof(type, common.no_tpm)                                 \
	}
#define OPT_POLICY_DIR(type)                                                                       \
	{                                                                                          \
		"policy-dir", 0, "DIR",                                                            \
			"folder of approvals, for a file whose states are approved", KT_OPT_TEXT,  \
			offsetof(type, common.policy_dir)                                          \
	}
#define OPT_OWNER_AUTH(type)                                                                       \
	{                                                                                          \
		"owner-auth-file", 0, "FILE", "the owner hierarchy's authorisation value",         \
			KT_OPT_TEXT, offsetof(type, common.owner_auth_file)                        \
	}
#define OPT_KEY(type, text)                                                                        \
	{"key", 'k', "FILE", text, KT_OPT_TEXT, offsetof(type, common.key)},                       \
	{                                                                                          \
		"passphrase-file", 0, "FILE", "passphrase of the private key", KT_OPT_TEXT,        \
			offsetof(type, common.passphrase_file)                                     \
	}
#define OPT_END                                                                                    \
	{                                                                                          \
		NULL, 0, NULL, NULL, 0, 0                                                          \
	}

/* Parses a verb's options, and turns on --verbose. As kt_opt_parse(). */
KT_CHECKED int parse_options(const struct kt_verb *verb, int argc, char *argv[], void *target,
	const struct common *common, int *ret_first, bool *ret_done, struct kt_error *e);

/* The PIN from --pin or --pin-file, or NULL if neither was given. `confirm` asks twice. */
KT_CHECKED int read_pin(
	const struct common *common, bool confirm, struct kt_secret **ret_pin, struct kt_error *e);

/* The PIN from --new-pin (asked twice) or --new-pin-file, or NULL. */
KT_CHECKED int read_new_pin(
	const struct common *common, struct kt_secret **ret_pin, struct kt_error *e);

/* An authorisation value from an option's file, or NULL if `path` is. */
KT_CHECKED int read_auth(const char *path, struct kt_secret **ret_auth, struct kt_error *e);

/* The recovery private key of --key. *ret_key is owned by the caller. */
KT_CHECKED int read_recovery_key(
	const struct common *common, EVP_PKEY **ret_key, struct kt_error *e);

/* Opens a sealed file with --key, if given, else with the TPM, which is closed again. */
KT_CHECKED int open_sealed(const struct kt_sealed *sealed, const struct common *common,
	const struct kt_secret *pin, struct kt_secret **ret_secret, struct kt_error *e);

/* Standard input, up to 1 MiB. KT_E_INPUT if empty or longer. */
KT_CHECKED int read_stdin_secret(struct kt_secret **ret_secret, struct kt_error *e);

/* KT_E_REFUSED if a secret would go to a terminal and --force is not given. */
KT_CHECKED int check_secret_output(const struct common *common, struct kt_error *e);

/* The secret to --output (mode 0600, atomically) or standard output. */
KT_CHECKED int write_secret(
	const struct common *common, const struct kt_secret *secret, struct kt_error *e);

/* Is --output (also "-", or not given) standard output? */
bool is_stdout(const struct common *common);

/* A sealed file to --output or standard output. */
KT_CHECKED int write_sealed(
	const struct common *common, const struct kt_sealed *sealed, struct kt_error *e);

/* Facts that are no secret to standard output. */
KT_CHECKED int write_stdout(const void *data, size_t len, struct kt_error *e);

/* A slot's number. KT_E_USAGE. */
KT_CHECKED int parse_slot(const char *text, long *ret_slot, struct kt_error *e);

/* A line for each PCR with a value, for people. */
void print_pcrs(const struct kt_pcr_set *pcrs);

/* Runs the policy lint and prints its warnings on standard error. */
void warn_about_pcrs(const struct kt_pcr_set *pcrs);

/* A JSON document under construction, printed by finish_json(). */
#define JSON_DOCUMENT_MAX (512 * 1024) /* 16 slots of 96 PCRs */
KT_CHECKED int start_json(struct kt_jsonw *w, struct kt_secret **ret_text, struct kt_error *e);
KT_CHECKED int finish_json(struct kt_jsonw *w, struct kt_secret *text, struct kt_error *e);

#endif
