/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack. As in Linux-PAM (_pam_dispatch_aux), an impression forms: undecided, then good or bad,
 * and bad stays. `pass` is PAM_IGNORE. Unlike PAM, a good end without a credential is no success: a
 * profile whose gate opened but whose only source failed must say why the source failed.
 */
#include "exec-plugin/stack.h"

#include <string.h>

#include "lib/loader.h"
#include "lib/log.h"

void kt_verdict_add(struct kt_verdict *verdict, enum kt_control control, enum kt_result result)
{
	if (result == KT_PASS || verdict->done)
		return;
	if (result == KT_OK) {
		if (verdict->impression == KT_UNDECIDED)
			verdict->impression = KT_GOOD;
		verdict->done = control == KT_CONTROL_SUFFICIENT && verdict->impression == KT_GOOD;
		return;
	}
	if (control == KT_CONTROL_REQUIRED || control == KT_CONTROL_REQUISITE)
		verdict->impression = KT_BAD;
	verdict->done = control == KT_CONTROL_REQUISITE;
}

static const struct kt_param *find_param(const struct kt_module *module, const char *argument)
{
	for (const struct kt_param *p = module->params; p != NULL && p->key != NULL; p++) {
		size_t len = strlen(p->key);

		if (strncmp(argument, p->key, len) == 0 && argument[len] == '=')
			return p;
	}
	return NULL;
}

static int copy_argument(const struct kt_param *param, const char *argument, const char *dir,
	char **ret_copy, struct kt_error *e)
{
	const char *value = argument + strlen(param->key) + 1;
	char *copy = NULL;

	if ((param->flags & KT_PARAM_FILE) == 0 || *value == '/')
		copy = strdup(argument);
	else if (asprintf(&copy, "%s=%s/%s", param->key, dir, value) < 0)
		copy = NULL;
	if (copy == NULL)
		return kt_fail_memory(e);
	*ret_copy = copy;
	return 0;
}

static int check_required(const struct kt_layer *layer, struct kt_error *e)
{
	for (const struct kt_param *p = layer->module.params; p != NULL && p->key != NULL; p++) {
		bool found = (p->flags & KT_PARAM_REQUIRED) == 0;

		for (int i = 0; !found && i < layer->argc; i++)
			found = find_param(&layer->module, layer->argv[i]) == p;
		if (!found)
			return kt_fail(e, KT_E_USAGE, "%s needs %s=", layer->module.name, p->key);
	}
	return 0;
}

int kt_layer_set_arguments(struct kt_layer *layer, const struct kt_rule *rule,
	const char *profile_dir, struct kt_error *e)
{
	for (int i = 0; i < rule->argc; i++) {
		const struct kt_param *param = find_param(&layer->module, rule->argv[i]);

		if (param == NULL)
			return kt_fail(e, KT_E_USAGE, "%s has no argument \"%.*s\"",
				layer->module.name, (int)strcspn(rule->argv[i], "="),
				rule->argv[i]);
		if (copy_argument(param, rule->argv[i], profile_dir, &layer->argv[i], e) < 0)
			return -1;
		layer->argc++;
	}
	return check_required(layer, e);
}

static int load_layer(struct kt_layer *layer, const struct kt_rule *rule, const char *profile_dir,
	const char *module_dir, struct kt_error *e)
{
	layer->control = rule->control;
	layer->line = rule->line;
	if (kt_module_load(module_dir, rule->module, &layer->module, e) < 0)
		return -1;
	if (layer->module.credential == NULL)
		return kt_fail(e, KT_E_USAGE, "module %s gives no credentials", rule->module);
	return kt_layer_set_arguments(layer, rule, profile_dir, e);
}

int kt_stack_load(const struct kt_profile *profile, const char *path, const char *profile_dir,
	const char *module_dir, struct kt_stack **ret_stack, struct kt_error *e)
{
	auto_stack struct kt_stack *stack = calloc(1, sizeof(*stack));

	if (stack == NULL)
		return kt_fail_memory(e);
	stack->path = path;
	for (size_t i = 0; i < profile->count; i++) {
		const struct kt_rule *rule = &profile->rules[i];

		stack->count++;
		if (load_layer(&stack->layers[i], rule, profile_dir, module_dir, e) < 0)
			return kt_wrap(e, "%s:%u", path, rule->line);
	}
	*ret_stack = kt_take(stack);
	return 0;
}

