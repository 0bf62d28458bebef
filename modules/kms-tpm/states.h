/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of the machine in which a key works: those in its file, or those that its operator
 * approved and that lie in a folder. Pure but for reading that folder.
 */
#ifndef KT_MODULES_KMS_TPM_STATES_H
#define KT_MODULES_KMS_TPM_STATES_H

#include "lib/approvals.h"
#include "lib/keyfile.h"

struct kms_tpm_states;

/* `policy_dir` is for a key under approvals, and ignored for others; read at once. `file` is
 * borrowed. KT_E_USAGE if it is needed and missing, or cannot be read. */
KT_CHECKED int kms_tpm_states_new(const struct kt_keyfile *file, const char *policy_dir,
	struct kms_tpm_states **ret_states, struct kt_error *e);
/* NULL is fine. */
void kms_tpm_states_free(struct kms_tpm_states *states);

/* Were files put into the folder, or taken away, since it was read? */
bool kms_tpm_states_have_changed(const struct kms_tpm_states *states);

/* Reads the folder again if it has changed, or was read more than a second ago; true if it did. */
bool kms_tpm_states_reread(struct kms_tpm_states *states);

/* What is wrong with a file in the folder, each once; NULL: nothing more. */
const char *kms_tpm_states_next_warning(struct kms_tpm_states *states);

/* The PCRs that have to be looked at; empty if nothing is approved. */
KT_CHECKED int kms_tpm_states_selection(
	const struct kms_tpm_states *states, struct kt_pcr_set *ret_selection, struct kt_error *e);

/* The state that the PCRs are in becomes the present one. False if it is none of them: then the one
 * that is nearest does. *ret_changed: it is another than before. */
bool kms_tpm_states_choose(
	struct kms_tpm_states *states, const struct kt_pcr_set *present, bool *ret_changed);

/* Of the present state: its PCRs, NULL if there is none at all; and the policies for it. */
const struct kt_pcr_set *kms_tpm_states_pcrs(const struct kms_tpm_states *states);
KT_CHECKED int kms_tpm_states_key_policy(
	const struct kms_tpm_states *states, struct kt_policy *ret_policy, struct kt_error *e);
KT_CHECKED int kms_tpm_states_pepper_policy(
	const struct kms_tpm_states *states, struct kt_policy *ret_policy, struct kt_error *e);

/* How many states there are; whether there may be more or fewer later; and from where. */
size_t kms_tpm_states_count(const struct kms_tpm_states *states);
const char *kms_tpm_states_folder(const struct kms_tpm_states *states);

#endif
