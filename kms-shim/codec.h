/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of KMS v2 and v1beta1: protobuf on one side, plain structures on the other. All limits
 * of a request that need no key are checked here. Pure; fuzzed.
 */
#ifndef KT_KMS_SHIM_CODEC_H
#define KT_KMS_SHIM_CODEC_H

#include "kms-shim/call.h"
#include "kms-shim/grpc-message.h"
#include "kms-shim/wipe.h"

#define KT_KMS_V1_VERSION "v1beta1"
#define KT_KMS_FQDN_MAX_BYTES 254 /* 253 and a final dot */

/* A decoded request. What the method does not have is empty. */
struct kt_request {
	char uid[KT_KMS_UID_MAX_BYTES + 1];
	char key_id[KT_KMS_KEY_ID_MAX_BYTES + 1];
	struct kt_bytes data;	     /* plaintext of Encrypt, ciphertext of v1beta1's Decrypt */
	struct kt_kms_record record; /* of v2's Decrypt */
	char names[KT_KMS_ANNOTATIONS_MAX][KT_KMS_FQDN_MAX_BYTES + 1];
	void *message; /* protobuf-c's, which `data` and `record` point into */
};

/* INVALID_ARGUMENT for what is not such a message or is beyond a limit. */
KT_CHECKED int kt_codec_read(enum kt_method method, const uint8_t *data, size_t len,
	struct kt_request **ret_request, struct kt_grpc_status *status);

/* Wipes. */
void kt_request_free(struct kt_request *request);
KT_AUTO(request, struct kt_request *, kt_request_free)
#define auto_request __attribute__((cleanup(kt_auto_request)))

/* A reply with its gRPC prefix, ready to be sent; owned by the caller, for kt_wipe_free(). */
struct kt_frame {
	uint8_t *data;
	size_t len;
};

KT_CHECKED int kt_codec_write_status(const struct kt_kms_status *reply, struct kt_frame *ret_frame,
	struct kt_grpc_status *status);
KT_CHECKED int kt_codec_write_encrypted(const struct kt_kms_encrypted *reply,
	struct kt_frame *ret_frame, struct kt_grpc_status *status);
KT_CHECKED int kt_codec_write_version(struct kt_frame *ret_frame, struct kt_grpc_status *status);

/* DecryptResponse of either version and v1beta1's EncryptResponse: one field of bytes. */
KT_CHECKED int kt_codec_write_bytes(
	const void *data, size_t len, struct kt_frame *ret_frame, struct kt_grpc_status *status);

/* The client's side, v2 only, for `kms-shim check`. */

/* What is asked; members that the method does not have are not looked at. The frame as above. */
struct kt_question {
	const char *uid, *key_id;
	const void *plaintext;
	size_t plaintext_len;
	const struct kt_kms_record *record;
};
KT_CHECKED int kt_codec_write_question(enum kt_method method, const struct kt_question *question,
	struct kt_frame *ret_frame, struct kt_grpc_status *status);

/* What came back; members that the method does not have are empty. */
struct kt_reply {
	char version[64], healthz[256];
	char key_id[KT_KMS_KEY_ID_MAX_BYTES + 1];
	struct kt_bytes plaintext;
	struct kt_kms_record record;
	char names[KT_KMS_ANNOTATIONS_MAX][KT_KMS_FQDN_MAX_BYTES + 1];
	void *message; /* protobuf-c's, which `plaintext` and `record` point into */
};

/* A message without its prefix; KT_E_INPUT for what an API server would refuse. */
KT_CHECKED int kt_codec_read_reply(enum kt_method method, const uint8_t *data, size_t len,
	struct kt_reply **ret_reply, struct kt_error *e);

/* Wipes. */
void kt_reply_free(struct kt_reply *reply);
KT_AUTO(reply, struct kt_reply *, kt_reply_free)
#define auto_reply __attribute__((cleanup(kt_auto_reply)))

#endif
