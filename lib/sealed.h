/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed file: a JWE in general JSON serialization (RFC 7516, 7.2.1), see kubetpm-formats(5).
 * This is the file's text and structure; seal.h makes and opens it. Pure; fuzzed.
 *
 * What counts is the protected header, which is the AAD. Of a recipient it holds the kind, the
 * public key and the policy digest; the rest (words, wrapped key) stands in the open and is
 * believed only as far as it agrees.
 */
#ifndef KT_LIB_SEALED_H
#define KT_LIB_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/jwe.h"
#include "lib/jwk.h"
#include "lib/slot-policy.h"
#include "lib/tpm-public.h"
#include "lib/tss2key.h"

#define KT_SEALED_SECRET_MAX_BYTES ((size_t)1 << 20)
#define KT_SEALED_FILE_MAX_BYTES ((size_t)2 << 20)
#define KT_SEALED_RECIPIENTS_MAX 16
#define KT_SEALED_TEXT_MAX 128 /* name and purpose, in bytes */
#define KT_SEALED_KID_SIZE 37  /* a UUID with NUL */
#define KT_SEALED_TYP "kubetpm-sealed"
#define KT_SEALED_ALG_TPM2 "kubetpm.tpm2"

enum kt_recipient_kind { KT_RECIPIENT_TPM2 = 1, KT_RECIPIENT_RECOVERY };

struct kt_recipient {
	enum kt_recipient_kind kind;

	/* KT_RECIPIENT_TPM2. From the protected header: */
	TPM2B_PUBLIC storage_key;
	TPM2B_NAME name;     /* of storage_key, computed */
	TPM2B_DIGEST policy; /* authPolicy of the slot's object; size 0: none */
	/* from the open part: */
	struct kt_slot_policy words;
	bool words_agree;	 /* the words' digest is `policy` */
	struct kt_tss2key *slot; /* owned; NULL until made */

	/* KT_RECIPIENT_RECOVERY. From the protected header: */
	EVP_PKEY *key; /* owned */
	char kid[KT_JWK_THUMBPRINT_SIZE];
	/* from the open part: */
	EVP_PKEY *epk; /* owned; NULL until made */
	uint8_t wrapped[KT_JWE_WRAPPED_BYTES];
};

struct kt_sealed {
	char name[KT_SEALED_TEXT_MAX + 1];
	char purpose[KT_SEALED_TEXT_MAX + 1];
	char kid[KT_SEALED_KID_SIZE];
	int64_t iat; /* seconds since the epoch */
	size_t count;
	struct kt_recipient recipients[KT_SEALED_RECIPIENTS_MAX];
	char *protected_header; /* base64url: the AAD; owned */
	uint8_t iv[KT_JWE_IV_BYTES];
	uint8_t *ciphertext; /* owned */
	size_t ciphertext_len;
	uint8_t tag[KT_JWE_TAG_BYTES];
};

/* Empty; NULL if out of memory. kt_sealed_free takes NULL and half-built ones. */
struct kt_sealed *kt_sealed_new(void);
void kt_sealed_free(struct kt_sealed *sealed);
KT_AUTO(sealed, struct kt_sealed *, kt_sealed_free)
#define auto_sealed __attribute__((cleanup(kt_auto_sealed)))

/* Name, purpose: 1 to 128 bytes of printable ASCII without blanks at the ends. KT_E_USAGE. */
KT_CHECKED int kt_sealed_check_text(const char *what, const char *text, struct kt_error *e);

/* Appends a recipient; its slot is made by kt_seal_encrypt(). KT_E_USAGE if there are too many, or
 * if the same is there already (the same storage key and policy; the same recovery key). */
KT_CHECKED int kt_sealed_add_tpm(struct kt_sealed *sealed, const TPM2B_PUBLIC *storage_key,
	const struct kt_slot_policy *words, struct kt_error *e);
/* `key` is borrowed: a reference is taken. */
KT_CHECKED int kt_sealed_add_recovery(struct kt_sealed *sealed, EVP_PKEY *key, struct kt_error *e);
/* Frees and closes the gap; `index` < count. */
void kt_sealed_remove(struct kt_sealed *sealed, size_t index);

/* Parses a file's text and checks all that can be checked without a key. KT_E_INPUT. */
KT_CHECKED int kt_sealed_parse(
	const char *text, size_t len, struct kt_sealed **ret_sealed, struct kt_error *e);

/* Encodes the protected header from the members above and keeps it in sealed->protected_header. */
KT_CHECKED int kt_sealed_encode_header(struct kt_sealed *sealed, struct kt_error *e);

/* The file's text with a newline at its end; all slots and the ciphertext must be there. *ret_text
 * holds no secret; owned by the caller. */
KT_CHECKED int kt_sealed_serialize(
	const struct kt_sealed *sealed, struct kt_secret **ret_text, struct kt_error *e);

#endif
