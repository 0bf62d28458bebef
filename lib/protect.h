/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only one TPM can open, made from a public key of its: a seed that is sent to the key (Part
 * 1, B.10 and C.6), and what the seed protects (23.3.2.3 for duplicates, 24 for credentials). Pure
 * (OpenSSL).
 */
#ifndef KT_LIB_PROTECT_H
#define KT_LIB_PROTECT_H

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"

/* What is secret on the way; the caller wipes it. */
struct kt_protect_work {
	TPM2B_DIGEST seed;
	uint8_t z[66];
	uint8_t symmetric_key[32];
	uint8_t hmac_key[sizeof(TPMU_HA)];
};

/*
 * *ret_blob is TPM2B_DIGEST HMAC ‖ AES-CFB(plain), for the object with this Name; it has room for
 * 2 + 64 + `len` bytes. `label` says what for: "DUPLICATE", "IDENTITY". `parent` is a storage key
 * of its TPM (kt_public_check_storage_key). KT_E_REFUSED if it is no key to encrypt to.
 */
KT_CHECKED int kt_protect(const TPMT_PUBLIC *parent, const char *label, const TPM2B_NAME *name,
	const uint8_t *plain, size_t len, struct kt_protect_work *work,
	TPM2B_ENCRYPTED_SECRET *ret_seed, uint8_t *ret_blob, size_t *ret_len, struct kt_error *e);

#endif
