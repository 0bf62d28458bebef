/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/challenge.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/b64.h"
#include "lib/evidence.h"
#include "lib/hex.h"
#include "lib/make-credential.h"

#define PREFIX "kubetpm-challenge/1 "

static int encode_2b(const uint8_t *data, size_t len, char **ret_text, struct kt_error *e)
{
	uint8_t bytes[2 + sizeof(TPM2B_ENCRYPTED_SECRET)];

	bytes[0] = (uint8_t)(len >> 8);
	bytes[1] = (uint8_t)len;
	memcpy(bytes + 2, data, len);
	return kt_b64_encode(bytes, 2 + len, ret_text, e);
}

static int write_message(const struct kt_made_credential *credential,
	const uint8_t committed[KT_SHA256_BYTES], char *ret_message, size_t size,
	struct kt_error *e)
{
	auto_free char *blob = NULL, *seed = NULL;
	char hex[2 * KT_SHA256_BYTES + 1];
	int len;

	if (encode_2b(credential->blob.credential, credential->blob.size, &blob, e) < 0 ||
		encode_2b(credential->seed.secret, credential->seed.size, &seed, e) < 0)
		return -1;
	kt_hex_encode(committed, KT_SHA256_BYTES, hex);
	len = snprintf(ret_message, size, PREFIX "%s %s %s", blob, seed, hex);
	return len > 0 && (size_t)len < size
		       ? 0
		       : kt_fail(e, KT_E_INTERNAL, "no room for a challenge of %d bytes", len);
}

int kt_challenge_make(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name, const char *uid,
	char *ret_message, size_t size, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	uint8_t committed[KT_SHA256_BYTES];
	struct kt_made_credential credential;

	if (kt_secret_new(KT_CHALLENGE_SECRET_BYTES, &secret, e) < 0)
		return -1;
	if (RAND_priv_bytes(kt_secret_buffer(secret), KT_CHALLENGE_SECRET_BYTES) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	kt_secret_set_len(secret, KT_CHALLENGE_SECRET_BYTES);
	if (kt_make_credential(ek, name, secret, &credential, e) < 0)
		return -1;
	kt_evidence_commitment(
		uid, name->name, kt_secret_bytes(secret), kt_secret_len(secret), committed);
	return write_message(&credential, committed, ret_message, size, e);
}

/* A TPM2B in base64, ended by a blank; `*next` goes behind that. */
static int decode_2b(
	const char **next, uint8_t *ret_data, size_t max, UINT16 *ret_len, struct kt_error *e)
{
	const char *end = strchr(*next, ' ');
	auto_free uint8_t *bytes = NULL;
	size_t len;

	if (end == NULL)
		return kt_fail(e, KT_E_INPUT, "something is missing");
	if (kt_b64_decode(*next, (size_t)(end - *next), &bytes, &len, e) < 0)
		return -1;
	if (len < 2 || len - 2 > max || len - 2 != ((size_t)bytes[0] << 8 | bytes[1]))
		return kt_fail(e, KT_E_INPUT, "not a TPM2B");
	memcpy(ret_data, bytes + 2, len - 2);
	*ret_len = (UINT16)(len - 2);
	*next = end + 1;
	return 0;
}

int kt_challenge_read(const char *message, struct kt_challenge *ret_challenge, struct kt_error *e)
{
	struct kt_challenge c = {0};
	const char *next = message + strlen(PREFIX);

	if (strncmp(message, PREFIX, strlen(PREFIX)) != 0)
		return kt_fail(e, KT_E_INPUT, "the approval is no challenge of ours");
	if (decode_2b(&next, c.blob.credential, sizeof(c.blob.credential), &c.blob.size, e) < 0 ||
		decode_2b(&next, c.seed.secret, sizeof(c.seed.secret), &c.seed.size, e) < 0 ||
		kt_hex_decode(next, c.committed, sizeof(c.committed), e) < 0)
		return kt_wrap(e, "the approval is no challenge of ours");
	*ret_challenge = c;
	return 0;
}
