/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines from tables, over getopt_long(3), and their help. Values are stored, not judged:
 * what a text means is the caller's business.
 */
#include "lib/opt.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "lib/auto.h"

#define HELP_WIDTH 79
#define HELP_COLUMN_MAX 30 /* explanations start no farther right */
#define VALUE_OFFSET 256   /* getopt_long values of the table, above any letter */
#define VALUE_VERSION 255

static const struct kt_opt help_opt = {.name = "help", .letter = 'h', .help = "print this help"};
static const struct kt_opt version_opt = {.name = "version", .help = "print the version"};

static size_t count_opts(const struct kt_command *command)
{
	size_t count = 0;

	while (command->opts != NULL && command->opts[count].name != NULL)
		count++;
	return count;
}

/* "PROGRAM" or "PROGRAM VERB": print with "%s%s%s". */
#define TITLE(c) (c)->program, (c)->verb != NULL ? " " : "", (c)->verb != NULL ? (c)->verb : ""

static int hint_help(const struct kt_command *command, struct kt_error *e)
{
	return kt_hint(e, "try '%s%s%s --help'", TITLE(command));
}

/* What getopt_long wants: both arrays are owned by the caller. */
static int build_tables(const struct kt_command *command, struct option **ret_longs,
	char **ret_letters, struct kt_error *e)
{
	size_t count = count_opts(command);
	auto_free struct option *longs = calloc(count + 3, sizeof(*longs));
	auto_free char *letters = calloc(1, 2 * count + 3);
	char *end = letters;

	if (longs == NULL || letters == NULL)
		return kt_fail_memory(e);
	*end++ = ':'; /* tell a missing value from an unknown option */
	*end++ = help_opt.letter;
	for (size_t i = 0; i < count; i++) {
		const struct kt_opt *opt = &command->opts[i];
		bool takes_value = opt->kind != KT_OPT_FLAG;

		assert(opt->letter != help_opt.letter && (opt->argument != NULL) == takes_value);
		longs[i].name = opt->name;
		longs[i].has_arg = takes_value ? required_argument : no_argument;
		longs[i].val = VALUE_OFFSET + (int)i;
		if (opt->letter == 0)
			continue;
		*end++ = opt->letter;
		if (takes_value)
			*end++ = ':';
	}
	longs[count] = (struct option){help_opt.name, no_argument, NULL, help_opt.letter};
	longs[count + 1] = (struct option){version_opt.name, no_argument, NULL, VALUE_VERSION};
	*ret_longs = kt_take(longs);
	*ret_letters = kt_take(letters);
	return 0;
}

/* The option that getopt_long names by its value or letter, or NULL. */
static const struct kt_opt *find_opt(const struct kt_command *command, int value)
{
	size_t count = count_opts(command);

	if (value >= VALUE_OFFSET)
		return &command->opts[value - VALUE_OFFSET];
	for (size_t i = 0; i < count; i++)
		if (value != 0 && command->opts[i].letter == value)
			return &command->opts[i];
	if (value == help_opt.letter)
		return &help_opt;
	return value == VALUE_VERSION ? &version_opt : NULL;
}

/* Says what getopt_long did not like. Of an unknown "--word=value" only the word is repeated: the
 * value may be what should not have been typed. */
static int fail_option(
	const struct kt_command *command, int result, const char *word, struct kt_error *e)
{
	const struct kt_opt *opt = find_opt(command, optopt);

	if (result == ':' && opt != NULL && opt->argument != NULL)
		kt_fail(e, KT_E_USAGE, "option --%s needs a value: %s", opt->name, opt->argument);
	else if (opt != NULL)
		kt_fail(e, KT_E_USAGE, "option --%s takes no value", opt->name);
	else if (optopt != 0)
		kt_fail(e, KT_E_USAGE, "unknown option -%c", optopt);
	else
		kt_fail(e, KT_E_USAGE, "unknown or ambiguous option %.*s", (int)strcspn(word, "="),
			word);
	return hint_help(command, e);
}

static int store(const struct kt_opt *opt, const char *value, void *target, struct kt_error *e)
{
	void *place = (char *)target + opt->offset;
	const char **text = place;
	struct kt_opt_list *list = place;

	switch (opt->kind) {
	case KT_OPT_FLAG:
		*(bool *)place = true;
		break;
	case KT_OPT_TEXT:
		if (*text != NULL)
			return kt_fail(e, KT_E_USAGE, "option --%s is given twice", opt->name);
		*text = value;
		break;
	case KT_OPT_LIST:
		if (list->count == KT_OPT_LIST_MAX)
			return kt_fail(e, KT_E_USAGE, "option --%s is given more than %d times",
				opt->name, KT_OPT_LIST_MAX);
		list->values[list->count++] = value;
		break;
	}
	return 0;
}

