/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of both KMS services: the first byte chooses the method. What is accepted is in bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "kms-shim/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kt_request *r)
{
	size_t total = 0;

	if (strlen(r->uid) > KT_KMS_UID_MAX_BYTES || strlen(r->key_id) > KT_KMS_KEY_ID_MAX_BYTES ||
		r->record.ciphertext.len > KT_KMS_CIPHERTEXT_MAX_BYTES ||
		r->record.annotation_count > KT_KMS_ANNOTATIONS_MAX)
		abort();
	for (size_t i = 0; i < r->record.annotation_count; i++) {
		const struct kt_kms_annotation *a = &r->record.annotations[i];

		total += strlen(a->name) + a->value.len;
		for (size_t k = 0; k < i; k++)
			if (strcmp(a->name, r->record.annotations[k].name) == 0)
				abort();
		/* Readable to the end. */
		for (size_t k = 0; k < a->value.len; k++)
			total += a->value.data[k] & 0u;
	}
	if (total > KT_KMS_ANNOTATIONS_MAX_BYTES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_request struct kt_request *r = NULL;
	struct kt_grpc_status status = {0};

	if (size < 1)
		return 0;
	if (kt_codec_read((enum kt_method)(data[0] % 8u), data + 1, size - 1, &r, &status) == 0)
		check(r);
	else if (status.code == KT_GRPC_OK || status.text[0] == '\0')
		abort();
	return 0;
}
