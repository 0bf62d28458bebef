/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: which modules are asked, in which order, with which arguments. One rule a line, as in
 * pam.d(5):
 *
 *	control  module  key=value...
 *
 * separated by blanks. `#` at the start of a word begins a comment. No quoting, no continuation
 *lines, no includes: what does not fit is refused with its place, never guessed.
 */
#ifndef KT_EXEC_PLUGIN_PROFILE_H
#define KT_EXEC_PLUGIN_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/auto.h"
#include "lib/error.h"

#define KT_PROFILE_MAX_BYTES 65536
#define KT_PROFILE_LINE_MAX_BYTES 4096
#define KT_PROFILE_RULES_MAX 32
#define KT_RULE_ARGS_MAX 32
#define KT_PROFILE_NAME_MAX 64

/* What pam.conf(5) calls control. */
enum kt_control {
	KT_CONTROL_REQUIRED = 1,
	KT_CONTROL_REQUISITE,
	KT_CONTROL_SUFFICIENT,
	KT_CONTROL_OPTIONAL,
};

struct kt_rule {
	enum kt_control control;
	unsigned line;
	const char *module;
	int argc;
	const char *argv[KT_RULE_ARGS_MAX]; /* "key=value" */
};

struct kt_profile {
	char *text; /* what the rules point into */
	size_t count;
	struct kt_rule rules[KT_PROFILE_RULES_MAX];
};

/* `path` is for messages. Owned by the caller. KT_E_USAGE with "path:line: ". Pure. */
KT_CHECKED int kt_profile_parse(const char *text, size_t len, const char *path,
	struct kt_profile **ret_profile, struct kt_error *e);

/* NULL is fine. */
void kt_profile_free(struct kt_profile *profile);
KT_AUTO(profile, struct kt_profile *, kt_profile_free)
#define auto_profile __attribute__((cleanup(kt_auto_profile)))

/* A bare file name: [A-Za-z0-9._-]+ that does not start with a dot. */
bool kt_profile_name_is_valid(const char *name);

/* Reads DIR/NAME. Folder and file must belong to root or the effective user and be writable by
 * nobody else: KT_E_REFUSED. *ret_dir is the absolute path of the folder, owned by the caller.
 * KT_E_USAGE if it is not there or wrong. */
KT_CHECKED int kt_profile_read(const char *dir, const char *name, struct kt_profile **ret_profile,
	char **ret_dir, struct kt_error *e);

#endif
