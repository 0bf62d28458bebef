/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms.conf: "name = value" a line, # comments. What the shim knows is here; every other line is the
 * module's, if its params name it. Pure; fuzzed.
 */
#ifndef KT_KMS_SHIM_CONF_H
#define KT_KMS_SHIM_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/auto.h"
#include "lib/error.h"

#define KT_KMS_CONF_MAX_BYTES 65536
#define KT_KMS_OLD_KEYS_MAX 64
#define KT_KMS_MODULE_LINES_MAX 32
#define KT_KMS_PEERS_MAX 16

/* Which calls are logged. */
enum kt_log_calls {
	KT_LOG_CALLS_DEFAULT, /* all but a Status whose result is that of the one before */
	KT_LOG_CALLS_ALL,
	KT_LOG_CALLS_NONE,
};

struct kt_kms_conf_line {
	char *name, *value; /* owned */
	unsigned number;
};

/* "key = KEY" or "old-key = KEY [EPOCH]". What KEY is, is the module's to say: kms-tpm takes a
 * path, which the core makes absolute if the module's params call it a file. */
struct kt_kms_conf_key {
	char *key;   /* owned */
	char *epoch; /* owned; "0" by default: raised when an old key becomes the current one again
		      */
	unsigned number;
};

/* All strings are owned; `textfile` is absolute if `path` is. */
struct kt_kms_conf {
	char *path;		    /* the file, for messages */
	char *dir;		    /* its folder: relative names start there */
	char *module;		    /* "kms-tpm" by default */
	char *cluster;		    /* required */
	struct kt_kms_conf_key key; /* required: the current key */
	size_t old_key_count;
	struct kt_kms_conf_key old_keys[KT_KMS_OLD_KEYS_MAX];
	char *listen;	     /* "unix:///path"; NULL: none */
	char *metrics;	     /* "unix:///path"; NULL: none */
	mode_t metrics_mode; /* 0600 by default */
	char *metrics_group; /* NULL: as it comes */
	char *textfile;	     /* NAME.prom, for node_exporter; NULL: none */
	enum kt_log_calls log_calls;
	bool log_calls_given;
	char *version;			   /* of Status: "v2" by default, or "v2beta1" */
	char *tcti;			   /* NULL: the default */
	bool tcti_given;		   /* on the command line: kt_kms_conf_set_tcti() */
	mode_t socket_mode;		   /* 0600 by default */
	char *socket_owner, *socket_group; /* names; NULL: as they come */
	size_t allow_uid_count;
	uid_t allow_uids[KT_KMS_PEERS_MAX]; /* SO_PEERCRED; none: the socket's mode decides */
	size_t line_count;
	struct kt_kms_conf_line lines[KT_KMS_MODULE_LINES_MAX]; /* the module's */
};

/* `path` is for messages, and its folder that of relative names; it is not opened. KT_E_USAGE with
 * "path:line: ". */
KT_CHECKED int kt_kms_conf_parse(const char *text, size_t len, const char *path,
	struct kt_kms_conf **ret_conf, struct kt_error *e);

/* Reads the file, which must be root's or ours and not writable by others (KT_E_REFUSED). `path`
 * may be relative; conf->path is absolute. */
KT_CHECKED int kt_kms_conf_read(
	const char *path, struct kt_kms_conf **ret_conf, struct kt_error *e);

/* Overrules what the file says, also when it is read again. `tcti` NULL: nothing happens. */
KT_CHECKED int kt_kms_conf_set_tcti(struct kt_kms_conf *conf, const char *tcti, struct kt_error *e);

/* Reads the file of `old` again, for a reload. KT_E_USAGE also if it names another module, or
 * another version for Status: a running program cannot change them. Sockets are for the caller to
 * compare. */
KT_CHECKED int kt_kms_conf_reread(
	const struct kt_kms_conf *old, struct kt_kms_conf **ret_conf, struct kt_error *e);

/* `name` below `dir`, unless it is absolute; owned by the caller. */
KT_CHECKED int kt_kms_conf_join(
	const char *dir, const char *name, char **ret_path, struct kt_error *e);

/* NULL is fine. */
void kt_kms_conf_free(struct kt_kms_conf *conf);
KT_AUTO(kms_conf, struct kt_kms_conf *, kt_kms_conf_free)
#define auto_kms_conf __attribute__((cleanup(kt_auto_kms_conf)))

#endif
