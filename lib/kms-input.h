/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the TPM computes the HMAC of for a record of kms-tpm: the audit log's examiner recomputes
 * it, on a machine without TPM or TPM library. Pure.
 */
#ifndef KT_LIB_KMS_INPUT_H
#define KT_LIB_KMS_INPUT_H

#include <stddef.h>
#include <stdint.h>

#define KT_RECORD_ID_BYTES 32
#define KT_RECORD_INPUT_BYTES 32

/* SHA-256(label, cluster, key_id, identifier; a 32-bit length before each). */
void kt_record_input(const char *cluster, const char *key_id, const uint8_t id[KT_RECORD_ID_BYTES],
	uint8_t ret_input[KT_RECORD_INPUT_BYTES]);

#endif
