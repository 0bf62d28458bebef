/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided on a request, and why. No TPM, no network, no clock: the time is the caller's.
 * Pure but for the random numbers of a challenge.
 */
#ifndef KT_CSR_APPROVER_REVIEW_H
#define KT_CSR_APPROVER_REVIEW_H

#include "csr-approver/inventory.h"
#include "csr-approver/subject.h"
#include "lib/csr-object.h"

#define SIGNER_CHALLENGE "kubetpm.internal/node-challenge"
#define SIGNER_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define CLIENT_NAME_PREFIX "kubetpm-" /* and the challenge's uid: a challenge serves once */
#define CHALLENGE_SECONDS_MAX 300

enum verdict_kind { VERDICT_APPROVE, VERDICT_DENY, VERDICT_IGNORE };

struct verdict {
	enum verdict_kind kind;
	const char *reason; /* of the condition: one word */
	/* Of the condition: for people; of a challenge that is approved, the challenge. */
	char message[2048];
	const char *possession; /* of the endorsement key: "proven", "asked", "not checked" */
	char node[CSR_NODE_NAME_SIZE]; /* "": not known */
	char ek[KT_EK_FINGERPRINT_SIZE];
};

/* `challenge`: the one that `csr` answers; NULL: not at hand. KT_E_INTERNAL. */
KT_CHECKED int review(const struct kt_csr_object *csr, const struct kt_csr_object *challenge,
	const struct inventory *inventory, int64_t now, struct verdict *ret_verdict,
	struct kt_error *e);

#endif
