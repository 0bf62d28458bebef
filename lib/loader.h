/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding, checking and loading one module. The only dlopen in the tree. Constructors of a shared
 * object run inside dlopen, so everything that can be known before is checked before, on the very
 * file that is then loaded.
 */
#ifndef KT_LIB_LOADER_H
#define KT_LIB_LOADER_H

#include <stdbool.h>

#include <kubetpm/module.h>

#include "lib/error.h"

#define KT_MODULE_NAME_MAX 64
#define KT_MODULE_FILE_MAX_BYTES ((size_t)64 << 20)

/* A module name: one to KT_MODULE_NAME_MAX of [a-z0-9-], no path. */
bool kt_module_name_is_valid(const char *name);

/* Fails with KT_E_REFUSED unless `fd`, a folder, belongs to root or the effective user and nobody
 * else can write to it: who can, decides what is found in it. `what` says what it is for, `dir`
 * names it in messages. */
KT_CHECKED int kt_check_folder(int fd, const char *what, const char *dir, struct kt_error *e);

/*
 * Loads DIR/NAME.so, for the life of the process. *ret_module is a copy of the module's descriptor
 * in our own size: members that the module is too old to have are NULL. KT_E_USAGE: bad name, no
 * such file, not a module, another name inside. KT_E_REFUSED: a symbolic link, not a regular file,
 * owned by another user, writable by others; or the folder is.
 */
KT_CHECKED int kt_module_load(
	const char *dir, const char *name, struct kt_module *ret_module, struct kt_error *e);

/*
 * The folder of modules, owned by the caller: `option` if not NULL; or, so that a staged install
 * ($DESTDIR/usr/libexec/kubetpm/PROGRAM) and a build folder (build/bin/PROGRAM) work where they
 * are, the one that lies to the running program as the configured one lies to the installed
 * program; or else the configured one. KT_E_INTERNAL.
 */
KT_CHECKED int kt_module_dir(const char *option, char **ret_dir, struct kt_error *e);

/* The same for a given path of the program; NULL: unknown. */
KT_CHECKED int kt_module_dir_near(const char *program, char **ret_dir, struct kt_error *e);

#endif
