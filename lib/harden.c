/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every program does to itself before it touches anything: see harden.h. What an administrator
 * should be able to see and change (system calls, namespaces, devices) is in the unit files
 * instead.
 */
#include "lib/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file opened later must not become stdin, stdout or stderr by accident. All three are opened for
 * reading: a closed stdin reads as empty, and writing to a closed stdout still fails, as it should.
 */
static int open_standard_descriptors(struct kt_error *e)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (errno != EBADF)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine descriptor %d", fd);
		/* The lowest free number is the one that was just found missing. */
		if (open("/dev/null", O_RDONLY | O_NOCTTY) != fd)
			return kt_fail_errno(
				e, KT_E_INTERNAL, "cannot open /dev/null as descriptor %d", fd);
	}
	return 0;
}

/* LeakSanitizer attaches to its own process, which needs a dumpable one. */
static int forbid_dumps(struct kt_error *e)
{
#ifdef KT_SANITIZED
	(void)e;
#else
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot forbid core dumps");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make the process undumpable");
#endif
	return 0;
}

int kt_harden(struct kt_error *e)
{
	umask(077);
	if (open_standard_descriptors(e) != 0 || forbid_dumps(e) != 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot give up gaining privileges");
	/* A reader that went away and a file grown too large are errors of write(), reported as
	 * such. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot ignore signals");
	return 0;
}
