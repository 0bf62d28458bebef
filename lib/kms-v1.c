/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and unpacking. The reader takes exactly what the writer makes: one record, one text. */
#include "lib/kms-v1.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"

#define V1_FORMAT 1

/* `width` bytes of length, big endian, then the bytes. */
static uint8_t *put(uint8_t *at, unsigned width, const void *data, size_t len)
{
	if (width == 2)
		*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	if (len > 0)
		memcpy(at, data, len);
	return at + len;
}

int kt_kms_v1_pack(const char *key_id, const struct kt_kms_record *record, uint8_t **ret_data,
	size_t *ret_len, struct kt_error *e)
{
	size_t size = 1 + 2 + strlen(key_id) + 2 + record->ciphertext.len + 1;
	auto_free uint8_t *data = NULL;
	uint8_t *at;

	for (size_t i = 0; i < record->annotation_count; i++)
		size += 1 + strlen(record->annotations[i].name) + 2 +
			record->annotations[i].value.len;
	data = malloc(size);
	if (data == NULL)
		return kt_fail_memory(e);
	data[0] = V1_FORMAT;
	at = put(data + 1, 2, key_id, strlen(key_id));
	at = put(at, 2, record->ciphertext.data, record->ciphertext.len);
	*at++ = (uint8_t)record->annotation_count;
	for (size_t i = 0; i < record->annotation_count; i++) {
		const struct kt_kms_annotation *annotation = &record->annotations[i];

		at = put(at, 1, annotation->name, strlen(annotation->name));
		at = put(at, 2, annotation->value.data, annotation->value.len);
	}
	*ret_data = kt_take(data);
	*ret_len = size;
	return 0;
}

struct reader {
	const uint8_t *at;
	size_t left;
};

static int take_number(
	struct reader *reader, unsigned width, size_t *ret_number, struct kt_error *e)
{
	if (reader->left < width)
		return kt_fail(e, KT_E_INPUT, "the ciphertext ends too early");
	*ret_number = width == 2 ? (size_t)reader->at[0] << 8 | reader->at[1] : reader->at[0];
	reader->at += width;
	reader->left -= width;
	return 0;
}

static int take_bytes(
	struct reader *reader, unsigned width, struct kt_bytes *ret_bytes, struct kt_error *e)
{
	size_t len;

	if (take_number(reader, width, &len, e) < 0)
		return -1;
	if (reader->left < len)
		return kt_fail(e, KT_E_INPUT, "the ciphertext ends too early");
	*ret_bytes = (struct kt_bytes){reader->at, len};
	reader->at += len;
	reader->left -= len;
	return 0;
}

/* Text of 1 to size - 1 bytes. */
static int take_text(
	struct reader *reader, unsigned width, char *ret_text, size_t size, struct kt_error *e)
{
	struct kt_bytes bytes;

	if (take_bytes(reader, width, &bytes, e) < 0)
		return -1;
	if (bytes.len == 0 || bytes.len >= size || memchr(bytes.data, '\0', bytes.len) != NULL)
		return kt_fail(e, KT_E_INPUT, "a name in the ciphertext is damaged");
	memcpy(ret_text, bytes.data, bytes.len);
	ret_text[bytes.len] = '\0';
	return 0;
}

static int take_annotations(struct reader *reader, struct kt_kms_v1 *v1, struct kt_error *e)
{
	struct kt_kms_record *record = &v1->record;

	if (take_number(reader, 1, &record->annotation_count, e) < 0)
		return -1;
	if (record->annotation_count > KT_KMS_ANNOTATIONS_MAX)
		return kt_fail(e, KT_E_INPUT, "too many parts in the ciphertext");
	for (size_t i = 0; i < record->annotation_count; i++) {
		if (take_text(reader, 1, v1->names[i], sizeof(v1->names[i]), e) < 0 ||
			take_bytes(reader, 2, &record->annotations[i].value, e) < 0)
			return -1;
		record->annotations[i].name = v1->names[i];
	}
	if (reader->left > 0)
		return kt_fail(e, KT_E_INPUT, "%zu bytes follow the ciphertext", reader->left);
	return 0;
}

int kt_kms_v1_unpack(const void *data, size_t len, struct kt_kms_v1 *ret_v1, struct kt_error *e)
{
	struct reader reader = {data, len};
	size_t format;

	*ret_v1 = (struct kt_kms_v1){.record.size = sizeof(ret_v1->record)};
	if (take_number(&reader, 1, &format, e) < 0)
		return -1;
	if (format != V1_FORMAT)
		return kt_fail(e, KT_E_INPUT,
			"the ciphertext's first byte is %zu, not %d: another provider made it",
			format, V1_FORMAT);
	if (take_text(&reader, 2, ret_v1->key_id, sizeof(ret_v1->key_id), e) < 0 ||
		take_bytes(&reader, 2, &ret_v1->record.ciphertext, e) < 0 ||
		take_annotations(&reader, ret_v1, e) < 0)
		return -1;
	return kt_kms_record_check(&ret_v1->record, KT_E_INPUT, e);
}
