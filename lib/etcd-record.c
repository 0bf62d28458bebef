/* SPDX-License-Identifier: Apache-2.0 */
/* Reading; etcd-open.c decrypts. */
#include "lib/etcd-record.h"

#include <string.h>

#define V1_PREFIX "k8s:enc:kms:v1:"
#define V2_PREFIX "k8s:enc:kms:v2:"

/* What is left to be read. */
struct input {
	const uint8_t *at, *end;
};

static bool starts_with(const void *value, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(value, prefix, strlen(prefix)) == 0;
}

bool kt_etcd_is_kms(const void *value, size_t len)
{
	return starts_with(value, len, V1_PREFIX) || starts_with(value, len, V2_PREFIX);
}

/* Protobuf's base-128 numbers: at most ten bytes, of 64 bits. */
static bool read_varint(struct input *in, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
		uint8_t byte = *in->at++;

		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool read_bytes(struct input *in, struct kt_span *ret_bytes)
{
	uint64_t len;

	if (!read_varint(in, &len) || len > (uint64_t)(in->end - in->at))
		return false;
	*ret_bytes = (struct kt_span){in->at, (size_t)len};
	in->at += len;
	return true;
}

/* A field's number, and its bytes (wire type 2), else NULL and its value (0). Others do not occur
 * in these messages, and would have to be skipped by rules of their own. */
static bool read_field(
	struct input *in, unsigned *ret_number, struct kt_span *ret_bytes, uint64_t *ret_value)
{
	uint64_t tag;

	if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > 1000)
		return false;
	*ret_number = (unsigned)(tag >> 3);
	*ret_bytes = (struct kt_span){0};
	*ret_value = 0;
	if ((tag & 7) == 0)
		return read_varint(in, ret_value);
	return (tag & 7) == 2 && read_bytes(in, ret_bytes);
}

static int copy_text(struct kt_span from, char *to, size_t size, struct kt_error *e)
{
	if (from.len >= size || (from.len > 0 && memchr(from.data, '\0', from.len) != NULL))
		return kt_fail(e, KT_E_INPUT, "a name of %zu bytes is none", from.len);
	if (from.len > 0)
		memcpy(to, from.data, from.len);
	to[from.len] = '\0';
	return 0;
}

/* An entry of map<string, bytes>. */
static int read_annotation(struct kt_span entry, struct kt_kms_v1 *kms, struct kt_error *e)
{
	struct input in = {entry.data, (const uint8_t *)entry.data + entry.len};
	struct kt_kms_record *record = &kms->record;
	struct kt_span key = {0}, value = {0};
	size_t i = record->annotation_count;

	while (in.at < in.end) {
		struct kt_span bytes;
		uint64_t ignored;
		unsigned number;

		if (!read_field(&in, &number, &bytes, &ignored))
			return kt_fail(e, KT_E_INPUT, "an annotation is malformed");
		if (number == 1)
			key = bytes;
		else if (number == 2)
			value = bytes;
	}
	if (i == KT_KMS_ANNOTATIONS_MAX)
		return kt_fail(e, KT_E_INPUT, "more annotations than kms-shim ever wrote");
	if (copy_text(key, kms->names[i], sizeof(kms->names[i]), e) < 0)
		return -1;
	record->annotations[i] =
		(struct kt_kms_annotation){.name = kms->names[i], .value = {value.data, value.len}};
	record->annotation_count++;
	return 0;
}

static int take_field(struct kt_etcd_record *r, unsigned number, struct kt_span bytes,
	uint64_t value, struct kt_error *e)
{
	/* Only the last has a number, and only a number. */
	if (number <= 5 && (bytes.data == NULL) != (number == 5))
		return kt_fail(e, KT_E_INPUT, "field %u has another type", number);
	switch (number) {
	case 1:
		r->data = bytes;
		return 0;
	case 2:
		return copy_text(bytes, r->kms.key_id, sizeof(r->kms.key_id), e);
	case 3:
		r->kms.record.ciphertext = (struct kt_bytes){bytes.data, bytes.len};
		return 0;
	case 4:
		return read_annotation(bytes, &r->kms, e);
	case 5:
		if (value > KT_ETCD_HKDF_SEED)
			return kt_fail(e, KT_E_INPUT,
				"encryptedDEKSourceType %llu is not known here",
				(unsigned long long)value);
		r->source = (enum kt_etcd_source)value;
		return 0;
	default:
		return 0;
	}
}

/* EncryptedObject. */
static int parse_v2(struct input in, struct kt_etcd_record *r, struct kt_error *e)
{
	while (in.at < in.end) {
		struct kt_span bytes;
		unsigned number;
		uint64_t value;

		if (!read_field(&in, &number, &bytes, &value))
			return kt_fail(e, KT_E_INPUT, "not a whole EncryptedObject");
		if (take_field(r, number, bytes, value, e) < 0)
			return -1;
	}
	if (r->kms.key_id[0] == '\0')
		return kt_fail(e, KT_E_INPUT, "no keyID in it");
	return kt_kms_record_check(&r->kms.record, KT_E_INPUT, e);
}

static int parse_v1(struct input in, struct kt_etcd_record *r, struct kt_error *e)
{
	size_t len;

	if (in.end - in.at < 2)
		return kt_fail(e, KT_E_INPUT, "cut off");
	len = (size_t)in.at[0] << 8 | in.at[1];
	in.at += 2;
	if (len > (size_t)(in.end - in.at))
		return kt_fail(e, KT_E_INPUT, "cut off");
	r->data = (struct kt_span){in.at + len, (size_t)(in.end - in.at) - len};
	return kt_kms_v1_unpack(in.at, len, &r->kms, e);
}

static int parse(const void *value, size_t len, struct kt_etcd_record *r, struct kt_error *e)
{
	struct input in = {value, (const uint8_t *)value + len};
	const uint8_t *colon;
	struct kt_span name;

	if (!kt_etcd_is_kms(value, len))
		return kt_fail(e, KT_E_INPUT,
			"does not begin with " V2_PREFIX " or " V1_PREFIX
			": not encrypted by a KMS provider");
	r->version = starts_with(value, len, V2_PREFIX) ? 2 : 1;
	in.at += strlen(V2_PREFIX);
	colon = memchr(in.at, ':', (size_t)(in.end - in.at));
	if (colon == NULL)
		return kt_fail(e, KT_E_INPUT, "cut off in the provider's name");
	name = (struct kt_span){in.at, (size_t)(colon - in.at)};
	if (copy_text(name, r->provider, sizeof(r->provider), e) < 0)
		return -1;
	in.at = colon + 1;
	return r->version == 2 ? parse_v2(in, r, e) : parse_v1(in, r, e);
}

int kt_etcd_record_parse(
	const void *value, size_t len, struct kt_etcd_record *ret_record, struct kt_error *e)
{
	if (len > KT_ETCD_VALUE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %zu bytes", KT_ETCD_VALUE_MAX_BYTES);
	memset(ret_record, 0, sizeof(*ret_record));
	ret_record->kms.record.size = sizeof(ret_record->kms.record);
	return parse(value, len, ret_record, e);
}
