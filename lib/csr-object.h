/* SPDX-License-Identifier: Apache-2.0 */
/* CertificateSigningRequest (certificates.k8s.io/v1), what is looked at of it. Pure. */
#ifndef KT_LIB_CSR_OBJECT_H
#define KT_LIB_CSR_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/evidence.h"
#include "lib/json.h"

#define KT_CSR_USAGES_MAX 16
#define KT_CSR_TEXT_MAX 4096

/* Texts are borrowed from the JSON. */
struct kt_csr_object {
	const char *name, *uid, *signer, *username;
	size_t usage_count;
	const char *usages[KT_CSR_USAGES_MAX];
	int64_t expiration;	 /* seconds; 0: none asked for */
	int64_t created;	 /* seconds since the epoch */
	const char *denied;	 /* the message of its Denied or Failed condition; NULL: neither */
	const char *approved;	 /* the message of its Approved condition; NULL: not approved */
	const char *certificate; /* status.certificate, base64; NULL: not issued */
	uint8_t *request;	 /* spec.request, decoded; owned */
	size_t request_len;
};

/* *ret_csr is freed by kt_csr_object_clear(). KT_E_INPUT. */
KT_CHECKED int kt_csr_object_read(
	struct json_object *object, struct kt_csr_object *ret_csr, struct kt_error *e);
void kt_csr_object_clear(struct kt_csr_object *csr);

#endif
