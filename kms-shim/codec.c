/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c does the wire format, on a heap that wipes. What proto3 asks beyond it (UTF-8 in
 * strings, one value a map key) and what the API server limits is checked on the way out of it.
 */
#include "kms-shim/codec.h"

#include <string.h>

#include "kms-shim/kmsv1beta1.pb-c.h"
#include "kms-shim/kmsv2.pb-c.h"
#include "lib/kms-limits.h"

#define RUNTIME_NAME "kms-shim"
#define RUNTIME_VERSION "0.1.0" /* v1beta1 wants a semantic version */

static void *wiping_alloc(void *unused, size_t size)
{
	(void)unused;
	return malloc(size != 0 ? size : 1);
}

static void wiping_free(void *unused, void *p)
{
	(void)unused;
	kt_wipe_free(p);
}

static ProtobufCAllocator wiping = {.alloc = wiping_alloc, .free = wiping_free};

static ProtobufCBinaryData binary(const void *data, size_t len)
{
	/* protobuf-c only reads what it packs, but has no const for it. */
	union {
		const void *from;
		uint8_t *to;
	} data_of = {.from = data};

	return (ProtobufCBinaryData){.len = len, .data = data_of.to};
}

static ProtobufCBinaryData text(const char *s)
{
	return binary(s, strlen(s));
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const uint8_t *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint8_t c = s[i];
		size_t more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || more > len - i - 1)
			return false;
		if (more > 0 && (s[i + 1] < low || s[i + 1] > high))
			return false;
		for (size_t k = 2; k <= more; k++)
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		i += 1 + more;
	}
	return true;
}

/* A string of at most size-1 bytes into `out`. */
static int take_text(const char *what, const ProtobufCBinaryData *from, char *out, size_t size,
	struct kt_grpc_status *status)
{
	if (from->len >= size)
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT,
			"%s has %zu bytes; at most %zu are allowed", what, from->len, size - 1);
	if (from->len > 0 &&
		(!is_utf8(from->data, from->len) || memchr(from->data, '\0', from->len) != NULL))
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT, "%s is not text", what);
	if (from->len > 0)
		memcpy(out, from->data, from->len);
	out[from->len] = '\0';
	return 0;
}

static struct kt_bytes bytes_of(const ProtobufCBinaryData *from)
{
	return (struct kt_bytes){.data = from->data, .len = from->len};
}

/* The last entry of a key counts, as proto3 says of maps. */
static int take_annotation(struct kt_kms_record *record, char names[][KT_KMS_FQDN_MAX_BYTES + 1],
	const V2__Annotation *entry, struct kt_grpc_status *status)
{
	char name[KT_KMS_FQDN_MAX_BYTES + 1];
	size_t i = 0;

	if (take_text("an annotation's name", &entry->key, name, sizeof(name), status) < 0)
		return -1;
	while (i < record->annotation_count && strcmp(names[i], name) != 0)
		i++;
	if (i == KT_KMS_ANNOTATIONS_MAX)
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT,
			"more annotations than this plugin ever wrote");
	if (i == record->annotation_count) {
		memcpy(names[i], name, sizeof(name));
		record->annotations[i].name = names[i];
		record->annotation_count++;
	}
	record->annotations[i].value = bytes_of(&entry->value);
	return 0;
}

static int take_decrypt(
	struct kt_request *r, const V2__DecryptRequest *m, struct kt_grpc_status *status)
{
	size_t total = 0;

	if (take_text("uid", &m->uid, r->uid, sizeof(r->uid), status) < 0 ||
		take_text("key_id", &m->key_id, r->key_id, sizeof(r->key_id), status) < 0)
		return -1;
	if (m->ciphertext.len > KT_KMS_CIPHERTEXT_MAX_BYTES)
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT,
			"ciphertext of %zu bytes; at most %d are allowed", m->ciphertext.len,
			KT_KMS_CIPHERTEXT_MAX_BYTES);
	r->record.ciphertext = bytes_of(&m->ciphertext);
	for (size_t i = 0; i < m->n_annotations; i++)
		if (take_annotation(&r->record, r->names, m->annotations[i], status) < 0)
			return -1;
	for (size_t i = 0; i < r->record.annotation_count; i++)
		total += strlen(r->names[i]) + r->record.annotations[i].value.len;
	if (total > KT_KMS_ANNOTATIONS_MAX_BYTES)
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT,
			"annotations of %zu bytes; at most %d are allowed", total,
			KT_KMS_ANNOTATIONS_MAX_BYTES);
	return 0;
}

