/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: parsing, complaints, and the help that the lint compares with the man pages. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/auto.h"
#include "lib/opt.h"

struct options {
	bool force;
	const char *output;
	struct kt_opt_list recipients;
};

static const struct kt_opt opts[] = {
	{"force", 'f', NULL, "do it all the same", KT_OPT_FLAG, offsetof(struct options, force)},
	{"output", 'o', "FILE", "write there rather than to stdout, in one piece", KT_OPT_TEXT,
		offsetof(struct options, output)},
	{"for", 0, "KEY.pub", "one more recipient", KT_OPT_LIST,
		offsetof(struct options, recipients)},
	{0},
};

static const struct kt_command command = {
	.program = "sealtool",
	.verb = "seal",
	.arguments = "FILE [FILE]",
	.summary = "Seals a secret.",
	.opts = opts,
	.min_args = 1,
	.max_args = 2,
};

static const struct kt_command bare = {.program = "doctor", .summary = "Looks."};

#define ARGV_MAX 24

struct outcome {
	int rc, first, argc;
	bool done;
	char *argv[ARGV_MAX];
	struct options options;
	struct kt_error e;
};

/* Parses a NULL-terminated list of words behind argv[0]. */
static struct outcome parse(const struct kt_command *c, const char *const words[])
{
	struct outcome o = {.argc = 1, .argv = {strdup("seal")}};

	while (words[o.argc - 1] != NULL && o.argc < ARGV_MAX - 1) {
		o.argv[o.argc] = strdup(words[o.argc - 1]);
		o.argc++;
	}
	o.rc = kt_opt_parse(c, o.argc, o.argv, &o.options, &o.first, &o.done, &o.e);
	return o;
}

static void release(struct outcome *o)
{
	for (int i = 0; i < o->argc; i++)
		free(o->argv[i]);
}

#define PARSE(...) parse(&command, (const char *const[]){__VA_ARGS__, NULL})
#define auto_outcome __attribute__((cleanup(release))) struct outcome

/* What `print` writes to stdout; owned by the caller. */
static char *stdout_of(void (*print)(void))
{
	auto_file FILE *file = tmpfile();
	char *text = calloc(1, 8192);
	int saved;

	cr_assert_not_null(file);
	cr_assert_not_null(text);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	cr_assert_geq(dup2(fileno(file), STDOUT_FILENO), 0);
	print();
	fflush(stdout);
	cr_assert_geq(dup2(saved, STDOUT_FILENO), 0);
	close(saved);
	rewind(file);
	text[fread(text, 1, 8191, file)] = '\0';
	return text;
}

Test(opt, stores_flags_texts_and_lists_in_order)
{
	auto_outcome o =
		PARSE("-f", "--output=x", "--for", "a.pub", "--for=b.pub", "in.sealed", "second");

	cr_assert_eq(o.rc, 0, "%s", o.e.msg);
	cr_assert_not(o.done);
	cr_assert(o.options.force);
	cr_assert_str_eq(o.options.output, "x");
	cr_assert_eq(o.options.recipients.count, 2);
	cr_assert_str_eq(o.options.recipients.values[0], "a.pub");
	cr_assert_str_eq(o.options.recipients.values[1], "b.pub");
	cr_assert_eq(o.argc - o.first, 2);
	cr_assert_str_eq(o.argv[o.first], "in.sealed");
}

Test(opt, options_may_follow_arguments_until_two_dashes)
{
	auto_outcome o = PARSE("one", "-ofile", "--", "--force");

	cr_assert_eq(o.rc, 0, "%s", o.e.msg);
	cr_assert_str_eq(o.options.output, "file");
	cr_assert_not(o.options.force);
	cr_assert_eq(o.argc - o.first, 2);
	cr_assert_str_eq(o.argv[o.first], "one");
	cr_assert_str_eq(o.argv[o.first + 1], "--force");
}

Test(opt, absent_options_stay_as_they_were_and_parsing_starts_anew_each_time)
{
	for (int i = 0; i < 2; i++) {
		auto_outcome o = PARSE("one");

		cr_assert_eq(o.rc, 0);
		cr_assert_eq(o.first, 1);
		cr_assert_not(o.options.force);
		cr_assert_null(o.options.output);
		cr_assert_eq(o.options.recipients.count, 0);
	}
}

