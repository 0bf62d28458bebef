/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the TSS2 key tests: golden files, and files put together from elements in hexadecimal.
 */
#ifndef KT_TESTS_UNIT_TSS2KEY_H
#define KT_TESTS_UNIT_TSS2KEY_H

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/hex.h"
#include "lib/io.h"
#include "lib/tpm-public.h"
#include "lib/tss2key.h"

#define FOLDER "tests/data/tss2key/"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Elements of a file. */
#define LOADABLE "06066781050a0103"
#define IMPORTABLE "06066781050a0104"
#define SEALED "06066781050a0105"
#define LEGACY "06056781050a02"
#define EMPTY_AUTH "a0030101ff"
#define OWNER "020440000001"
#define SRK "02050081000001"

static inline struct kt_tss2key *new_key(void)
{
	struct kt_tss2key *key = kt_tss2key_new();

	cr_assert_not_null(key);
	return key;
}

static inline struct kt_tss2key *read_golden(const char *name)
{
	struct kt_tss2key *key = new_key();
	auto_free uint8_t *data = NULL;
	char path[128];
	size_t len;
	struct kt_error e;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	cr_assert_eq(kt_read_file(path, KT_TSS2KEY_MAX_BYTES, &data, &len, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_tss2key_from_file(data, len, key, &e), 0, "%s: %s", name, e.msg);
	return key;
}

/* SEQUENCE { head, pubkey, privkey }, the latter two of a golden file; returns the length. */
static inline size_t build(const char *head, uint8_t ret_der[4096])
{
	auto_free struct kt_tss2key *golden = read_golden("engine-owner.pem");
	uint8_t public[sizeof(TPM2B_PUBLIC)], body[4096];
	size_t len = strlen(head) / 2, public_len = 0;
	struct kt_error e;

	cr_assert(len < 3000);
	cr_assert_eq(kt_hex_decode(head, body, len, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_public_marshal(&golden->public, public, &public_len, &e), 0);
	cr_assert(public_len < 128);
	body[len++] = 0x04;
	body[len++] = (uint8_t)public_len;
	memcpy(body + len, public, public_len);
	len += public_len;
	cr_assert(golden->private.size > 126 && golden->private.size < 254);
	body[len++] = 0x04;
	body[len++] = 0x81;
	body[len++] = (uint8_t)(golden->private.size + 2);
	body[len++] = (uint8_t)(golden->private.size >> 8);
	body[len++] = (uint8_t)golden->private.size;
	memcpy(body + len, golden->private.buffer, golden->private.size);
	len += golden->private.size;
	if (len > 255) {
		memcpy(ret_der, (const uint8_t[]){0x30, 0x82, (uint8_t)(len >> 8), (uint8_t)len},
			4);
		memcpy(ret_der + 4, body, len);
		return len + 4;
	}
	memcpy(ret_der, (const uint8_t[]){0x30, 0x81, (uint8_t)len}, 3);
	memcpy(ret_der + 3, body, len);
	return len + 3;
}

static inline struct kt_tss2key *read_head(const char *head)
{
	struct kt_tss2key *key = new_key();
	uint8_t der[4096];
	size_t len = build(head, der);
	struct kt_error e;

	cr_assert_eq(kt_tss2key_from_der(der, len, key, &e), 0, "%s: %s", head, e.msg);
	return key;
}

static inline void expect_refused(const char *head)
{
	auto_free struct kt_tss2key *key = new_key();
	uint8_t der[4096];
	size_t len = build(head, der);
	struct kt_error e;

	key->parent = 77;
	cr_expect_eq(kt_tss2key_from_der(der, len, key, &e), -1, "%s", head);
	cr_expect_eq(e.code, KT_E_INPUT, "%s", head);
	cr_expect_eq(key->parent, 77, "outputs are written only on success");
}

#endif
