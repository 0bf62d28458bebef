/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a node earns its certificate: it asks twice, and the second time proves with its TPM who it
 * is and how it booted (kubetpm-formats(5), Evidence).
 */
#ifndef KT_CRED_ATTESTED_ENROL_H
#define KT_CRED_ATTESTED_ENROL_H

#include "lib/pcr.h"
#include "modules/cred-attested/api.h"

/* Borrowed. */
struct enrolment {
	const char *node;
	const struct kt_pcr_set *pcrs; /* which ones to prove, without values */
	int64_t lifetime;	       /* of the certificate, seconds */
	const char *tcti;
	const struct api_place *place;
	int64_t deadline; /* as api_open() takes it */
};

/* Key and certificate in PEM. KT_E_REFUSED: denied, with the approver's message; KT_E_NETWORK;
 * KT_E_WRONG_TPM: the challenge was for another. */
KT_CHECKED int enrol(const struct enrolment *what, struct kt_secret **ret_pem, struct kt_error *e);

#endif
