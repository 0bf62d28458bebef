/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public areas: reading and writing TPM2B_PUBLIC, Names, the templates we create from, and the
 * attributes we insist on. Pure (libtss2-mu and OpenSSL, no TPM).
 */
#ifndef KT_LIB_TPM_PUBLIC_H
#define KT_LIB_TPM_PUBLIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"

#define KT_NAME_TEXT_MAX (2 * sizeof(TPMT_HA) + 1) /* hex Name with NUL */

/* One whole TPM2B_PUBLIC and nothing behind it. KT_E_INPUT. */
KT_CHECKED int kt_public_unmarshal(
	const uint8_t *data, size_t len, TPM2B_PUBLIC *ret_public, struct kt_error *e);
/* `ret_data` has room for sizeof(TPM2B_PUBLIC). KT_E_INTERNAL. */
KT_CHECKED int kt_public_marshal(
	const TPM2B_PUBLIC *public, uint8_t *ret_data, size_t *ret_len, struct kt_error *e);

/* nameAlg ‖ H(TPMT_PUBLIC) (Part 1, 16 Names). KT_E_INPUT for an unknown nameAlg. */
KT_CHECKED int kt_public_name(const TPM2B_PUBLIC *public, TPM2B_NAME *ret_name, struct kt_error *e);
void kt_name_format(const TPM2B_NAME *name, char ret_text[KT_NAME_TEXT_MAX]);
/* Only Names that are hashes (objects, NV indices), of a known algorithm. KT_E_INPUT. */
KT_CHECKED int kt_name_parse(const char *text, TPM2B_NAME *ret_name, struct kt_error *e);
/* No Name (size 0) equals nothing, not even itself. */
bool kt_name_equal(const TPM2B_NAME *a, const TPM2B_NAME *b);

/* Storage root key, ECC P-256, TCG EK Credential Profile template H-2 with SRK attributes
 * (0x00030472), unique of size zero. */
extern const TPM2B_PUBLIC kt_template_srk_ecc;
/* The same as RSA 2048 (H-1), for foreign TSS2 key files with rsaParent. */
extern const TPM2B_PUBLIC kt_template_srk_rsa;

/* May secrets be wrapped to this key? restricted and decrypt set, sign clear, fixedTPM and
 * fixedParent and sensitiveDataOrigin set, an ECC or RSA storage key with AES-CFB. KT_E_REFUSED,
 * which says what is wrong. */
KT_CHECKED int kt_public_check_storage_key(const TPM2B_PUBLIC *public, struct kt_error *e);

/* Is this a sealed data object (KEYEDHASH, scheme NULL, neither sign nor decrypt)? */
bool kt_public_is_sealed_data(const TPM2B_PUBLIC *public);

/* Digest size of a hash algorithm, or 0; its OpenSSL name, or NULL. */
size_t kt_hash_size(TPMI_ALG_HASH alg);
const char *kt_hash_openssl_name(TPMI_ALG_HASH alg);

struct kt_span {
	const void *data;
	size_t len;
};
/* H(a ‖ b ‖ …): `count` spans. `ret_digest->size` is the hash's. KT_E_INPUT for an unknown hash. */
KT_CHECKED int kt_hash(TPMI_ALG_HASH alg, const struct kt_span *spans, size_t count,
	TPM2B_DIGEST *ret_digest, struct kt_error *e);

#endif