/* v1beta1 names its version in each request. */
static int take_version(const ProtobufCBinaryData *version, struct kt_grpc_status *status)
{
	size_t len = strlen(KT_KMS_V1_VERSION);

	if (version->len != len || memcmp(version->data, KT_KMS_V1_VERSION, len) != 0)
		return kt_grpc_fail(
			status, KT_GRPC_INVALID_ARGUMENT, "version is not " KT_KMS_V1_VERSION);
	return 0;
}

static const ProtobufCMessageDescriptor *descriptor_of(enum kt_method method)
{
	switch (method) {
	case KT_METHOD_V2_STATUS:
		return &v2__status_request__descriptor;
	case KT_METHOD_V2_ENCRYPT:
		return &v2__encrypt_request__descriptor;
	case KT_METHOD_V2_DECRYPT:
		return &v2__decrypt_request__descriptor;
	case KT_METHOD_V1_VERSION:
		return &v1beta1__version_request__descriptor;
	case KT_METHOD_V1_ENCRYPT:
		return &v1beta1__encrypt_request__descriptor;
	case KT_METHOD_V1_DECRYPT:
		return &v1beta1__decrypt_request__descriptor;
	default:
		return NULL;
	}
}

static int take_message(enum kt_method method, struct kt_request *r, struct kt_grpc_status *status)
{
	const V2__EncryptRequest *encrypt = r->message;
	const V1beta1__EncryptRequest *encrypt_v1 = r->message;
	const V1beta1__DecryptRequest *decrypt_v1 = r->message;
	const V1beta1__VersionRequest *version_v1 = r->message;

	switch (method) {
	case KT_METHOD_V2_ENCRYPT:
		r->data = bytes_of(&encrypt->plaintext);
		return take_text("uid", &encrypt->uid, r->uid, sizeof(r->uid), status);
	case KT_METHOD_V2_DECRYPT:
		return take_decrypt(r, r->message, status);
	case KT_METHOD_V1_VERSION:
		return take_version(&version_v1->version, status);
	case KT_METHOD_V1_ENCRYPT:
		r->data = bytes_of(&encrypt_v1->plain);
		return take_version(&encrypt_v1->version, status);
	case KT_METHOD_V1_DECRYPT:
		r->data = bytes_of(&decrypt_v1->cipher);
		return take_version(&decrypt_v1->version, status);
	default:
		return 0;
	}
}

