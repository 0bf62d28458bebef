/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCTI that stands before another one and counts what passes (TSS 2.0 TPM Command Transmission
 * Interface): whatever layer sends a command, it is seen here.
 */
#ifndef KT_LIB_TPM_METER_H
#define KT_LIB_TPM_METER_H

#include <tss2/tss2_tcti.h>

#include "lib/tpm.h"

struct kt_tpm_meter {
	TSS2_TCTI_CONTEXT_COMMON_V2 common; /* first: this is what callers see */
	TSS2_TCTI_CONTEXT *inner;	    /* borrowed */
	struct kt_tpm_figures *figures;	    /* borrowed */
	int64_t sent_us;		    /* when the present command was sent */
};

/* What goes through the context that is returned, which is `meter`, goes on to `inner` and is added
 * to *figures. Finalizing it does nothing: `inner` is its owner's. */
TSS2_TCTI_CONTEXT *kt_tpm_meter_init(
	struct kt_tpm_meter *meter, TSS2_TCTI_CONTEXT *inner, struct kt_tpm_figures *figures);

#endif