static int check_count(
	const struct kt_command *command, int count, char *const args[], struct kt_error *e)
{
	if (command->max_args >= 0 && count > command->max_args)
		kt_fail(e, KT_E_USAGE, "unexpected argument '%s'", args[command->max_args]);
	else if (count < command->min_args)
		kt_fail(e, KT_E_USAGE, "missing argument");
	else
		return 0;
	if (command->arguments != NULL && command->arguments[0] != '\0')
		kt_hint(e, "expected: %s", command->arguments);
	return hint_help(command, e);
}

static int print_and_flush(const struct kt_command *command, int value, struct kt_error *e)
{
	if (value == VALUE_VERSION)
		printf("%s %s\n", command->program, KT_VERSION);
	else
		kt_opt_help(command);
	if (fflush(stdout) != 0 || ferror(stdout))
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot write stdout");
	return 0;
}

int kt_opt_parse(const struct kt_command *command, int argc, char *argv[], void *target,
	int *ret_first, bool *ret_done, struct kt_error *e)
{
	auto_free struct option *longs = NULL;
	auto_free char *letters = NULL;
	int value;

	if (build_tables(command, &longs, &letters, e) != 0)
		return -1;
	opterr = 0;
	optind = 0; /* glibc: start anew, also after a program's own options */
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return fail_option(command, value, argv[optind - 1], e);
		if (value == help_opt.letter || value == VALUE_VERSION) {
			if (print_and_flush(command, value, e) != 0)
				return -1;
			*ret_first = optind;
			*ret_done = true;
			return 0;
		}
		if (store(find_opt(command, value), optarg, target, e) != 0)
			return hint_help(command, e);
	}
	if (check_count(command, argc - optind, argv + optind, e) != 0)
		return -1;
	*ret_first = optind;
	*ret_done = false;
	return 0;
}

/* Width of "--name ARGUMENT" behind the column of letters. */
static size_t opt_width(const struct kt_opt *opt)
{
	return 2 + strlen(opt->name) + (opt->argument != NULL ? 1 + strlen(opt->argument) : 0);
}

/* Prints words from column `column` on, and breaks lines before HELP_WIDTH. */
static void print_wrapped(const char *text, size_t column)
{
	size_t at = column;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (at > column && at + 1 + word > HELP_WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)word, text);
		at += word;
		text += word + strspn(text + word, " ");
	}
	putchar('\n');
}

/* "  -o, --output FILE   what it is", with the explanation at `column`. */
static void print_opt(const struct kt_opt *opt, size_t column)
{
	size_t used = 6 + opt_width(opt);

	if (opt->letter != 0)
		printf("  -%c, ", opt->letter);
	else
		printf("      ");
	printf("--%s%s%s", opt->name, opt->argument != NULL ? " " : "",
		opt->argument != NULL ? opt->argument : "");
	if (used + 2 > column) {
		putchar('\n');
		used = 0;
	}
	printf("%*s", (int)(column - used), "");
	print_wrapped(opt->help, column);
}

static void print_summary(const char *summary)
{
	size_t len = strlen(summary);

	putchar('\n');
	print_wrapped(summary, 0);
	if (len > 0)
		putchar('\n');
}

void kt_opt_help(const struct kt_command *command)
{
	bool has_arguments = command->arguments != NULL && command->arguments[0] != '\0';
	size_t count = count_opts(command);
	size_t column = 6 + opt_width(&version_opt) + 3;

	for (size_t i = 0; i < count; i++) {
		size_t wanted = 6 + opt_width(&command->opts[i]) + 3;

		if (wanted > column && wanted <= HELP_COLUMN_MAX)
			column = wanted;
	}
	printf("usage: %s%s%s [OPTION]...%s%s\n", TITLE(command), has_arguments ? " " : "",
		has_arguments ? command->arguments : "");
	print_summary(command->summary);
	for (size_t i = 0; i < count; i++)
		print_opt(&command->opts[i], column);
	print_opt(&help_opt, column);
	print_opt(&version_opt, column);
}

void kt_opt_help_verbs(
	const char *program, const char *summary, const struct kt_command *commands, size_t count)
{
	size_t column = 0;

	for (size_t i = 0; i < count; i++)
		if (strlen(commands[i].verb) + 5 > column)
			column = strlen(commands[i].verb) + 5;
	printf("usage: %s VERB [OPTION]... [ARGUMENT]...\n", program);
	print_summary(summary);
	for (size_t i = 0; i < count; i++) {
		printf("  %-*s", (int)column - 2, commands[i].verb);
		print_wrapped(commands[i].summary, column);
	}
	printf("\n'%s VERB --help' explains a verb, '%s --version' prints the version.\n", program,
		program);
}
