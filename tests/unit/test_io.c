/* SPDX-License-Identifier: Apache-2.0 */
/* Files: bounds, and what is left behind when writing goes wrong. Each test has a folder of its
 * own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/io.h"

static char folder[64];

static void enter_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/kt-io-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
}

/* Removes the folder's files, and the folder. */
static void leave_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	cr_assert_not_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	closedir(dir);
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(rmdir(folder), 0);
}

TestSuite(io, .init = enter_folder, .fini = leave_folder);

static void make_file(const char *name, const char *text, mode_t mode)
{
	auto_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
}

static void expect_file(const char *name, const char *text, mode_t mode)
{
	auto_free uint8_t *data = NULL;
	size_t len = 0;
	struct stat st = {0};
	struct kt_error e = {0};

	cr_assert_eq(kt_read_file(name, 1 << 20, &data, &len, &e), 0, "%s", e.msg);
	cr_expect_eq(len, strlen(text));
	cr_expect_str_eq((const char *)data, text);
	cr_assert_eq(stat(name, &st), 0);
	cr_expect_eq(st.st_mode & 07777, mode, "mode %04o", st.st_mode & 07777);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

/* Runs `work` in a child and expects it to exit with 0. */
static void expect_child(int (*work)(void))
{
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(work());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status), "died by signal %d", WTERMSIG(status));
	cr_assert_neq(WEXITSTATUS(status), 77, "the child could not prepare");
	cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(io, reads_a_file_with_a_nul_behind_it)
{
	auto_free uint8_t *data = NULL;
	size_t len;
	struct kt_error e;

	make_file("f", "twelve bytes", 0600);
	cr_assert_eq(kt_read_file("f", 12, &data, &len, &e), 0);
	cr_assert_eq(len, 12);
	cr_assert_str_eq((const char *)data, "twelve bytes");
}

Test(io, reads_an_empty_file)
{
	auto_free uint8_t *data = NULL;
	size_t len = 42;
	struct kt_error e;

	make_file("f", "", 0600);
	cr_assert_eq(kt_read_file("f", 0, &data, &len, &e), 0);
	cr_assert_eq(len, 0);
	cr_assert_eq(data[0], 0);
}

Test(io, refuses_one_byte_too_many)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, 8192, 100000};
	auto_free char *text = malloc(100001);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *data = NULL;
		size_t len = 0;
		struct kt_error e = {0};

		memset(text, 'x', sizes[i]);
		text[sizes[i]] = '\0';
		make_file("f", text, 0600);
		cr_expect_eq(kt_read_file("f", sizes[i], &data, &len, &e), 0);
		cr_expect_eq(len, sizes[i]);
		free(data);
		data = NULL;
		cr_expect_eq(kt_read_file("f", sizes[i] - 1, &data, &len, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_null(data);
		unlink("f");
	}
}

Test(io, tells_a_missing_file_from_one_of_another_kind)
{
	static const struct {
		const char *path;
		enum kt_code code;
	} cases[] = {
		{"missing", KT_E_USAGE},
		{".", KT_E_REFUSED},
		{"/dev/zero", KT_E_REFUSED},
		{"f/below", KT_E_USAGE},
	};

	make_file("f", "x", 0600);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *data = NULL;
		size_t len;
		struct kt_error e = {0};

		cr_expect_eq(kt_read_file(cases[i].path, 10, &data, &len, &e), -1);
		cr_expect_eq(e.code, cases[i].code, "%s: %s", cases[i].path, e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].path));
	}
}

Test(io, reads_a_pipe_given_as_a_path)
{
	auto_free uint8_t *data = NULL;
	char path[32];
	size_t len;
	int fds[2];
	struct kt_error e = {0};

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], "from <(...)", 11), 11);
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	cr_assert_eq(kt_read_file(path, 100, &data, &len, &e), 0, "%s", e.msg);
	cr_assert_str_eq((const char *)data, "from <(...)");
}

Test(io, a_failing_read_is_an_internal_error)
{
	uint8_t *data = NULL;
	size_t len;
	struct kt_error e = {0};

	cr_assert_eq(kt_read_all(-1, 10, "nothing", &data, &len, &e), -1);
	cr_assert_eq(e.code, KT_E_INTERNAL);
	cr_assert_str_eq(e.msg, "cannot read nothing: Bad file descriptor");
}

