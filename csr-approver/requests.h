/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of one input: a CertificateSigningRequest, or a List as kubectl prints it. Pure. */
#ifndef KT_CSR_APPROVER_REQUESTS_H
#define KT_CSR_APPROVER_REQUESTS_H

#include "csr-approver/review.h"

#define REQUESTS_MAX 1000

struct requests {
	size_t count;
	struct kt_csr_object *list; /* owned; texts are borrowed from the JSON */
};

/* To be cleared in any case. KT_E_INPUT. */
KT_CHECKED int requests_read(
	struct json_object *json, struct requests *ret_requests, struct kt_error *e);
void requests_clear(struct requests *requests);

/* The challenge that a request's name says, borrowed; NULL if it is not here. */
const struct kt_csr_object *requests_challenge(
	const struct requests *requests, const struct kt_csr_object *csr);

#endif