Test(opt, complains_about_what_was_typed_and_points_to_the_help)
{
	static const struct {
		const char *words[4];
		const char *message;
	} cases[] = {
		{{"--bogus", "x"}, "unknown or ambiguous option --bogus"},
		{{"--pin=1234", "x"}, "unknown or ambiguous option --pin"},
		{{"--fo", "x"}, "unknown or ambiguous option --fo"},
		{{"-z", "x"}, "unknown option -z"},
		{{"-fz", "x"}, "unknown option -z"},
		{{"x", "--output"}, "option --output needs a value: FILE"},
		{{"x", "-o"}, "option --output needs a value: FILE"},
		{{"--force=yes", "x"}, "option --force takes no value"},
		{{"--help=yes", "x"}, "option --help takes no value"},
		{{"--version=1", "x"}, "option --version takes no value"},
		{{"-oa", "-ob", "x"}, "option --output is given twice"},
		{{"-oa"}, "missing argument; expected: FILE [FILE]"},
		{{"a", "b", "c"}, "unexpected argument 'c'; expected: FILE [FILE]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_outcome o = parse(&command, cases[i].words);
		char expected[256];

		snprintf(expected, sizeof(expected), "%s; try 'sealtool seal --help'",
			cases[i].message);
		cr_expect_eq(o.rc, -1);
		cr_expect_eq(o.e.code, KT_E_USAGE);
		cr_expect_str_eq(o.e.msg, expected);
	}
}

Test(opt, a_list_is_bounded)
{
	const char *words[KT_OPT_LIST_MAX + 3] = {"x"};

	for (int i = 1; i <= KT_OPT_LIST_MAX; i++)
		words[i] = "--for=k";
	{
		auto_outcome o = parse(&command, words);

		cr_assert_eq(o.rc, 0, "%s", o.e.msg);
		cr_assert_eq(o.options.recipients.count, KT_OPT_LIST_MAX);
	}
	words[KT_OPT_LIST_MAX + 1] = "--for=k";
	{
		auto_outcome o = parse(&command, words);

		cr_assert_eq(o.rc, -1);
		cr_assert_eq(o.e.code, KT_E_USAGE);
		cr_assert_not_null(strstr(o.e.msg, "--for is given more than 16 times"));
	}
}

Test(opt, a_program_without_options_or_arguments_refuses_both)
{
	auto_outcome one = parse(&bare, (const char *const[]){"x", NULL});
	auto_outcome two = parse(&bare, (const char *const[]){"-x", NULL});
	auto_outcome none = parse(&bare, (const char *const[]){NULL});

	cr_assert_str_eq(one.e.msg, "unexpected argument 'x'; try 'doctor --help'");
	cr_assert_str_eq(two.e.msg, "unknown option -x; try 'doctor --help'");
	cr_assert_eq(none.rc, 0);
}

static void print_help(void)
{
	auto_outcome o = PARSE("--help", "--bogus");

	cr_assert_eq(o.rc, 0, "%s", o.e.msg);
	cr_assert(o.done);
}

Test(opt, help_is_aligned_and_complete)
{
	auto_free char *text = stdout_of(print_help);

	cr_assert_str_eq(text,
		"usage: sealtool seal [OPTION]... FILE [FILE]\n"
		"\n"
		"Seals a secret.\n"
		"\n"
		"  -f, --force         do it all the same\n"
		"  -o, --output FILE   write there rather than to stdout, in one piece\n"
		"      --for KEY.pub   one more recipient\n"
		"  -h, --help          print this help\n"
		"      --version       print the version\n");
}

static void print_wide_help(void)
{
	static const struct kt_opt wide[] = {
		{"endorsement-auth-file", 0, "FILE",
			"the endorsement hierarchy's authorisation value, which some machines' "
			"owners set, and without which no key can be made there",
			KT_OPT_TEXT, 0},
		{0},
	};
	static const struct kt_command wide_command = {.program = "sealtool",
		.verb = "init",
		.summary = "Finds or makes the storage key.",
		.opts = wide};

	kt_opt_help(&wide_command);
}

Test(opt, long_help_is_wrapped_below_80_columns)
{
	auto_free char *text = stdout_of(print_wide_help);

	cr_assert_str_eq(text,
		"usage: sealtool init [OPTION]...\n"
		"\n"
		"Finds or makes the storage key.\n"
		"\n"
		"      --endorsement-auth-file FILE\n"
		"                  the endorsement hierarchy's authorisation value, which some\n"
		"                  machines' owners set, and without which no key can be made\n"
		"                  there\n"
		"  -h, --help      print this help\n"
		"      --version   print the version\n");
}

static void print_version(void)
{
	auto_outcome o = PARSE("--version");

	cr_assert_eq(o.rc, 0);
	cr_assert(o.done);
}

Test(opt, version_names_the_program)
{
	auto_free char *text = stdout_of(print_version);

	cr_assert_str_eq(text, "sealtool " KT_VERSION "\n");
}

static void print_verbs(void)
{
	static const struct kt_command verbs[] = {
		{.program = "sealtool", .verb = "init", .summary = "make the storage key"},
		{.program = "sealtool", .verb = "recipient", .summary = "list, add, remove"},
	};

	kt_opt_help_verbs("sealtool", "Seals secrets to this machine.", verbs, 2);
}

Test(opt, verbs_are_listed)
{
	auto_free char *text = stdout_of(print_verbs);

	cr_assert_str_eq(text, "usage: sealtool VERB [OPTION]... [ARGUMENT]...\n"
			       "\n"
			       "Seals secrets to this machine.\n"
			       "\n"
			       "  init        make the storage key\n"
			       "  recipient   list, add, remove\n"
			       "\n"
			       "'sealtool VERB --help' explains a verb, 'sealtool --version' "
			       "prints the version.\n");
}

static struct outcome on_full_disk;

static void help_on_full_disk(void)
{
	auto_fd int full = open("/dev/full", O_WRONLY);

	cr_assert_geq(dup2(full, STDOUT_FILENO), 0);
	on_full_disk = PARSE("--help");
	clearerr(stdout);
}

Test(opt, help_that_cannot_be_written_is_a_failure)
{
	free(stdout_of(help_on_full_disk));

	cr_assert_eq(on_full_disk.rc, -1);
	cr_assert_eq(on_full_disk.e.code, KT_E_INTERNAL);
	release(&on_full_disk);
}
