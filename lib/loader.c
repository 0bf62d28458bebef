/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader. Order of the checks: the name (so that a profile cannot point elsewhere), then the
 * folder, then the open file (so that what was checked is what is loaded: dlopen gets
 * /proc/self/fd/N), then its content, then what it says about itself. Nothing is ever unloaded: the
 * process is about to exit, and a library with threads or atexit handlers would not survive it.
 */
#include "lib/loader.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/auto.h"
#include "lib/io.h"

/* What version 1 promises, for ever: members are appended, none moves. */
static_assert(offsetof(struct kt_module, size) == 0, "kt_module v1");
static_assert(offsetof(struct kt_module, name) == sizeof(size_t), "kt_module v1");
static_assert(offsetof(struct kt_module, summary) == 2 * sizeof(size_t), "kt_module v1");
static_assert(offsetof(struct kt_module, params) == 3 * sizeof(size_t), "kt_module v1");
static_assert(offsetof(struct kt_module, open) == 4 * sizeof(size_t), "kt_module v1");
static_assert(offsetof(struct kt_module, credential) == 5 * sizeof(size_t), "kt_module v1");
static_assert(offsetof(struct kt_module, close) == 6 * sizeof(size_t), "kt_module v1");

#define MODULE_V1_SIZE (7 * sizeof(size_t))

typedef const struct kt_module *(*module_function)(void);

bool kt_module_name_is_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= KT_MODULE_NAME_MAX && name[len] == '\0';
}

/* Does the file contain the name of the symbol at all? (OpenSSH looks before it loads, too.) */
static int check_symbol_text(int fd, const char *path, struct kt_error *e)
{
	struct stat st;
	void *map;
	bool found;

	if (fstat(fd, &st) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "%s", path);
	if (st.st_size <= 0 || (size_t)st.st_size > KT_MODULE_FILE_MAX_BYTES)
		return kt_fail(
			e, KT_E_USAGE, "%s: not a module: %lld bytes", path, (long long)st.st_size);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return kt_fail_errno(e, KT_E_INTERNAL, "%s", path);
	found = memmem(map, (size_t)st.st_size, KT_MODULE_SYMBOL, strlen(KT_MODULE_SYMBOL)) != NULL;
	munmap(map, (size_t)st.st_size);
	if (!found)
		return kt_fail(e, KT_E_USAGE, "%s: not a module: it does not contain %s", path,
			KT_MODULE_SYMBOL);
	return 0;
}

int kt_check_folder(int fd, const char *what, const char *dir, struct kt_error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "%s", dir);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return kt_fail(e, KT_E_REFUSED,
			"%s: folder of %s belongs to user %u; root or you must own it", dir, what,
			(unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s: folder of %s is writable by others (mode %04o); chmod go-w it", dir,
			what, (unsigned)(st.st_mode & 07777));
	return 0;
}

