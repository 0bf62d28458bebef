/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines from tables. One table drives getopt_long and --help, so that they cannot drift
 * apart; the lint compares the man page and the completion with --help.
 */
#ifndef KT_LIB_OPT_H
#define KT_LIB_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

#define KT_OPT_LIST_MAX 16

/* A repeatable option's values, in order; borrowed from argv. */
struct kt_opt_list {
	size_t count;
	const char *values[KT_OPT_LIST_MAX];
};

enum kt_opt_kind {
	KT_OPT_FLAG = 1, /* bool at offset becomes true */
	KT_OPT_TEXT,	 /* const char * at offset; given twice is an error */
	KT_OPT_LIST,	 /* struct kt_opt_list at offset */
};

/* One option; the table ends with a NULL name. `argument` is the word shown in the help, NULL for a
 * flag. */
struct kt_opt {
	const char *name; /* long name without dashes */
	char letter;	  /* short name or 0 */
	const char *argument;
	const char *help;
	enum kt_opt_kind kind;
	size_t offset; /* in the caller's structure */
};

/* A verb of a program, or the program itself (then `verb` is NULL). */
struct kt_command {
	const char *program;
	const char *verb;
	const char *arguments; /* synopsis of what follows the options, e.g. "FILE" */
	const char *summary;   /* one line */
	const struct kt_opt *opts;
	int min_args, max_args; /* of what follows the options; max_args -1: any number */
};

/* Parses argv (argv[0] is the program or verb) into `target`, which starts zeroed. Options may
 * stand after arguments; "--" ends them. *ret_first is the index of the first argument in the
 * permuted argv. Every command also knows -h, --help and --version, which print to stdout and set
 * *ret_done: the caller exits 0. KT_E_USAGE with a hint to --help, KT_E_INTERNAL if stdout cannot
 * be written. */
KT_CHECKED int kt_opt_parse(const struct kt_command *command, int argc, char *argv[], void *target,
	int *ret_first, bool *ret_done, struct kt_error *e);

/* Prints the help of `command` on stdout. */
void kt_opt_help(const struct kt_command *command);

/* Prints the help of a program whose `commands` are its verbs: one line a verb. */
void kt_opt_help_verbs(
	const char *program, const char *summary, const struct kt_command *commands, size_t count);

#endif
