/* SPDX-License-Identifier: Apache-2.0 */
/* The request itself (PKCS#10), as it stands in the evidence. Pure (OpenSSL). */
#ifndef KT_CSR_APPROVER_SUBJECT_H
#define KT_CSR_APPROVER_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define CSR_NODE_NAME_SIZE 254
struct csr_subject {
	char node[CSR_NODE_NAME_SIZE];
};

/* A kubelet's client certificate is asked for, and nothing else: O system:nodes, CN
 * system:node:NAME, no attributes, a P-256 key, which signed it. KT_E_INPUT, which says what is
 * wrong. */
KT_CHECKED int csr_read_subject(
	const uint8_t *der, size_t len, struct csr_subject *ret_subject, struct kt_error *e);

#endif
