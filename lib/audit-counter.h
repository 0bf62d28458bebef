/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The use counter of audit logs of tier B: an NV index of type PIN Pass (Part 1, 37.2.8), whose
 * pinCount the TPM raises with each TPM2_PolicySecret that names it. All but the count is fixed, so
 * that its Name is a constant that an examiner computes. Pure; no TPM library.
 */
#ifndef KT_LIB_AUDIT_COUNTER_H
#define KT_LIB_AUDIT_COUNTER_H

#include "lib/audit-hash.h"

/* In the range that the TCG gives to the owner. */
#define KT_COUNTER_INDEX 0x01800100u
/* TPM_NT_PIN_PASS, TPMA_NV_POLICYWRITE, TPMA_NV_POLICYREAD, TPMA_NV_NO_DA; and, once it is written,
 * TPMA_NV_WRITTEN. */
#define KT_COUNTER_ATTRIBUTES 0x02080098u
#define KT_COUNTER_WRITTEN 0x20000000u
#define KT_COUNTER_BYTES 8 /* pinCount and pinLimit */
#define KT_COUNTER_LIMIT 0xffffffffu

/* Its authPolicy: PolicyOR of the two. */
struct kt_counter_policy {
	uint8_t write[KT_SHA256_BYTES]; /* PolicyNvWritten(NO): once, to begin it */
	uint8_t read[KT_SHA256_BYTES];	/* PolicyCommandCode(TPM2_NV_Read): whoever wants to */
	uint8_t either[KT_SHA256_BYTES];
};
void kt_audit_counter_policy(struct kt_counter_policy *ret_policy);

/* Its Name once it is written. */
void kt_audit_counter_name(uint8_t ret_name[KT_AUDIT_NAME_BYTES]);

/* TPM2_NV_Read of all of it, authorised by itself, and the answer. */
void kt_audit_cp_read(uint8_t ret_hash[KT_SHA256_BYTES]);
void kt_audit_rp_read(uint64_t uses, uint8_t ret_hash[KT_SHA256_BYTES]);

#endif
