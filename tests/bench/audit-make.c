/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit-make ENTRIES EVERY AK.pub >LOG: an audit log of so many decryptions, with a checkpoint at
 * every so-many entries, as a TPM would vouch for it: the attestation key is one of its own, whose
 * public half is written. For measuring audit-verify with more entries than a TPM could make in an
 * hour.
 *
 * audit-make --bare ENTRIES: hashes what audit-verify has to hash for such entries, and nothing
 * else; prints entries a second.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/attest.h"
#include "lib/audit-hash.h"
#include "lib/audit-record.h"
#include "lib/ecdsa.h"
#include "lib/hex.h"
#include "lib/jwk.h"
#include "lib/kms-input.h"

#define CLUSTER "prod"
#define KEY_ID "sha256:1b46b91b6c7cec8cb39a1e8fadaba3c33c8c593eda0f9b36d9ec8ff0a8cd719a"
#define UID "0b2a9f4e-7c1d-4e55-9a53-1d2c3b4a5f60"
/* KEYEDHASH, SHA-256, attributes of a kms-tpm key, policy, HMAC with SHA-256, unique */
#define PUBLIC_HEAD "0008000b000404b20020"
#define PUBLIC_TAIL "0005000b0020"

static EVP_PKEY *key;
static struct kt_ak ak;
static uint8_t head[KT_SHA256_BYTES], digest[KT_SHA256_BYTES], name[KT_AUDIT_NAME_BYTES];
static bool is_empty = true;
static uint64_t counter = 1, now = UINT64_C(1795700000000);

static void put_line(const struct kt_audit_record *record)
{
	static char line[KT_AUDIT_LINE_MAX];
	struct kt_error e;
	size_t len;

	if (kt_audit_record_format(record, line, &len, &e) < 0)
		errx(1, "%s", e.msg);
	kt_audit_chain(head, line, len);
	line[len] = '\n';
	if (fwrite(line, len + 1, 1, stdout) != 1)
		err(1, "standard output");
}

static void sign(const uint8_t *data, size_t len, uint8_t signature[KT_AUDIT_POINT_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128];
	size_t der_len = sizeof(der);
	struct kt_error e;

	if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
		EVP_DigestSign(ctx, der, &der_len, data, len) != 1 ||
		kt_ecdsa_from_der(der, der_len, signature, &e) < 0)
		errx(1, "cannot sign");
	EVP_MD_CTX_free(ctx);
}

static void put(uint8_t **out, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*(*out)++ = (uint8_t)(value >> (8 * (len - 1 - i)));
}

static void put_2b(uint8_t **out, const void *data, size_t len)
{
	put(out, len, 2);
	memcpy(*out, data, len);
	*out += len;
}

/* TPMS_ATTEST up to what differs by type. */
static uint8_t *start_attest(
	uint8_t *data, enum kt_attest_type type, const uint8_t extra[KT_SHA256_BYTES])
{
	uint8_t *out = data;

	put(&out, 0xff544347, 4);
	put(&out, type, 2);
	put_2b(&out, ak.qualified_name, sizeof(ak.qualified_name));
	put_2b(&out, extra, KT_SHA256_BYTES);
	put(&out, now - UINT64_C(1795700000000), 8);
	put(&out, 1, 4);
	put(&out, 0, 4);
	put(&out, 1, 1);
	put(&out, 0, 8);
	return out;
}

static void put_head(void)
{
	struct kt_audit_record record = {.type = KT_AUDIT_FILE, .ts = now};

	record.file.tier = KT_AUDIT_TIER_A;
	record.file.last.reset = 1;
	record.file.max = INT64_MAX;
	memcpy(record.file.ak, ak.point, sizeof(ak.point));
	put_line(&record);
}

static void put_set(void)
{
	static const uint8_t raw[] = {
		0, 0x10, 0, 0, 0, 2, 0, 0, 1, 0x55, 0, 0, 1, 0x5d, 0, 0, 0, 0};
	struct kt_audit_record record = {.type = KT_AUDIT_SET};
	uint8_t cp[KT_SHA256_BYTES], rp[KT_SHA256_BYTES];
	char hex[2 * sizeof(raw) + 1];

	kt_hex_encode(raw, sizeof(raw), hex);
	record.set.raw = (struct kt_audit_text){hex, strlen(hex)};
	put_line(&record);
	kt_audit_cp_set(raw, sizeof(raw), cp);
	kt_audit_rp_set(rp);
	kt_audit_extend(digest, cp, rp);
	is_empty = false;
}

static void put_checkpoint(uint64_t n)
{
	struct kt_audit_record intent = {.type = KT_AUDIT_INTENT, .n = n, .ts = now};
	struct kt_audit_record record = {.type = KT_AUDIT_CHECKPOINT, .n = n, .ts = now};
	uint8_t data[KT_ATTEST_MAX_BYTES], extra[KT_SHA256_BYTES], commands[KT_SHA256_BYTES], *out;
	char hex[2 * sizeof(data) + 1];

	intent.intent.op = KT_AUDIT_ATTEST;
	put_line(&intent);
	kt_audit_qualify("", 0, head, extra);
	kt_audit_command_digest(commands);
	out = start_attest(data, KT_ATTEST_COMMAND_AUDIT, extra);
	put(&out, counter++, 8);
	put(&out, 0xb, 2);
	put_2b(&out, digest, is_empty ? 0 : sizeof(digest));
	put_2b(&out, commands, sizeof(commands));
	kt_hex_encode(data, (size_t)(out - data), hex);
	record.checkpoint.nonce = (struct kt_audit_text){"", 0};
	record.checkpoint.attest = (struct kt_audit_text){hex, strlen(hex)};
	memcpy(record.checkpoint.head, head, sizeof(head));
	sign(data, (size_t)(out - data), record.checkpoint.signature);
	put_line(&record);
	memset(digest, 0, sizeof(digest));
	is_empty = true;
}

