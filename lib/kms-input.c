/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kms-input.h"

#include <string.h>

#include "lib/sha256.h"

/* Part of the format of records: never changes. */
#define LABEL_INPUT "kubetpm.internal/kms-record/1/input"

void kt_record_input(const char *cluster, const char *key_id, const uint8_t id[KT_RECORD_ID_BYTES],
	uint8_t ret_input[KT_RECORD_INPUT_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_prefixed(&hash, LABEL_INPUT, sizeof(LABEL_INPUT) - 1);
	kt_sha256_add_prefixed(&hash, cluster, strlen(cluster));
	kt_sha256_add_prefixed(&hash, key_id, strlen(key_id));
	kt_sha256_add_prefixed(&hash, id, KT_RECORD_ID_BYTES);
	kt_sha256_finish(&hash, ret_input);
}
