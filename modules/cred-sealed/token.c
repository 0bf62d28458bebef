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
	if (seconds < 1)
		return 1;
	return seconds <= EXPIRY_MAX ? (int64_t)seconds : 0;
}

/* What looks like an object is meant as claims; anything else may be another kind of token. */
static bool looks_like_claims(const uint8_t *text, size_t len)
{
	static const char blanks[] = " \t\r\n";

	while (len > 0 && memchr(blanks, *text, sizeof(blanks) - 1) != NULL) {
		text++;
		len--;
	}
	while (len > 0 && memchr(blanks, text[len - 1], sizeof(blanks) - 1) != NULL)
		len--;
	return len >= 2 && text[0] == '{' && text[len - 1] == '}';
}

static int expiry_of_claims(
	const uint8_t *text, size_t len, int64_t *ret_expiry, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_json_wipe struct json_object *claims = NULL;
	struct kt_error why;

	*ret_expiry = 0;
	if (!looks_like_claims(text, len))
		return 0;
	if (kt_secret_from(text, len, &secret, e) < 0)
		return -1;
	if (kt_json_parse_secret(secret, &claims, &why) < 0)
		return kt_fail(e, KT_E_INPUT,
			"when this JWT ends cannot be told: its claims are %s", why.msg);
	*ret_expiry = read_expiry(claims);
	return 0;
}

int kt_token_expiry(const char *token, size_t len, int64_t *ret_expiry, struct kt_error *e)
{
	const char *end = token + len;
	const char *payload = memchr(token, '.', len), *signature;
	uint8_t *claims = NULL;
	size_t claims_len = 0;
	struct kt_error none;
	int result;

	*ret_expiry = 0;
	if (payload == NULL)
		return 0;
	payload++;
	signature = memchr(payload, '.', (size_t)(end - payload));
	/* Three parts (RFC 7515, 7.1); five would be an encrypted one. */
	if (signature == NULL || memchr(signature + 1, '.', (size_t)(end - signature) - 1) != NULL)
		return 0;
	if (kt_b64url_decode(payload, (size_t)(signature - payload), &claims, &claims_len, &none) <
		0)
		return 0;
	result = expiry_of_claims(claims, claims_len, ret_expiry, e);
	explicit_bzero(claims, claims_len);
	free(claims);
	return result;
}
