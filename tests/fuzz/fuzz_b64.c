/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64: what decodes is the one encoding of what it decodes to, in both alphabets, and the secret
 * form agrees.
 */
#include <assert.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_padded(const char *text, size_t len)
{
	auto_free uint8_t *bytes = NULL;
	auto_secret struct kt_secret *secret = NULL;
	auto_free char *back = NULL;
	size_t bytes_len = 0;
	struct kt_error e;
	bool valid = kt_b64_decode(text, len, &bytes, &bytes_len, &e) == 0;

	assert((kt_b64_decode_secret(text, len, &secret, &e) == 0) == valid);
	if (!valid)
		return;
	assert(kt_secret_len(secret) == bytes_len);
	assert(memcmp(kt_secret_bytes(secret), bytes, bytes_len) == 0);
	assert(kt_b64_encode(bytes, bytes_len, &back, &e) == 0);
	assert(strlen(back) == len && memcmp(back, text, len) == 0);
}

static void check_url(const char *text, size_t len)
{
	auto_free uint8_t *bytes = NULL;
	auto_free char *back = NULL;
	size_t bytes_len = 0;
	struct kt_error e;

	if (kt_b64url_decode(text, len, &bytes, &bytes_len, &e) != 0)
		return;
	assert(kt_b64url_encode(bytes, bytes_len, &back, &e) == 0);
	assert(strlen(back) == len && memcmp(back, text, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = NULL;
	auto_free uint8_t *back = NULL;
	size_t back_len = 0;
	struct kt_error e;

	check_padded((const char *)data, size);
	check_url((const char *)data, size);
	assert(kt_b64_encode(data, size, &text, &e) == 0);
	assert(strlen(text) == kt_b64_encoded_len(size));
	assert(kt_b64_decode(text, strlen(text), &back, &back_len, &e) == 0);
	assert(back_len == size && memcmp(back, data, size) == 0);
	return 0;
}
