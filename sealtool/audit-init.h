/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool audit init: turns the TPM's command audit on, and begins the log that it vouches for. */
#ifndef KT_SEALTOOL_AUDIT_INIT_H
#define KT_SEALTOOL_AUDIT_INIT_H

#include "lib/tpm-audit.h"
#include "sealtool/sealtool.h"

/* What a chip can do (the reference's tiers): A is command audit, which counts every use; B session
 * audit with a use counter; C neither. */
enum audit_tier { AUDIT_TIER_A, AUDIT_TIER_B, AUDIT_TIER_C };

KT_CHECKED int audit_probe_tier(struct kt_tpm *tpm, enum audit_tier *ret_tier, struct kt_error *e);
const char *audit_tier_name(enum audit_tier tier);

/* Borrowed; authorisation values NULL if empty. */
struct audit_request {
	const char *log;
	const char *ak_out; /* the attestation key's public half, PEM */
	const struct kt_secret *owner_auth, *endorsement_auth;
	uint64_t max, age;
	bool force; /* though others use the audited commands */
};

/* What an examiner has to know. */
struct audit_facts {
	struct kt_ak ak; /* cleared by the caller */
	struct kt_audit_counts counts;
};

/* The log is there, with its first checkpoint, or not at all. KT_E_REFUSED if it was there before,
 * or others use the audited commands; KT_E_TPM if the chip cannot. */
KT_CHECKED int audit_init(struct kt_tpm *tpm, const struct audit_request *request,
	struct audit_facts *ret_facts, struct kt_error *e);

#endif
