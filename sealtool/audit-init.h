/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool audit init: turns the TPM's command audit on, or makes its use counter, and begins the
 * log that it vouches for. */
#ifndef KT_SEALTOOL_AUDIT_INIT_H
#define KT_SEALTOOL_AUDIT_INIT_H

#include "lib/tpm-audit.h"
#include "sealtool/audit-tier.h"
#include "sealtool/sealtool.h"

/* Borrowed; authorisation values NULL if empty. */
struct audit_request {
	const char *log;
	const char *ak_out; /* the attestation key's public half, PEM */
	const struct kt_secret *owner_auth, *endorsement_auth;
	uint64_t max, age;
	const char *tier; /* NULL: the best that the chip can do */
	bool force;	  /* though others use the audited commands, or the owner is anybody */
};

/* What an examiner has to know. */
struct audit_facts {
	struct kt_ak ak; /* cleared by the caller */
	enum kt_audit_tier tier;
	struct kt_audit_counts counts;
};

/* The log is there, with its first checkpoint, or not at all. KT_E_REFUSED if it was there before,
 * others use the audited commands, or anybody could make the counter anew; KT_E_TPM if the chip
 * cannot. */
KT_CHECKED int audit_init(struct kt_tpm *tpm, const struct audit_request *request,
	struct audit_facts *ret_facts, struct kt_error *e);

#endif
