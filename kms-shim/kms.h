/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMS core: Status, Encrypt and Decrypt on plain structures, over one module and the keys of a
 * configuration. No transport, no threads: one thread at a time calls it. All limits of the API
 * server are checked before an answer leaves.
 *
 * key_id = "sha256:" ‖ hex SHA-256 over label, cluster, module, key name, version and epoch, each
 * length-prefixed. The same text is what `sealtool key show` prints and, hashed once more, what the
 * API server's metrics show.
 */
#ifndef KT_KMS_SHIM_KMS_H
#define KT_KMS_SHIM_KMS_H

#include <stddef.h>
#include <stdint.h>

#include <kubetpm/module.h>

#include "kms-shim/conf.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/key-id.h"
#include "lib/kms-limits.h"
#include "lib/secret.h"

/* Our own; the API server's are in lib/kms-limits.h. */
#define KT_KMS_MESSAGE_MAX_BYTES 65536
#define KT_KMS_UID_MAX_BYTES 256

struct kt_kms;

/* google.rpc.Code, as far as we answer with them. */
enum kt_grpc_code {
	KT_GRPC_OK = 0,
	KT_GRPC_INVALID_ARGUMENT = 3,
	KT_GRPC_DEADLINE_EXCEEDED = 4,
	KT_GRPC_NOT_FOUND = 5,
	KT_GRPC_PERMISSION_DENIED = 7,
	KT_GRPC_RESOURCE_EXHAUSTED = 8,
	KT_GRPC_FAILED_PRECONDITION = 9,
	KT_GRPC_UNIMPLEMENTED = 12,
	KT_GRPC_INTERNAL = 13,
	KT_GRPC_UNAVAILABLE = 14,
};

/* Name as in the specification, "FAILED_PRECONDITION"; and the code for an error of ours. */
const char *kt_grpc_code_name(enum kt_grpc_code code);
enum kt_grpc_code kt_grpc_code_of(enum kt_code code);

/* A reply's strings and bytes belong to the core and are valid until its next call. */
struct kt_kms_status {
	const char *version; /* "v2", or what the configuration says */
	const char *healthz; /* "ok": anything else is a gRPC error instead */
	const char *key_id;
};

struct kt_kms_encrypted {
	const char *key_id;
	struct kt_kms_record record; /* borrowed from the module */
};

/* Loads the module and opens all keys. Fails as a whole: a half-open core serves nobody. */
KT_CHECKED int kt_kms_open(const struct kt_kms_conf *conf, const char *module_dir,
	struct kt_kms **ret_kms, struct kt_error *e);
/* The same with a module that is loaded already (and stays so). */
KT_CHECKED int kt_kms_open_module(const struct kt_kms_conf *conf, const struct kt_module *module,
	struct kt_kms **ret_kms, struct kt_error *e);

/* For SIGHUP: reads the configuration file again, and opens a new core on it. The caller takes both
 * in exchange for the old ones, which are untouched; on failure they go on as if nothing happened.
 */
KT_CHECKED int kt_kms_reload(const struct kt_kms *kms, const struct kt_kms_conf *conf,
	struct kt_kms **ret_kms, struct kt_kms_conf **ret_conf, struct kt_error *e);

/* NULL is fine. */
void kt_kms_close(struct kt_kms *kms);
KT_AUTO(kms, struct kt_kms *, kt_kms_close)
#define auto_kms __attribute__((cleanup(kt_auto_kms)))

/* KMS v2. The error's code says which gRPC code goes out. Status asks the module at most once a
 * second. */
KT_CHECKED int kt_kms_status(
	struct kt_kms *kms, struct kt_kms_status *ret_status, struct kt_error *e);
KT_CHECKED int kt_kms_encrypt(struct kt_kms *kms, const char *uid, const void *plaintext,
	size_t len, struct kt_kms_encrypted *ret_encrypted, struct kt_error *e);
/* *ret_plaintext is owned by the caller. A key_id we do not have: KT_E_INPUT. */
KT_CHECKED int kt_kms_decrypt(struct kt_kms *kms, const char *uid, const char *key_id,
	const struct kt_kms_record *record, struct kt_secret **ret_plaintext, struct kt_error *e);

/* KMS v1beta1: one ciphertext that carries a format byte, the key id and the annotations.
 * *ret_cipher belongs to the core until its next call. */
KT_CHECKED int kt_kms_encrypt_v1(struct kt_kms *kms, const void *plaintext, size_t len,
	struct kt_bytes *ret_cipher, struct kt_error *e);
KT_CHECKED int kt_kms_decrypt_v1(struct kt_kms *kms, const void *cipher, size_t len,
	struct kt_secret **ret_plaintext, struct kt_error *e);

/* How long the module took in the last call, in microseconds (for logs and metrics). */
uint64_t kt_kms_module_time(const struct kt_kms *kms);

/* What the module counted (enum kt_counter). */
struct kt_kms_counts {
	uint64_t commands, retries, reconnects, backend_us;
};

/* Since this was asked last; also what opening the keys took. */
void kt_kms_take_counts(struct kt_kms *kms, struct kt_kms_counts *ret_counts);

/* The key_ids' hashes, as the API server's metrics show them; the current key's first. */
struct kt_key_hashes {
	size_t count;
	char hashes[1 + KT_KMS_OLD_KEYS_MAX][KT_KMS_KEY_ID_SIZE];
};
KT_CHECKED int kt_kms_key_hashes(
	const struct kt_kms *kms, struct kt_key_hashes *ret_hashes, struct kt_error *e);

/* For how many milliseconds nobody must have asked before kt_kms_idle() is due; -1: never. */
int kt_kms_idle_after_ms(const struct kt_kms *kms);
/* Lets the module do what need not be done while somebody waits. What fails is logged, once. */
void kt_kms_idle(struct kt_kms *kms);

/* Until when the caller of the next calls waits: CLOCK_MONOTONIC in milliseconds; 0: no limit. */
void kt_kms_set_deadline(struct kt_kms *kms, int64_t deadline_ms);

#endif
