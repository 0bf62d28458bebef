/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are changed in place: locks, and what is no place for a file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/io.h"

Test(io_lock, a_lock_is_on_the_file_that_the_name_means_now)
{
	char dir[] = "/tmp/kt-lock-XXXXXX", path[64], other[64];
	struct kt_error e = {0};
	int first = -1, second = -1;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(other, sizeof(other), "%s/g", dir);
	cr_assert_eq(kt_replace_file(path, "1", 1, 0600, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_lock_file(path, &first, &e), 0, "%s", e.msg);
	cr_assert_eq(flock(first, LOCK_EX | LOCK_NB), 0);
	/* Replaced, the name means another file, which nobody has locked. */
	cr_assert_eq(kt_replace_file(path, "2", 1, 0600, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_lock_file(path, &second, &e), 0, "%s", e.msg);
	close(first);
	close(second);
	cr_assert_eq(kt_lock_file(other, &first, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
	unlink(path);
	rmdir(dir);
}

Test(io_lock, devices_and_open_files_are_no_place_for_a_file)
{
	static const char *const paths[] = {
		"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"};
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cr_expect_eq(kt_replace_file(paths[i], "x", 1, 0600, &e), -1, "%s", paths[i]);
		cr_expect_eq(e.code, KT_E_REFUSED, "%s", paths[i]);
	}
}
