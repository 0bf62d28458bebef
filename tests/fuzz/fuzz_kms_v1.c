/* SPDX-License-Identifier: Apache-2.0 */
/* v1beta1 ciphertexts: what is unpacked is a valid record, and packs to the same bytes. */
#include <assert.h>
#include <string.h>

#include "lib/kms-v1.h"
#include "lib/auto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free uint8_t *packed = NULL;
	struct kt_kms_v1 v1;
	struct kt_error e;
	size_t len;

	if (kt_kms_v1_unpack(data, size, &v1, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(v1.key_id[0] != '\0' && strlen(v1.key_id) <= KT_KMS_KEY_ID_MAX_BYTES);
	assert(kt_kms_record_check(&v1.record, KT_E_INTERNAL, &e) == 0);
	assert(kt_kms_v1_pack(v1.key_id, &v1.record, &packed, &len, &e) == 0);
	assert(len == size && memcmp(packed, data, size) == 0);
	return 0;
}
