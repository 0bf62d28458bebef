/* SPDX-License-Identifier: Apache-2.0 */
/* TPM2_HMAC for records of kms-tpm as an audited operation, for a program that lives long. */
#ifndef KT_LIB_AUDIT_HMAC_H
#define KT_LIB_AUDIT_HMAC_H

#include "lib/audit.h"
#include "lib/tpm-hmac.h"

/* A key that can be used, and to repeat what a crash left. */
struct kt_audit_hmac_key {
	struct kt_hmac_key *key;
	struct kt_audit_entrant entrant;
};

/* Who can compute what: borrowed. `find` gives the key with this Name, ready for use, or NULL. */
struct kt_audit_hmac {
	struct kt_audit *audit;
	struct kt_hmac *hmac;
	int (*find)(void *ctx, const uint8_t name[KT_AUDIT_NAME_BYTES],
		struct kt_hmac_key **ret_key, struct kt_error *e);
	void *ctx;
	int64_t deadline_ms; /* for the lock; CLOCK_MONOTONIC, 0: none */
};

/* The HMAC of a record: audited, so that *ret_output is there only if the log has it. `id`: made
 * here for KT_AUDIT_ENCRYPT. Errors as kt_hmac_compute(), kt_audit_lock(), kt_audit_attach();
 * KT_E_INTERNAL if the log cannot be written. */
KT_CHECKED int kt_audit_hmac_compute(const struct kt_audit_hmac *with,
	const struct kt_audit_hmac_key *key, const struct kt_audit_call *call,
	uint8_t id[KT_SHA256_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e);

/* When nobody has asked for a while: settles what others left, has the TPM vouch for what is new,
 * begins another file if it is time. */
KT_CHECKED int kt_audit_hmac_idle(const struct kt_audit_hmac *with, struct kt_error *e);

#endif
