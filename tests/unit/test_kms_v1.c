/* SPDX-License-Identifier: Apache-2.0 */
/* The v1beta1 ciphertext: its bytes, and that nothing but what was packed is unpacked. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/kms-v1.h"
#include "lib/auto.h"

static const uint8_t golden[] = {1, 0, 2, 'K', '1', 0, 3, 'a', 'b', 'c', 2, 3, 'a', '.', 'b', 0, 1,
	0xff, 4, 'c', '.', 'd', '.', 0, 0};

static struct kt_kms_record sample(void)
{
	static const uint8_t value[] = {0xff};

	return (struct kt_kms_record){
		.size = sizeof(struct kt_kms_record),
		.ciphertext = {(const uint8_t *)"abc", 3},
		.annotation_count = 2,
		.annotations = {{"a.b", {value, 1}}, {"c.d.", {NULL, 0}}},
	};
}

Test(kms_v1, has_these_bytes)
{
	struct kt_kms_record record = sample();
	auto_free uint8_t *data = NULL;
	struct kt_kms_v1 v1;
	struct kt_error e;
	size_t len;

	cr_assert_eq(kt_kms_v1_pack("K1", &record, &data, &len, &e), 0);
	cr_assert_eq(len, sizeof(golden));
	cr_expect_arr_eq(data, golden, len);
	cr_assert_eq(kt_kms_v1_unpack(data, len, &v1, &e), 0, "%s", e.msg);
	cr_expect_str_eq(v1.key_id, "K1");
	cr_expect_eq(v1.record.ciphertext.len, 3);
	cr_expect_arr_eq(v1.record.ciphertext.data, "abc", 3);
	cr_assert_eq(v1.record.annotation_count, 2);
	cr_expect_str_eq(v1.record.annotations[0].name, "a.b");
	cr_expect_eq(v1.record.annotations[0].value.data[0], 0xff);
	cr_expect_str_eq(v1.record.annotations[1].name, "c.d.");
	cr_expect_eq(v1.record.annotations[1].value.len, 0);
}

Test(kms_v1, refuses_every_shorter_and_longer_text)
{
	uint8_t longer[sizeof(golden) + 1] = {0};
	struct kt_kms_v1 v1;
	struct kt_error e = {0};

	for (size_t len = 0; len < sizeof(golden); len++) {
		/* On the heap, so that a sanitizer sees a read behind the end. */
		auto_free uint8_t *copy = malloc(len + 1);

		cr_assert_not_null(copy);
		copy = realloc(copy, len > 0 ? len : 1);
		memcpy(copy, golden, len);
		cr_expect_eq(kt_kms_v1_unpack(copy, len, &v1, &e), -1, "%zu bytes", len);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	memcpy(longer, golden, sizeof(golden));
	cr_expect_eq(kt_kms_v1_unpack(longer, sizeof(longer), &v1, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

Test(kms_v1, refuses_damaged_fields)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} cases[] = {
		{0, 0},	   /* another format */
		{0, 'k'},  /* another provider's */
		{2, 0},	   /* no key id */
		{3, 0},	   /* a NUL in it */
		{6, 0},	   /* no ciphertext */
		{5, 0xff}, /* more than there is */
		{10, 0},   /* no annotations, but bytes for them */
		{10, 9},   /* too many */
		{11, 0},   /* no name */
		{12, '/'}, /* no FQDN */
		{12, 'A'},
		{12, 0},
		{13, 'x'},
	};
	struct kt_kms_v1 v1;
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t copy[sizeof(golden)];

		memcpy(copy, golden, sizeof(golden));
		copy[cases[i].at] = cases[i].byte;
		cr_expect_eq(kt_kms_v1_unpack(copy, sizeof(copy), &v1, &e), -1, "case %zu", i);
		cr_expect_eq(e.code, KT_E_INPUT, "case %zu", i);
	}
}

Test(kms_v1, holds_the_largest_record_in_what_v1_can_store)
{
	static uint8_t bytes[KT_KMS_ANNOTATIONS_MAX_BYTES];
	char key_id[KT_KMS_KEY_ID_MAX_BYTES + 1];
	struct kt_kms_record record = {.ciphertext = {bytes, KT_KMS_CIPHERTEXT_MAX_BYTES},
		.annotation_count = 1,
		.annotations = {{"a.b", {bytes, KT_KMS_ANNOTATIONS_MAX_BYTES - 3}}}};
	auto_free uint8_t *data = NULL;
	struct kt_kms_v1 v1;
	struct kt_error e;
	size_t len;

	memset(key_id, 'k', sizeof(key_id) - 1);
	key_id[sizeof(key_id) - 1] = '\0';
	cr_assert_eq(kt_kms_record_check(&record, KT_E_INPUT, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_kms_v1_pack(key_id, &record, &data, &len, &e), 0);
	/* A record in etcd has two bytes for its length: "k8s:enc:kms:v1:NAME:", length,
	 * ciphertext. */
	cr_expect_lt(len, 65536);
	cr_assert_eq(kt_kms_v1_unpack(data, len, &v1, &e), 0, "%s", e.msg);
	cr_expect_str_eq(v1.key_id, key_id);
}

Test(kms_v1, names_are_bare_and_fully_qualified)
{
	static const char label63[] =
		"a23456789012345678901234567890123456789012345678901234567890123";
	static const struct {
		const char *name;
		bool valid;
	} cases[] = {
		{"id.kubetpm.internal", true},
		{"a.b", true},
		{"a.b.", true},
		{"1.2", true},
		{"x--y.z9", true},
		{"", false},
		{".", false},
		{"a", false},
		{"a.", false},
		{"a..b", false},
		{".a.b", false},
		{"a.b..", false},
		{"A.b", false},
		{"a_b.c", false},
		{"-a.b", false},
		{"a-.b", false},
		{"a.b-", false},
		{"kms.kubernetes.io/local-kek", false},
		{"a.b ", false},
		{"\xc3\xa9.b", false},
	};
	char name[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(kt_kms_annotation_name_is_valid(cases[i].name), cases[i].valid, "%s",
			cases[i].name);
	snprintf(name, sizeof(name), "%s.b", label63);
	cr_expect(kt_kms_annotation_name_is_valid(name));
	snprintf(name, sizeof(name), "%s4.b", label63);
	cr_expect_not(kt_kms_annotation_name_is_valid(name));
	/* 3 * 64 + 61 = 253 bytes, and one more */
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label63, label63, label63, label63 + 2);
	cr_expect_eq(strlen(name), 253);
	cr_expect(kt_kms_annotation_name_is_valid(name));
	snprintf(name, sizeof(name), "%s.%s.%s.%s.", label63, label63, label63, label63 + 2);
	cr_expect_not(strlen(name) != 254 || !kt_kms_annotation_name_is_valid(name));
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label63, label63, label63, "a");
	cr_expect(kt_kms_annotation_name_is_valid(name));
	snprintf(name, sizeof(name), "%s.%s.%s.a%s", label63, label63, label63, label63 + 2);
	cr_expect_eq(strlen(name), 254);
	cr_expect_not(kt_kms_annotation_name_is_valid(name));
}
