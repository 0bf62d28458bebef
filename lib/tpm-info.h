/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM says of itself (Part 3, 30.2 TPM2_GetCapability; Part 2, 6.13 TPM_PT). */
#ifndef KT_LIB_TPM_INFO_H
#define KT_LIB_TPM_INFO_H

#include <stdbool.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/tpm.h"

/* The value of a property, e.g. TPM2_PT_LOCKOUT_COUNTER. KT_E_TPM if the TPM does not have it. */
KT_CHECKED int kt_tpm_property(
	struct kt_tpm *tpm, TPM2_PT property, UINT32 *ret_value, struct kt_error *e);

/* Is a command implemented? */
KT_CHECKED int kt_tpm_has_command(
	struct kt_tpm *tpm, TPM2_CC command, bool *ret_has, struct kt_error *e);

/* How many handles of a range are in use, e.g. TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST. */
KT_CHECKED int kt_tpm_count_handles(
	struct kt_tpm *tpm, TPM2_HANDLE first, UINT32 *ret_count, struct kt_error *e);

/* Those of the range of `first`, e.g. 0x81000000; the first 254 of them. */
KT_CHECKED int kt_tpm_handles(
	struct kt_tpm *tpm, TPM2_HANDLE first, TPML_HANDLE *ret_handles, struct kt_error *e);

/* The commands that are audited now (Part 1, chapter 32), ascending. */
KT_CHECKED int kt_tpm_audited_commands(
	struct kt_tpm *tpm, TPML_CC *ret_commands, struct kt_error *e);

/* Can a session encrypt parameters with AES-128-CFB (TPM2_TestParms)? */
KT_CHECKED int kt_tpm_has_aes_cfb(struct kt_tpm *tpm, bool *ret_has, struct kt_error *e);

/* Dictionary-attack protection: tries left before lockout, and seconds until one failure is
 * forgiven (0: never). */
KT_CHECKED int kt_tpm_tries_left(
	struct kt_tpm *tpm, UINT32 *ret_tries, UINT32 *ret_interval, struct kt_error *e);

#endif
