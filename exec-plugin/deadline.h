/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the plugin takes at most. A client holds its requests meanwhile, so there is always an
 * end, also where a module, the TPM, the client's pipes or the signals we inherited are not as they
 * should be.
 */
#ifndef KT_EXEC_PLUGIN_DEADLINE_H
#define KT_EXEC_PLUGIN_DEADLINE_H

#include <stdbool.h>

#include "lib/error.h"

/* Once, before any module is loaded: handlers for SIGALRM and SIGTERM, which are unblocked. A
 * module that holds the TPM puts its own handler for SIGTERM before ours, and gives it back. */
KT_CHECKED int kt_deadline_init(struct kt_error *e);

/* From now on the request must come within seconds, or the status is KT_E_INPUT. */
void kt_deadline_for_request(void);

/* From now on the answer must be there in time, or the status is KT_E_TPM. With a person in front
 * of it that is minutes. */
void kt_deadline_for_answer(bool interactive);

#endif
