/* SPDX-License-Identifier: Apache-2.0 */
/* The options that name recipients, for the verbs that add some: seal, recipient add, import. */
#ifndef KT_SEALTOOL_RECIPIENTS_H
#define KT_SEALTOOL_RECIPIENTS_H

#include "sealtool/sealtool.h"

struct recipient_options {
	const char *pcrs;
	const char *policy_key;
	const char *parent_name;
	struct kt_opt_list for_keys;
	struct kt_opt_list for_pcrs;
	struct kt_opt_list recovery;
};

#define OPT_RECIPIENTS(type)                                                                       \
	{"pcrs", 0, "SELECTION", "bind this TPM's slot to PCRs, e.g. sha256:0,7 or sha256:7=HEX",  \
		KT_OPT_TEXT, offsetof(type, recipients.pcrs)},                                     \
		{"policy-key", 0, "PUB",                                                           \
			"instead, to the states that this key approves ('sealtool policy sign')",  \
			KT_OPT_TEXT, offsetof(type, recipients.policy_key)},                       \
		{"for", 0, "KEY.pub", "seal for another machine's TPM (its 'sealtool srk -o')",    \
			KT_OPT_LIST, offsetof(type, recipients.for_keys)},                         \
		{"for-pcrs", 0, "FILE",                                                            \
			"bind that slot to the PCRs in FILE ('sealtool pcrs --json')",             \
			KT_OPT_LIST, offsetof(type, recipients.for_pcrs)},                         \
		{"recovery", 0, "PUB", "add an offline recovery key (P-256, PEM or JWK)",          \
			KT_OPT_LIST, offsetof(type, recipients.recovery)},                         \
	{                                                                                          \
		"parent-name", 0, "HEX", "refuse unless the storage key has this Name",            \
			KT_OPT_TEXT, offsetof(type, recipients.parent_name)                        \
	}

/* Is a slot of this machine's TPM asked for? With neither --for nor --recovery it always is. */
bool wants_this_tpm(const struct recipient_options *options, const struct common *common);

/* Adds the recipients that need no TPM: --for and --recovery. */
KT_CHECKED int add_offline_recipients(
	struct kt_sealed *sealed, const struct recipient_options *options, struct kt_error *e);

/* A selection from the command line: PCRs without a given value get the present one. Warns of what
 * the policy lint finds, and of values that are not the present ones. */
KT_CHECKED int choose_pcrs(
	const char *text, struct kt_tpm *tpm, struct kt_pcr_set *ret_pcrs, struct kt_error *e);

/* Adds this machine's slot: PCRs without a given value get the present one; the policy lint warns.
 */
KT_CHECKED int add_this_tpm(struct kt_sealed *sealed, const struct recipient_options *options,
	bool pin, struct kt_tpm *tpm, const struct kt_parent *srk, struct kt_error *e);

/* Fails with KT_E_WRONG_TPM unless the storage key has the Name of --parent-name, if given. */
KT_CHECKED int check_parent_name(
	const struct recipient_options *options, const struct kt_parent *srk, struct kt_error *e);

/* The whole way for a new file: recipients, then encryption; the TPM is only opened if it is
 * needed. */
KT_CHECKED int seal_to_recipients(struct kt_sealed *sealed, const struct recipient_options *options,
	const struct common *common, const struct kt_secret *pin, const struct kt_secret *secret,
	struct kt_error *e);

/* Warns of a purpose that none of our programs asks for, and of a file without a recovery key. Said
 * last, once all has gone well. */
void warn_about_file(const struct kt_sealed *sealed);

/* A new file's name, purpose, UUID and time. */
KT_CHECKED int name_sealed(
	struct kt_sealed *sealed, const char *name, const char *purpose, struct kt_error *e);

#endif
