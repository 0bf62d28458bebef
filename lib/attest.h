/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPMS_ATTEST (Part 2, 10.12.12) of audits, a creation and a quote, and the
 * attestation key that signs them: read and verified without a TPM library. Pure (OpenSSL); fuzzed.
 */
#ifndef KT_LIB_ATTEST_H
#define KT_LIB_ATTEST_H

#include <stdbool.h>

#include <openssl/evp.h>

#include "lib/audit-hash.h"

#define KT_ATTEST_MAX_BYTES 1024

enum kt_attest_type {
	KT_ATTEST_COMMAND_AUDIT = 0x8015,
	KT_ATTEST_SESSION_AUDIT = 0x8016,
	KT_ATTEST_QUOTE = 0x8018,
	KT_ATTEST_CREATION = 0x801a,
};

/* Octets inside of what was parsed; borrowed. */
struct kt_attest_part {
	const uint8_t *data;
	size_t len;
};

struct kt_attest {
	enum kt_attest_type type;
	struct kt_attest_part signer;  /* qualified Name */
	struct kt_attest_part extra;   /* qualifyingData */
	struct kt_audit_counts counts; /* counter: of a command audit */
	bool safe;
	/* command audit; of a session's only the digest */
	uint16_t digest_alg;
	struct kt_attest_part digest, command_digest;
	/* creation */
	struct kt_attest_part name;
	/* quote: TPML_PCR_SELECTION as it stands there; the digest is `digest` */
	struct kt_attest_part selection;
};

/* One whole structure of this type. The result borrows from `data`. KT_E_INPUT. */
KT_CHECKED int kt_attest_parse(const uint8_t *data, size_t len, enum kt_attest_type type,
	struct kt_attest *ret_attest, struct kt_error *e);

bool kt_attest_part_is(const struct kt_attest_part *part, const void *data, size_t len);

/* The attestation key as an examiner knows it. */
struct kt_ak {
	EVP_PKEY *key;
	uint8_t point[KT_AUDIT_POINT_BYTES];
	uint8_t name[KT_AUDIT_NAME_BYTES];
	uint8_t qualified_name[KT_AUDIT_NAME_BYTES];
};

/* From the point of its public key: everything else is the template (kubetpm-formats(5)). Clear it
 * with kt_ak_clear(). KT_E_INPUT if it is not on the curve. */
KT_CHECKED int kt_ak_from_point(
	const uint8_t point[KT_AUDIT_POINT_BYTES], struct kt_ak *ret_ak, struct kt_error *e);
/* From its whole TPM2B_PUBLIC, which must be of the template. KT_E_INPUT. */
KT_CHECKED int kt_ak_from_public(
	const uint8_t *public, size_t len, struct kt_ak *ret_ak, struct kt_error *e);
/* From PEM or JWK. KT_E_INPUT. */
KT_CHECKED int kt_ak_read(const void *text, size_t len, struct kt_ak *ret_ak, struct kt_error *e);
void kt_ak_clear(struct kt_ak *ak);

/* Did this key sign these bytes? `signature`: r ‖ s. */
bool kt_ak_signed(const struct kt_ak *ak, const void *data, size_t len,
	const uint8_t signature[KT_AUDIT_POINT_BYTES]);

#endif
