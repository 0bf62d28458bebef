/* SPDX-License-Identifier: Apache-2.0 */
/* JWE cryptography: round trips, every changed bit, and a recipient made by another implementation.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/b64.h"
#include "lib/jwe.h"
#include "lib/jwk.h"

static const char aad[] = "eyJhbGciOiJkaXIifQ";

static struct kt_secret *secret_of(const void *bytes, size_t len)
{
	struct kt_secret *secret = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_from(bytes, len, &secret, &e), 0);
	return secret;
}

Test(jwe, content_survives_and_no_changed_bit_does)
{
	auto_secret struct kt_secret *cek = NULL, *plain = secret_of("attack at dawn", 14);
	uint8_t iv[KT_JWE_IV_BYTES], tag[KT_JWE_TAG_BYTES];
	auto_free uint8_t *ciphertext = NULL;
	auto_secret struct kt_secret *back = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_jwe_new_cek(&cek, &e), 0);
	cr_assert_eq(kt_jwe_encrypt(cek, aad, plain, iv, &ciphertext, tag, &e), 0);
	cr_assert_eq(kt_jwe_decrypt(cek, aad, iv, ciphertext, 14, tag, &back, &e), 0);
	cr_assert(kt_secret_equal(plain, back));
	for (size_t i = 0; i < 14 * 8; i++) {
		struct kt_secret *no = NULL;

		ciphertext[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_expect_eq(kt_jwe_decrypt(cek, aad, iv, ciphertext, 14, tag, &no, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		ciphertext[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < sizeof(tag) * 8; i++) {
		struct kt_secret *no = NULL;

		tag[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_expect_eq(kt_jwe_decrypt(cek, aad, iv, ciphertext, 14, tag, &no, &e), -1);
		tag[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	struct kt_secret *no = NULL;

	cr_assert_eq(
		kt_jwe_decrypt(cek, "eyJhbGciOiJkaXIifR", iv, ciphertext, 14, tag, &no, &e), -1);
	cr_assert_eq(kt_jwe_decrypt(cek, aad, iv, ciphertext, 13, tag, &no, &e), -1);
	cr_assert_eq(kt_jwe_decrypt(cek, aad, iv, ciphertext, 0, tag, &no, &e), -1);
}

Test(jwe, two_encryptions_share_nothing)
{
	auto_secret struct kt_secret *cek = NULL, *plain = secret_of("attack at dawn", 14);
	uint8_t iv1[KT_JWE_IV_BYTES], iv2[KT_JWE_IV_BYTES], tag[KT_JWE_TAG_BYTES];
	auto_free uint8_t *one = NULL, *two = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_jwe_new_cek(&cek, &e), 0);
	cr_assert_eq(kt_jwe_encrypt(cek, aad, plain, iv1, &one, tag, &e), 0);
	cr_assert_eq(kt_jwe_encrypt(cek, aad, plain, iv2, &two, tag, &e), 0);
	cr_assert_neq(memcmp(iv1, iv2, sizeof(iv1)), 0);
	cr_assert_neq(memcmp(one, two, 14), 0);
}

Test(jwe, wrapped_keys_open_for_their_recipient_alone)
{
	auto_pkey EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_pkey EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	auto_pkey EVP_PKEY *epk = NULL;
	auto_secret struct kt_secret *cek = NULL, *back = NULL;
	uint8_t wrapped[KT_JWE_WRAPPED_BYTES];
	struct kt_secret *no = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_jwe_new_cek(&cek, &e), 0);
	cr_assert_eq(kt_jwe_wrap(key, cek, &epk, wrapped, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_jwe_unwrap(key, epk, wrapped, &back, &e), 0, "%s", e.msg);
	cr_assert(kt_secret_equal(cek, back));
	cr_assert_eq(kt_jwe_unwrap(other, epk, wrapped, &no, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_eq(kt_jwe_unwrap(key, other, wrapped, &no, &e), -1);
	for (size_t i = 0; i < sizeof(wrapped) * 8; i++) {
		wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_expect_eq(kt_jwe_unwrap(key, epk, wrapped, &no, &e), -1, "bit %zu", i);
		wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

/* Made with Debian's jose 11: jwe enc with alg ECDH-ES+A256KW, enc A256GCM, plaintext "from jose".
 */
Test(jwe, opens_what_jose_made)
{
#include "tests/data/jwe/jose.inc"
	auto_secret struct kt_secret *jwk = secret_of(jose_key, strlen(jose_key));
	auto_secret struct kt_secret *cek = NULL, *plain = NULL;
	auto_pkey EVP_PKEY *key = NULL, *epk = NULL;
	auto_free uint8_t *wrapped = NULL, *iv = NULL, *ciphertext = NULL, *tag = NULL;
	size_t wrapped_len, iv_len, len, tag_len;
	struct kt_error e = {0};

	cr_assert_eq(kt_jwk_read_private(jwk, NULL, &key, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_jwk_read_public((const uint8_t *)jose_epk, strlen(jose_epk), &epk, &e), 0);
	cr_assert_eq(kt_b64url_decode(jose_encrypted_key, strlen(jose_encrypted_key), &wrapped,
			     &wrapped_len, &e),
		0);
	cr_assert_eq(kt_b64url_decode(jose_iv, strlen(jose_iv), &iv, &iv_len, &e), 0);
	cr_assert_eq(
		kt_b64url_decode(jose_ciphertext, strlen(jose_ciphertext), &ciphertext, &len, &e),
		0);
	cr_assert_eq(kt_b64url_decode(jose_tag, strlen(jose_tag), &tag, &tag_len, &e), 0);
	cr_assert_eq(wrapped_len, KT_JWE_WRAPPED_BYTES);
	cr_assert_eq(iv_len, KT_JWE_IV_BYTES);
	cr_assert_eq(tag_len, KT_JWE_TAG_BYTES);
	cr_assert_eq(kt_jwe_unwrap(key, epk, wrapped, &cek, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_jwe_decrypt(cek, jose_protected, iv, ciphertext, len, tag, &plain, &e), 0,
		"%s", e.msg);
	cr_assert_eq(kt_secret_len(plain), 9);
	cr_assert_arr_eq(kt_secret_bytes(plain), "from jose", 9);
}