static void put_key(void)
{
	struct kt_audit_record record = {.type = KT_AUDIT_KEY, .ts = now};
	uint8_t data[KT_ATTEST_MAX_BYTES], extra[KT_SHA256_BYTES], policy[KT_SHA256_BYTES];
	uint8_t public[128], *out;
	char public_hex[256], attest_hex[2 * sizeof(data) + 1], policy_hex[2 * sizeof(policy) + 1];
	static const uint8_t zeros[KT_SHA256_BYTES];
	struct kt_sha256 hash;
	struct kt_error e;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, zeros, sizeof(zeros));
	kt_sha256_add_u32(&hash, 0x16c);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_HMAC);
	kt_sha256_finish(&hash, policy);
	kt_hex_encode(policy, sizeof(policy), policy_hex);
	snprintf(public_hex, sizeof(public_hex), PUBLIC_HEAD "%s" PUBLIC_TAIL "%064d", policy_hex,
		0);
	if (kt_hex_decode(public_hex, public, strlen(public_hex) / 2, &e) < 0)
		errx(1, "%s", e.msg);
	kt_audit_name(public, strlen(public_hex) / 2, name);
	kt_audit_qualify_key(CLUSTER, KEY_ID, extra);
	out = start_attest(data, KT_ATTEST_CREATION, extra);
	put_2b(&out, name, sizeof(name));
	put_2b(&out, zeros, sizeof(zeros));
	kt_hex_encode(data, (size_t)(out - data), attest_hex);
	record.key.type = KT_AUDIT_HMAC;
	record.key.public = (struct kt_audit_text){public_hex, strlen(public_hex)};
	record.key.attest = (struct kt_audit_text){attest_hex, strlen(attest_hex)};
	record.key.cluster = (struct kt_audit_text){CLUSTER, strlen(CLUSTER)};
	record.key.key_id = (struct kt_audit_text){KEY_ID, strlen(KEY_ID)};
	record.key.step_count = 1;
	record.key.steps[0].code = 0x16c;
	record.key.steps[0].argument = (struct kt_audit_text){"00000155", 8};
	sign(data, (size_t)(out - data), record.key.signature);
	put_line(&record);
}

/* Each has an identifier, and an answer, of its own. */
static void put_entry(uint64_t n)
{
	struct kt_audit_record intent = {.type = KT_AUDIT_INTENT, .n = n, .ts = now};
	struct kt_audit_record result = {.type = KT_AUDIT_RESULT, .n = n};
	uint8_t input[KT_SHA256_BYTES], cp[KT_SHA256_BYTES];

	intent.intent.op = KT_AUDIT_DECRYPT;
	intent.intent.uid = (struct kt_audit_text){UID, strlen(UID)};
	memcpy(intent.intent.id, head, sizeof(head));
	put_line(&intent);
	memcpy(result.result.rp_hash, head, sizeof(head));
	put_line(&result);
	kt_record_input(CLUSTER, KEY_ID, intent.intent.id, input);
	kt_audit_cp_hmac(name, input, cp);
	kt_audit_extend(digest, cp, result.result.rp_hash);
	is_empty = false;
	now++;
}

static void write_ak(const char *path)
{
	FILE *file = fopen(path, "w");
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_error e;

	key = EVP_EC_gen("P-256");
	if (key == NULL || kt_p256_point(key, point, &e) < 0 ||
		kt_ak_from_point(point, &ak, &e) < 0)
		errx(1, "no key");
	if (file == NULL || PEM_write_PUBKEY(file, key) != 1 || fclose(file) != 0)
		err(1, "%s", path);
}

static void make(uint64_t entries, uint64_t every, const char *ak_path)
{
	write_ak(ak_path);
	put_head();
	put_set();
	put_checkpoint(0);
	put_key();
	for (uint64_t n = 0; n < entries; n++) {
		put_entry(n);
		if ((n + 1) % every == 0 || n + 1 == entries)
			put_checkpoint(n + 1);
	}
	if (fflush(stdout) != 0)
		err(1, "standard output");
}

/* The same hashes over texts of the same lengths as those of an entry with a number of seven
 * digits. */
static void measure_bare(uint64_t entries)
{
	static char lines[250];
	const size_t intent =
		strlen("{\"t\":\"I\",\"n\":1234567,\"ts\":1795700000000,\"op\":\"D\",\"k\":0,"
		       "\"uid\":\"" UID "\",\"id\":\"\"}") +
		64;
	const size_t result = strlen("{\"t\":\"O\",\"n\":1234567,\"rp\":\"\"}") + 64;
	struct timespec begun, ended;
	uint8_t input[KT_SHA256_BYTES] = {0}, cp[KT_SHA256_BYTES];
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (uint64_t n = 0; n < entries; n++) {
		kt_audit_chain(head, lines, intent);
		kt_audit_chain(head, lines, result);
		kt_record_input(CLUSTER, KEY_ID, head, input);
		kt_audit_cp_hmac(name, input, cp);
		kt_audit_extend(digest, cp, head);
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	seconds = (double)(ended.tv_sec - begun.tv_sec) +
		  (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	printf("%.0f %02x\n", (double)entries / seconds, digest[0]);
}

int main(int argc, char *argv[])
{
	if (argc == 3 && strcmp(argv[1], "--bare") == 0)
		measure_bare(strtoull(argv[2], NULL, 10));
	else if (argc == 4 && strtoull(argv[2], NULL, 10) > 0)
		make(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), argv[3]);
	else
		errx(2, "usage: audit-make ENTRIES EVERY AK.pub >LOG; audit-make --bare ENTRIES");
	return 0;
}
