/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kube-apiserver keeps in etcd of a resource that a KMS provider encrypted (k8s.io/apiserver,
 * storage/value/encrypt/envelope), and opening it with an offline recovery key, as long as kms-tpm
 * made the record in it. Pure (OpenSSL); fuzzed.
 *
 *	v2: "k8s:enc:kms:v2:PROVIDER:" EncryptedObject (kmsv2/v2/api.proto)
 *	v1: "k8s:enc:kms:v1:PROVIDER:" length (two bytes, big endian), v1beta1 ciphertext, data
 */
#ifndef KT_LIB_ETCD_RECORD_H
#define KT_LIB_ETCD_RECORD_H

#include <openssl/evp.h>

#include "lib/kms-limits.h"
#include "lib/kms-v1.h"
#include "lib/secret.h"
#include "lib/tpm-public.h"

#define KT_ETCD_VALUE_MAX_BYTES ((size_t)8 << 20) /* etcd's own default is 1.5 MiB */
#define KT_ETCD_PROVIDER_MAX_BYTES 253

/* How the data are encrypted under what the record holds. */
enum kt_etcd_source {
	KT_ETCD_AES_GCM_KEY = 0, /* EncryptedDEKSourceType, and v1's writing */
	KT_ETCD_HKDF_SEED = 1,	 /* HKDF_SHA256_XNONCE_AES_GCM_SEED */
};

/* Borrows from the value it was read from. */
struct kt_etcd_record {
	unsigned version; /* 1 or 2 */
	char provider[KT_ETCD_PROVIDER_MAX_BYTES + 1];
	enum kt_etcd_source source;
	struct kt_span data;
	struct kt_kms_v1 kms; /* the record itself, of either version */
};

/* Has the value the form of one, whatever follows? If not, it may be in the clear, or be another
 * provider's. */
bool kt_etcd_is_kms(const void *value, size_t len);

/* KT_E_INPUT. */
KT_CHECKED int kt_etcd_record_parse(
	const void *value, size_t len, struct kt_etcd_record *ret_record, struct kt_error *e);

/* Was it made with a recovery key in the configuration? */
bool kt_etcd_record_is_recoverable(const struct kt_etcd_record *record);

/* What the API server encrypted. `path` is the key in etcd, which is authenticated with it.
 * KT_E_INPUT if it was made without a recovery key, or for another one; KT_E_REFUSED if it was
 * changed, or is not what is kept under that path. */
KT_CHECKED int kt_etcd_record_open(const struct kt_etcd_record *record, EVP_PKEY *private_key,
	const char *path, struct kt_secret **ret_plaintext, struct kt_error *e);

#endif
