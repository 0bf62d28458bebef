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

/* Where to find what belongs to a key; borrowed, each may be NULL. */
struct kms_tpm_place {
	const char *tcti;
	const char *policy_dir;	      /* for a key under approvals: kms_tpm_states_new() */
	const char *audit;	      /* the audit log; without, nothing is audited */
	const char *endorsement_auth; /* a file: the hierarchy's authorisation value */
};

/* The key of a file. Touches no TPM. KT_E_REFUSED if it cannot be audited and should be. */
KT_CHECKED int kms_tpm_open(const struct kt_keyfile *file, const struct kms_tpm_place *place,
	struct kms_tpm_key **ret_key, struct kt_error *e);
/* With the last key of a TPM goes a last checkpoint. NULL is fine. */
void kms_tpm_close(struct kms_tpm_key *key);

/* Until when the caller of what comes next waits, CLOCK_MONOTONIC in milliseconds; 0: for long. */
void kms_tpm_set_deadline(struct kms_tpm_key *key, int64_t deadline_ms);

/* What the TPM was asked, by all keys that share its connection, since this was asked last. */
void kms_tpm_take_figures(struct kms_tpm_key *key, struct kt_tpm_figures *ret_figures);

/* What is wrong with an approval in the folder, and with the audit log, each once; NULL: nothing
 * more. */
const char *kms_tpm_next_warning(struct kms_tpm_key *key);
const char *kms_tpm_next_audit_warning(struct kms_tpm_key *key);

/* Unseals the pepper, unless that was done before. KT_E_POLICY names the PCRs that differ. */
KT_CHECKED int kms_tpm_unseal_pepper(struct kms_tpm_key *key, struct kt_error *e);

/* Reads the PCRs and compares. KT_E_POLICY names those that differ. */
KT_CHECKED int kms_tpm_check(struct kms_tpm_key *key, struct kt_error *e);

/* What for. */
struct kms_tpm_use {
	bool is_new; /* Encrypt: the identifier is made */
	const char *cluster, *key_id;
	const char *uid; /* the API server's; may be NULL */
};

/* The key of one record, into `record_key`, which has room for it. If the key is audited, it is in
 * the log by then. */
KT_CHECKED int kms_tpm_record_key(struct kms_tpm_key *key, const struct kms_tpm_use *use,
	uint8_t id[KT_RECORD_ID_BYTES], struct kt_secret *record_key, struct kt_error *e);

/* When nobody has asked for a while: has the TPM vouch for the audit log, if there is one. */
KT_CHECKED int kms_tpm_idle(struct kms_tpm_key *key, struct kt_error *e);

#endif
