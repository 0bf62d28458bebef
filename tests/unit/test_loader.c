/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader against modules that are right, wrong and rude (tests/modules/), and against files
 * that it must not touch. Modules are copied into a folder of the test's own, with modes of its
 * own.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/loader.h"

static char folder[] = "/tmp/kt-loader.XXXXXX";

/* The build's folder of fixtures, beside the one this program lies in. */
static void fixture_path(const char *name, char *ret_path, size_t size)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	cr_assert_gt(len, 0);
	program[len] = '\0';
	*strrchr(program, '/') = '\0';
	cr_assert_lt((size_t)snprintf(ret_path, size, "%s/../fixtures/%s.so", program, name), size);
}

static void copy_fixture(const char *name, const char *as, mode_t mode)
{
	char from[PATH_MAX], to[PATH_MAX], buffer[65536];
	auto_fd int in = -1;
	auto_fd int out = -1;
	ssize_t n;

	fixture_path(name, from, sizeof(from));
	snprintf(to, sizeof(to), "%s/%s.so", folder, as);
	in = open(from, O_RDONLY);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert(in >= 0 && out >= 0, "%s", from);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		cr_assert_eq(write(out, buffer, (size_t)n), n);
	cr_assert_eq(fchmod(out, mode), 0);
}

static void make_folder(void)
{
	umask(022);
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	static const char *const names[] = {"good", "longer", "other", "no-symbol", "text-only",
		"short-size", "wrong-name", "no-descriptor", "link", "fifo", "empty", "garbage",
		"dir"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s.so", folder, names[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	rmdir(folder);
}

TestSuite(loader, .init = make_folder, .fini = remove_folder);

static void expect_failure(const char *name, enum kt_code code, const char *message)
{
	struct kt_module module = {.size = 4711};
	struct kt_error e = {0};

	cr_expect_eq(kt_module_load(folder, name, &module, &e), -1, "%s", name);
	cr_expect_eq(e.code, code, "%s: %s", name, e.msg);
	cr_expect_not_null(strstr(e.msg, message), "%s: %s", name, e.msg);
	cr_expect_null(strstr(e.msg, "/proc/"), "%s", e.msg);
	cr_expect_eq(module.size, 4711);
}

Test(loader, loads_a_module)
{
	struct kt_module module = {0};
	struct kt_error e;

	copy_fixture("good", "good", 0644);
	cr_assert_eq(kt_module_load(folder, "good", &module, &e), 0, "%s", e.msg);
	cr_expect_str_eq(module.name, "good");
	cr_expect_str_eq(module.summary, "as it should be");
	cr_expect_str_eq(module.params[0].key, "path");
	cr_expect_not_null(module.credential);
	cr_expect_null(module.open);
}

Test(loader, loads_several_modules_and_one_twice)
{
	static const char *const names[] = {"good", "longer", "good", "longer"};
	struct kt_error e;

	copy_fixture("good", "good", 0644);
	copy_fixture("longer", "longer", 0644);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct kt_module module = {0};

		cr_assert_eq(kt_module_load(folder, names[i], &module, &e), 0, "%s", e.msg);
		cr_expect_str_eq(module.name, names[i]);
	}
}

Test(loader, takes_what_it_knows_of_a_longer_descriptor)
{
	struct kt_module module = {0};
	struct kt_error e;

	copy_fixture("longer", "longer", 0444);
	cr_assert_eq(kt_module_load(folder, "longer", &module, &e), 0, "%s", e.msg);
	cr_expect_gt(module.size, sizeof(module));
	cr_expect_str_eq(module.summary, "from the future");
	cr_expect_not_null(module.credential);
	cr_expect_null(module.close);
}

Test(loader, wants_a_bare_name)
{
	static const char *const names[] = {"", ".", "..", "../good", "good.so", "a/b", "/etc/x",
		"Good", "a_b", "a b", "a\n",
		"name-of-sixty-five-characters-01234567890123456789012345678901234"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_failure(names[i], KT_E_USAGE, "is no module name");
	cr_expect(kt_module_name_is_valid("cred-sealed"));
	cr_expect(kt_module_name_is_valid("kms-tpm2"));
}

Test(loader, says_when_there_is_none)
{
	expect_failure("good", KT_E_USAGE, "no module good in /tmp/kt-loader.");
}

Test(loader, refuses_a_module_that_others_can_write)
{
	static const mode_t modes[] = {0664, 0646, 0777, 0620};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		copy_fixture("good", "good", modes[i]);
		expect_failure("good", KT_E_REFUSED, "good.so");
	}
}

Test(loader, refuses_a_module_of_another_user)
{
	char path[PATH_MAX];

	if (geteuid() != 0)
		cr_skip_test("only root can give a file away");
	copy_fixture("good", "good", 0644);
	snprintf(path, sizeof(path), "%s/good.so", folder);
	cr_assert_eq(chown(path, 4711, 4711), 0);
	expect_failure("good", KT_E_REFUSED, "4711");
}

