/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of sealtool doctor. Identifiers are stable: scripts may look for them. */
#ifndef KT_SEALTOOL_DOCTOR_H
#define KT_SEALTOOL_DOCTOR_H

#include <stddef.h>

#include "lib/error.h"
#include "lib/tpm.h"

enum finding_status { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
	const char *id;
	enum finding_status status;
	enum kt_code code; /* what a FINDING_FAIL makes of the exit status */
	char detail[512];
	const char *action; /* "" if there is nothing to do */
};

#define FINDINGS_MAX 32

struct report {
	size_t count;
	struct finding findings[FINDINGS_MAX];
};

/* Adds a finding; `action` is borrowed for ever. */
void report_add(struct report *report, const char *id, enum finding_status status,
	enum kt_code code, const char *action, const char *fmt, ...) KT_PRINTF(6, 7);

/* Is the TPM's device there, and may we open it? Only for "device:" TCTIs (`tcti` NULL: the
 * default). */
void check_device(struct report *report, const char *tcti);

/* Everything that is asked of the TPM itself. */
void check_tpm(struct report *report, struct kt_tpm *tpm);

/* What the machine, rather than the TPM, gives: memory that can be locked. */
void check_memory(struct report *report);

#endif