Test(io, writing_to_a_full_disk_is_an_internal_error)
{
	auto_fd int full = open("/dev/full", O_WRONLY);
	struct kt_error e = {0};

	cr_assert_eq(kt_write_all(full, "x", 1, "stdout", &e), -1);
	cr_assert_eq(e.code, KT_E_INTERNAL);
	cr_assert_str_eq(e.msg, "cannot write stdout: No space left on device");
	cr_assert_eq(kt_write_all(full, NULL, 0, "stdout", &e), 0);
}

Test(io, makes_a_new_file_with_the_mode_asked_for)
{
	struct kt_error e = {0};

	umask(077);
	cr_assert_eq(kt_replace_file("new", "hello", 5, 0644, &e), 0, "%s", e.msg);
	expect_file("new", "hello", 0644);
	cr_assert_eq(kt_replace_file("./empty", "", 0, 0600, &e), 0, "%s", e.msg);
	expect_file("empty", "", 0600);
	cr_assert_eq(count_entries("."), 2);
}

Test(io, replaces_a_file_and_keeps_its_mode)
{
	auto_fd int old = -1;
	struct kt_error e = {0};
	char text[8] = "";

	make_file("f", "old", 0440);
	old = open("f", O_RDONLY);
	cr_assert_eq(kt_replace_file("f", "new text", 8, 0644, &e), 0, "%s", e.msg);
	expect_file("f", "new text", 0440);
	cr_assert_eq(read(old, text, sizeof(text)), 3, "the old file was written in place");
	cr_assert_eq(count_entries("."), 1);
}

