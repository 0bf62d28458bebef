/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KMS v1beta1 has no place for a key id and annotations: its one ciphertext carries them, and so a
 * whole record. Pure; fuzzed.
 */
#ifndef KT_LIB_KMS_V1_H
#define KT_LIB_KMS_V1_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/kms-limits.h"

/* A record taken out of a v1beta1 ciphertext: the bytes are borrowed from it, the texts lie here.
 */
struct kt_kms_v1 {
	char key_id[KT_KMS_KEY_ID_MAX_BYTES + 1];
	char names[KT_KMS_ANNOTATIONS_MAX][KT_KMS_NAME_MAX_BYTES + 1];
	struct kt_kms_record record;
};

/*
 * The v1beta1 ciphertext: format byte 1, then key id and ciphertext (two bytes of length, big
 * endian, before each), one byte that counts the annotations, and each one's name (one byte of
 * length) and value (two). *ret_data is owned by the caller. The record has been checked.
 */
KT_CHECKED int kt_kms_v1_pack(const char *key_id, const struct kt_kms_record *record,
	uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

/* The whole of `data`, which must be what kt_kms_v1_pack() makes. KT_E_INPUT; *ret_v1 is of no use
 * then. */
KT_CHECKED int kt_kms_v1_unpack(
	const void *data, size_t len, struct kt_kms_v1 *ret_v1, struct kt_error *e);

#endif
