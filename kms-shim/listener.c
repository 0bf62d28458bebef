/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order matters: lock, look, probe, remove, bind, mode and owner, listen. Until listen() every
 * connect() is refused, so nobody meets the socket with a wrong mode; and whoever holds the lock is
 * the only one who removes.
 */
#include "kms-shim/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 128
#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

struct kt_listener {
	int fd, lock;
	struct sockaddr_un address;
	bool ours;
	dev_t device;
	ino_t inode;
};

static int parse_url(const char *url, struct sockaddr_un *address, struct kt_error *e)
{
	size_t prefix = strlen(KT_LISTENER_URL_PREFIX);
	const char *path = url + prefix;

	if (strncmp(url, KT_LISTENER_URL_PREFIX, prefix) != 0 || path[0] != '/')
		return kt_fail(e, KT_E_USAGE, "\"%s\" is not unix:///PATH", url);
	if (strlen(path) + strlen(".lock") >= sizeof(address->sun_path))
		return kt_fail(e, KT_E_USAGE, "%s is too long for a socket: at most %zu bytes",
			path, sizeof(address->sun_path) - 1 - strlen(".lock"));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Who can write the folder can put another socket in our place. */
static int check_folder(const char *path, struct kt_error *e)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat st;
	char *slash;

	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	slash[slash == folder ? 1 : 0] = '\0';
	if (stat(folder, &st) != 0)
		return kt_fail_errno(e, KT_E_USAGE, "folder %s of the socket", folder);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return kt_fail(
			e, KT_E_REFUSED, "folder %s of the socket belongs to another user", folder);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0)
		return kt_fail(e, KT_E_REFUSED,
			"folder %s of the socket can be written by others; chmod go-w", folder);
	return 0;
}

