/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubetpm module ABI, version 1.
 *
 * A module is a shared object that exports one function, kt_module_v1(), which returns a pointer to
 * a constant descriptor. Everything a module needs from its host arrives through a table of
 * functions, so a module links against nothing of kubetpm: this header is all it takes.
 *
 * The ABI only grows at the end: structures carry their size, members are appended, numbers are
 * never reused. A member that the other side does not know reads as NULL or 0.
 *
 * Manners. A module is called from one thread. It must not write to descriptors 0, 1 or 2, call
 * exit() or _exit(), install signal handlers, change the environment, locale, working directory or
 * umask, or keep a borrowed pointer after the call that lent it returns. A child that it forks is
 * waited for, or gives its descriptors 1 and 2 up. See kubetpm-module(7).
 */
#ifndef KUBETPM_MODULE_H
#define KUBETPM_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit status of every kubetpm program, and what a module names as the reason of a failure.
 * Frozen: do not renumber. */
enum kt_code {
	KT_E_NONE = 0,
	KT_E_INTERNAL = 1,	   /* internal error, full disk, out of memory */
	KT_E_USAGE = 2,		   /* usage or configuration */
	KT_E_POLICY = 3,	   /* policy not satisfied: PCR values, missing signature */
	KT_E_TPM = 4,		   /* TPM unavailable */
	KT_E_INPUT = 5,		   /* malformed input */
	KT_E_PIN = 6,		   /* wrong PIN */
	KT_E_LOCKOUT = 7,	   /* TPM in dictionary-attack lockout */
	KT_E_REFUSED = 8,	   /* ownership, permissions, purpose, tampered bus */
	KT_E_NETWORK = 9,	   /* network or peer */
	KT_E_WRONG_TPM = 10,	   /* made for another machine */
	KT_E_BUSY = 11,		   /* TPM busy or out of resources after retries */
	KT_E_NOT_PROVISIONED = 12, /* run `sealtool init` first */
	KT_E_REVOKED = 13,	   /* revoked or rolled back */
	KT_E_EVIDENCE = 14,	   /* evidence or log does not verify */
};

/* What a module answers. A number not listed here counts as KT_ERROR. */
enum kt_result {
	KT_OK = 0,	/* done; a credential was given, or the gate is open */
	KT_PASS = 1,	/* not for me: ask the next module */
	KT_DENIED = 2,	/* refused: policy, permission, wrong machine */
	KT_UNAVAIL = 3, /* a dependency is down; trying later may help */
	KT_ERROR = 4,	/* configuration or internal error */
};

/* What the host knows about the request. All values are text, borrowed until the call returns. */
enum kt_item {
	KT_ITEM_PROFILE = 1,	     /* name of the profile */
	KT_ITEM_TCTI = 2,	     /* TCTI configuration, or absent for the default */
	KT_ITEM_REQUEST = 3,	     /* "exec", "image" or "kms" */
	KT_ITEM_API_VERSION = 4,     /* as in the request */
	KT_ITEM_INTERACTIVE = 5,     /* "true" or "false" (exec) */
	KT_ITEM_SERVER = 6,	     /* spec.cluster.server (exec) */
	KT_ITEM_TLS_SERVER_NAME = 7, /* spec.cluster.tls-server-name (exec) */
	KT_ITEM_CA_DATA = 8,	     /* spec.cluster.certificate-authority-data, PEM (exec) */
	KT_ITEM_PROXY_URL = 9,	     /* spec.cluster.proxy-url (exec) */
	KT_ITEM_CLUSTER_CONFIG = 10, /* spec.cluster.config as JSON text (exec) */
	KT_ITEM_IMAGE = 11,	     /* image without tag or digest (image) */
	KT_ITEM_INSECURE_SKIP_TLS_VERIFY = 12, /* "true" or absent (exec) */
	KT_ITEM_CLUSTER = 14,		       /* name of the cluster (kms) */
	KT_ITEM_ANNOTATIONS = 13,	       /* serviceAccountAnnotations as JSON text (image) */
};

enum kt_log_level { KT_LOG_WARN = 1, KT_LOG_DEBUG = 2 };

/* What a module counts for the host's metrics. */
enum kt_counter {
	KT_COUNT_COMMANDS = 1,	 /* commands sent to the TPM, or requests to a service */
	KT_COUNT_RETRIES = 2,	 /* sent again, because it was busy */
	KT_COUNT_RECONNECTS = 3, /* connections made because one before was lost */
	KT_COUNT_BACKEND_US = 4, /* microseconds waited for the TPM or the service */
};

