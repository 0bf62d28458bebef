/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock is flock() on the file itself, so that there is nothing beside it to lose: whoever got
 * it looks whether the path still leads to this file, for it may have been rotated meanwhile.
 */
#include "lib/audit-log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/io.h"

#define LOCK_PATIENCE_MS 30000
#define LOCK_PAUSE_MIN_NS 50000
#define LOCK_PAUSE_MAX_NS 10000000
#define READ_BYTES ((size_t)4 * KT_AUDIT_LINE_MAX)
#define SUFFIX_MAX 24
#define RESERVE_BYTES ((off_t)4 * KT_AUDIT_LINE_MAX)

struct kt_audit_log {
	char *path;
	int fd; /* -1: not open */
	bool is_locked;
	bool is_known; /* `replay` is what the first `size` bytes say */
	off_t size;
	off_t reserved; /* up to where the disk has promised room */
	uint64_t line;	/* lines of it */
	struct kt_audit_replay replay;
	char *buffer; /* READ_BYTES */
};

uint64_t kt_audit_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int fail_open(const char *path, struct kt_error *e)
{
	if (errno == ENOENT)
		return kt_fail(e, KT_E_NOT_PROVISIONED,
			"there is no audit log %s: begin one with 'sealtool audit init --log %s "
			"--ak-out FILE'",
			path, path);
	if (errno == ELOOP)
		return kt_fail(e, KT_E_REFUSED, "the audit log %s is a symbolic link", path);
	return kt_fail_errno(e, KT_E_USAGE, "cannot open the audit log %s", path);
}

