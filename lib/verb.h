/* SPDX-License-Identifier: Apache-2.0 */
/* Programs with verbs, such as 'sealtool seal': one file a verb, and a main() that only finds it.
 */
#ifndef KT_LIB_VERB_H
#define KT_LIB_VERB_H

#include "lib/opt.h"

struct kt_verb {
	struct kt_command command;
	/* argv[0] is the verb. */
	int (*run)(int argc, char *argv[], struct kt_error *e);
};

/* All of main(): hardens the process, finds the verb, runs it, flushes standard output. Knows
 * --help, -h, help and --version too. Returns the exit status. */
int kt_verb_main(const char *program, const char *summary, const struct kt_verb *const *verbs,
	size_t count, int argc, char *argv[]);

#endif
