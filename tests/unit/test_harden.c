/* SPDX-License-Identifier: Apache-2.0 */
/* Hardening, each time in a child: none of it can be taken back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/harden.h"

static void expect_child(int (*work)(void))
{
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(work());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status), "died by signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "failed at %d", WEXITSTATUS(status));
}

static int limits_are_set(void)
{
	struct kt_error e;
	struct rlimit core;

	umask(0);
	if (kt_harden(&e) != 0)
		return 1;
	if (umask(0) != 077)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (getrlimit(RLIMIT_CORE, &core) != 0)
		return 4;
#ifndef KT_SANITIZED
	if (core.rlim_cur != 0 || core.rlim_max != 0)
		return 5;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 6;
#endif
	return 0;
}

Test(harden, limits_are_set)
{
	expect_child(limits_are_set);
}

static int missing_descriptors_are_filled(void)
{
	struct kt_error e;
	struct stat null, st;
	char byte;

	if (stat("/dev/null", &null) != 0)
		return 1;
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	if (kt_harden(&e) != 0)
		return 2;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) != 0 || st.st_rdev != null.st_rdev)
			return 3;
	if (read(STDIN_FILENO, &byte, 1) != 0)
		return 4;
	/* Output that goes nowhere must not look like success. */
	return write(STDOUT_FILENO, "x", 1) == -1 && errno == EBADF ? 0 : 5;
}

Test(harden, missing_descriptors_are_filled)
{
	expect_child(missing_descriptors_are_filled);
}

static int present_descriptors_are_left_alone(void)
{
	struct kt_error e;
	struct stat st;
	int fds[2];

	if (pipe(fds) != 0 || dup2(fds[1], STDOUT_FILENO) < 0 || close(STDIN_FILENO) != 0)
		return 1;
	if (kt_harden(&e) != 0)
		return 2;
	return fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) ? 0 : 3;
}

Test(harden, present_descriptors_are_left_alone)
{
	expect_child(present_descriptors_are_left_alone);
}

static int a_reader_that_left_is_an_error(void)
{
	struct kt_error e;
	int fds[2];

	if (signal(SIGPIPE, SIG_DFL) == SIG_ERR || kt_harden(&e) != 0 || pipe(fds) != 0)
		return 1;
	close(fds[0]);
	return write(fds[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
}

Test(harden, a_reader_that_left_is_an_error_not_the_end)
{
	expect_child(a_reader_that_left_is_an_error);
}
