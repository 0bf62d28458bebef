/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/harden.h"
#include "lib/log.h"

/* Borrowed. */
struct program {
	const char *name, *summary;
	const struct kt_verb *const *verbs;
	size_t count;
};

static int print_help(const struct program *program, struct kt_error *e)
{
	auto_free struct kt_command *commands = calloc(program->count, sizeof(*commands));

	if (commands == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < program->count; i++)
		commands[i] = program->verbs[i]->command;
	kt_opt_help_verbs(program->name, program->summary, commands, program->count);
	return 0;
}

static int run(const struct program *program, int argc, char *argv[], struct kt_error *e)
{
	if (argc < 2)
		return kt_fail(e, KT_E_USAGE, "no verb given; try '%s --help'", program->name);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0)
		return print_help(program, e);
	if (strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", program->name, KT_VERSION);
		return 0;
	}
	for (size_t i = 0; i < program->count; i++)
		if (strcmp(argv[1], program->verbs[i]->command.verb) == 0)
			return program->verbs[i]->run(argc - 1, argv + 1, e);
	if (argv[1][0] == '-')
		return kt_fail(e, KT_E_USAGE, "options come after the verb; try '%s --help'",
			program->name);
	return kt_fail(e, KT_E_USAGE, "unknown verb '%s'; try '%s --help'", argv[1], program->name);
}

int kt_verb_main(const char *program, const char *summary, const struct kt_verb *const *verbs,
	size_t count, int argc, char *argv[])
{
	const struct program self = {program, summary, verbs, count};
	struct kt_error e;

	kt_log_init(program, false);
	if (kt_harden(&e) < 0 || run(&self, argc, argv, &e) < 0)
		return kt_report(&e);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		kt_fail_errno(&e, KT_E_INTERNAL, "cannot write standard output");
		return kt_report(&e);
	}
	return KT_E_NONE;
}
