/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: what they mean, what is refused, and whose files are read. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "exec-plugin/profile.h"

static int parse(const char *text, struct kt_profile **ret_profile, struct kt_error *e)
{
	return kt_profile_parse(text, strlen(text), "/etc/exec.d/p", ret_profile, e);
}

Test(profile, reads_rules_with_comments_blanks_and_tabs)
{
	auto_profile struct kt_profile *profile = NULL;
	struct kt_error e;

	cr_assert_eq(parse("# a comment\n"
			   "\n"
			   "  \t \n"
			   "requisite\tpcr-state  pcrs=sha256:7,11\texpect=state.json # why\n"
			   "sufficient cred-sealed file=a#b=c as=token ttl=10m",
			     &profile, &e),
		0, "%s", e.msg);
	cr_assert_eq(profile->count, 2);
	cr_assert_eq(profile->rules[0].control, KT_CONTROL_REQUISITE);
	cr_assert_eq(profile->rules[0].line, 4);
	cr_assert_str_eq(profile->rules[0].module, "pcr-state");
	cr_assert_eq(profile->rules[0].argc, 2);
	cr_assert_str_eq(profile->rules[0].argv[0], "pcrs=sha256:7,11");
	cr_assert_str_eq(profile->rules[0].argv[1], "expect=state.json");
	cr_assert_eq(profile->rules[1].control, KT_CONTROL_SUFFICIENT);
	cr_assert_eq(profile->rules[1].line, 5);
	cr_assert_eq(profile->rules[1].argc, 3);
	cr_assert_str_eq(profile->rules[1].argv[0], "file=a#b=c");
}

Test(profile, knows_the_four_controls)
{
	static const struct {
		const char *text;
		enum kt_control control;
	} cases[] = {
		{"required m", KT_CONTROL_REQUIRED},
		{"requisite m", KT_CONTROL_REQUISITE},
		{"sufficient m\n", KT_CONTROL_SUFFICIENT},
		{"optional m\n\n", KT_CONTROL_OPTIONAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_profile struct kt_profile *profile = NULL;
		struct kt_error e;

		cr_assert_eq(parse(cases[i].text, &profile, &e), 0);
		cr_expect_eq(profile->rules[0].control, cases[i].control);
		cr_expect_eq(profile->rules[0].argc, 0);
	}
}

Test(profile, says_where_and_what_is_wrong)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "/etc/exec.d/p: no rule in it"},
		{"# nothing\n", "/etc/exec.d/p: no rule in it"},
		{"needed m", "/etc/exec.d/p:1: unknown control \"needed\""},
		{"Required m", "unknown control \"Required\""},
		{"[success=ok] m", "unknown control \"[success=ok]\""},
		{"include common", "unknown control"},
		{"\nrequired", "/etc/exec.d/p:2: no module after \"required\""},
		{"required # m", "no module"},
		{"required ../evil", "\"../evil\" is no module name"},
		{"required /lib/m.so", "is no module name"},
		{"required m.so", "is no module name"},
		{"required M", "is no module name"},
		{"required m x", "argument \"x\" is not key=value"},
		{"required m =x", "is not key=value"},
		{"required m Key=x", "is not key=value"},
		{"required m key=", "has no value"},
		{"required m k=\"a b\"", "values are not quoted"},
		{"required m k='a'", "values are not quoted"},
		{"required m k=1 j=2 k=3", "argument \"k\" is given twice"},
		{"required m k=1 \\\n j=2", "/etc/exec.d/p:1: continuation"},
		{"required m k=1 \\ \t\n j=2", "/etc/exec.d/p:1: continuation"},
		{"required m k=a\\ b=c", "argument \"k=a\\\" ends with a backslash"},
		{"required m k=a\\ # c", "ends with a backslash"},
		{"required m\r\n", "/etc/exec.d/p:1: control character 0x0d"},
		{"required m k=\x1b[31m", "control character 0x1b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_profile *profile = NULL;
		struct kt_error e = {0};

		cr_expect_eq(parse(cases[i].text, &profile, &e), -1, "%s", cases[i].text);
		cr_expect_eq(e.code, KT_E_USAGE, "%s", cases[i].text);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s", e.msg);
		cr_expect_null(profile);
	}
}

