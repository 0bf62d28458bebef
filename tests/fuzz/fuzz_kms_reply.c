/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of a KMS v2 peer, as `kms-shim check` reads them: what is accepted is within the API
 * server's limits, and a Decrypt can be asked with it. The first byte chooses the method.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kms-shim/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_back(const struct kt_reply *reply)
{
	const struct kt_question question = {
		.uid = "u", .key_id = reply->key_id, .record = &reply->record};
	struct kt_grpc_status status;
	struct kt_frame frame = {0};

	assert(kt_codec_write_question(KT_METHOD_V2_DECRYPT, &question, &frame, &status) == 0);
	kt_wipe_free(frame.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum kt_method methods[] = {
		KT_METHOD_V2_STATUS, KT_METHOD_V2_ENCRYPT, KT_METHOD_V2_DECRYPT};
	auto_reply struct kt_reply *reply = NULL;
	enum kt_method method;
	struct kt_error e;

	if (size == 0)
		return 0;
	method = methods[data[0] % 3];
	if (kt_codec_read_reply(method, data + 1, size - 1, &reply, &e) < 0) {
		assert(e.code == KT_E_INPUT && reply == NULL);
		return 0;
	}
	if (method != KT_METHOD_V2_DECRYPT)
		assert(reply->key_id[0] != '\0' &&
			strlen(reply->key_id) <= KT_KMS_KEY_ID_MAX_BYTES);
	if (method != KT_METHOD_V2_ENCRYPT)
		return 0;
	assert(reply->record.ciphertext.len > 0 &&
		reply->record.ciphertext.len <= KT_KMS_CIPHERTEXT_MAX_BYTES);
	ask_back(reply);
	return 0;
}
