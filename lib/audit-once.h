/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log for a program that does one thing: locked, attached and settled when it is opened,
 * with a last checkpoint when it is closed. */
#ifndef KT_LIB_AUDIT_ONCE_H
#define KT_LIB_AUDIT_ONCE_H

#include "lib/audit.h"

/* What goes together. The TPM is opened when the log is locked: where programs take turns at a bare
 * software TPM, two that took them in another order would wait for each other. */
struct kt_audit_once {
	struct kt_audit *audit;
	struct kt_tpm *tpm;
	struct kt_parent srk;
	uint64_t connections;
};

/* How to get there; borrowed. */
struct kt_audit_place {
	const char *path, *tcti;		  /* tcti: as for kt_tpm_open() */
	const struct kt_secret *endorsement_auth; /* NULL: empty */
};

/* What to do about an operation that only another program can repeat. */
enum kt_audit_patience { KT_AUDIT_WAIT, KT_AUDIT_ABANDON };

/* Opens log and TPM, locks, attaches and settles. Waits some ten seconds for whoever can repeat
 * what was cut off, or gives it up. *ret_once is ended with kt_audit_once_end(). Errors as those of
 * lib/audit.h; KT_E_BUSY. */
KT_CHECKED int kt_audit_once_begin(const struct kt_audit_place *place,
	enum kt_audit_patience patience, struct kt_audit_once *ret_once, struct kt_error *e);

/* A checkpoint with `nonce` (or ""), if there is anything to vouch for. */
KT_CHECKED int kt_audit_once_checkpoint(
	struct kt_audit_once *once, const char *nonce, struct kt_error *e);

/* Closes TPM and log; prints warnings. */
void kt_audit_once_end(struct kt_audit_once *once);

/* Signs a TBSCertificate (DER) with a loaded key, audited: the signature is there only if the log
 * has it. */
struct kt_audit_signer {
	ESYS_TR handle;
	struct kt_audit_entrant entrant; /* its policy is what is run */
};
KT_CHECKED int kt_audit_once_sign(struct kt_audit_once *once, const struct kt_audit_signer *signer,
	const uint8_t *tbs, size_t len, uint8_t ret_signature[KT_AUDIT_POINT_BYTES],
	struct kt_error *e);

#endif
