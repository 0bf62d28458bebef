/* SPDX-License-Identifier: Apache-2.0 */
/* What the TPM hashes when it audits, against values that a software TPM gave (recorded with
 * tpm2-tools and recomputed in another language). */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/audit-counter.h"
#include "lib/audit-hash.h"
#include "lib/hex.h"

static void expect_hex(const uint8_t *data, size_t len, const char *hex)
{
	char text[2 * 64 + 1];

	kt_hex_encode(data, len, text);
	cr_expect_str_eq(text, hex);
}

static void from_hex(const char *hex, uint8_t *ret_data, size_t len)
{
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(hex, ret_data, len, &e), 0);
}

Test(audit_hash, setting_the_list)
{
	static const uint8_t raw[] = {
		0, 0x10, 0, 0, 0, 2, 0, 0, 1, 0x55, 0, 0, 1, 0x5d, 0, 0, 0, 0};
	uint8_t cp[KT_SHA256_BYTES], rp[KT_SHA256_BYTES], digest[KT_SHA256_BYTES] = {0};

	kt_audit_cp_set(raw, sizeof(raw), cp);
	expect_hex(
		cp, sizeof(cp), "560c4627495e34d94095f40043ba740ad58b82e016407ae2d6a3dea4e6d05c1d");
	kt_audit_rp_set(rp);
	expect_hex(
		rp, sizeof(rp), "b7ee3c2ee7c05d7672b4947a2babc3d0d908ba05d513cc0a73740ca2cb717c64");
	kt_audit_extend(digest, cp, rp);
	expect_hex(digest, sizeof(digest),
		"3e16efd908727df872cd2a2d351354d9c5fc2ad116b19b4d7ad121038f9a363f");
}

Test(audit_hash, set_of_commands)
{
	uint8_t digest[KT_SHA256_BYTES];

	kt_audit_command_digest(digest);
	expect_hex(digest, sizeof(digest),
		"57a0f1dd437bffc938982a6f8c16eafbdc4336b45dc1be14c8f64340bb4647a9");
}

Test(audit_hash, answer_of_an_hmac)
{
	uint8_t output[KT_SHA256_BYTES], rp[KT_SHA256_BYTES];

	from_hex("6deeb9ae5bc1b66fceb741a1bcebd2f057e4fdfecb7c87c0dc8b4a3d497a0e67", output,
		sizeof(output));
	kt_audit_rp_hmac(output, rp);
	expect_hex(
		rp, sizeof(rp), "f975efebf1820bd1b65cf681c2d2364489a1db4604002e56fe158acd3bd3d445");
}

Test(audit_hash, signing)
{
	uint8_t name[KT_AUDIT_NAME_BYTES], digest[KT_SHA256_BYTES], hash[KT_SHA256_BYTES];
	uint8_t signature[KT_AUDIT_POINT_BYTES];

	memset(digest, 7, sizeof(digest));
	from_hex("000b0a874e7e69892fe304ebc776a4223c2397b2ad5d1da2c4b6988609300a43e307", name,
		sizeof(name));
	kt_audit_cp_sign(name, digest, hash);
	expect_hex(hash, sizeof(hash),
		"212ffddb2120f93bef253c0ed9a45df3b7cbbe5c80dbdbc3c9f296f7f3e680af");
	from_hex("58cf05e2b89d8ebab5a524bd81b37be60cacdca320aef4f77d2357b8def74f2f"
		 "9ab63ffb2df15588da1330b85a347ce297c9fc6b2683d580993df2b505f85ce5",
		signature, sizeof(signature));
	kt_audit_rp_sign(signature, hash);
	expect_hex(hash, sizeof(hash),
		"a99e4c191b8d5bad0eb7f127fb3898a51f5fb9bc939096dedfc1f89a346d3e38");
}

Test(audit_hash, qualified_name_in_the_endorsement_hierarchy)
{
	uint8_t name[KT_AUDIT_NAME_BYTES], qualified[KT_AUDIT_NAME_BYTES];

	from_hex("000bbfc1ae3d7d479cd581867062cea3e2ce99b6c9064c82dfd4d1994d00c5ae4989", name,
		sizeof(name));
	kt_audit_endorsement_name(name, qualified);
	expect_hex(qualified, sizeof(qualified),
		"000b44d5dbcc18cbd63c749de2485a624937d406430a92f12b6593f346a4c8beeb2f");
}

Test(audit_hash, boundaries_count)
{
	uint8_t a[KT_SHA256_BYTES], b[KT_SHA256_BYTES];

	kt_audit_qualify_key("prod", "x", a);
	kt_audit_qualify_key("pro", "dx", b);
	cr_expect_neq(memcmp(a, b, sizeof(a)), 0);
}

Test(audit_hash, binding_a_session)
{
	const uint8_t zeros[KT_SHA256_BYTES] = {0};
	uint8_t hash[KT_SHA256_BYTES];

	kt_audit_cp_stir(zeros, hash);
	expect_hex(hash, sizeof(hash),
		"70863e5f72ecbc6ebec963df9a25ac3295825071c5381041ea5cc7630be22b13");
	kt_audit_rp_stir(hash);
	expect_hex(hash, sizeof(hash),
		"14a8877c7ad905526dcaf9a48667832a9360ac7937f59e1db999743edfa42b76");
}

/* The Name is what a TPM says of the index (TPM2_NV_ReadPublic). */
Test(audit_hash, reading_the_use_counter)
{
	uint8_t name[KT_AUDIT_NAME_BYTES], hash[KT_SHA256_BYTES];

	kt_audit_counter_name(name);
	expect_hex(name, sizeof(name),
		"000bf5f909bf3edc225ede23f42b170c853a00c1ed55c5664fa2d755510d2c501c1f");
	kt_audit_cp_read(hash);
	expect_hex(hash, sizeof(hash),
		"d58600c134f7d302a150d9e69f6ce600b8ca7d1c9790a09d712438eec305d808");
	kt_audit_rp_read(7, hash);
	expect_hex(hash, sizeof(hash),
		"aa3863233537b85bb64cfcdc466c48fe3556808c6c50fdd0ee5762a7cf7fdd6b");
}
