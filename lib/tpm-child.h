/* SPDX-License-Identifier: Apache-2.0 */
/* Keys below the storage key: making and loading them. */
#ifndef KT_LIB_TPM_CHILD_H
#define KT_LIB_TPM_CHILD_H

#include "lib/tpm-key.h"

/* What TPM2_CertifyCreation takes to prove later where a key came from (Part 3, 18.3). The ticket
 * holds as long as the owner hierarchy is not cleared. */
struct kt_tpm_creation {
	TPM2B_DIGEST hash;
	TPMT_TK_CREATION ticket;
};

/* Public areas of keys with these attributes, which only `policy` can use. */
TPM2B_PUBLIC kt_template_hmac(TPMA_OBJECT attributes, const TPM2B_DIGEST *policy);
TPM2B_PUBLIC kt_template_p256(TPMA_OBJECT attributes, const TPM2B_DIGEST *policy);

/* Makes a key. Two TPM commands; the session is salted and the answer authenticated. */
KT_CHECKED int kt_child_create(struct kt_tpm *tpm, const struct kt_parent *parent,
	const TPM2B_PUBLIC *template, TPM2B_PUBLIC *ret_public, TPM2B_PRIVATE *ret_private,
	struct kt_tpm_creation *ret_creation, struct kt_error *e);

/* Loads it: *ret_handle is tracked, to be flushed by the caller or with the connection. One TPM
 * command. KT_E_WRONG_TPM if it is not of this parent. */
KT_CHECKED int kt_child_load(struct kt_tpm *tpm, const struct kt_parent *parent,
	const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, ESYS_TR *ret_handle,
	struct kt_error *e);

#endif