int kt_codec_read(enum kt_method method, const uint8_t *data, size_t len,
	struct kt_request **ret_request, struct kt_grpc_status *status)
{
	const ProtobufCMessageDescriptor *descriptor = descriptor_of(method);
	static const uint8_t nothing[1];
	auto_request struct kt_request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return kt_grpc_fail(status, KT_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	if (descriptor == NULL)
		return kt_grpc_fail(status, KT_GRPC_UNIMPLEMENTED, "no such method");
	r->record.size = sizeof(r->record);
	r->message = protobuf_c_message_unpack(descriptor, &wiping, len, len > 0 ? data : nothing);
	if (r->message == NULL)
		return kt_grpc_fail(status, KT_GRPC_INVALID_ARGUMENT,
			"the message is not what the method takes");
	if (take_message(method, r, status) < 0)
		return -1;
	*ret_request = kt_take(r);
	return 0;
}

void kt_request_free(struct kt_request *request)
{
	if (request == NULL)
		return;
	if (request->message != NULL)
		protobuf_c_message_free_unpacked(request->message, &wiping);
	kt_wipe_free(request);
}

static int write_frame(
	const ProtobufCMessage *message, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *data;

	if (len > KT_KMS_MESSAGE_MAX_BYTES)
		return kt_grpc_fail(
			status, KT_GRPC_INTERNAL, "the answer would have %zu bytes", len);
	data = malloc(KT_GRPC_PREFIX_BYTES + len);
	if (data == NULL)
		return kt_grpc_fail(status, KT_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	kt_grpc_prefix(data, len);
	protobuf_c_message_pack(message, data + KT_GRPC_PREFIX_BYTES);
	*ret_frame = (struct kt_frame){.data = data, .len = KT_GRPC_PREFIX_BYTES + len};
	return 0;
}

int kt_codec_write_status(const struct kt_kms_status *reply, struct kt_frame *ret_frame,
	struct kt_grpc_status *status)
{
	V2__StatusResponse m = V2__STATUS_RESPONSE__INIT;

	m.version = text(reply->version);
	m.healthz = text(reply->healthz);
	m.key_id = text(reply->key_id);
	return write_frame(&m.base, ret_frame, status);
}

/* A record's annotations as protobuf-c wants them. */
struct annotations {
	V2__Annotation entries[KT_KMS_ANNOTATIONS_MAX];
	V2__Annotation *pointers[KT_KMS_ANNOTATIONS_MAX];
};

static int list_annotations(const struct kt_kms_record *record, struct annotations *ret_list,
	struct kt_grpc_status *status)
{
	if (record->annotation_count > KT_KMS_ANNOTATIONS_MAX)
		return kt_grpc_fail(status, KT_GRPC_INTERNAL, "too many annotations");
	for (size_t i = 0; i < record->annotation_count; i++) {
		const struct kt_kms_annotation *a = &record->annotations[i];

		v2__annotation__init(&ret_list->entries[i]);
		ret_list->entries[i].key = text(a->name);
		ret_list->entries[i].value = binary(a->value.data, a->value.len);
		ret_list->pointers[i] = &ret_list->entries[i];
	}
	return 0;
}

int kt_codec_write_encrypted(const struct kt_kms_encrypted *reply, struct kt_frame *ret_frame,
	struct kt_grpc_status *status)
{
	const struct kt_kms_record *record = &reply->record;
	V2__EncryptResponse m = V2__ENCRYPT_RESPONSE__INIT;
	struct annotations list;

	if (list_annotations(record, &list, status) < 0)
		return -1;
	m.ciphertext = binary(record->ciphertext.data, record->ciphertext.len);
	m.key_id = text(reply->key_id);
	m.n_annotations = record->annotation_count;
	m.annotations = list.pointers;
	return write_frame(&m.base, ret_frame, status);
}

int kt_codec_write_version(struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	V1beta1__VersionResponse m = V1BETA1__VERSION_RESPONSE__INIT;

	m.version = text(KT_KMS_V1_VERSION);
	m.runtime_name = text(RUNTIME_NAME);
	m.runtime_version = text(RUNTIME_VERSION);
	return write_frame(&m.base, ret_frame, status);
}

/* Field 1 in all three: v2.DecryptResponse.plaintext, v1beta1's plain and cipher. */
int kt_codec_write_bytes(
	const void *data, size_t len, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	V2__DecryptResponse m = V2__DECRYPT_RESPONSE__INIT;

	m.plaintext = binary(data, len);
	return write_frame(&m.base, ret_frame, status);
}

static int write_decrypt(
	const struct kt_question *q, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	V2__DecryptRequest m = V2__DECRYPT_REQUEST__INIT;
	struct annotations list;

	if (list_annotations(q->record, &list, status) < 0)
		return -1;
	m.ciphertext = binary(q->record->ciphertext.data, q->record->ciphertext.len);
	m.uid = text(q->uid);
	m.key_id = text(q->key_id);
	m.n_annotations = q->record->annotation_count;
	m.annotations = list.pointers;
	return write_frame(&m.base, ret_frame, status);
}

int kt_codec_write_question(enum kt_method method, const struct kt_question *q,
	struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	V2__StatusRequest ask = V2__STATUS_REQUEST__INIT;
	V2__EncryptRequest encrypt = V2__ENCRYPT_REQUEST__INIT;

	switch (method) {
	case KT_METHOD_V2_STATUS:
		return write_frame(&ask.base, ret_frame, status);
	case KT_METHOD_V2_ENCRYPT:
		encrypt.plaintext = binary(q->plaintext, q->plaintext_len);
		encrypt.uid = text(q->uid);
		return write_frame(&encrypt.base, ret_frame, status);
	case KT_METHOD_V2_DECRYPT:
		return write_decrypt(q, ret_frame, status);
	default:
		return kt_grpc_fail(status, KT_GRPC_UNIMPLEMENTED, "no such method");
	}
}

/* An answer's faults are the peer's: the same checks, other words. */
static int fail_reply(const struct kt_grpc_status *status, struct kt_error *e)
{
	return kt_fail(
		e, KT_E_INPUT, "the answer is none that an API server takes: %s", status->text);
}

static int take_status(struct kt_reply *r, const V2__StatusResponse *m, struct kt_error *e)
{
	struct kt_grpc_status status;

	if (take_text("version", &m->version, r->version, sizeof(r->version), &status) < 0 ||
		take_text("healthz", &m->healthz, r->healthz, sizeof(r->healthz), &status) < 0 ||
		take_text("key_id", &m->key_id, r->key_id, sizeof(r->key_id), &status) < 0)
		return fail_reply(&status, e);
	if (r->key_id[0] == '\0')
		return kt_fail(e, KT_E_INPUT, "the answer has no key_id");
	return 0;
}

static int take_encrypted(struct kt_reply *r, const V2__EncryptResponse *m, struct kt_error *e)
{
	struct kt_grpc_status status;

	if (take_text("key_id", &m->key_id, r->key_id, sizeof(r->key_id), &status) < 0)
		return fail_reply(&status, e);
	r->record.ciphertext = bytes_of(&m->ciphertext);
	for (size_t i = 0; i < m->n_annotations; i++)
		if (take_annotation(&r->record, r->names, m->annotations[i], &status) < 0)
			return fail_reply(&status, e);
	if (r->key_id[0] == '\0')
		return kt_fail(e, KT_E_INPUT, "the answer has no key_id");
	return kt_kms_record_check(&r->record, KT_E_INPUT, e);
}

int kt_codec_read_reply(enum kt_method method, const uint8_t *data, size_t len,
	struct kt_reply **ret_reply, struct kt_error *e)
{
	static const uint8_t nothing[1];
	auto_reply struct kt_reply *r = calloc(1, sizeof(*r));
	const ProtobufCMessageDescriptor *descriptor =
		method == KT_METHOD_V2_STATUS	 ? &v2__status_response__descriptor
		: method == KT_METHOD_V2_ENCRYPT ? &v2__encrypt_response__descriptor
						 : &v2__decrypt_response__descriptor;

	if (r == NULL)
		return kt_fail_memory(e);
	r->record.size = sizeof(r->record);
	r->message = protobuf_c_message_unpack(descriptor, &wiping, len, len > 0 ? data : nothing);
	if (r->message == NULL)
		return kt_fail(e, KT_E_INPUT, "the answer is not what the method gives");
	if (method == KT_METHOD_V2_STATUS && take_status(r, r->message, e) < 0)
		return -1;
	if (method == KT_METHOD_V2_ENCRYPT && take_encrypted(r, r->message, e) < 0)
		return -1;
	if (method == KT_METHOD_V2_DECRYPT)
		r->plaintext = bytes_of(&((V2__DecryptResponse *)r->message)->plaintext);
	*ret_reply = kt_take(r);
	return 0;
}

void kt_reply_free(struct kt_reply *reply)
{
	if (reply == NULL)
		return;
	if (reply->message != NULL)
		protobuf_c_message_free_unpacked(reply->message, &wiping);
	kt_wipe_free(reply);
}
