/* SPDX-License-Identifier: Apache-2.0 */
/* KDFa and KDFe against values from another implementation (Python's hmac and hashlib, by the
 * formulas of Part 1, 11.4.10). */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/hex.h"
#include "lib/tpm-kdf.h"

static void expect(const uint8_t *key, size_t len, const char *hex)
{
	char text[2 * 64 + 1];

	kt_hex_encode(key, len, text);
	cr_expect_str_eq(text, hex);
}

Test(tpm_kdf, derives_with_hmac)
{
	static const struct {
		TPMI_ALG_HASH alg;
		const char *label;
		bool with_name;
		const char *key;
	} cases[] = {
		{TPM2_ALG_SHA256, "STORAGE", true, "0415b32b6f43896a87e7b29be8f2ac14"},
		{TPM2_ALG_SHA256, "INTEGRITY", false,
			"bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e"},
		{TPM2_ALG_SHA384, "INTEGRITY", false,
			"ce5c1941c2411f7c12d0ad0dea97f8d18968b11c9fa9b006"
			"da60acc8fa7015ccffedc78fb26af4019b59583ab55d4698"},
		/* Two rounds of SHA-1. */
		{TPM2_ALG_SHA1, "STORAGE", false,
			"baea5a841596695211cca827e7f52daf31eeca160c089fcc72aac60b7ec7e295"},
	};
	uint8_t key[32], name[34];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	memset(name, 0xaa, sizeof(name));
	name[0] = 0x00;
	name[1] = 0x0b;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t derived[64];
		size_t len = strlen(cases[i].key) / 2;
		struct kt_error e;

		cr_assert_eq(
			kt_kdfa(cases[i].alg, (struct kt_span){key, sizeof(key)}, cases[i].label,
				(struct kt_span){name, cases[i].with_name ? sizeof(name) : 0},
				derived, len, &e),
			0, "%s", e.msg);
		expect(derived, len, cases[i].key);
	}
}

Test(tpm_kdf, derives_from_a_shared_point)
{
	static const struct {
		TPMI_ALG_HASH alg;
		const char *label;
		size_t size;
		const char *key;
	} cases[] = {
		{TPM2_ALG_SHA256, "DUPLICATE", 32,
			"f1f6edb81ffc0e454a8fe0c4d3429072d6de5ad896116a84fe3e3f455c145629"},
		{TPM2_ALG_SHA384, "DUPLICATE", 48,
			"c25ceb64cce988e700ba9e185e8f9fb83d83e828dec7aa6a"
			"02034cdae0a85dcd9bc6510f05de186d6ee17528a8d60079"},
		{TPM2_ALG_SHA1, "IDENTITY", 32,
			"ea784bd186442119ec5bffbbc9b62b0a3fdaa1b99b03176d67219cfe5c58170a"},
	};
	uint8_t z[48], u[48], v[48];

	memset(z, 0x5a, sizeof(z));
	memset(u, 0x01, sizeof(u));
	memset(v, 0x02, sizeof(v));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = cases[i].size, len = strlen(cases[i].key) / 2;
		uint8_t derived[64];
		struct kt_error e;

		cr_assert_eq(kt_kdfe(cases[i].alg, (struct kt_span){z, size}, cases[i].label,
				     (struct kt_span){u, size}, (struct kt_span){v, size}, derived,
				     len, &e),
			0, "%s", e.msg);
		expect(derived, len, cases[i].key);
	}
}

Test(tpm_kdf, refuses_unknown_hashes_and_oversized_parties)
{
	static const uint8_t octets[300];
	struct kt_span short_one = {octets, 32}, long_one = {octets, sizeof(octets)};
	uint8_t derived[32];
	struct kt_error e;

	cr_expect_eq(kt_kdfa(TPM2_ALG_NULL, short_one, "STORAGE", short_one, derived, 32, &e), -1);
	cr_expect_eq(
		kt_kdfe(TPM2_ALG_NULL, short_one, "STORAGE", short_one, short_one, derived, 32, &e),
		-1);
	cr_expect_eq(kt_kdfe(TPM2_ALG_SHA256, short_one, "STORAGE", short_one, long_one, derived,
			     32, &e),
		-1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}
