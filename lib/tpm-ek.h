/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endorsement key in the TPM, and what proves that a TPM has it: TPM2_ActivateCredential (Part
 * 3, 12.5), and TPM2_Quote (18.4) by the attestation key.
 */
#ifndef KT_LIB_TPM_EK_H
#define KT_LIB_TPM_EK_H

#include "lib/ek.h"
#include "lib/pcr.h"
#include "lib/tpm-audit.h"

/* An endorsement key, transient; its handle lives as long as the connection. */
struct kt_tpm_ek {
	struct kt_ek_template template;
	struct kt_parent key;
};

/* Of the first template whose certificate the chip has, or if it has none, ECC P-256 of the low
 * range. `auth`: the endorsement hierarchy's, NULL if empty. KT_E_PIN if it is wrong. */
KT_CHECKED int kt_tpm_ek_create(struct kt_tpm *tpm, const struct kt_secret *auth,
	struct kt_tpm_ek *ret_ek, struct kt_error *e);

/* The secret of a credential for this endorsement key and the attestation key. KT_E_WRONG_TPM if it
 * is for another. Three or four TPM commands. */
KT_CHECKED int kt_tpm_activate(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_tpm_ek *ek, const struct kt_parent *ak, const struct kt_secret *auth,
	const TPM2B_ID_OBJECT *blob, const TPM2B_ENCRYPTED_SECRET *seed,
	struct kt_secret **ret_secret, struct kt_error *e);

/* Quotes these PCRs. One TPM command. */
KT_CHECKED int kt_tpm_quote(struct kt_tpm *tpm, const struct kt_parent *ak,
	const struct kt_pcr_set *pcrs, const uint8_t qualifying[KT_SHA256_BYTES],
	struct kt_tpm_attest *ret_attest, struct kt_error *e);

#endif
