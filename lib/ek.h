/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endorsement keys (TCG EK Credential Profile 2.6, Annex B): which public areas are taken for one,
 * and the fingerprint by which a machine is known. Pure (OpenSSL).
 */
#ifndef KT_LIB_EK_H
#define KT_LIB_EK_H

#include <stdbool.h>
#include <stddef.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"

#define KT_EK_FINGERPRINT_SIZE 65 /* hex SHA-256 of the SubjectPublicKeyInfo, with NUL */

/* One whole TPM2B_PUBLIC of a default template: RSA 2048, 3072 or 4096, ECC P-256, P-384 or P-521,
 * low or high range. KT_E_INPUT if it is no public area, KT_E_REFUSED if it is of no template. */
KT_CHECKED int kt_ek_read(
	const uint8_t *data, size_t len, TPM2B_PUBLIC *ret_public, struct kt_error *e);

/* The templates, in the order in which a node tries them: those whose certificate is at `nv_index`
 * first exist on chips of that kind. False behind the last. */
struct kt_ek_template {
	TPM2_HANDLE nv_index;	  /* of the certificate */
	TPM2B_PUBLIC public;	  /* to create the key from */
	TPM2B_DIGEST branches[2]; /* of its PolicyOR; sizes 0 in the low range, which has none */
};
bool kt_ek_template(size_t i, struct kt_ek_template *ret_template);

KT_CHECKED int kt_ek_fingerprint(
	const TPM2B_PUBLIC *ek, char ret_fingerprint[KT_EK_FINGERPRINT_SIZE], struct kt_error *e);

#endif
