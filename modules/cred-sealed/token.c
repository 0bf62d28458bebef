/* SPDX-License-Identifier: Apache-2.0 */
/* The claims of a JWT are as secret as the token: what is decoded is wiped. */
#include "modules/cred-sealed/token.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/json.h"

#define EXPIRY_MAX 253402300799 /* 9999-12-31T23:59:59Z */

int kt_token_check(const struct kt_secret *secret, size_t *ret_len, struct kt_error *e)
{
	const char *bytes = kt_secret_bytes(secret);
	size_t len = kt_secret_len(secret);

	if (len > 0 && bytes[len - 1] == '\n')
		len--;
	if (len == 0)
		return kt_fail(e, KT_E_INPUT, "the token is empty");
	for (size_t i = 0; i < len; i++)
		if (bytes[i] <= ' ' || bytes[i] > '~')
			return kt_fail(e, KT_E_INPUT,
				"no bearer token: blank, control or non-ASCII byte at offset %zu",
				i);
	*ret_len = len;
	return 0;
}

static int64_t read_expiry(struct json_object *claims)
{
	struct json_object *exp = NULL;
	double seconds;

	if (!json_object_object_get_ex(claims, "exp", &exp))
		return 0;
	if (!json_object_is_type(exp, json_type_int) && !json_object_is_type(exp, json_type_double))
		return 0;
	seconds = json_object_get_double(exp);
	if (!(seconds >= 1 && seconds <= EXPIRY_MAX))
		return 0;
	return (int64_t)seconds;
}

static int64_t expiry_of_claims(const uint8_t *text, size_t len)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_json_wipe struct json_object *claims = NULL;
	struct kt_error e;

	if (kt_secret_from(text, len, &secret, &e) < 0 ||
		kt_json_parse_secret(secret, &claims, &e) < 0)
		return 0;
	return read_expiry(claims);
}

int64_t kt_token_expiry(const char *token, size_t len)
{
	const char *end = token + len;
	const char *payload = memchr(token, '.', len), *signature;
	uint8_t *claims = NULL;
	size_t claims_len = 0;
	struct kt_error e;
	int64_t expiry;

	if (payload == NULL)
		return 0;
	payload++;
	signature = memchr(payload, '.', (size_t)(end - payload));
	/* Three parts (RFC 7515, 7.1); five would be an encrypted one. */
	if (signature == NULL || memchr(signature + 1, '.', (size_t)(end - signature) - 1) != NULL)
		return 0;
	if (kt_b64url_decode(payload, (size_t)(signature - payload), &claims, &claims_len, &e) < 0)
		return 0;
	expiry = expiry_of_claims(claims, claims_len);
	explicit_bzero(claims, claims_len);
	free(claims);
	return expiry;
}
