/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of the audit log: what a K line says of one, and whether that may be believed. Pure; no TPM
 * library.
 */
#ifndef KT_LIB_AUDIT_KEY_H
#define KT_LIB_AUDIT_KEY_H

#include <stdatomic.h>

#include "lib/attest.h"
#include "lib/audit-record.h"
#include "lib/auto.h"

#define KT_AUDIT_PUBLIC_MAX 256 /* bytes of a TPMT_PUBLIC */

/* A key under one name of the KMS protocol's side. */
struct kt_audit_key {
	enum kt_audit_key_type type;
	uint8_t name[KT_AUDIT_NAME_BYTES];
	char *cluster, *key_id; /* owned; empty for p256 */
};

/* Those of one file, by number. Counted: a set that somebody else holds is copied before it grows.
 */
struct kt_audit_keyset {
	atomic_uint users;
	size_t count;
	struct kt_audit_key keys[];
};

/* Without keys; owned by the caller. KT_E_INTERNAL. */
KT_CHECKED int kt_audit_keyset_new(struct kt_audit_keyset **ret_set, struct kt_error *e);
/* The same set once more. Each thread may hold, and drop, its own. */
struct kt_audit_keyset *kt_audit_keyset_hold(struct kt_audit_keyset *set);
/* NULL is fine. */
void kt_audit_keyset_drop(struct kt_audit_keyset *set);
KT_AUTO(keyset, struct kt_audit_keyset *, kt_audit_keyset_drop)
#define auto_keyset __attribute__((cleanup(kt_auto_keyset)))

/* The set with the key of a K line behind it replaces *set. The line is not judged, but its number
 * must be the next one: KT_E_INPUT. */
KT_CHECKED int kt_audit_keyset_add(
	struct kt_audit_keyset **set, const struct kt_audit_record *record, struct kt_error *e);

/* What is wrong with a K line. */
enum kt_audit_key_fault {
	KT_AUDIT_KEY_GOOD,
	KT_AUDIT_KEY_OTHER_TPM, /* the attestation is another key's */
	KT_AUDIT_KEY_BAD,
};

/* May it be believed that this key is in the TPM of `ak`, cannot leave it, and can be used by the
 * audited command only, in tier B only when the use is counted? The reason is then in *e;
 * KT_E_EVIDENCE, or KT_E_INPUT if it cannot be read at all. */
enum kt_audit_key_fault kt_audit_key_judge(const struct kt_audit_record *record,
	const struct kt_ak *ak, enum kt_audit_tier tier, struct kt_error *e);

#endif
