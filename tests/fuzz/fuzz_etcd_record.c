/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values from etcd: what is accepted lies within the value and the limits, and opening it with a
 * key that it was not made for fails without harm.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>

#include "lib/auto.h"
#include "lib/etcd-record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_inside(const uint8_t *data, size_t size, const void *at, size_t len)
{
	const uint8_t *start = at;

	assert(len == 0 || (start >= data && start + len <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static EVP_PKEY *key;
	auto_free struct kt_etcd_record *record = calloc(1, sizeof(*record));
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_error e;

	if (key == NULL)
		key = EVP_EC_gen("P-256");
	assert(record != NULL && key != NULL);
	if (kt_etcd_record_parse(data, size, record, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(kt_etcd_is_kms(data, size));
	assert(record->version == 1 || record->version == 2);
	assert(record->kms.key_id[0] != '\0');
	expect_inside(data, size, record->data.data, record->data.len);
	expect_inside(
		data, size, record->kms.record.ciphertext.data, record->kms.record.ciphertext.len);
	assert(record->kms.record.ciphertext.len <= KT_KMS_CIPHERTEXT_MAX_BYTES);
	for (size_t i = 0; i < record->kms.record.annotation_count; i++) {
		const struct kt_kms_annotation *a = &record->kms.record.annotations[i];

		assert(kt_kms_annotation_name_is_valid(a->name));
		expect_inside(data, size, a->value.data, a->value.len);
	}
	assert(kt_etcd_record_open(record, key, "/registry/secrets/a/b", &plaintext, &e) < 0);
	return 0;
}
