/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing for another machine's TPM with nothing but the public area of its storage key: what
 * TPM2_Duplicate would make, computed here (Part 1, 23.3.2.3 Outer Duplication Wrapper; C.6.1 and
 * B.10.3 for the seed). No inner wrapper. Pure (OpenSSL).
 */
#ifndef KT_LIB_WRAP_H
#define KT_LIB_WRAP_H

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KT_SEALED_DATA_MAX_BYTES 128 /* MAX_SYM_DATA (Part 2, 11.1.14) */

struct kt_wrapped {
	TPM2B_PUBLIC public;	     /* of the sealed data object; fixedTPM and fixedParent clear */
	TPM2B_PRIVATE duplicate;     /* for TPM2_Import */
	TPM2B_ENCRYPTED_SECRET seed; /* inSymSeed */
};

/*
 * A sealed data object (nameAlg SHA-256) that holds `data` (1..KT_SEALED_DATA_MAX_BYTES bytes)
 * under `policy` (size 0: none, then userWithAuth is set and the auth value empty; otherwise
 * userWithAuth is clear), wrapped to `parent`, an ECC or RSA storage key. noDA is set. KT_E_REFUSED
 * if `parent` is no storage key, KT_E_INPUT for a size, KT_E_INTERNAL.
 */
KT_CHECKED int kt_wrap_sealed_data(const TPM2B_PUBLIC *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, struct kt_wrapped *ret_wrapped, struct kt_error *e);

#endif
