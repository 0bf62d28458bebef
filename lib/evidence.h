/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation evidence: the PEM blocks behind the request in a CertificateSigningRequest's
 * spec.request (kubetpm-formats(5), Evidence), and the hashes that bind them. Pure (OpenSSL);
 * fuzzed.
 */
#ifndef KT_LIB_EVIDENCE_H
#define KT_LIB_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/audit-hash.h"
#include "lib/auto.h"
#include "lib/error.h"

#define KT_EVIDENCE_MAX_BYTES 65536

/* In the order in which they stand; each at most once. */
enum kt_evidence_block {
	KT_EVIDENCE_REQUEST,   /* CERTIFICATE REQUEST: PKCS#10 */
	KT_EVIDENCE_EK,	       /* TPM EK PUBLIC: TPM2B_PUBLIC */
	KT_EVIDENCE_AK,	       /* TPM AK PUBLIC: TPM2B_PUBLIC */
	KT_EVIDENCE_SECRET,    /* TPM CHALLENGE SECRET */
	KT_EVIDENCE_QUOTE,     /* TPM QUOTE: TPMS_ATTEST */
	KT_EVIDENCE_SIGNATURE, /* TPM QUOTE SIGNATURE: r and s */
	KT_EVIDENCE_PCRS,      /* TPM PCR VALUES: JSON */
	KT_EVIDENCE_BLOCKS
};

struct kt_evidence {
	/* owned; NULL: not there */
	struct {
		uint8_t *data;
		size_t len;
	} blocks[KT_EVIDENCE_BLOCKS];
};

/* *ret_evidence is freed by kt_evidence_clear(). KT_E_INPUT: something that is not exactly PEM as
 * RFC 7468 says it strictly, an unknown block, one twice or out of order. Strict, so that the API
 * server, which looks at the first block alone, cannot read another request here. */
KT_CHECKED int kt_evidence_read(
	const void *text, size_t len, struct kt_evidence *ret_evidence, struct kt_error *e);
void kt_evidence_clear(struct kt_evidence *evidence);
#define auto_evidence __attribute__((cleanup(kt_evidence_clear)))

/* The text of the blocks that are there. Owned by the caller. */
KT_CHECKED int kt_evidence_write(
	const struct kt_evidence *evidence, char **ret_text, struct kt_error *e);

/* "CERTIFICATE REQUEST" and so on. */
const char *kt_evidence_block_name(enum kt_evidence_block block);

/* What a challenge's approval commits to. */
void kt_evidence_commitment(const char *uid, const uint8_t ak_name[KT_AUDIT_NAME_BYTES],
	const void *secret, size_t secret_len, uint8_t ret_hash[KT_SHA256_BYTES]);

/* What the quote's qualifyingData binds. Borrowed. */
struct kt_evidence_binding {
	const char *uid; /* of the challenge */
	const void *secret;
	size_t secret_len;
	const void *request; /* PKCS#10 */
	size_t request_len;
	const char *signer;
	const char *const *usages; /* as they stand in the request */
	size_t usage_count;
	int64_t expiration; /* seconds */
};
void kt_evidence_qualify(
	const struct kt_evidence_binding *binding, uint8_t ret_hash[KT_SHA256_BYTES]);

#endif
