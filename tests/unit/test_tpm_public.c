/* SPDX-License-Identifier: Apache-2.0 */
/* Public areas and Names, on a storage root key that swtpm made and on bytes that nobody made. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/hex.h"
#include "lib/tpm-public.h"

/* tpm2_createprimary with the SRK attributes: TPM2B_PUBLIC, and the Name that the TPM gave it. */
#define SRK                                                                                        \
	"005a0023000b0003047200000006008000430010000300100020cf9702f7865d667f528b3f0e4ab11ca458ae" \
	"2c928f41b2ec011fbc81aab710a9002072217c4ab8235d8601331bb24d7740be9a1a7a96b9774788ad6c80c4" \
	"e39d9e75"
#define SRK_BYTES 92
#define SRK_NAME "000b2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce42"

static void srk_bytes(uint8_t ret_data[SRK_BYTES])
{
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(SRK, ret_data, SRK_BYTES, &e), 0, "%s", e.msg);
}

static TPM2B_PUBLIC srk(void)
{
	uint8_t data[SRK_BYTES];
	TPM2B_PUBLIC public;
	struct kt_error e;

	srk_bytes(data);
	cr_assert_eq(kt_public_unmarshal(data, sizeof(data), &public, &e), 0, "%s", e.msg);
	return public;
}

Test(tpm_public, reads_and_writes_a_storage_key)
{
	uint8_t data[SRK_BYTES], again[sizeof(TPM2B_PUBLIC)];
	TPM2B_PUBLIC public = srk();
	size_t len = 0;
	struct kt_error e;

	cr_expect_eq(public.size, 90);
	cr_expect_eq(public.publicArea.type, TPM2_ALG_ECC);
	cr_expect_eq(public.publicArea.objectAttributes, 0x00030472);
	cr_expect_eq(public.publicArea.unique.ecc.x.buffer[0], 0xcf);
	cr_assert_eq(kt_public_marshal(&public, again, &len, &e), 0);
	srk_bytes(data);
	cr_assert_eq(len, SRK_BYTES);
	cr_expect_arr_eq(again, data, SRK_BYTES);
}

