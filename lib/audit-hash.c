/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-hash.h"

#include <string.h>

#define CC_STIR_RANDOM 0x146u

#define LABEL_ID "kubetpm.internal/audit/1/id"
#define LABEL_KEY "kubetpm.internal/audit/1/key"

#define RC_SUCCESS 0u
#define RH_OWNER 0x40000001u
#define RH_NULL 0x40000007u
#define RH_ENDORSEMENT 0x4000000bu
#define ALG_SHA256 0x000bu
#define ALG_NULL 0x0010u
#define ALG_ECDSA 0x0018u
#define ST_HASHCHECK 0x8024u

void kt_audit_chain(uint8_t head[KT_SHA256_BYTES], const char *line, size_t len)
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, head, KT_SHA256_BYTES);
	kt_sha256_add(&hash, line, len);
	kt_sha256_finish(&hash, head);
}

void kt_audit_extend(uint8_t digest[KT_SHA256_BYTES], const uint8_t cp_hash[KT_SHA256_BYTES],
	const uint8_t rp_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, digest, KT_SHA256_BYTES);
	kt_sha256_add(&hash, cp_hash, KT_SHA256_BYTES);
	kt_sha256_add(&hash, rp_hash, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, digest);
}

/* TPM2B_…: size and bytes. */
static void add_2b(struct kt_sha256 *hash, const void *data, size_t len)
{
	kt_sha256_add_u16(hash, (uint16_t)len);
	kt_sha256_add(hash, data, len);
}

static void start_response(struct kt_sha256 *hash, uint32_t command_code)
{
	kt_sha256_start(hash);
	kt_sha256_add_u32(hash, RC_SUCCESS);
	kt_sha256_add_u32(hash, command_code);
}

void kt_audit_cp_hmac(const uint8_t name[KT_AUDIT_NAME_BYTES], const uint8_t input[KT_SHA256_BYTES],
	uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_HMAC);
	kt_sha256_add(&hash, name, KT_AUDIT_NAME_BYTES);
	add_2b(&hash, input, KT_SHA256_BYTES);
	kt_sha256_add_u16(&hash, ALG_NULL);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_rp_hmac(const uint8_t output[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	start_response(&hash, KT_AUDIT_CC_HMAC);
	add_2b(&hash, output, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_cp_sign(const uint8_t name[KT_AUDIT_NAME_BYTES],
	const uint8_t digest[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_SIGN);
	kt_sha256_add(&hash, name, KT_AUDIT_NAME_BYTES);
	add_2b(&hash, digest, KT_SHA256_BYTES);
	kt_sha256_add_u16(&hash, ALG_NULL);
	kt_sha256_add_u16(&hash, ST_HASHCHECK);
	kt_sha256_add_u32(&hash, RH_NULL);
	add_2b(&hash, "", 0);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_rp_sign(
	const uint8_t signature[KT_AUDIT_POINT_BYTES], uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	start_response(&hash, KT_AUDIT_CC_SIGN);
	kt_sha256_add_u16(&hash, ALG_ECDSA);
	kt_sha256_add_u16(&hash, ALG_SHA256);
	add_2b(&hash, signature, KT_AUDIT_POINT_BYTES / 2);
	add_2b(&hash, signature + KT_AUDIT_POINT_BYTES / 2, KT_AUDIT_POINT_BYTES / 2);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_cp_set(const void *raw, size_t len, uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_SET);
	kt_sha256_add_u32(&hash, RH_OWNER);
	kt_sha256_add(&hash, raw, len);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_rp_set(uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	start_response(&hash, KT_AUDIT_CC_SET);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_cp_stir(const uint8_t qualifying[KT_SHA256_BYTES], uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, CC_STIR_RANDOM);
	kt_sha256_add_u16(&hash, KT_SHA256_BYTES);
	kt_sha256_add(&hash, qualifying, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_rp_stir(uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	start_response(&hash, CC_STIR_RANDOM);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_command_digest(uint8_t ret_digest[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_SET);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_HMAC);
	kt_sha256_add_u32(&hash, KT_AUDIT_CC_SIGN);
	kt_sha256_finish(&hash, ret_digest);
}

void kt_audit_record_id(const uint8_t head[KT_SHA256_BYTES], const uint8_t random[KT_SHA256_BYTES],
	uint8_t ret_id[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_prefixed(&hash, LABEL_ID, sizeof(LABEL_ID) - 1);
	kt_sha256_add_prefixed(&hash, head, KT_SHA256_BYTES);
	kt_sha256_add_prefixed(&hash, random, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, ret_id);
}

void kt_audit_qualify(const char *nonce, size_t nonce_len, const uint8_t head[KT_SHA256_BYTES],
	uint8_t ret_data[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, nonce, nonce_len);
	kt_sha256_add(&hash, head, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, ret_data);
}

void kt_audit_qualify_key(
	const char *cluster, const char *key_id, uint8_t ret_data[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_prefixed(&hash, LABEL_KEY, sizeof(LABEL_KEY) - 1);
	kt_sha256_add_prefixed(&hash, cluster, strlen(cluster));
	kt_sha256_add_prefixed(&hash, key_id, strlen(key_id));
	kt_sha256_finish(&hash, ret_data);
}

static void put_alg(uint8_t name[KT_AUDIT_NAME_BYTES])
{
	name[0] = ALG_SHA256 >> 8;
	name[1] = ALG_SHA256 & 0xff;
}

void kt_audit_name(const void *public, size_t len, uint8_t ret_name[KT_AUDIT_NAME_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, public, len);
	kt_sha256_finish(&hash, ret_name + 2);
	put_alg(ret_name);
}

void kt_audit_endorsement_name(
	const uint8_t name[KT_AUDIT_NAME_BYTES], uint8_t ret_qualified[KT_AUDIT_NAME_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, RH_ENDORSEMENT);
	kt_sha256_add(&hash, name, KT_AUDIT_NAME_BYTES);
	kt_sha256_finish(&hash, ret_qualified + 2);
	put_alg(ret_qualified);
}