static int open_file(const char *path, int *ret_fd, struct kt_error *e)
{
	auto_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return fail_open(path, e);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return kt_fail(e, KT_E_REFUSED, "the audit log %s is no regular file", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static void forget(struct kt_audit_log *log)
{
	kt_audit_replay_clear(&log->replay);
	log->is_known = false;
	log->size = log->reserved = 0;
	log->line = 0;
}

static void close_file(struct kt_audit_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	log->is_locked = false;
	forget(log);
}

void kt_audit_log_close(struct kt_audit_log *log)
{
	if (log == NULL)
		return;
	close_file(log);
	free(log->buffer);
	free(log->path);
	free(log);
}
KT_AUTO(log, struct kt_audit_log *, kt_audit_log_close)
#define auto_log __attribute__((cleanup(kt_auto_log)))

int kt_audit_log_open(const char *path, struct kt_audit_log **ret_log, struct kt_error *e)
{
	auto_log struct kt_audit_log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return kt_fail_memory(e);
	log->fd = -1;
	log->path = strdup(path);
	log->buffer = malloc(READ_BYTES);
	if (log->path == NULL || log->buffer == NULL)
		return kt_fail_memory(e);
	if (open_file(path, &log->fd, e) < 0)
		return -1;
	*ret_log = kt_take(log);
	return 0;
}

const struct kt_audit_replay *kt_audit_log_state(const struct kt_audit_log *log)
{
	return &log->replay;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Is the file that is open the one that the path leads to? */
static bool is_current(const struct kt_audit_log *log)
{
	struct stat ours, theirs;

	return fstat(log->fd, &ours) == 0 && lstat(log->path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* True if the lock is held, on the right file; false: try again. */
static int try_lock(struct kt_audit_log *log, bool *ret_held, struct kt_error *e)
{
	*ret_held = false;
	if (log->fd < 0 && open_file(log->path, &log->fd, e) < 0)
		return -1;
	if (flock(log->fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK || errno == EINTR
			       ? 0
			       : kt_fail_errno(e, KT_E_INTERNAL, "cannot lock %s", log->path);
	if (is_current(log)) {
		*ret_held = true;
		return 0;
	}
	close_file(log);
	return 0;
}

static int wait_for_lock(struct kt_audit_log *log, int64_t deadline_ms, struct kt_error *e)
{
	int64_t until = now_ms() + LOCK_PATIENCE_MS;
	struct timespec pause = {.tv_nsec = LOCK_PAUSE_MIN_NS};
	bool held;

	if (deadline_ms != 0 && deadline_ms < until)
		until = deadline_ms;
	for (;;) {
		if (try_lock(log, &held, e) < 0)
			return -1;
		if (held)
			return 0;
		if (now_ms() >= until)
			return kt_fail(e, KT_E_BUSY,
				"the audit log %s is locked by another process, which does not "
				"let go",
				log->path);
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < LOCK_PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

static int fail_changed(const struct kt_audit_log *log, struct kt_error *e)
{
	e->code = KT_E_EVIDENCE;
	kt_wrap(e, "%s: line %llu", log->path, (unsigned long long)log->line + 1);
	return kt_hint(e,
		"this log cannot be continued: keep it for an examiner, and begin another with "
		"'sealtool audit init'");
}

static int replay_text(struct kt_audit_log *log, const char *text, size_t len, struct kt_error *e)
{
	struct kt_audit_record record;

	if (kt_audit_replay_line(&log->replay, text, len, &record, e) < 0)
		return fail_changed(log, e);
	log->line++;
	log->size += (off_t)len + 1;
	return 0;
}

/* All whole lines at the start of the buffer; *ret_rest: how many bytes are left behind them. */
static int replay_buffer(struct kt_audit_log *log, size_t len, size_t *ret_rest, struct kt_error *e)
{
	const char *next = log->buffer, *end = log->buffer + len, *newline;

	while ((newline = memchr(next, '\n', (size_t)(end - next))) != NULL) {
		if (replay_text(log, next, (size_t)(newline - next), e) < 0)
			return -1;
		next = newline + 1;
	}
	*ret_rest = (size_t)(end - next);
	return 0;
}

/* What is behind the part that is known. */
static int catch_up(struct kt_audit_log *log, struct kt_error *e)
{
	struct stat st;
	size_t rest = 0;

	if (fstat(log->fd, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine %s", log->path);
	if (st.st_size < log->size)
		return kt_fail(e, KT_E_EVIDENCE, "%s was shortened: it had %lld bytes", log->path,
			(long long)log->size);
	while (log->size < st.st_size) {
		ssize_t n = pread(log->fd, log->buffer, READ_BYTES, log->size);

		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot read %s", log->path);
		if (replay_buffer(log, (size_t)n, &rest, e) < 0)
			return -1;
		/* No newline to the end, or for longer than a line can be. */
		if (rest == (size_t)n)
			break;
	}
	if (rest > KT_AUDIT_LINE_MAX)
		return kt_fail(e, KT_E_EVIDENCE, "%s has a line of more than %d bytes", log->path,
			KT_AUDIT_LINE_MAX);
	/* A line that was not whole when its writer died. */
	if (log->size < st.st_size && ftruncate(log->fd, log->size) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot mend %s", log->path);
	return 0;
}

static int learn(struct kt_audit_log *log, struct kt_error *e)
{
	if (!log->is_known) {
		forget(log);
		if (kt_audit_replay_init(&log->replay, e) < 0)
			return -1;
	}
	if (catch_up(log, e) == 0) {
		log->is_known = true;
		if (log->replay.is_started)
			return 0;
		kt_fail(e, KT_E_EVIDENCE, "the audit log %s is empty", log->path);
	}
	forget(log);
	return -1;
}

int kt_audit_log_lock(struct kt_audit_log *log, int64_t deadline_ms, struct kt_error *e)
{
	if (wait_for_lock(log, deadline_ms, e) < 0)
		return -1;
	log->is_locked = true;
	if (learn(log, e) == 0)
		return 0;
	kt_audit_log_unlock(log);
	return -1;
}

void kt_audit_log_unlock(struct kt_audit_log *log)
{
	if (log->is_locked)
		(void)flock(log->fd, LOCK_UN);
	log->is_locked = false;
}

/* Room for the answer too is promised before the TPM is asked: a checkpoint that cannot be written
 * is lost. Where files cannot be extended so, there is no promise. */
static int reserve(struct kt_audit_log *log, struct kt_error *e)
{
	if (log->size + 2 * KT_AUDIT_LINE_MAX <= log->reserved)
		return 0;
	if (fallocate(log->fd, FALLOC_FL_KEEP_SIZE, log->size, RESERVE_BYTES) == 0)
		log->reserved = log->size + RESERVE_BYTES;
	else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return kt_fail_errno(e, KT_E_INTERNAL,
			"no room for the audit log %s, and without it nothing is done", log->path);
	return 0;
}

static int write_line(
	struct kt_audit_log *log, const char *line, size_t len, bool durable, struct kt_error *e)
{
	ssize_t n;

	do
		n = pwrite(log->fd, line, len, log->size);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n < len)
		errno = ENOSPC;
	if (n == (ssize_t)len && (!durable || fdatasync(log->fd) == 0))
		return 0;
	kt_fail_errno(e, KT_E_INTERNAL,
		"cannot write the audit log %s, and without it nothing is done", log->path);
	if (ftruncate(log->fd, log->size) != 0)
		kt_hint(e, "nor take the half of a line away");
	return -1;
}

int kt_audit_log_append(struct kt_audit_log *log, const struct kt_audit_record *record,
	bool durable, struct kt_error *e)
{
	char *line = log->buffer;
	size_t len;

	if (kt_audit_record_format(record, line, &len, e) < 0 || reserve(log, e) < 0)
		return -1;
	line[len] = '\n';
	if (write_line(log, line, len + 1, durable, e) < 0)
		return -1;
	return replay_text(log, line, len, e);
}

/* The next file's head. */
static void next_head(const struct kt_audit_replay *now, struct kt_audit_record *ret_record)
{
	*ret_record = (struct kt_audit_record){
		.type = KT_AUDIT_FILE,
		.n = now->results,
		.ts = kt_audit_now(),
		.file = {.tier = now->tier,
			.seq = now->seq + 1,
			.max = now->max,
			.age = now->age,
			.last = now->last},
	};
	memcpy(ret_record->file.prev, now->head, sizeof(now->head));
	memcpy(ret_record->file.ak, now->file_ak, sizeof(now->file_ak));
}

bool kt_audit_log_is_due(const struct kt_audit_log *log)
{
	const struct kt_audit_replay *now = &log->replay;

	if (kt_audit_replay_is_open(now))
		return false;
	return (uint64_t)log->size >= now->max ||
	       (now->age > 0 && kt_audit_now() >= now->began_ts + now->age * 1000);
}

/* A file that was not there before: others may write into the folder, and what they put there under
 * this name is not opened, but goes. */
static int make_file(const char *path, int *ret_fd, struct kt_error *e)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot remove %s", path);
	*ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_fd >= 0 ? 0 : kt_fail_errno(e, KT_E_USAGE, "cannot make %s", path);
}

/* A new file of the same mode and group, locked, with its first line. */
static int make_next(struct kt_audit_log *log, const char *temp, int *ret_fd, struct kt_error *e)
{
	auto_fd int fd = -1;
	struct kt_audit_record head;
	struct stat st;
	size_t len;

	next_head(&log->replay, &head);
	if (kt_audit_record_format(&head, log->buffer, &len, e) < 0)
		return -1;
	log->buffer[len] = '\n';
	if (make_file(temp, &fd, e) < 0)
		return -1;
	if (fstat(log->fd, &st) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make %s", temp);
	/* Only the group's members may give a file to it. */
	if (fchown(fd, (uid_t)-1, st.st_gid) == 0 && fchmod(fd, st.st_mode & 0777) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot set the mode of %s", temp);
	if (kt_write_all(fd, log->buffer, len + 1, temp, e) < 0)
		return -1;
	if (fsync(fd) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", temp);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A rotation that was cut off after this step left the same file under this name. */
static int keep_old(const struct kt_audit_log *log, const char *kept, struct kt_error *e)
{
	struct stat ours, theirs;

	if (link(log->path, kept) == 0)
		return 0;
	if (errno == EEXIST && fstat(log->fd, &ours) == 0 && lstat(kept, &theirs) == 0 &&
		ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return 0;
	errno = EEXIST;
	return kt_fail_errno(e, KT_E_INTERNAL, "cannot rotate %s to %s", log->path, kept);
}

/* The folder that the log is in; *ret_fd is owned by the caller. */
static int open_folder(const char *path, int *ret_fd, struct kt_error *e)
{
	auto_free char *copy = strdup(path);
	char *slash = copy != NULL ? strrchr(copy, '/') : NULL;

	if (copy == NULL)
		return kt_fail_memory(e);
	if (slash != NULL)
		slash[slash == copy ? 1 : 0] = '\0';
	*ret_fd = open(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd >= 0 ? 0
			    : kt_fail_errno(e, KT_E_USAGE, "cannot open the folder of %s", path);
}

static int sync_folder(const char *path, struct kt_error *e)
{
	auto_fd int fd = -1;

	if (open_folder(path, &fd, e) < 0)
		return -1;
	if (fsync(fd) != 0 && errno != EINVAL)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot sync the folder of %s", path);
	return 0;
}

static int name_temp(const char *path, char ret_temp[PATH_MAX], struct kt_error *e)
{
	if (snprintf(ret_temp, PATH_MAX, "%s.new", path) >= PATH_MAX)
		return kt_fail(e, KT_E_USAGE, "the path %s is too long", path);
	return 0;
}

int kt_audit_log_rotate(struct kt_audit_log *log, struct kt_error *e)
{
	char temp[PATH_MAX], kept[PATH_MAX + SUFFIX_MAX];
	auto_fd int fd = -1;

	if (!kt_audit_log_is_due(log))
		return 0;
	if (name_temp(log->path, temp, e) < 0)
		return -1;
	snprintf(kept, sizeof(kept), "%s.%06llu", log->path, (unsigned long long)log->replay.seq);
	if (make_next(log, temp, &fd, e) < 0 || keep_old(log, kept, e) < 0)
		return -1;
	if (rename(temp, log->path) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot rotate %s", log->path);
	close(log->fd);
	log->fd = fd;
	fd = -1;
	/* The chain goes on: only where we are in the file is new. */
	log->replay.file_begins = true;
	log->size = log->reserved = 0;
	log->line = 0;
	return catch_up(log, e) < 0 ? -1 : sync_folder(log->path, e);
}

/* Where a group may write, it may write the log: kms-shim runs as a user of its own. */
static int share(int fd, const char *path, struct kt_error *e)
{
	auto_fd int folder = -1;
	struct stat st;

	if (open_folder(path, &folder, e) < 0)
		return -1;
	if (fstat(folder, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine the folder of %s", path);
	if ((st.st_mode & S_IWGRP) == 0)
		return 0;
	if (fchown(fd, (uid_t)-1, st.st_gid) != 0 || fchmod(fd, 0660) != 0)
		return kt_fail_errno(
			e, KT_E_USAGE, "cannot give %s to the group of its folder", path);
	return 0;
}

/* link() does not replace what somebody else has made meanwhile, nor follow it. */
static int name_log(const char *temp, const char *path, struct kt_error *e)
{
	int failed = link(temp, path), error = errno;

	(void)unlink(temp);
	errno = error;
	if (failed != 0 && error == EEXIST)
		return kt_fail(e, KT_E_REFUSED,
			"%s is there already, and a log is not begun anew: move it away", path);
	return failed == 0 ? sync_folder(path, e)
			   : kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", path);
}

int kt_audit_log_create(const char *path, const char *text, size_t len, struct kt_error *e)
{
	char temp[PATH_MAX];
	auto_fd int fd = -1;

	if (name_temp(path, temp, e) < 0 || make_file(temp, &fd, e) < 0)
		return -1;
	if (kt_write_all(fd, text, len, temp, e) < 0 || share(fd, path, e) < 0) {
		(void)unlink(temp);
		return -1;
	}
	if (fsync(fd) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot write %s", temp);
	return name_log(temp, path, e);
}