Test(profile, refuses_a_nul_byte)
{
	struct kt_profile *profile = NULL;
	struct kt_error e;

	cr_assert_eq(kt_profile_parse("required m\0#", 12, "p", &profile, &e), -1);
	cr_assert_eq(e.code, KT_E_USAGE);
}

Test(profile, takes_a_key_for_given_twice_only_if_it_is_the_same)
{
	auto_profile struct kt_profile *profile = NULL;
	struct kt_error e;

	cr_assert_eq(parse("required m file=1 file-2=2 fil=3", &profile, &e), 0, "%s", e.msg);
	cr_assert_eq(profile->rules[0].argc, 3);
}

static char *repeat(const char *line, size_t count)
{
	size_t len = strlen(line);
	char *text = calloc(count, len + 1);

	cr_assert_not_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * len, line, len);
	return text;
}

Test(profile, has_limits)
{
	auto_free char *rules = repeat("optional m\n", KT_PROFILE_RULES_MAX + 1);
	auto_free char *line = repeat("# # # # ", KT_PROFILE_LINE_MAX_BYTES / 8 + 1);
	auto_profile struct kt_profile *profile = NULL;
	char args[1024] = "required m";
	struct kt_error e;

	cr_expect_eq(parse(rules, &profile, &e), -1);
	cr_expect_not_null(strstr(e.msg, "p:33: more than 32 rules"), "%s", e.msg);
	rules[strlen(rules) - strlen("optional m\n")] = '\0';
	cr_expect_eq(parse(rules, &profile, &e), 0);
	cr_expect_eq(profile->count, KT_PROFILE_RULES_MAX);
	kt_profile_free(kt_take(profile));
	cr_expect_eq(parse(line, &profile, &e), -1);
	cr_expect_not_null(strstr(e.msg, "line of more than 4096 bytes"), "%s", e.msg);
	for (int i = 0; i <= KT_RULE_ARGS_MAX; i++)
		snprintf(args + strlen(args), sizeof(args) - strlen(args), " k%d=1", i);
	cr_expect_eq(parse(args, &profile, &e), -1);
	cr_expect_not_null(strstr(e.msg, "more than 32 arguments"), "%s", e.msg);
}

