/* SPDX-License-Identifier: Apache-2.0 */
/* One call, from its message to the reply: decode, ask the core, encode. No sockets, no threads. */
#ifndef KT_KMS_SHIM_ANSWER_H
#define KT_KMS_SHIM_ANSWER_H

#include "kms-shim/codec.h"

/* What a log line says about a call; never secrets. */
struct kt_answer_note {
	char uid[KT_KMS_UID_MAX_BYTES + 1];
	char key_id[KT_KMS_KEY_ID_MAX_BYTES + 1];
};

/* *ret_frame is owned by the caller, for kt_wipe_free(). *note is filled as far as is known, also
 * on failure. */
KT_CHECKED int kt_answer(struct kt_kms *kms, enum kt_method method, const uint8_t *message,
	size_t len, struct kt_answer_note *note, struct kt_frame *ret_frame,
	struct kt_grpc_status *status);

/* Encrypts and decrypts something random; KT_E_INTERNAL if it does not come back. */
KT_CHECKED int kt_answer_self_test(struct kt_kms *kms, struct kt_error *e);

#endif
