/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr-approver: decides on the CertificateSigningRequests of nodes by what their TPMs prove. One
 * file a verb; this one only finds it.
 */
#include <stdio.h>
#include <string.h>

#include "csr-approver/approver.h"
#include "lib/harden.h"
#include "lib/log.h"

static const struct verb *const verbs[] = {&verb_review, &verb_inventory};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(void)
{
	struct kt_command commands[VERB_COUNT];

	for (size_t i = 0; i < VERB_COUNT; i++)
		commands[i] = verbs[i]->command;
	kt_opt_help_verbs(PROGRAM,
		"Decide on nodes' certificate requests by what their TPMs prove.", commands,
		VERB_COUNT);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	if (argc < 2)
		return kt_fail(e, KT_E_USAGE, "no verb given; try '" PROGRAM " --help'");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help();
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf(PROGRAM " %s\n", KT_VERSION);
		return 0;
	}
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(argv[1], verbs[i]->command.verb) == 0)
			return verbs[i]->run(argc - 1, argv + 1, e);
	return kt_fail(e, KT_E_USAGE, "unknown verb '%s'; try '" PROGRAM " --help'", argv[1]);
}

int main(int argc, char *argv[])
{
	struct kt_error e;

	kt_log_init(PROGRAM, false);
	if (kt_harden(&e) < 0 || run(argc, argv, &e) < 0)
		return kt_report(&e);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		kt_fail_errno(&e, KT_E_INTERNAL, "cannot write standard output");
		return kt_report(&e);
	}
	return KT_E_NONE;
}
