/* SPDX-License-Identifier: Apache-2.0 */
/* Reading PCRs (Part 3, 22.4 TPM2_PCR_Read). */
#ifndef KT_LIB_TPM_PCR_H
#define KT_LIB_TPM_PCR_H

#include "lib/pcr.h"
#include "lib/tpm.h"

/* Reads every selected PCR of `set` from the TPM, in as few commands as it takes (the TPM returns
 * eight a time), and again if PCRs changed in between. KT_E_NOT_PROVISIONED if the TPM has no such
 * bank. */
KT_CHECKED int kt_tpm_read_pcrs(struct kt_tpm *tpm, struct kt_pcr_set *set, struct kt_error *e);

/* Selects all 24 PCRs of each bank that is active, without values. */
KT_CHECKED int kt_tpm_pcr_banks(struct kt_tpm *tpm, struct kt_pcr_set *ret_set, struct kt_error *e);

#endif
