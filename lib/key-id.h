/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of keys. A key_id stands in clear beside every Secret in etcd, so it is a hash: it tells
 * nothing, two keys never share one, and a key that was put away and comes back gets another by its
 * epoch. It does not say which TPM served. kms-shim announces it, sealtool prints it. Pure.
 */
#ifndef KT_LIB_KEY_ID_H
#define KT_LIB_KEY_ID_H

#include "lib/error.h"

#define KT_KMS_KEY_ID_SIZE 72 /* "sha256:", 64 digits, NUL */

/* What a key_id is made of; borrowed. */
struct kt_key_id_parts {
	const char *cluster, *module, *key_name, *version, *epoch;
};

/* "sha256:" and SHA-256, in hex, over "kubetpm.kms.key-id" and the parts, each with four bytes of
 * length, big endian, before it. KT_E_INTERNAL. */
KT_CHECKED int kt_key_id(
	const struct kt_key_id_parts *parts, char ret_id[KT_KMS_KEY_ID_SIZE], struct kt_error *e);

/* The key_id's own hash, in the form that the API server's metrics show as key_id_hash. */
KT_CHECKED int kt_key_id_hash(
	const char *key_id, char ret_hash[KT_KMS_KEY_ID_SIZE], struct kt_error *e);

#endif
