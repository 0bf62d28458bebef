/* SPDX-License-Identifier: Apache-2.0 */
/* TSS2 and TPM response codes to exit statuses and to a sentence a person can act on. Pure. */
#ifndef KT_LIB_TPM_ERROR_H
#define KT_LIB_TPM_ERROR_H

#include <stdbool.h>

#include <tss2/tss2_common.h>

#include "lib/error.h"

/* The code without what varies by place: parameter, handle and session numbers of format-one codes
 * are dropped, the layer of the TPM and of a resource manager is dropped; other layers stay. */
TSS2_RC kt_rc_base(TSS2_RC rc);

/* Worth another try after a while: RETRY, YIELDED, TESTING, and out of memory, sessions or handles.
 */
bool kt_rc_is_temporary(TSS2_RC rc);

/* Fills *e from `rc` and returns -1: "sentence (TPM2_Unseal: 0x0000099d, decoded)". `command` names
 * what was tried. */
int kt_fail_tss(struct kt_error *e, TSS2_RC rc, const char *command);

#endif
