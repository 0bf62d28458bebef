/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsement keys: one that swtpm made is taken, and any other attribute or policy is not. */
#include <criterion/criterion.h>

#include "lib/ek.h"
#include "lib/hex.h"
#include "lib/tpm-public.h"

/* P-256, low range (L-2). */
static const char key[] =
	"007a0023000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b"
	"331469aa0006008000430010000300100020fa73700048a945fc9fd67e4b57aa2b79b1f9b9618eb0"
	"b52ab2e56e267f8b18750020237a1736bea4958c23a9273084a7204ee17a04ca025849994f0905d7"
	"c1a66c41";
static const char fingerprint[] =
	"bdd4372fdae345caffe429cea524e7470d6c97b9cdec3f5467a41d87e2553465";

static int read_key(const uint8_t *data, size_t len, enum kt_code *ret_code)
{
	TPM2B_PUBLIC public;
	struct kt_error e = {0};
	int status = kt_ek_read(data, len, &public, &e);

	*ret_code = status < 0 ? e.code : KT_E_NONE;
	return status;
}

Test(ek, fingerprint_of_the_public_key)
{
	char text[KT_EK_FINGERPRINT_SIZE];
	uint8_t data[sizeof(key) / 2];
	TPM2B_PUBLIC public;
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(key, data, sizeof(data), &e), 0);
	cr_assert_eq(kt_ek_read(data, sizeof(data), &public, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_ek_fingerprint(&public, text, &e), 0);
	cr_expect_str_eq(text, fingerprint);
}

/* Up to the point, which is any: type, name algorithm, attributes, policy, parameters. */
Test(ek, nothing_else_is_taken)
{
	uint8_t data[sizeof(key) / 2];
	enum kt_code code;
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(key, data, sizeof(data), &e), 0);
	for (size_t i = 0; i < sizeof(data) - 2 * 34; i++)
		for (int bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1 << bit);
			cr_expect_lt(read_key(data, sizeof(data), &code), 0, "byte %zu", i);
			cr_expect(code == KT_E_INPUT || code == KT_E_REFUSED);
			data[i] ^= (uint8_t)(1 << bit);
		}
	cr_expect_lt(read_key(data, sizeof(data) - 1, &code), 0);
}