static int take_lock(struct kt_listener *l, struct kt_error *e)
{
	char path[sizeof(l->address.sun_path) + 8];

	snprintf(path, sizeof(path), "%s.lock", l->address.sun_path);
	l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (l->lock < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
	if (flock(l->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return kt_fail(e, KT_E_BUSY, "another kms-shim serves %s", l->address.sun_path);
	return kt_fail_errno(e, KT_E_INTERNAL, "cannot lock %s", path);
}

/* Somebody may serve it who does not know our lock. */
static int probe(const struct kt_listener *l, struct kt_error *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make a socket");
	/* EAGAIN: the other's backlog is full, so there is another. */
	if (connect(fd, (const struct sockaddr *)&l->address, sizeof(l->address)) == 0 ||
		errno == EAGAIN)
		return kt_fail(e, KT_E_BUSY, "another process serves %s", l->address.sun_path);
	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;
	return kt_fail_errno(e, KT_E_REFUSED, "cannot tell who serves %s", l->address.sun_path);
}

static int clear_path(const struct kt_listener *l, struct kt_error *e)
{
	const char *path = l->address.sun_path;
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : kt_fail_errno(e, KT_E_USAGE, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return kt_fail(e, KT_E_REFUSED, "%s is there and is not a socket", path);
	if (probe(l, e) < 0)
		return -1;
	/* After a change of socket-owner the old one is root's doing all the same. */
	if (st.st_uid != geteuid() && geteuid() != 0)
		return kt_fail(e, KT_E_REFUSED, "%s belongs to another user", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return kt_fail_errno(e, KT_E_USAGE, "cannot remove the stale %s", path);
	return 0;
}

static int find_user(const char *name, uid_t *ret_uid, struct kt_error *e)
{
	struct passwd *pw = getpwnam(name);
	char *end;
	unsigned long n;

	if (pw != NULL) {
		*ret_uid = pw->pw_uid;
		return 0;
	}
	errno = 0;
	n = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || n >= UINT32_MAX)
		return kt_fail(e, KT_E_USAGE, "socket-owner: no user \"%s\"", name);
	*ret_uid = (uid_t)n;
	return 0;
}

static int find_group(const char *name, gid_t *ret_gid, struct kt_error *e)
{
	struct group *gr = getgrnam(name);
	char *end;
	unsigned long n;

	if (gr != NULL) {
		*ret_gid = gr->gr_gid;
		return 0;
	}
	errno = 0;
	n = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || n >= UINT32_MAX)
		return kt_fail(e, KT_E_USAGE, "socket-group: no group \"%s\"", name);
	*ret_gid = (gid_t)n;
	return 0;
}

static int set_access(
	const struct kt_listener *l, const struct kt_listener_options *options, struct kt_error *e)
{
	const char *path = l->address.sun_path;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if ((options->owner != NULL && find_user(options->owner, &uid, e) < 0) ||
		(options->group != NULL && find_group(options->group, &gid, e) < 0))
		return -1;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(path, uid, gid) != 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot give %s to its owner", path);
	if (chmod(path, options->mode & 0777) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot set the mode of %s", path);
	return 0;
}

static int make_socket(
	struct kt_listener *l, const struct kt_listener_options *options, struct kt_error *e)
{
	const char *path = l->address.sun_path;
	struct stat st;

	if (check_folder(path, e) < 0 || take_lock(l, e) < 0 || clear_path(l, e) < 0)
		return -1;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make a socket");
	if (bind(l->fd, (const struct sockaddr *)&l->address, sizeof(l->address)) != 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot make %s", path);
	if (lstat(path, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine %s", path);
	l->ours = true;
	l->device = st.st_dev;
	l->inode = st.st_ino;
	if (set_access(l, options, e) < 0)
		return -1;
	if (listen(l->fd, BACKLOG) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot listen on %s", path);
	return 0;
}

/* sd_listen_fds(3): how many descriptors are for this very process. */
static int passed_fds(void)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");
	long n;

	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n = strtol(count, NULL, 10);
	return n > 0 && n < 1024 ? (int)n : 0;
}

static bool is_listening_unix_socket(int fd, struct sockaddr_un *ret_address)
{
	socklen_t len = sizeof(*ret_address), option_len = sizeof(int);
	int listening = 0, type = 0;

	memset(ret_address, 0, sizeof(*ret_address));
	return getsockname(fd, (struct sockaddr *)ret_address, &len) == 0 &&
	       ret_address->sun_family == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option_len) == 0 &&
	       listening != 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &option_len) == 0 &&
	       type == SOCK_STREAM;
}

/* l->fd stays -1 if none is it. */
static int take_passed(struct kt_listener *l, int count, bool named, struct kt_error *e)
{
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + count; fd++) {
		struct sockaddr_un address;
		int flags;

		if (!is_listening_unix_socket(fd, &address) ||
			((count > 1 || named) && strncmp(address.sun_path, l->address.sun_path,
							 sizeof(address.sun_path)) != 0))
			continue;
		flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
			fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "descriptor %d (LISTEN_FDS)", fd);
		l->fd = fd;
		return 0;
	}
	return named ? 0
		     : kt_fail(e, KT_E_USAGE,
			       "none of the %d descriptors in LISTEN_FDS is a listening %s", count,
			       l->address.sun_path);
}

int kt_listener_open(const struct kt_listener_options *options, struct kt_listener **ret_listener,
	struct kt_error *e)
{
	auto_listener struct kt_listener *l = calloc(1, sizeof(*l));
	int passed = passed_fds();

	if (l == NULL)
		return kt_fail_memory(e);
	l->fd = l->lock = -1;
	if (parse_url(options->url, &l->address, e) < 0)
		return -1;
	if (passed > 0 && take_passed(l, passed, options->optional, e) < 0)
		return -1;
	if (l->fd < 0 && make_socket(l, options, e) < 0)
		return -1;
	*ret_listener = kt_take(l);
	return 0;
}

void kt_listener_close(struct kt_listener *l)
{
	struct stat st;

	if (l == NULL)
		return;
	if (l->ours && lstat(l->address.sun_path, &st) == 0 && st.st_dev == l->device &&
		st.st_ino == l->inode)
		unlink(l->address.sun_path);
	if (l->fd >= 0)
		close(l->fd);
	if (l->lock >= 0)
		close(l->lock);
	free(l);
}

int kt_listener_fd(const struct kt_listener *l)
{
	return l->fd;
}

static bool is_welcome(int fd, const uid_t *uids, size_t count)
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);

	if (count == 0)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (uids[i] == peer.uid)
			return true;
	return false;
}

int kt_listener_accept(const struct kt_listener *l, const uid_t *uids, size_t uid_count)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || is_welcome(fd, uids, uid_count))
		return fd;
	close(fd);
	errno = EACCES;
	return -1;
}