/* The folder, if it is there and ours: *ret_fd is -1 if it is not there. */
static int open_folder(const char *dir, int *ret_fd, struct kt_error *e)
{
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return kt_fail_errno(e, KT_E_USAGE, "folder of modules %s", dir);
	if (fd >= 0 && kt_check_folder(fd, "modules", dir, e) < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int open_checked(
	const char *dir, const char *name, const char *path, int *ret_fd, struct kt_error *e)
{
	auto_fd int folder = -1, fd = -1;

	if (open_folder(dir, &folder, e) < 0)
		return -1;
	/* O_NONBLOCK: opening a FIFO that lies there must not hang. */
	if (folder >= 0)
		fd = openat(folder, strrchr(path, '/') + 1,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ELOOP || errno == EMLINK))
		return kt_fail(e, KT_E_REFUSED,
			"%s: a symbolic link; a module must be the file itself", path);
	if (fd < 0 && errno == ENOENT)
		return kt_fail(e, KT_E_USAGE,
			"no module %s in %s; --modules lists those that are there", name, dir);
	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	if (kt_check_trusted(fd, path, e) < 0)
		return -1;
	if (check_symbol_text(fd, path, e) < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* What the dynamic linker says, without the name by which we gave it the file. */
static const char *linker_reason(const char *proc)
{
	const char *reason = dlerror();
	size_t len = strlen(proc);

	if (reason == NULL)
		return "no reason given";
	if (strncmp(reason, proc, len) == 0 && strncmp(reason + len, ": ", 2) == 0)
		reason += len + 2;
	return reason;
}

static int call_symbol(
	void *handle, const char *path, const struct kt_module **ret_descriptor, struct kt_error *e)
{
	module_function function = NULL;
	const struct kt_module *descriptor;
	void *symbol = dlsym(handle, KT_MODULE_SYMBOL);

	if (symbol == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: not a module: it exports no %s", path,
			KT_MODULE_SYMBOL);
	/* ISO C has no conversion from an object to a function pointer; POSIX has this one. */
	memcpy(&function, &symbol, sizeof(function));
	descriptor = function();
	if (descriptor == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: not a module: no descriptor", path);
	*ret_descriptor = descriptor;
	return 0;
}

static int take_descriptor(const struct kt_module *descriptor, const char *path, const char *name,
	struct kt_module *ret_module, struct kt_error *e)
{
	struct kt_module module = {0};
	size_t size = descriptor->size;

	if (size < MODULE_V1_SIZE)
		return kt_fail(e, KT_E_USAGE, "%s: its descriptor has %zu bytes, version 1 has %zu",
			path, size, (size_t)MODULE_V1_SIZE);
	memcpy(&module, descriptor, size < sizeof(module) ? size : sizeof(module));
	if (module.name == NULL || strcmp(module.name, name) != 0)
		return kt_fail(e, KT_E_USAGE, "%s: calls itself %s; the file's name must agree",
			path, module.name != NULL ? module.name : "nothing");
	*ret_module = module;
	return 0;
}

int kt_module_load(
	const char *dir, const char *name, struct kt_module *ret_module, struct kt_error *e)
{
	auto_fd int fd = -1;
	char path[PATH_MAX], proc[64];
	const struct kt_module *descriptor = NULL;
	void *handle;

	if (!kt_module_name_is_valid(name))
		return kt_fail(e, KT_E_USAGE, "\"%s\" is no module name: [a-z0-9-] only", name);
	if (snprintf(path, sizeof(path), "%s/%s.so", dir, name) >= (int)sizeof(path))
		return kt_fail(e, KT_E_USAGE, "%s: path too long", dir);
	if (open_checked(dir, name, path, &fd, e) < 0)
		return -1;
	/* The dynamic linker knows what it has loaded by path first: a number used again would give
	 * back the module before. So the descriptor stays open, like the module. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	handle = dlopen(proc, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return kt_fail(
			e, KT_E_USAGE, "%s: cannot be loaded: %s", path, linker_reason(proc));
	fd = -1;
	if (call_symbol(handle, path, &descriptor, e) < 0)
		return -1;
	return take_descriptor(descriptor, path, name, ret_module, e);
}

static int copy_path(
	const char *text, size_t len, const char *tail, char **ret_dir, struct kt_error *e)
{
	char *dir = NULL;

	if (asprintf(&dir, "%.*s%s", (int)len, text, tail) < 0)
		return kt_fail_memory(e);
	*ret_dir = dir;
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Length of the folder part of path[0..len), or 0 at the root. */
static size_t parent_len(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

static bool ends_with(const char *text, size_t len, const char *tail)
{
	size_t tail_len = strlen(tail);

	return len >= tail_len && memcmp(text + len - tail_len, tail, tail_len) == 0;
}

int kt_module_dir_near(const char *program, char **ret_dir, struct kt_error *e)
{
	size_t len = program != NULL ? parent_len(program, strlen(program)) : 0;
	bool staged = program != NULL && ends_with(program, len, "/kubetpm");

	if (program != NULL && ends_with(program, len, "/bin")) {
		auto_free char *dir = NULL;

		if (copy_path(program, parent_len(program, len), "/modules", &dir, e) < 0)
			return -1;
		if (is_folder(dir)) {
			*ret_dir = kt_take(dir);
			return 0;
		}
	}
	/* $DESTDIR is whatever stands before the configured path. */
	while (staged && len > 0) {
		auto_free char *dir = NULL;

		len = parent_len(program, len);
		if (copy_path(program, len, KT_MODULEDIR, &dir, e) < 0)
			return -1;
		if (is_folder(dir)) {
			*ret_dir = kt_take(dir);
			return 0;
		}
	}
	return copy_path("", 0, KT_MODULEDIR, ret_dir, e);
}

int kt_module_dir(const char *option, char **ret_dir, struct kt_error *e)
{
	char program[PATH_MAX];
	ssize_t len;

	if (option != NULL)
		return copy_path(option, strlen(option), "", ret_dir, e);
	len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (len < 0)
		return kt_module_dir_near(NULL, ret_dir, e);
	program[len] = '\0';
	return kt_module_dir_near(program, ret_dir, e);
}
