/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files: "ASN.1 Specification for TPM 2.0 Key Files" (draft-bottomley-tpm2-keys), DER or
 * PEM. We write the draft's form and read what other implementations write: see reading notes in
 * the .c. Pure; fuzzed.
 */
#ifndef KT_LIB_TSS2KEY_H
#define KT_LIB_TSS2KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/policy.h"

#define KT_TSS2KEY_MAX_BYTES 16384 /* of a file, DER or PEM */
#define KT_TSS2KEY_AUTH_POLICIES_MAX 8
#define KT_TSS2KEY_DESCRIPTION_MAX 256

enum kt_tss2key_type {
	KT_TSS2KEY_LOADABLE = 3,   /* 2.23.133.10.1.3 */
	KT_TSS2KEY_IMPORTABLE = 4, /* 2.23.133.10.1.4 */
	KT_TSS2KEY_SEALED = 5,	   /* 2.23.133.10.1.5 */
};

/* A signed alternative: steps, of which the last is PolicyAuthorize with the signature. */
struct kt_tss2key_auth_policy {
	char name[64];
	struct kt_policy policy;
};

/* A plain value of some 100 KiB: heap, please (kt_tss2key_new). */
struct kt_tss2key {
	enum kt_tss2key_type type;
	bool empty_auth; /* no auth value needed */
	bool rsa_parent; /* a hierarchy as parent means its RSA template */
	bool legacy;	 /* read from the legacy form: a hierarchy as parent means the ECC template
			  * without fixedTPM and fixedParent */
	bool has_policy; /* an empty one too: its digest is all zeros */
	bool has_secret;
	TPM2_HANDLE parent; /* 0x81…… or 0x40…… */
	struct kt_policy policy;
	size_t auth_policy_count;
	struct kt_tss2key_auth_policy auth_policies[KT_TSS2KEY_AUTH_POLICIES_MAX];
	TPM2B_ENCRYPTED_SECRET secret; /* inSymSeed, if has_secret */
	char description[KT_TSS2KEY_DESCRIPTION_MAX];
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private; /* `duplicate`, if has_secret */
};

/* Zeroed, owned by the caller; free() it. NULL if out of memory. */
struct kt_tss2key *kt_tss2key_new(void);

/* DER, the whole buffer. KT_E_INPUT: damaged, an unknown type, a policy command that has no defined
 * form. */
KT_CHECKED int kt_tss2key_from_der(
	const uint8_t *der, size_t len, struct kt_tss2key *ret_key, struct kt_error *e);

/* PEM ("TSS2 PRIVATE KEY", or the legacy "TSS2 KEY BLOB"; text before it is skipped) or DER, told
 * apart by the first bytes. */
KT_CHECKED int kt_tss2key_from_file(
	const uint8_t *data, size_t len, struct kt_tss2key *ret_key, struct kt_error *e);

/* The draft's form. *ret_der is owned by the caller. KT_E_INTERNAL. */
KT_CHECKED int kt_tss2key_to_der(
	const struct kt_tss2key *key, uint8_t **ret_der, size_t *ret_len, struct kt_error *e);

/* PEM of the same, NUL-terminated, owned by the caller. */
KT_CHECKED int kt_tss2key_to_pem(const struct kt_tss2key *key, char **ret_pem, struct kt_error *e);

#endif