Test(io, publishes_with_the_mode_that_is_wanted)
{
	struct kt_error e = {0};

	make_file("f", "old", 0400);
	cr_assert_eq(kt_publish_file("f", "new text", 8, 0644, &e), 0, "%s", e.msg);
	expect_file("f", "new text", 0644);
	cr_assert_eq(kt_publish_file("g", "other", 5, 0600, &e), 0, "%s", e.msg);
	expect_file("g", "other", 0600);
	cr_assert_eq(count_entries("."), 2);
	cr_expect_eq(kt_publish_file("no/such", "x", 1, 0600, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
}

Test(io, keeps_the_owner)
{
	struct kt_error e = {0};
	struct stat st;

	if (geteuid() != 0)
		cr_skip("needs root");
	make_file("f", "old", 0640);
	cr_assert_eq(chown("f", 12345, 23456), 0);
	cr_assert_eq(kt_replace_file("f", "new", 3, 0600, &e), 0, "%s", e.msg);
	expect_file("f", "new", 0640);
	cr_assert_eq(stat("f", &st), 0);
	cr_assert_eq(st.st_uid, 12345);
	cr_assert_eq(st.st_gid, 23456);
}

Test(io, follows_a_symbolic_link_and_leaves_it_a_link)
{
	struct kt_error e = {0};
	struct stat st;

	cr_assert_eq(mkdir("d", 0700), 0);
	make_file("d/real", "old", 0600);
	cr_assert_eq(symlink("d/real", "link"), 0);
	cr_assert_eq(kt_replace_file("link", "new", 3, 0600, &e), 0, "%s", e.msg);
	expect_file("d/real", "new", 0600);
	cr_assert_eq(lstat("link", &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(count_entries("d"), 1);
	cr_assert_eq(unlink("d/real"), 0);
}

Test(io, does_not_replace_what_is_not_a_regular_file)
{
	static const char *const paths[] = {
		"d", "fifo", "dangling", "/dev/null", "/dev/full", "pipe"};
	char target[32];
	int fds[2];

	cr_assert_eq(mkdir("d", 0700), 0);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_assert_eq(symlink("nowhere", "dangling"), 0);
	cr_assert_eq(pipe(fds), 0); /* as /dev/stdout often is */
	snprintf(target, sizeof(target), "/dev/fd/%d", fds[1]);
	cr_assert_eq(symlink(target, "pipe"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct kt_error e = {0};

		cr_expect_eq(kt_replace_file(paths[i], "x", 1, 0600, &e), -1, "%s", paths[i]);
		cr_expect_eq(e.code, KT_E_REFUSED, "%s: %s", paths[i], e.msg);
		cr_expect_not_null(strstr(e.msg, paths[i]));
	}
	cr_assert_eq(count_entries("."), 4);
}

Test(io, a_place_that_cannot_be_is_the_callers_mistake)
{
	static const char *const paths[] = {"missing/f", "f/g", "f/", "", "new/"};
	char long_name[300];
	struct kt_error e = {0};

	make_file("f", "x", 0600);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cr_expect_eq(kt_replace_file(paths[i], "x", 1, 0600, &e), -1);
		cr_expect_eq(e.code, KT_E_USAGE, "%s: %s", paths[i], e.msg);
	}
	memset(long_name, 'n', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	cr_expect_eq(kt_replace_file(long_name, "x", 1, 0600, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	long_name[255] = '\0';
	cr_expect_eq(kt_replace_file(long_name, "x", 1, 0600, &e), 0, "%s", e.msg);
	cr_assert_eq(count_entries("."), 2);
}

/* A limit on file sizes stands in for a full disk. Returns 0 if the failure is as it should be. */
static int replace_beyond_limit(void)
{
	static const struct rlimit small = {1000, 1000};
	static char data[5000];
	struct kt_error e = {0};

	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &small) != 0)
		return 77;
	if (kt_replace_file("f", data, sizeof(data), 0600, &e) != -1 || e.code != KT_E_INTERNAL)
		return 1;
	return strstr(e.msg, "cannot write f: File too large") != NULL ? 0 : 2;
}

Test(io, a_full_disk_leaves_the_old_file_and_nothing_else)
{
	make_file("f", "old", 0600);
	expect_child(replace_beyond_limit);
	expect_file("f", "old", 0600);
	cr_assert_eq(count_entries("."), 1);
}

/* Where there is no /proc, an unnamed file cannot be given a name: the other way is taken. */
static int replace_without_proc(void)
{
	struct kt_error e = {0};

	if (chroot(folder) != 0 || chdir("/") != 0)
		return 77;
	if (kt_replace_file("f", "new", 3, 0600, &e) != 0)
		return 1;
	return kt_replace_file("/g", "fresh", 5, 0604, &e) == 0 ? 0 : 2;
}

Test(io, works_without_proc)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	make_file("f", "old", 0640);
	expect_child(replace_without_proc);
	expect_file("f", "new", 0640);
	expect_file("g", "fresh", 0604);
	cr_assert_eq(count_entries("."), 2);
}

static int filter_calls(struct sock_filter *instructions, unsigned short count)
{
	struct sock_fprog program = {count, instructions};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
		       ? 0
		       : 77;
}

/* From here on the kernel says of O_TMPFILE what NFS and FUSE say. */
static int lose_tmpfile(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
}

/* From here on renaming fails. */
static int lose_rename(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_renameat
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 1, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
}

static int replace_by_name(void)
{
	struct kt_error e = {0};

	if (lose_tmpfile() != 0)
		return 77;
	if (open(".", O_TMPFILE | O_WRONLY, 0600) >= 0 || errno != EOPNOTSUPP)
		return 77;
	if (kt_replace_file("f", "new", 3, 0600, &e) != 0)
		return 1;
	return kt_replace_file("g", "fresh", 5, 0604, &e) == 0 ? 0 : 2;
}

Test(io, works_on_file_systems_without_unnamed_files)
{
	make_file("f", "old", 0640);
	expect_child(replace_by_name);
	expect_file("f", "new", 0640);
	expect_file("g", "fresh", 0604);
	cr_assert_eq(count_entries("."), 2);
}

static int replace_by_name_beyond_limit(void)
{
	return lose_tmpfile() != 0 ? 77 : replace_beyond_limit();
}

Test(io, a_full_disk_without_unnamed_files_leaves_the_old_file_and_nothing_else)
{
	make_file("f", "old", 0600);
	expect_child(replace_by_name_beyond_limit);
	expect_file("f", "old", 0600);
	cr_assert_eq(count_entries("."), 1);
}

static int replace_without_rename(void)
{
	struct kt_error e = {0};

	if (lose_rename() != 0)
		return 77;
	if (kt_replace_file("f", "new", 3, 0600, &e) != -1 || e.code != KT_E_INTERNAL)
		return 1;
	if (strcmp(e.msg, "cannot write f: Input/output error") != 0)
		return 2;
	return lose_tmpfile() != 0 ? 77 : kt_replace_file("f", "new", 3, 0600, &e) == -1 ? 0 : 3;
}

Test(io, a_failing_rename_leaves_the_old_file_and_nothing_else)
{
	make_file("f", "old", 0600);
	expect_child(replace_without_rename);
	expect_file("f", "old", 0600);
	cr_assert_eq(count_entries("."), 1);
}

/* Replaces "f" for ever; only a signal ends it. */
static int replace_for_ever(void)
{
	static char data[20000];
	struct kt_error e;

	for (char c = 'a';; c = c == 'z' ? 'a' : (char)(c + 1)) {
		memset(data, c, sizeof(data));
		if (kt_replace_file("f", data, sizeof(data), 0600, &e) != 0)
			return 1;
	}
}

/* Kills a child that replaces "f" for ever, and expects one whole file. */
static void kill_replacer(bool by_name, int signal_number, useconds_t after)
{
	auto_free uint8_t *data = NULL;
	size_t len = 0;
	struct kt_error e = {0};
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(by_name && lose_tmpfile() != 0 ? 77 : replace_for_ever());
	usleep(after);
	cr_assert_eq(kill(child, signal_number), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
	cr_assert_eq(kt_read_file("f", 20000, &data, &len, &e), 0, "%s", e.msg);
	cr_assert_eq(len, 20000);
	for (size_t i = 0; i < len; i++)
		cr_assert(data[i] == data[0], "a mixture at byte %zu", i);
	cr_assert_eq(count_entries("."), 1, "a temporary file was left");
}

Test(io, a_signal_in_the_middle_leaves_one_whole_file)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	static char data[20000];
	struct kt_error e;

	memset(data, 'x', sizeof(data));
	cr_assert_eq(kt_replace_file("f", data, sizeof(data), 0600, &e), 0);
	for (unsigned i = 0; i < 24; i++)
		kill_replacer(i % 2 == 1, signals[i % 3], 1000 + 1700 * i);
}

static int replace_as_somebody(void)
{
	struct kt_error e = {0};

	/* Another user, and not dumpable, as programs are: /proc/self/fd must still do. */
	if (setgid(65534) != 0 || setuid(65534) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 77;
	if (kt_replace_file("f", "new", 3, 0600, &e) != -1 || e.code != KT_E_USAGE)
		return 1;
	return kt_replace_file("open/g", "new", 3, 0600, &e) == 0 ? 0 : 2;
}

Test(io, does_not_take_over_a_file_of_another_user)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	cr_assert_eq(chmod(folder, 0777), 0);
	cr_assert_eq(mkdir("open", 0700), 0);
	cr_assert_eq(chown("open", 65534, 65534), 0);
	make_file("f", "old", 0666);
	expect_child(replace_as_somebody);
	expect_file("f", "old", 0666);
	expect_file("open/g", "new", 0600);
	cr_assert_eq(count_entries("."), 2);
	cr_assert_eq(unlink("open/g"), 0);
}

static enum kt_code trust(const char *name)
{
	auto_fd int fd = open(name, O_RDONLY);
	struct kt_error e = {0};

	cr_assert_geq(fd, 0);
	return kt_check_trusted(fd, name, &e) == 0 ? KT_E_NONE : e.code;
}

Test(io, trusts_only_what_nobody_else_can_write)
{
	static const struct {
		mode_t mode;
		enum kt_code code;
	} cases[] = {
		{0400, KT_E_NONE},
		{0600, KT_E_NONE},
		{0755, KT_E_NONE},
		{0620, KT_E_REFUSED},
		{0664, KT_E_REFUSED},
		{0602, KT_E_REFUSED},
		{0777, KT_E_REFUSED},
	};

	make_file("f", "x", 0600);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(chmod("f", cases[i].mode), 0);
		cr_expect_eq(trust("f"), cases[i].code, "mode %04o", cases[i].mode);
	}
	cr_assert_eq(trust("."), KT_E_REFUSED);
	cr_assert_eq(trust("/dev/null"), KT_E_REFUSED);
	if (geteuid() != 0)
		return;
	cr_assert_eq(chmod("f", 0600), 0);
	cr_assert_eq(chown("f", 12345, 0), 0);
	cr_assert_eq(trust("f"), KT_E_REFUSED);
}
