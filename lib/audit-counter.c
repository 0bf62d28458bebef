/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-counter.h"

#define ALG_SHA256 0x000bu
#define CC_NV_READ 0x14eu
#define CC_POLICY_COMMAND_CODE 0x16cu
#define CC_POLICY_OR 0x171u
#define CC_POLICY_NV_WRITTEN 0x18fu

static const uint8_t zeros[KT_SHA256_BYTES];

/* Part 3, 23.6, 23.11 and 23.20. */
void kt_audit_counter_policy(struct kt_counter_policy *ret_policy)
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, zeros, sizeof(zeros));
	kt_sha256_add_u32(&hash, CC_POLICY_NV_WRITTEN);
	kt_sha256_add(&hash, "\0", 1);
	kt_sha256_finish(&hash, ret_policy->write);
	kt_sha256_start(&hash);
	kt_sha256_add(&hash, zeros, sizeof(zeros));
	kt_sha256_add_u32(&hash, CC_POLICY_COMMAND_CODE);
	kt_sha256_add_u32(&hash, CC_NV_READ);
	kt_sha256_finish(&hash, ret_policy->read);
	kt_sha256_start(&hash);
	kt_sha256_add(&hash, zeros, sizeof(zeros));
	kt_sha256_add_u32(&hash, CC_POLICY_OR);
	kt_sha256_add(&hash, ret_policy->write, KT_SHA256_BYTES);
	kt_sha256_add(&hash, ret_policy->read, KT_SHA256_BYTES);
	kt_sha256_finish(&hash, ret_policy->either);
}

/* nameAlg and the hash of TPMS_NV_PUBLIC (Part 2, 13.5). */
void kt_audit_counter_name(uint8_t ret_name[KT_AUDIT_NAME_BYTES])
{
	struct kt_counter_policy policy;
	struct kt_sha256 hash;

	kt_audit_counter_policy(&policy);
	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, KT_COUNTER_INDEX);
	kt_sha256_add_u16(&hash, ALG_SHA256);
	kt_sha256_add_u32(&hash, KT_COUNTER_ATTRIBUTES | KT_COUNTER_WRITTEN);
	kt_sha256_add_u16(&hash, KT_SHA256_BYTES);
	kt_sha256_add(&hash, policy.either, KT_SHA256_BYTES);
	kt_sha256_add_u16(&hash, KT_COUNTER_BYTES);
	kt_sha256_finish(&hash, ret_name + 2);
	ret_name[0] = ALG_SHA256 >> 8;
	ret_name[1] = ALG_SHA256 & 0xff;
}

void kt_audit_cp_read(uint8_t ret_hash[KT_SHA256_BYTES])
{
	uint8_t name[KT_AUDIT_NAME_BYTES];
	struct kt_sha256 hash;

	kt_audit_counter_name(name);
	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, CC_NV_READ);
	kt_sha256_add(&hash, name, sizeof(name)); /* authHandle */
	kt_sha256_add(&hash, name, sizeof(name)); /* nvIndex */
	kt_sha256_add_u16(&hash, KT_COUNTER_BYTES);
	kt_sha256_add_u16(&hash, 0);
	kt_sha256_finish(&hash, ret_hash);
}

void kt_audit_rp_read(uint64_t uses, uint8_t ret_hash[KT_SHA256_BYTES])
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add_u32(&hash, 0); /* TPM_RC_SUCCESS */
	kt_sha256_add_u32(&hash, CC_NV_READ);
	kt_sha256_add_u16(&hash, KT_COUNTER_BYTES);
	kt_sha256_add_u32(&hash, (uint32_t)uses);
	kt_sha256_add_u32(&hash, KT_COUNTER_LIMIT);
	kt_sha256_finish(&hash, ret_hash);
}