Test(tpm_public, refuses_every_truncation_and_every_surplus)
{
	uint8_t data[SRK_BYTES + 1] = {0};
	TPM2B_PUBLIC public = {.size = 7};
	struct kt_error e;

	srk_bytes(data);
	for (size_t len = 0; len <= sizeof(data); len++) {
		uint8_t copy[sizeof(data)];

		if (len == SRK_BYTES)
			continue;
		memcpy(copy, data, sizeof(copy));
		cr_expect_eq(kt_public_unmarshal(copy, len, &public, &e), -1, "%zu", len);
		cr_expect_eq(e.code, KT_E_INPUT);
		/* The same with a prefix that agrees. */
		if (len < 2)
			continue;
		copy[0] = 0;
		copy[1] = (uint8_t)(len - 2);
		cr_expect_eq(kt_public_unmarshal(copy, len, &public, &e), -1, "%zu", len);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	cr_expect_eq(public.size, 7);
}

Test(tpm_public, refuses_an_inner_size_beyond_the_end)
{
	/* authPolicy, x and y: the offsets of their size. */
	static const size_t offsets[] = {10, 24, 58};

	for (size_t i = 0; i < 3; i++) {
		uint8_t data[SRK_BYTES];
		TPM2B_PUBLIC public;
		struct kt_error e;

		srk_bytes(data);
		data[offsets[i]] = 0xff;
		cr_expect_eq(kt_public_unmarshal(data, sizeof(data), &public, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		data[offsets[i]] = 0;
		data[offsets[i] + 1]++;
		cr_expect_eq(kt_public_unmarshal(data, sizeof(data), &public, &e), -1);
	}
}

Test(tpm_public, refuses_types_it_cannot_read)
{
	static const uint16_t types[] = {0, TPM2_ALG_NULL, TPM2_ALG_AES, 0xffff};

	for (size_t i = 0; i < 4; i++) {
		uint8_t data[SRK_BYTES];
		TPM2B_PUBLIC public;
		struct kt_error e;

		srk_bytes(data);
		data[2] = (uint8_t)(types[i] >> 8);
		data[3] = (uint8_t)types[i];
		cr_expect_eq(kt_public_unmarshal(data, sizeof(data), &public, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
}

Test(tpm_public, computes_the_name_that_the_tpm_gave)
{
	TPM2B_PUBLIC public = srk();
	char text[KT_NAME_TEXT_MAX];
	TPM2B_NAME name;
	struct kt_error e;

	cr_assert_eq(kt_public_name(&public, &name, &e), 0);
	cr_expect_eq(name.size, 34);
	kt_name_format(&name, text);
	cr_expect_str_eq(text, SRK_NAME);
	public.publicArea.nameAlg = TPM2_ALG_NULL;
	cr_expect_eq(kt_public_name(&public, &name, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

Test(tpm_public, parses_names_of_known_hashes_only)
{
	static const char *const wrong[] = {"", "00", "000", "000b", "40000001", "0010",
		"000b2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce",
		"000b2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce4200",
		"000c2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce42",
		"00122e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce42",
		"000b2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce4g",
		"000b2e881c1d673d1b0a4125a289460a743c5efb02d925d19d2ed54e94230d18ce4"};
	TPM2B_NAME name = {.size = 7};
	char text[KT_NAME_TEXT_MAX];
	struct kt_error e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(kt_name_parse(wrong[i], &name, &e), -1, "%s", wrong[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	cr_expect_eq(name.size, 7);
	cr_assert_eq(kt_name_parse(SRK_NAME, &name, &e), 0);
	kt_name_format(&name, text);
	cr_expect_str_eq(text, SRK_NAME);
}

Test(tpm_public, parses_the_longest_name)
{
	char text[KT_NAME_TEXT_MAX + 2], again[KT_NAME_TEXT_MAX];
	TPM2B_NAME name;
	struct kt_error e;

	memset(text, 'a', sizeof(text));
	memcpy(text, "000d", 4);
	text[KT_NAME_TEXT_MAX - 1] = '\0';
	cr_assert_eq(kt_name_parse(text, &name, &e), 0, "%s", e.msg);
	kt_name_format(&name, again);
	cr_expect_str_eq(again, text);
	text[KT_NAME_TEXT_MAX - 1] = 'a';
	text[KT_NAME_TEXT_MAX + 1] = '\0';
	cr_expect_eq(kt_name_parse(text, &name, &e), -1);
}

Test(tpm_public, compares_names)
{
	TPM2B_NAME a, b, empty = {0};
	struct kt_error e;

	cr_assert_eq(kt_name_parse(SRK_NAME, &a, &e), 0);
	b = a;
	cr_expect(kt_name_equal(&a, &b));
	b.name[33] ^= 1;
	cr_expect_not(kt_name_equal(&a, &b));
	b = a;
	b.size--;
	cr_expect_not(kt_name_equal(&a, &b));
	cr_expect_not(kt_name_equal(&empty, &empty), "no Name is like no Name");
}

/* TCG EK Credential Profile, B.4.5 and B.4.4, without the authPolicy of an EK. */
Test(tpm_public, has_the_templates_of_the_tcg)
{
	static const struct {
		const TPM2B_PUBLIC *public;
		const char *hex;
	} cases[] = {
		{&kt_template_srk_ecc, "001a0023000b00030472000000060080004300100003001000000000"},
		{&kt_template_srk_rsa, "001a0001000b00030472000000060080004300100800000000000000"},
	};

	for (size_t i = 0; i < 2; i++) {
		uint8_t data[sizeof(TPM2B_PUBLIC)];
		char text[2 * sizeof(data) + 1];
		size_t len = 0;
		struct kt_error e;

		cr_assert_eq(kt_public_marshal(cases[i].public, data, &len, &e), 0);
		kt_hex_encode(data, len, text);
		cr_expect_str_eq(text, cases[i].hex);
	}
}

Test(tpm_public, accepts_storage_keys)
{
	TPM2B_PUBLIC public = srk();
	struct kt_error e;

	cr_expect_eq(kt_public_check_storage_key(&public, &e), 0);
	public = kt_template_srk_rsa;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), 0);
	public.publicArea.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_USERWITHAUTH;
	public.publicArea.parameters.rsaDetail.symmetric.keyBits.aes = 256;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), 0, "an EK has these");
}

Test(tpm_public, refuses_to_wrap_to_other_keys)
{
	static const TPMA_OBJECT required[] = {TPMA_OBJECT_RESTRICTED, TPMA_OBJECT_DECRYPT,
		TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_FIXEDPARENT, TPMA_OBJECT_SENSITIVEDATAORIGIN};
	TPM2B_PUBLIC public;
	struct kt_error e;

	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		public = srk();
		public.publicArea.objectAttributes &= ~required[i];
		cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
		cr_expect_eq(e.code, KT_E_REFUSED);
	}
	public = srk();
	public.publicArea.objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = srk();
	public.publicArea.nameAlg = TPM2_ALG_NULL;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = srk();
	public.publicArea.type = TPM2_ALG_SYMCIPHER;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = srk();
	public.publicArea.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = srk();
	public.publicArea.parameters.eccDetail.symmetric.mode.aes = TPM2_ALG_CBC;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = srk();
	public.publicArea.parameters.eccDetail.symmetric.keyBits.aes = 192;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	public = kt_template_srk_rsa;
	public.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_OAEP;
	cr_expect_eq(kt_public_check_storage_key(&public, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
}

Test(tpm_public, tells_sealed_data_from_keys)
{
	TPM2B_PUBLIC public = {0};

	public.publicArea.type = TPM2_ALG_KEYEDHASH;
	public.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	cr_expect(kt_public_is_sealed_data(&public));
	public.publicArea.objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT;
	cr_expect_not(kt_public_is_sealed_data(&public), "an HMAC key");
	public.publicArea.objectAttributes = 0;
	public.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
	cr_expect_not(kt_public_is_sealed_data(&public), "an HMAC key with its hash");
	cr_expect_not(kt_public_is_sealed_data(&kt_template_srk_ecc));
}

Test(tpm_public, hashes_spans_in_order)
{
	/* FIPS 180-4: "abc". */
	static const struct {
		TPMI_ALG_HASH alg;
		const char *hex;
	} cases[] = {
		{TPM2_ALG_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{TPM2_ALG_SHA256,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{TPM2_ALG_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
				  "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
		{TPM2_ALG_SHA512,
			"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	};
	static const struct kt_span spans[] = {{"a", 1}, {"", 0}, {"bc", 2}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2 * sizeof(TPMU_HA) + 1];
		TPM2B_DIGEST digest;
		struct kt_error e;

		cr_assert_eq(kt_hash(cases[i].alg, spans, 3, &digest, &e), 0);
		kt_hex_encode(digest.buffer, digest.size, text);
		cr_expect_str_eq(text, cases[i].hex);
		cr_expect_eq(digest.size, kt_hash_size(cases[i].alg));
		cr_expect_not_null(kt_hash_openssl_name(cases[i].alg));
	}
}

Test(tpm_public, knows_no_other_hashes)
{
	TPM2B_DIGEST digest;
	struct kt_error e;

	cr_expect_eq(kt_hash_size(TPM2_ALG_NULL), 0);
	cr_expect_null(kt_hash_openssl_name(TPM2_ALG_SM3_256));
	cr_expect_eq(kt_hash(0, NULL, 0, &digest, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}
