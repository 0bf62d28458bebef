/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files. Reading is bounded, writing is complete, and a file is only ever replaced as a whole: a
 * reader, a crash or a full disk sees the old bytes or the new ones, never a mixture.
 */
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <sys/random.h>

#include "lib/auto.h"

/* read() that goes on after a signal. */
static ssize_t read_some(int fd, void *buffer, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buffer, len);
	while (n < 0 && errno == EINTR);
	return n;
}

int kt_read_all(int fd, size_t max, const char *what, uint8_t **ret_data, size_t *ret_len,
	struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t size = 0, len = 0;
	ssize_t n;

	if (max > SIZE_MAX / 4)
		max = SIZE_MAX / 4;
	do {
		if (len == size) {
			/* One byte above `max`, to tell a full buffer from too much. */
			size_t larger = size == 0 ? 4096 : 2 * size;
			uint8_t *moved;

			if (larger > max + 1)
				larger = max + 1;
			moved = realloc(data, larger + 1);
			if (moved == NULL)
				return kt_fail_memory(e);
			data = moved;
			size = larger;
		}
		n = read_some(fd, data + len, size - len);
		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot read %s", what);
		len += (size_t)n;
		if (len > max)
			return kt_fail(e, KT_E_INPUT, "%s is longer than %zu bytes", what, max);
	} while (n > 0);
	data[len] = 0;
	*ret_data = kt_take(data);
	*ret_len = len;
	return 0;
}

static int fail_open(const char *path, struct kt_error *e)
{
	if (errno != EACCES && errno != EPERM)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
	kt_fail_errno(e, KT_E_REFUSED, "cannot open %s", path);
	return kt_hint(e, "the user who runs this (%u) must be able to read it", geteuid());
}

