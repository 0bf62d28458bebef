/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of both services over the core of kms.h. */
#include "kms-shim/answer.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SEED_BYTES 32

static int answer_status(struct kt_kms *kms, struct kt_answer_note *note,
	struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	struct kt_kms_status reply = {0};
	struct kt_error e;

	if (kt_kms_status(kms, &reply, &e) < 0)
		return kt_grpc_fail_error(status, &e);
	snprintf(note->key_id, sizeof(note->key_id), "%s", reply.key_id);
	return kt_codec_write_status(&reply, ret_frame, status);
}

static int answer_encrypt(struct kt_kms *kms, const struct kt_request *r,
	struct kt_answer_note *note, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	struct kt_kms_encrypted reply = {.record.size = sizeof(reply.record)};
	struct kt_error e;

	if (kt_kms_encrypt(kms, r->uid, r->data.data, r->data.len, &reply, &e) < 0)
		return kt_grpc_fail_error(status, &e);
	snprintf(note->key_id, sizeof(note->key_id), "%s", reply.key_id);
	return kt_codec_write_encrypted(&reply, ret_frame, status);
}

static int answer_decrypt(struct kt_kms *kms, const struct kt_request *r,
	struct kt_answer_note *note, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_error e;

	memcpy(note->key_id, r->key_id, sizeof(note->key_id));
	if (kt_kms_decrypt(kms, r->uid, r->key_id, &r->record, &plaintext, &e) < 0)
		return kt_grpc_fail_error(status, &e);
	return kt_codec_write_bytes(
		kt_secret_bytes(plaintext), kt_secret_len(plaintext), ret_frame, status);
}

static int answer_encrypt_v1(struct kt_kms *kms, const struct kt_request *r,
	struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	struct kt_bytes cipher = {0};
	struct kt_error e;

	if (kt_kms_encrypt_v1(kms, r->data.data, r->data.len, &cipher, &e) < 0)
		return kt_grpc_fail_error(status, &e);
	return kt_codec_write_bytes(cipher.data, cipher.len, ret_frame, status);
}

static int answer_decrypt_v1(struct kt_kms *kms, const struct kt_request *r,
	struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_error e;

	if (kt_kms_decrypt_v1(kms, r->data.data, r->data.len, &plaintext, &e) < 0)
		return kt_grpc_fail_error(status, &e);
	return kt_codec_write_bytes(
		kt_secret_bytes(plaintext), kt_secret_len(plaintext), ret_frame, status);
}

int kt_answer(struct kt_kms *kms, enum kt_method method, const uint8_t *message, size_t len,
	struct kt_answer_note *note, struct kt_frame *ret_frame, struct kt_grpc_status *status)
{
	auto_request struct kt_request *r = NULL;

	if (kt_codec_read(method, message, len, &r, status) < 0)
		return -1;
	memcpy(note->uid, r->uid, sizeof(note->uid));
	switch (method) {
	case KT_METHOD_V2_STATUS:
		return answer_status(kms, note, ret_frame, status);
	case KT_METHOD_V2_ENCRYPT:
		return answer_encrypt(kms, r, note, ret_frame, status);
	case KT_METHOD_V2_DECRYPT:
		return answer_decrypt(kms, r, note, ret_frame, status);
	case KT_METHOD_V1_VERSION:
		return kt_codec_write_version(ret_frame, status);
	case KT_METHOD_V1_ENCRYPT:
		return answer_encrypt_v1(kms, r, ret_frame, status);
	case KT_METHOD_V1_DECRYPT:
		return answer_decrypt_v1(kms, r, ret_frame, status);
	default:
		return kt_grpc_fail(status, KT_GRPC_UNIMPLEMENTED, "no such method");
	}
}

/* In v1beta1's form, where all that Decrypt needs is one string of bytes. */
int kt_answer_self_test(struct kt_kms *kms, struct kt_error *e)
{
	auto_secret struct kt_secret *seed = NULL, *back = NULL;
	auto_free uint8_t *copy = NULL;
	struct kt_kms_status status;
	struct kt_bytes cipher = {0};

	if (kt_kms_status(kms, &status, e) < 0 || kt_secret_new(SEED_BYTES, &seed, e) < 0)
		return -1;
	if (getrandom(kt_secret_buffer(seed), SEED_BYTES, 0) != SEED_BYTES)
		return kt_fail_errno(e, KT_E_INTERNAL, "no random bytes");
	kt_secret_set_len(seed, SEED_BYTES);
	if (kt_kms_encrypt_v1(kms, kt_secret_bytes(seed), SEED_BYTES, &cipher, e) < 0)
		return kt_wrap(e, "self-test, encrypting");
	copy = malloc(cipher.len);
	if (copy == NULL)
		return kt_fail_memory(e);
	memcpy(copy, cipher.data, cipher.len);
	if (kt_kms_decrypt_v1(kms, copy, cipher.len, &back, e) < 0)
		return kt_wrap(e, "self-test, decrypting");
	if (!kt_secret_equal(seed, back))
		return kt_fail(e, KT_E_INTERNAL, "self-test: something else came back");
	return 0;
}
