/* SPDX-License-Identifier: Apache-2.0 */
/* Judging a checkpoint: the part of audit-replay.c where the TPM has its say. Nobody else includes
 * this. */
#ifndef KT_LIB_AUDIT_CHECKPOINT_H
#define KT_LIB_AUDIT_CHECKPOINT_H

#include "lib/audit-replay.h"

/* Reports, if anybody listens. */
void kt_audit_found(struct kt_audit_replay *replay, enum kt_audit_finding finding, const char *fmt,
	...) KT_PRINTF(3, 4);

/* Nothing since a checkpoint. */
void kt_audit_begin_epoch(struct kt_audit_replay *replay);

/* A checkpoint against all that was replayed before it; `before` is the head before its line.
 * KT_E_INPUT if it is malformed, or intents wait. */
KT_CHECKED int kt_audit_check_checkpoint(struct kt_audit_replay *replay,
	const struct kt_audit_record *record, const uint8_t before[KT_SHA256_BYTES],
	struct kt_error *e);

#endif
