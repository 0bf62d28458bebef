/* SPDX-License-Identifier: Apache-2.0 */
/* What an API server keeps in etcd, read; opening it is
 * tests/integration/sealtool-recover-record.sh. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/etcd-record.h"

#define V2 "k8s:enc:kms:v2:kubetpm:"
/* encryptedData "data", keyID "key", encryptedDEKSource "cipher", annotations {a.example: "x"},
 * encryptedDEKSourceType 1 */
#define OBJECT                                                                                     \
	"\x0a\x04"                                                                                 \
	"data\x12\x03key\x1a\x06"                                                                  \
	"cipher\x22\x0e\x0a\x09"                                                                   \
	"a.example\x12\x01x\x28\x01"

static struct kt_etcd_record record;

static int parse(const char *value, size_t len)
{
	struct kt_error e = {0};
	int status = kt_etcd_record_parse(value, len, &record, &e);

	if (status < 0)
		cr_expect_eq(e.code, KT_E_INPUT, "%s", e.msg);
	return status;
}

#define PARSE(value) parse(value, sizeof(value) - 1)

Test(etcd_record, reads_an_encrypted_object)
{
	cr_assert_eq(PARSE(V2 OBJECT), 0);
	cr_expect_eq(record.version, 2);
	cr_expect_str_eq(record.provider, "kubetpm");
	cr_expect_str_eq(record.kms.key_id, "key");
	cr_expect_eq(record.source, KT_ETCD_HKDF_SEED);
	cr_expect_eq(record.data.len, 4);
	cr_expect_eq(record.kms.record.ciphertext.len, 6);
	cr_assert_eq(record.kms.record.annotation_count, 1);
	cr_expect_str_eq(record.kms.record.annotations[0].name, "a.example");
	cr_expect(!kt_etcd_record_is_recoverable(&record));
	/* Fields that a later version may have are passed over. */
	cr_expect_eq(PARSE(V2 OBJECT "\x30\x05\x3a\x02"
				     "zz"),
		0);
	/* The last of a field counts. */
	cr_assert_eq(PARSE(V2 OBJECT "\x12\x05"
				     "later"),
		0);
	cr_expect_str_eq(record.kms.key_id, "later");
}

Test(etcd_record, no_part_is_missing)
{
	const size_t len = sizeof(V2 OBJECT) - 1;
	size_t accepted = 0;

	for (size_t n = 0; n < len; n++)
		accepted += parse(V2 OBJECT, n) == 0;
	/* Without the type, and without annotations, it is one of an older API server. */
	cr_expect_eq(accepted, 2);
}

Test(etcd_record, refuses_the_rest)
{
	cr_expect_eq(PARSE(""), -1);
	cr_expect_eq(PARSE("k8s:enc:aescbc:v1:key:xxxx"), -1);
	cr_expect_eq(PARSE("k8s:enc:kms:v3:kubetpm:" OBJECT), -1);
	cr_expect_eq(PARSE(V2 "\x12\x03key"), -1, "no ciphertext");
	cr_expect_eq(PARSE(V2 "\x1a\x06"
			      "cipher"),
		-1, "no key_id");
	cr_expect_eq(PARSE(V2 OBJECT "\x28\x02"), -1, "unknown type");
	cr_expect_eq(PARSE(V2 OBJECT "\x0a"), -1, "cut");
	cr_expect_eq(PARSE(V2 OBJECT "\n"), -1, "a newline");
	cr_expect_eq(PARSE(V2 OBJECT "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -1, "length");
	cr_expect_eq(PARSE(V2 OBJECT "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -1, "tag");
	cr_expect_eq(PARSE(V2 OBJECT "\x0d"
				     "abcd"),
		-1, "a wire type that does not occur");
	cr_expect_eq(PARSE(V2 OBJECT "\x02\x00"), -1, "field 0");
	cr_expect_eq(PARSE(V2 OBJECT "\x20\x05"), -1, "a number for annotations");
	cr_expect_eq(PARSE(V2 OBJECT "\x08\x05"), -1, "a number for data");
	cr_expect_eq(PARSE(V2 OBJECT "\x2a\x01x"), -1, "bytes for a number");
	cr_expect_eq(PARSE(V2 OBJECT "\x22\x00"), -1, "an annotation without a name");
	cr_expect_eq(PARSE(V2 OBJECT "\x22\x06\x0a\x04"
				     "a/b."),
		-1, "an annotation's name");
	cr_expect_eq(PARSE(V2 OBJECT "\x12\x03k\0y"), -1, "a NUL in the key_id");
}

Test(etcd_record, counts_annotations)
{
	static const char one[] = "\x22\x0e\x0a\x09"
				  "a.example\x12\x01x";
	char value[1024];
	size_t len = sizeof(V2 OBJECT) - 1;

	memcpy(value, V2 OBJECT, len);
	for (unsigned i = 1; i < KT_KMS_ANNOTATIONS_MAX; i++) {
		memcpy(value + len, one, sizeof(one) - 1);
		value[len + 4] = (char)('a' + i);
		len += sizeof(one) - 1;
	}
	cr_expect_eq(parse(value, len), 0);
	cr_expect_eq(record.kms.record.annotation_count, KT_KMS_ANNOTATIONS_MAX);
	memcpy(value + len, one, sizeof(one) - 1);
	cr_expect_eq(parse(value, len + sizeof(one) - 1), -1);
}

Test(etcd_record, has_a_size)
{
	auto_free char *value = calloc(1, KT_ETCD_VALUE_MAX_BYTES + 1);

	cr_assert_not_null(value);
	memcpy(value, V2, sizeof(V2) - 1);
	cr_expect_eq(parse(value, KT_ETCD_VALUE_MAX_BYTES + 1), -1);
}
