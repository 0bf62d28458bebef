/* SPDX-License-Identifier: Apache-2.0 */
/* What the tpm-*.c files share. Nobody else includes this. */
#ifndef KT_LIB_TPM_INTERNAL_H
#define KT_LIB_TPM_INTERNAL_H

#include <tss2/tss2_esys.h>

#include "lib/tpm-error.h"
#include "lib/tpm.h"

struct kt_tpm_retry {
	unsigned tries;
	unsigned waited_ms;
};

ESYS_CONTEXT *kt_tpm_esys(struct kt_tpm *tpm);

/* do { rc = Esys_…; } while (kt_tpm_retry(tpm, &retry, rc)): true, after a pause, while `rc` is
 * temporary and the patience (about five seconds a command) lasts. */
bool kt_tpm_retry(struct kt_tpm *tpm, struct kt_tpm_retry *retry, TSS2_RC rc);

/* Fails if a signal to end is pending. First thing in every operation. */
KT_CHECKED int kt_tpm_check(struct kt_tpm *tpm, struct kt_error *e);

/* Remembers a session or transient object, to be flushed at the latest by kt_tpm_close(). */
KT_CHECKED int kt_tpm_track(struct kt_tpm *tpm, ESYS_TR handle, struct kt_error *e);
/* The TPM has let go of it by itself. */
void kt_tpm_forget(struct kt_tpm *tpm, ESYS_TR handle);
/* TPM2_FlushContext now. ESYS_TR_NONE is fine. Never fails for the caller: what cannot be flushed
 * stays on the list. */
void kt_tpm_flush(struct kt_tpm *tpm, ESYS_TR handle);

static inline void kt_auto_esys_p(void *p)
{
	Esys_Free(*(void **)p);
}
#define auto_esys __attribute__((cleanup(kt_auto_esys_p)))

#endif
