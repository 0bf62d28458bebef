/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the modules of a profile one after the other, with the meaning that pam.conf(5) gives to
 * required, requisite, sufficient and optional. The truth table is in exec-plugin(1).
 */
#ifndef KT_EXEC_PLUGIN_STACK_H
#define KT_EXEC_PLUGIN_STACK_H

#include <stdbool.h>

#include "exec-plugin/host.h"
#include "exec-plugin/profile.h"
#include "lib/error.h"

/* What the rules so far add up to. Zero-initialise. */
struct kt_verdict {
	enum { KT_UNDECIDED = 0, KT_GOOD, KT_BAD } impression;
	bool done; /* no further module is asked */
};

/* One module has answered. Pure. */
void kt_verdict_add(struct kt_verdict *verdict, enum kt_control control, enum kt_result result);

/* A rule with its module, ready to be called. */
struct kt_layer {
	enum kt_control control;
	unsigned line; /* of the profile */
	struct kt_module module;
	int argc;
	char *argv[KT_RULE_ARGS_MAX]; /* owned */
	bool is_open;		      /* open() was called; its outcome follows */
	void *state;
	enum kt_result opened;
	struct kt_error reason; /* unless `opened` is KT_OK or KT_PASS */
};

struct kt_stack {
	const char *path; /* of the profile, for messages; borrowed */
	size_t count;
	struct kt_layer layers[KT_PROFILE_RULES_MAX];
};

/*
 * Loads the modules of all rules and checks their arguments, before any of them runs: a profile
 * with a mistake is refused as a whole. `profile_dir` is absolute; `path` names the profile in
 * messages, and must live as long. Owned by the caller. KT_E_USAGE, KT_E_REFUSED.
 */
KT_CHECKED int kt_stack_load(const struct kt_profile *profile, const char *path,
	const char *profile_dir, const char *module_dir, struct kt_stack **ret_stack,
	struct kt_error *e);
/* NULL is fine. */
void kt_stack_free(struct kt_stack *stack);
KT_AUTO(stack, struct kt_stack *, kt_stack_free)
#define auto_stack __attribute__((cleanup(kt_auto_stack)))

/* One rule's arguments against what its module takes. Pure, but for the paths' folder. */
KT_CHECKED int kt_layer_set_arguments(struct kt_layer *layer, const struct kt_rule *rule,
	const char *profile_dir, struct kt_error *e);

/* Opens the modules of all rules, once. One that calls its arguments wrong (KT_ERROR with
 * KT_E_USAGE) refuses the profile before any is asked: KT_E_USAGE with "path:line: ". What else may
 * fail counts when it is the module's turn. */
KT_CHECKED int kt_stack_open(struct kt_stack *stack, struct kt_exec_host *host, struct kt_error *e);

/* Asks the open modules; 0 if the host now has an answer, or if an image is nobody's: then no
 * module failed but optional ones. Otherwise the reason and code of the module that decided. Errors
 * that are passed over are told as a warning. */
KT_CHECKED int kt_stack_run(
	const struct kt_stack *stack, struct kt_exec_host *host, struct kt_error *e);

#endif