void kt_stack_free(struct kt_stack *stack)
{
	if (stack == NULL)
		return;
	for (size_t i = 0; i < stack->count; i++) {
		struct kt_layer *layer = &stack->layers[i];

		if (layer->is_open)
			kt_exec_host_close(&layer->module, layer->state);
		for (int a = 0; a < KT_RULE_ARGS_MAX; a++)
			free(layer->argv[a]);
	}
	free(stack);
}

static const char *result_name(enum kt_result result)
{
	switch (result) {
	case KT_OK:
		return "ok";
	case KT_PASS:
		return "pass";
	case KT_DENIED:
		return "denied";
	case KT_UNAVAIL:
		return "unavailable";
	default:
		return "error";
	}
}

/* Keeps the failure that decides: of a required module the first, or else the first of all, with
 * the others behind it. And, for when none of them does, the errors: mistakes of a profile or a
 * file that a source further down must not hide. */
struct failures {
	bool decided;
	bool matters; /* not only of optional modules */
	struct kt_error error;
	struct kt_error mistakes;
};

/* The first one as it is, the next ones behind it. */
static void gather(struct kt_error *into, const struct kt_error *reason)
{
	if (into->code == KT_E_NONE)
		*into = *reason;
	else
		kt_hint(into, "%s", reason->msg);
}

static void note_failure(struct failures *failures, enum kt_control control, enum kt_result result,
	const struct kt_error *reason)
{
	bool decides = control == KT_CONTROL_REQUIRED || control == KT_CONTROL_REQUISITE;

	if (result == KT_ERROR)
		gather(&failures->mistakes, reason);
	if (control != KT_CONTROL_OPTIONAL)
		failures->matters = true;
	if (failures->decided)
		return;
	if (decides)
		failures->error = *reason;
	else
		gather(&failures->error, reason);
	failures->decided = decides;
}

static int conclude(const struct kt_verdict *verdict, const struct kt_exec_host *host,
	const struct failures *failures, struct kt_error *e)
{
	bool is_image = kt_exec_host_is_image(host);

	if (verdict->impression == KT_GOOD && kt_exec_host_has_answer(host)) {
		if (failures->mistakes.code != KT_E_NONE)
			kt_warn("%s", failures->mistakes.msg);
		return 0;
	}
	if (verdict->impression != KT_BAD && is_image && !failures->matters) {
		if (failures->error.code != KT_E_NONE)
			kt_warn("%s", failures->error.msg);
		return 0;
	}
	if (failures->error.code == KT_E_NONE)
		return kt_fail(e, KT_E_USAGE, "no module has a credential for this request");
	*e = failures->error;
	return -1;
}

static void lend_arguments(const struct kt_layer *layer, const char *ret_argv[KT_RULE_ARGS_MAX])
{
	for (int a = 0; a < layer->argc; a++)
		ret_argv[a] = layer->argv[a];
}

int kt_stack_open(struct kt_stack *stack, struct kt_exec_host *host, struct kt_error *e)
{
	for (size_t i = 0; i < stack->count; i++) {
		struct kt_layer *layer = &stack->layers[i];
		const char *argv[KT_RULE_ARGS_MAX];

		lend_arguments(layer, argv);
		layer->opened = kt_exec_host_open(
			host, &layer->module, layer->argc, argv, &layer->state, &layer->reason);
		layer->is_open = true;
		if (layer->opened != KT_ERROR || layer->reason.code != KT_E_USAGE)
			continue;
		*e = layer->reason;
		return kt_wrap(e, "%s:%u", stack->path, layer->line);
	}
	return 0;
}

static enum kt_result ask(
	struct kt_exec_host *host, const struct kt_layer *layer, struct kt_error *ret_reason)
{
	if (layer->opened == KT_OK)
		return kt_exec_host_call(host, &layer->module, layer->state, ret_reason);
	*ret_reason = layer->reason;
	return layer->opened;
}

int kt_stack_run(const struct kt_stack *stack, struct kt_exec_host *host, struct kt_error *e)
{
	struct kt_verdict verdict = {0};
	struct failures failures = {0};

	for (size_t i = 0; i < stack->count && !verdict.done; i++) {
		const struct kt_layer *layer = &stack->layers[i];
		struct kt_error reason = {0};
		enum kt_result result = ask(host, layer, &reason);

		kt_debug("%s: %s", layer->module.name, result_name(result));
		if (result != KT_OK && result != KT_PASS) {
			kt_debug("%s", reason.msg);
			note_failure(&failures, layer->control, result, &reason);
		}
		kt_verdict_add(&verdict, layer->control, result);
	}
	return conclude(&verdict, host, &failures, e);
}
