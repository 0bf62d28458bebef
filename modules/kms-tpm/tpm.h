/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM as kms-tpm uses it: one connection for all keys of the module, since they are served by
 * one thread, and a bare TPM has few slots.
 */
#ifndef KT_MODULES_KMS_TPM_TPM_H
#define KT_MODULES_KMS_TPM_TPM_H

#include "lib/keyfile.h"
#include "lib/kms-record.h"
#include "lib/secret.h"
#include "lib/tpm.h"

struct kms_tpm_key;

/* The key of a file, on the TPM that `tcti` names, in the states that `policy_dir` approves if it
 * is a key of that kind (kms_tpm_states_new()). Touches no TPM. */
KT_CHECKED int kms_tpm_open(const struct kt_keyfile *file, const char *policy_dir, const char *tcti,
	struct kms_tpm_key **ret_key, struct kt_error *e);
/* NULL is fine. */
void kms_tpm_close(struct kms_tpm_key *key);

/* Until when the caller of what comes next waits, CLOCK_MONOTONIC in milliseconds; 0: for long. */
void kms_tpm_set_deadline(struct kms_tpm_key *key, int64_t deadline_ms);

/* What the TPM was asked, by all keys that share its connection, since this was asked last. */
void kms_tpm_take_figures(struct kms_tpm_key *key, struct kt_tpm_figures *ret_figures);

/* What is wrong with an approval in the folder, each once; NULL: nothing more. */
const char *kms_tpm_next_warning(struct kms_tpm_key *key);

/* Unseals the pepper, unless that was done before. KT_E_POLICY names the PCRs that differ. */
KT_CHECKED int kms_tpm_unseal_pepper(struct kms_tpm_key *key, struct kt_error *e);

/* Reads the PCRs and compares. KT_E_POLICY names those that differ. */
KT_CHECKED int kms_tpm_check(struct kms_tpm_key *key, struct kt_error *e);

/* The key of one record, into `record_key`, which has room for it. */
KT_CHECKED int kms_tpm_record_key(struct kms_tpm_key *key, const char *cluster, const char *key_id,
	const uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *record_key, struct kt_error *e);

#endif