Test(loader, refuses_a_folder_that_others_can_write_or_own)
{
	static const mode_t modes[] = {0775, 0757, 01777};

	copy_fixture("good", "good", 0644);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		cr_assert_eq(chmod(folder, modes[i]), 0);
		expect_failure("good", KT_E_REFUSED, "folder of modules is writable by others");
	}
	cr_assert_eq(chmod(folder, 0755), 0);
	if (geteuid() != 0)
		cr_skip_test("only root can give a folder away");
	cr_assert_eq(chown(folder, 4711, 4711), 0);
	expect_failure("good", KT_E_REFUSED, "belongs to user 4711");
	cr_assert_eq(chown(folder, 0, 0), 0);
}

Test(loader, says_when_there_is_no_folder)
{
	struct kt_module module;
	struct kt_error e = {0};

	cr_expect_eq(kt_module_load("/nonexistent", "good", &module, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_not_null(strstr(e.msg, "no module good in /nonexistent"), "%s", e.msg);
	cr_expect_eq(kt_module_load("/dev/null", "good", &module, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
}

Test(loader, refuses_a_symbolic_link)
{
	char path[PATH_MAX];

	copy_fixture("good", "good", 0644);
	snprintf(path, sizeof(path), "%s/link.so", folder);
	cr_assert_eq(symlink("good.so", path), 0);
	expect_failure("link", KT_E_REFUSED, "symbolic link");
}

Test(loader, refuses_what_is_no_regular_file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/fifo.so", folder);
	cr_assert_eq(mkfifo(path, 0644), 0);
	expect_failure("fifo", KT_E_REFUSED, "regular");
	snprintf(path, sizeof(path), "%s/dir.so", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	expect_failure("dir", KT_E_REFUSED, "regular");
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	auto_fd int fd = -1;

	snprintf(path, sizeof(path), "%s/%s.so", folder, name);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

Test(loader, does_not_run_what_is_no_module)
{
	/* Its constructor aborts. */
	copy_fixture("no-symbol", "no-symbol", 0644);
	expect_failure("no-symbol", KT_E_USAGE, "does not contain kt_module_v1");
	write_file("empty", "");
	expect_failure("empty", KT_E_USAGE, "0 bytes");
	write_file("garbage", "kt_module_v1 but no ELF");
	expect_failure("garbage", KT_E_USAGE, "garbage.so: cannot be loaded: file too short");
}

Test(loader, wants_the_symbol_and_not_its_name_only)
{
	copy_fixture("text-only", "text-only", 0644);
	expect_failure("text-only", KT_E_USAGE, "exports no kt_module_v1");
}

Test(loader, refuses_a_descriptor_that_is_none)
{
	copy_fixture("short-size", "short-size", 0644);
	copy_fixture("no-descriptor", "no-descriptor", 0644);
	expect_failure("short-size", KT_E_USAGE, "version 1 has");
	expect_failure("no-descriptor", KT_E_USAGE, "no descriptor");
}

Test(loader, wants_the_name_of_the_file)
{
	copy_fixture("wrong-name", "wrong-name", 0644);
	expect_failure("wrong-name", KT_E_USAGE, "calls itself other");
}

static void make_dirs(const char *tail)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", folder, tail);
	for (char *p = path + strlen(folder) + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	cr_assert_eq(mkdir(path, 0755), 0);
}

static void remove_dirs(const char *tail)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", folder, tail);
	while (strlen(path) > strlen(folder)) {
		rmdir(path);
		*strrchr(path, '/') = '\0';
	}
}

static void expect_near(const char *program, const char *tail)
{
	char path[PATH_MAX], expected[PATH_MAX];
	auto_free char *dir = NULL;
	struct kt_error e;

	snprintf(path, sizeof(path), "%s%s", folder, program);
	snprintf(expected, sizeof(expected), "%s%s", folder, tail);
	cr_assert_eq(kt_module_dir_near(path, &dir, &e), 0);
	cr_expect_str_eq(dir, expected, "%s: %s", path, dir);
}

Test(loader, finds_the_modules_of_a_staged_install_and_of_a_build)
{
	make_dirs(KT_MODULEDIR);
	expect_near("/usr/libexec/kubetpm/exec-plugin", KT_MODULEDIR);
	expect_near(KT_MODULEDIR "/x/kubetpm/kms-shim", KT_MODULEDIR);
	remove_dirs(KT_MODULEDIR);
	make_dirs("/modules");
	expect_near("/bin/exec-plugin", "/modules");
	remove_dirs("/modules");
}

Test(loader, otherwise_looks_where_it_was_configured)
{
	static const char *const programs[] = {NULL, "", "exec-plugin", "/exec-plugin",
		"/x/bin/exec-plugin", "/x/kubetpm/exec-plugin"};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		auto_free char *dir = NULL;
		struct kt_error e;

		cr_assert_eq(kt_module_dir_near(programs[i], &dir, &e), 0);
		cr_expect_str_eq(dir, KT_MODULEDIR, "%s", programs[i]);
	}
}

Test(loader, does_what_the_option_says)
{
	auto_free char *dir = NULL;
	struct kt_error e;

	cr_assert_eq(kt_module_dir("relative/dir", &dir, &e), 0);
	cr_expect_str_eq(dir, "relative/dir");
}
