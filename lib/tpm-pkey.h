/* SPDX-License-Identifier: Apache-2.0 */
/* A public area's key as OpenSSL has it. Pure (OpenSSL). */
#ifndef KT_LIB_TPM_PKEY_H
#define KT_LIB_TPM_PKEY_H

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "lib/auto.h"
#include "lib/error.h"

KT_AUTO(evp_pkey, EVP_PKEY *, EVP_PKEY_free)
#define auto_evp_pkey __attribute__((cleanup(kt_auto_evp_pkey)))

#define KT_COORDINATE_MAX 66 /* P-521 */

/* A NIST curve: OpenSSL's name, and the size of a coordinate in bytes. NULL if it is none. */
struct kt_curve {
	TPMI_ECC_CURVE id;
	const char *name;
	size_t size;
};
const struct kt_curve *kt_curve(TPMI_ECC_CURVE id);

/* A coordinate at the curve's size (Part 1, C.8). KT_E_REFUSED if it is longer. */
KT_CHECKED int kt_coordinate_pad(
	const TPM2B_ECC_PARAMETER *from, size_t size, uint8_t *ret_to, struct kt_error *e);

/* An RSA key of 2048 bits or more, or a point on a NIST curve. KT_E_REFUSED if it is none. Owned by
 * the caller. */
KT_CHECKED int kt_public_pkey(const TPMT_PUBLIC *public, EVP_PKEY **ret_key, struct kt_error *e);

#endif