int kt_read_file(
	const char *path, size_t max, uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return fail_open(path, e);
	if (fstat(fd, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return kt_fail(e, KT_E_REFUSED, "%s is not a regular file", path);
	return kt_read_all(fd, max, path, ret_data, ret_len, e);
}

int kt_read_trusted_file(
	const char *path, size_t max, uint8_t **ret_data, size_t *ret_len, struct kt_error *e)
{
	/* Not blocking: somebody else's pipe must not hold us up before it is refused. */
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fail_open(path, e);
	if (kt_check_trusted(fd, path, e) < 0)
		return -1;
	return kt_read_all(fd, max, path, ret_data, ret_len, e);
}

int kt_write_all(int fd, const void *data, size_t len, const char *what, struct kt_error *e)
{
	const uint8_t *bytes = data;

	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", what);
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A replacement under way. */
struct replacement {
	const char *path; /* as the user wrote it, for messages */
	const void *data;
	size_t len;
	mode_t mode;
	bool passing; /* need not survive a power cut */
	bool exists;  /* then: whose it is */
	uid_t uid;
	gid_t gid;
	int folder;
	char name[NAME_MAX + 1]; /* in the folder */
	char temp[32];		 /* in the folder, until it is renamed */
};

/* A place that cannot be written is the user's choice; anything else is ours to worry about. */
static int fail_place(const char *path, struct kt_error *e)
{
	bool chosen = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM ||
		      errno == EROFS || errno == ELOOP || errno == ENAMETOOLONG;

	return kt_fail_errno(e, chosen ? KT_E_USAGE : KT_E_INTERNAL, "cannot write %s", path);
}

/* Fills in mode and owner of what is there, and *ret_path with where it really is; owned by the
 * caller. stat() goes first: /dev/stdout may lead to a pipe, which has no path. */
static int find_target(struct replacement *r, char **ret_path, struct kt_error *e)
{
	char *real;
	struct stat st;

	/* There, a symbolic link would lead to somebody's open file. */
	if (strncmp(r->path, "/dev/", strlen("/dev/")) == 0 ||
		strncmp(r->path, "/proc/", strlen("/proc/")) == 0)
		return kt_fail(e, KT_E_REFUSED, "%s is no place for a file", r->path);
	r->exists = stat(r->path, &st) == 0;
	if (!r->exists && errno != ENOENT)
		return fail_place(r->path, e);
	if (r->exists && !S_ISREG(st.st_mode))
		return kt_fail(e, KT_E_REFUSED, "%s exists and is not a regular file", r->path);
	if (!r->exists && lstat(r->path, &st) == 0)
		return kt_fail(e, KT_E_REFUSED, "%s is a symbolic link to nothing", r->path);
	if (r->exists && !r->passing) {
		r->mode = st.st_mode & 07777;
		r->uid = st.st_uid;
		r->gid = st.st_gid;
	}
	real = r->exists ? realpath(r->path, NULL) : strdup(r->path);
	if (real == NULL)
		return fail_place(r->path, e);
	*ret_path = real;
	return 0;
}

/* Opens the folder that `real` is in, and notes the name there. */
static int open_folder(struct replacement *r, char *real, struct kt_error *e)
{
	char *slash = strrchr(real, '/');
	const char *name = slash != NULL ? slash + 1 : real;
	const char *folder = slash == NULL ? "." : slash == real ? "/" : real;

	if (name[0] == '\0' || strlen(name) > NAME_MAX) {
		errno = name[0] == '\0' ? ENOENT : ENAMETOOLONG;
		return fail_place(r->path, e);
	}
	memcpy(r->name, name, strlen(name) + 1);
	if (slash != NULL)
		*slash = '\0';
	r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->folder < 0)
		return fail_place(r->path, e);
	return 0;
}

static int choose_temp_name(struct replacement *r, struct kt_error *e)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return kt_fail_errno(e, KT_E_INTERNAL, "no random numbers");
	snprintf(r->temp, sizeof(r->temp), ".kubetpm-%016llx", (unsigned long long)number);
	return 0;
}

/* Contents, owner and mode; durable when it returns. */
static int fill(const struct replacement *r, int fd, struct kt_error *e)
{
	struct stat st;

	if (kt_write_all(fd, r->data, r->len, r->path, e) != 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", r->path);
	if (r->exists && !r->passing && (st.st_uid != r->uid || st.st_gid != r->gid) &&
		fchown(fd, r->uid, r->gid) != 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot keep the owner of %s", r->path);
	/* After fchown(), which clears some bits. */
	if (fchmod(fd, r->mode) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot set the mode of %s", r->path);
	if (!r->passing && fsync(fd) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", r->path);
	return 0;
}

/* The named temporary file becomes the target, or goes. */
static int put_in_place(const struct replacement *r, struct kt_error *e)
{
	if (renameat(r->folder, r->temp, r->folder, r->name) != 0) {
		fail_place(r->path, e);
		unlinkat(r->folder, r->temp, 0);
		return -1;
	}
	return 0;
}

/* Signals that would end the program while a temporary file has a name, and leave it behind. */
static void hold_signals(sigset_t *ret_before)
{
	static const int held[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		sigaddset(&set, held[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, ret_before);
}

static void release_signals(const sigset_t *before)
{
	(void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* The file has no name until it is complete, so even SIGKILL leaves nothing. linkat() cannot
 * replace a file, hence the detour over a second name. *ret_done is false where the file system
 * cannot do this or /proc is missing; a reason of another kind will show up again in the other way.
 */
static int replace_unnamed(const struct replacement *r, bool *ret_done, struct kt_error *e)
{
	auto_fd int fd = openat(r->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	char link[64];
	sigset_t before;
	int rc = 0;

	*ret_done = false;
	if (fd < 0)
		return 0;
	if (fill(r, fd, e) != 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	hold_signals(&before);
	if (linkat(AT_FDCWD, link, r->folder, r->temp, AT_SYMLINK_FOLLOW) == 0) {
		*ret_done = true;
		rc = put_in_place(r, e);
	}
	release_signals(&before);
	return rc;
}

static int fill_named(const struct replacement *r, struct kt_error *e)
{
	auto_fd int fd = openat(r->folder, r->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_place(r->path, e);
	if (fill(r, fd, e) != 0) {
		unlinkat(r->folder, r->temp, 0);
		return -1;
	}
	return put_in_place(r, e);
}

static int replace_named(const struct replacement *r, struct kt_error *e)
{
	sigset_t before;
	int rc;

	hold_signals(&before);
	rc = fill_named(r, e);
	release_signals(&before);
	return rc;
}

static int replace_in_folder(struct replacement *r, struct kt_error *e)
{
	bool done;

	if (choose_temp_name(r, e) != 0 || replace_unnamed(r, &done, e) != 0)
		return -1;
	if (!done && replace_named(r, e) != 0)
		return -1;
	/* Some network file systems cannot sync a folder, and need not. */
	if (!r->passing && fsync(r->folder) != 0 && errno != EINVAL)
		return kt_fail_errno(e, KT_E_INTERNAL,
			"%s is replaced, but its folder cannot be synced", r->path);
	return 0;
}

static int replace(struct replacement *r, struct kt_error *e)
{
	auto_free char *real = NULL;
	int rc;

	if (find_target(r, &real, e) != 0 || open_folder(r, real, e) != 0)
		return -1;
	rc = replace_in_folder(r, e);
	close(r->folder);
	return rc;
}

int kt_replace_file(const char *path, const void *data, size_t len, mode_t mode, struct kt_error *e)
{
	struct replacement r = {.path = path, .data = data, .len = len, .mode = mode};

	return replace(&r, e);
}

int kt_publish_file(const char *path, const void *data, size_t len, mode_t mode, struct kt_error *e)
{
	struct replacement r = {
		.path = path, .data = data, .len = len, .mode = mode, .passing = true};

	return replace(&r, e);
}

#define LOCK_TRIES 600
#define LOCK_PAUSE_NS 50000000

/* Is `fd` still what `path` names? Somebody else may have replaced it while we waited. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

int kt_lock_file(const char *path, int *ret_fd, struct kt_error *e)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (int i = 0; i < LOCK_TRIES; i++) {
		auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

		if (fd < 0)
			return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (is_current(fd, path)) {
				*ret_fd = fd;
				fd = -1;
				return 0;
			}
			continue;
		}
		if (errno != EWOULDBLOCK && errno != EINTR)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot lock %s", path);
		nanosleep(&pause, NULL);
	}
	return kt_fail(e, KT_E_BUSY, "%s: another program has kept it locked for 30 seconds", path);
}

int kt_check_trusted(int fd, const char *path, struct kt_error *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine %s", path);
	if (!S_ISREG(st.st_mode))
		return kt_fail(e, KT_E_REFUSED, "%s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return kt_fail(e, KT_E_REFUSED,
			"%s belongs to user %u, and not to root or the user who runs this", path,
			st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		kt_fail(e, KT_E_REFUSED, "%s can be written by others (mode %04o)", path,
			st.st_mode & 07777);
		return kt_hint(e, "try 'chmod go-w'");
	}
	return 0;
}