Test(profile, names_are_bare_file_names)
{
	static const char *const good[] = {"default", "A.b_c-9", "x"};
	static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n",
		"name-of-sixty-five-characters-01234567890123456789012345678901234"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(kt_profile_name_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(kt_profile_name_is_valid(bad[i]), "%s", bad[i]);
}

static char folder[] = "/tmp/kt-profile.XXXXXX";

static void make_folder(void)
{
	umask(022);
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[64];

	chmod(folder, 0700);
	snprintf(command, sizeof(command), "%s/p", folder);
	unlink(command);
	snprintf(command, sizeof(command), "%s/q", folder);
	unlink(command);
	rmdir(folder);
}

static void write_profile(mode_t mode)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/p", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "optional m\n", 11), 11);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static int read_profile(const char *name, struct kt_error *e)
{
	auto_profile struct kt_profile *profile = NULL;
	auto_free char *dir = NULL;

	if (kt_profile_read(folder, name, &profile, &dir, e) < 0)
		return -1;
	cr_expect_eq(profile->count, 1);
	cr_expect_str_eq(dir, folder);
	return 0;
}

Test(profile, is_read_from_a_folder_of_ours, .init = make_folder, .fini = remove_folder)
{
	struct kt_error e = {0};

	write_profile(0644);
	cr_expect_eq(read_profile("p", &e), 0, "%s", e.msg);
	cr_expect_eq(read_profile("q", &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_eq(read_profile("../p", &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
}

Test(profile, that_others_can_write_is_refused, .init = make_folder, .fini = remove_folder)
{
	static const mode_t modes[] = {0664, 0646, 0620, 0602};
	struct kt_error e = {0};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_profile(modes[i]);
		cr_expect_eq(read_profile("p", &e), -1);
		cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
	}
}

Test(profile, in_a_folder_that_others_can_write_is_refused, .init = make_folder,
	.fini = remove_folder)
{
	static const mode_t modes[] = {0770, 0707, 01777};
	struct kt_error e = {0};

	write_profile(0644);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		cr_assert_eq(chmod(folder, modes[i]), 0);
		cr_expect_eq(read_profile("p", &e), -1);
		cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
	}
}

Test(profile, in_a_folder_of_another_user_is_refused, .init = make_folder, .fini = remove_folder)
{
	struct kt_error e = {0};

	if (geteuid() != 0)
		cr_skip_test("only root can give a folder away");
	write_profile(0644);
	cr_assert_eq(chown(folder, 4711, 4711), 0);
	cr_expect_eq(read_profile("p", &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	cr_expect_not_null(strstr(e.msg, "4711"), "%s", e.msg);
}

/* Has a link point to one folder and the other, again and again. */
static volatile int turning;

static void *turn(void *unused)
{
	char link[64], next[64];

	(void)unused;
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(next, sizeof(next), "%s/next", folder);
	for (int i = 0; turning; i++) {
		cr_assert_eq(symlink(i % 2 == 0 ? "a" : "b", next), 0);
		cr_assert_eq(rename(next, link), 0);
	}
	return NULL;
}

static void make_two_folders(void)
{
	char path[64];

	make_folder();
	for (const char *name = "ab"; *name != '\0'; name++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%c", folder, *name);
		cr_assert_eq(mkdir(path, 0700), 0);
		snprintf(path, sizeof(path), "%s/%c/p", folder, *name);
		file = fopen(path, "w");
		cr_assert_not_null(file);
		fprintf(file, "optional %c\n", *name);
		fclose(file);
	}
	snprintf(path, sizeof(path), "%s/link", folder);
	cr_assert_eq(symlink("a", path), 0);
}

static void remove_two_folders(void)
{
	static const char *const names[] = {"a/p", "b/p", "link", "next", "a", "b"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	rmdir(folder);
}

Test(profile, names_the_folder_that_it_was_read_from, .init = make_two_folders,
	.fini = remove_two_folders)
{
	pthread_t thread;
	char link[64];

	snprintf(link, sizeof(link), "%s/link", folder);
	turning = 1;
	cr_assert_eq(pthread_create(&thread, NULL, turn, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		auto_profile struct kt_profile *profile = NULL;
		auto_free char *dir = NULL;
		struct kt_error e = {0};

		cr_assert_eq(kt_profile_read(link, "p", &profile, &dir, &e), 0, "%s", e.msg);
		cr_assert_str_eq(strrchr(dir, '/') + 1, profile->rules[0].module);
	}
	turning = 0;
	pthread_join(thread, NULL);
}

Test(profile, that_is_too_long_is_refused, .init = make_folder, .fini = remove_folder)
{
	struct kt_error e = {0};
	char path[64];

	write_profile(0644);
	snprintf(path, sizeof(path), "%s/p", folder);
	cr_assert_eq(truncate(path, KT_PROFILE_MAX_BYTES + 1), 0);
	cr_expect_eq(read_profile("p", &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE, "%s", e.msg);
}

Test(profile, must_be_a_regular_file, .init = make_folder, .fini = remove_folder)
{
	struct kt_error e = {0};
	char path[64];

	snprintf(path, sizeof(path), "%s/q", folder);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(read_profile("q", &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED, "%s", e.msg);
}

Test(profile, of_a_missing_folder_is_a_usage_error)
{
	struct kt_profile *profile = NULL;
	char *dir = NULL;
	struct kt_error e;

	cr_expect_eq(kt_profile_read("/nonexistent", "p", &profile, &dir, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
}