/* Secret bytes in locked memory that is wiped when freed. Opaque: only the host looks inside. */
struct kt_secret;

/*
 * A credential. The module fills what it has; the host owns it, and everything in it, afterwards.
 * A member left NULL or 0 is absent.
 */
struct kt_credential {
	size_t size;		       /* set by the host: sizeof as the host was compiled */
	struct kt_secret *token;       /* bearer token */
	struct kt_secret *certificate; /* PEM chain, leaf first; goes with key */
	struct kt_secret *key;	       /* PEM private key; goes with certificate */
	int64_t not_after;	       /* seconds since the epoch; 0: unknown */
};

/*
 * What the host does for a module. `ctx` is the first argument of each function.
 */
struct kt_host {
	size_t size;
	void *ctx;

	/* Value of an item, or NULL if the request has none. Borrowed until the call returns. */
	const char *(*get_item)(void *ctx, enum kt_item item);

	/* One line on stderr, prefixed with the module's name. Never pass secret bytes. */
	void (*log)(void *ctx, enum kt_log_level level, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

	/* Say why the call is about to fail: what failed, on which file, what to do. The last call
	 * before a result other than KT_OK counts. Never pass secret bytes. */
	void (*fail)(void *ctx, enum kt_code code, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

	/* A secret with room for `capacity` bytes, or NULL. Free it, or hand it over in a
	 * credential. */
	struct kt_secret *(*secret_new)(void *ctx, size_t capacity);

	/* 0, or -1 if it would not fit. */
	int (*secret_append)(void *ctx, struct kt_secret *secret, const void *bytes, size_t len);

	/* NULL is fine. */
	void (*secret_free)(void *ctx, struct kt_secret *secret);

	/* Do the kubelet's rules match the request's image against `pattern`, host[:port][/path]
	 * with globs in the host? 1 or 0, or -1 if the pattern is malformed. Asking before
	 * unsealing or fetching saves the work. Only for KT_ITEM_REQUEST "image", as the two that
	 * follow; NULL in a host that serves no images. */
	int (*image_matches)(void *ctx, const char *pattern);

	/* Offer user and password for the images that match `pattern`. The host takes `password` in
	 * any case, and copies the rest. 1: the request's image matches, the host keeps it; 0: it
	 * does not; -1: the pattern is malformed, or there is no room. The first offer of a pattern
	 * counts. */
	int (*offer_registry)(
		void *ctx, const char *pattern, const char *username, struct kt_secret *password);

	/* How the kubelet may cache the answer: "Image", "Registry" or "Global", and seconds; the
	 * shortest time that is given counts. If not called, or NULL: "Registry", or "Image" where
	 * other images of the registry may get another answer; ten minutes. 0, or -1 if
	 * malformed. */
	int (*image_cache)(void *ctx, const char *key_type, int64_t seconds);

	/* Adds `n` to one of the host's counters. A host of an older header does not have it: look
	 * at `size`. */
	void (*count)(void *ctx, enum kt_counter counter, uint64_t n);
};

enum kt_param_flags {
	KT_PARAM_REQUIRED = 1, /* the host refuses a configuration without it */
	KT_PARAM_FILE = 2,     /* a path: the host makes it absolute, from the folder of the
				* profile or the configuration file */
};

/*
 * A key-encryption key of a kms-* module. One state (from open()) is one version of one key: the
 * host opens one for the current key and one for each older key that is still to be read, and never
 * asks a module for "the latest". What follows is the same for a key in a TPM and for one behind
 * HTTPS.
 */

/* Bytes that are no secret, such as a ciphertext. */
struct kt_bytes {
	const uint8_t *data;
	size_t len;
};

#define KT_KMS_ANNOTATIONS_MAX 8

/* A named part of a record, kept beside the ciphertext: a KMS v2 annotation. `name` is a bare FQDN.
 */
struct kt_kms_annotation {
	const char *name;
	struct kt_bytes value;
};

/* What encrypt() makes and decrypt() gets back, byte for byte. Ciphertext at most 1024 bytes; names
 * and values of all annotations together at most 32768. */
struct kt_kms_record {
	size_t size; /* sizeof, as whoever allocated it was compiled */
	struct kt_bytes ciphertext;
	size_t annotation_count;
	struct kt_kms_annotation annotations[KT_KMS_ANNOTATIONS_MAX];
};

/* What a key is. `key_name` and `version` are stable for the life of the key, the same on every
 * machine that holds it, and never stand for another key; the host hashes them into the key_id. */
struct kt_kms_key {
	size_t size; /* set by the host */
	char key_name[256];
	char version[64];
};

/* What goes with a call, for the module's log and for an audit trail; borrowed. */
struct kt_kms_call {
	size_t size;	 /* set by the host */
	const char *uid; /* the API server's; differs between Encrypt and Decrypt of one record */
	const char *key_id;  /* the host's name of this key */
	int64_t deadline_ms; /* CLOCK_MONOTONIC in milliseconds; 0: none */
};

/* One `key=value` argument of a profile line. */
struct kt_param {
	const char *key;
	const char *meaning;
	unsigned flags;
};

/*
 * The descriptor. `name` equals the file's name without ".so"; `params` ends with a NULL key.
 *
 * open:       called once for each profile line, for all of them before the first credential(),
 *             with the line's arguments as "key=value" strings; *ret_state is the module's own, one
 *             for each line. Arguments that are wrong are KT_ERROR with KT_E_USAGE, which refuses
 *             the profile. May be NULL.
 * credential: fills `out` and/or calls offer_registry(), or, for a gate, only answers. A gate
 *             that is open answers KT_OK and leaves `out` alone.
 * close:      frees the state, also a NULL or half-opened one. May be NULL.
 *
 * A kms-* module leaves credential NULL and has the four that follow. open() gets the
 * configuration's lines that the module's params name, and prepares one key. The host calls all
 * functions of one state from one thread at a time; states of different keys may be called from
 * different threads if KT_MODULE_PARALLEL is set in `flags`, else one thread serves the whole
 * module.
 *
 * kms_key:     what the key is. Without network or TPM, after a successful open().
 * kms_status:  is the key usable now? KT_OK, or KT_DENIED (the machine's state, a revocation),
 * KT_UNAVAIL (try again later). Called about once a second at most: may ask the TPM, should not
 * cost a paid call. kms_encrypt: `plaintext` (1 byte to 64 KiB) into `out`, whose pointers the
 * module owns and keeps valid until the next call on this state. kms_decrypt: the way back:
 * *ret_plaintext is a secret of the host (host->secret_new), which the host owns. KT_DENIED if the
 * record is not this key's or was changed.
 */
struct kt_module {
	size_t size;
	const char *name;
	const char *summary;
	const struct kt_param *params;
	enum kt_result (*open)(
		const struct kt_host *host, int argc, const char *const argv[], void **ret_state);
	enum kt_result (*credential)(
		void *state, const struct kt_host *host, struct kt_credential *out);
	void (*close)(void *state);
	unsigned flags; /* enum kt_module_flags */
	enum kt_result (*kms_key)(
		void *state, const struct kt_host *host, struct kt_kms_key *ret_key);
	enum kt_result (*kms_status)(void *state, const struct kt_host *host);
	enum kt_result (*kms_encrypt)(void *state, const struct kt_host *host,
		const struct kt_kms_call *call, const void *plaintext, size_t plaintext_len,
		struct kt_kms_record *out);
	enum kt_result (*kms_decrypt)(void *state, const struct kt_host *host,
		const struct kt_kms_call *call, const struct kt_kms_record *record,
		struct kt_secret **ret_plaintext);

	/* Nobody has asked for about a second: time for what need not be done while somebody waits.
	 * Called about every five seconds then, with any of the keys' states; must not cost a paid
	 * call each time. May be NULL. */
	enum kt_result (*kms_idle)(void *state, const struct kt_host *host);
};

enum kt_module_flags { KT_MODULE_PARALLEL = 1 };

#define KT_MODULE_SYMBOL "kt_module_v1"

#ifdef __cplusplus
#define KT_EXTERN_C extern "C"
#else
#define KT_EXTERN_C
#endif

/* Defines the one symbol that a module exports: KT_MODULE(my_descriptor) */
#define KT_MODULE(descriptor)                                                                      \
	KT_EXTERN_C __attribute__((visibility("default"))) const struct kt_module *kt_module_v1(   \
		void);                                                                             \
	KT_EXTERN_C const struct kt_module *kt_module_v1(void)                                     \
	{                                                                                          \
		return &(descriptor);                                                              \
	}

#ifdef __cplusplus
}
#endif
#endif
