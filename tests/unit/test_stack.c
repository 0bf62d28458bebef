/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack: every stack of one to three modules against the words of pam.conf(5), then which
 * failure is told, and how arguments are judged.
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "exec-plugin/stack.h"

#define CONTROLS 4
#define RESULTS 5
#define CELLS (CONTROLS * RESULTS)
#define NOW 1893456000

struct cell {
	enum kt_control control;
	enum kt_result result;
};

static struct cell cell(unsigned number)
{
	return (struct cell){(enum kt_control)(KT_CONTROL_REQUIRED + number % CONTROLS),
		(enum kt_result)(number / CONTROLS % RESULTS)};
}

static bool must(struct cell c)
{
	return c.control == KT_CONTROL_REQUIRED || c.control == KT_CONTROL_REQUISITE;
}

static bool fails(struct cell c)
{
	return c.result != KT_OK && c.result != KT_PASS;
}

/* Said once more, in other words. How many are asked: up to and with the first that ends it. */
static size_t expected_asked(const struct cell *cells, size_t count)
{
	bool spoilt = false;

	for (size_t i = 0; i < count; i++) {
		if (cells[i].control == KT_CONTROL_REQUISITE && fails(cells[i]))
			return i + 1;
		if (cells[i].control == KT_CONTROL_SUFFICIENT && cells[i].result == KT_OK &&
			!spoilt)
			return i + 1;
		spoilt = spoilt || (must(cells[i]) && fails(cells[i]));
	}
	return count;
}

/* Good: something said ok, and nothing that must be ok failed. */
static bool expected_good(const struct cell *cells, size_t asked)
{
	bool any = false;

	for (size_t i = 0; i < asked; i++) {
		if (must(cells[i]) && fails(cells[i]))
			return false;
		any = any || cells[i].result == KT_OK;
	}
	return any;
}

static void check_stack(const struct cell *cells, size_t count)
{
	struct kt_verdict verdict = {0};
	size_t asked = 0;

	while (asked < count && !verdict.done) {
		kt_verdict_add(&verdict, cells[asked].control, cells[asked].result);
		asked++;
	}
	cr_assert_eq(asked, expected_asked(cells, count), "%d/%d %d/%d %d/%d: asked %zu",
		cells[0].control, cells[0].result, cells[1].control, cells[1].result,
		cells[2].control, cells[2].result, asked);
	cr_assert_eq(verdict.impression == KT_GOOD, expected_good(cells, asked),
		"%d/%d %d/%d %d/%d: impression %d", cells[0].control, cells[0].result,
		cells[1].control, cells[1].result, cells[2].control, cells[2].result,
		verdict.impression);
}

Test(stack, follows_the_truth_table_for_one_to_three_modules)
{
	for (unsigned a = 0; a < CELLS; a++)
		for (unsigned b = 0; b < CELLS; b++)
			for (unsigned c = 0; c < CELLS; c++) {
				const struct cell cells[] = {cell(a), cell(b), cell(c)};

				for (size_t count = 1; count <= 3; count++)
					check_stack(cells, count);
			}
}

Test(stack, asks_nobody_once_it_is_done)
{
	struct kt_verdict verdict = {0};

	kt_verdict_add(&verdict, KT_CONTROL_SUFFICIENT, KT_OK);
	cr_assert(verdict.done);
	kt_verdict_add(&verdict, KT_CONTROL_REQUISITE, KT_DENIED);
	cr_expect_eq(verdict.impression, KT_GOOD);
}

static size_t opened, asked, closed;

/* A module whose answer is in its arguments: argv[0] is the result, argv[1] a token, argv[2] a code
 * and a reason. "o4" is the result of opening it. */
static enum kt_result open_told(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	const char **copy = calloc((size_t)argc, sizeof(*copy));

	cr_assert_eq(asked, 0, "all are opened before one is asked");
	opened++;
	*ret_state = copy;
	for (int i = 0; i < argc; i++)
		copy[i] = argv[i];
	if (argv[0][0] != 'o')
		return KT_OK;
	host->fail(host->ctx, (enum kt_code)(argv[2][0] - '0'), "%s", argv[2] + 1);
	return (enum kt_result)(argv[0][1] - '0');
}

static void close_told(void *state)
{
	closed++;
	free(state);
}

static enum kt_result answer_told(
	void *state, const struct kt_host *host, struct kt_credential *out)
{
	const char *const *argv = state;
	enum kt_result result = (enum kt_result)(argv[0][0] - '0');

	asked++;
	if (argv[1][0] != '\0') {
		out->token = host->secret_new(host->ctx, 64);
		cr_assert_eq(
			host->secret_append(host->ctx, out->token, argv[1], strlen(argv[1])), 0);
	}
	if (argv[2][0] != '\0')
		host->fail(host->ctx, (enum kt_code)(argv[2][0] - '0'), "%s", argv[2] + 1);
	return result;
}

/* "control result token code+reason", one rule an element; the module's name is its number. */
struct told {
	enum kt_control control;
	const char *result, *token, *reason;
};

static int run_told(
	const struct told *rules, size_t count, struct kt_exec_host *host, struct kt_error *e)
{
	static const char *const names[] = {"one", "two", "three"};
	struct kt_stack *stack = calloc(1, sizeof(*stack));
	int result;

	cr_assert_not_null(stack);
	opened = asked = closed = 0;
	stack->path = "/etc/d/p";
	for (size_t i = 0; i < count; i++) {
		struct kt_layer *layer = &stack->layers[stack->count++];

		layer->control = rules[i].control;
		layer->line = (unsigned)i + 1;
		layer->module = (struct kt_module){.size = sizeof(layer->module),
			.name = names[i],
			.open = open_told,
			.credential = answer_told,
			.close = close_told};
		layer->argc = 3;
		layer->argv[0] = strdup(rules[i].result);
		layer->argv[1] = strdup(rules[i].token);
		layer->argv[2] = strdup(rules[i].reason);
	}
	result = kt_stack_open(stack, host, e);
	if (result == 0)
		result = kt_stack_run(stack, host, e);
	kt_stack_free(stack);
	cr_expect_eq(closed, opened);
	return result;
}

static int64_t now(void)
{
	return NOW;
}

static void init_exec(struct kt_exec_host *host)
{
	static const struct kt_execcred request = {.api_version = "v"};

	kt_exec_host_init_exec(host, &request, now);
}

static void init_image(struct kt_exec_host *host)
{
	static const struct kt_credprovider request = {.api_version = "v", .image = "r.io/a"};

	kt_exec_host_init_image(host, &request, now);
}

#define OK "0"
#define PASS "1"
#define DENIED "2"
#define UNAVAILABLE "3"
#define ERROR "4"

struct told_case {
	struct told rules[3];
	enum kt_code code; /* KT_E_NONE: good */
	const char *text;  /* the token, or the message */
};

static void check_told(const struct told_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct kt_exec_host host;
		struct kt_error e = {0};
		size_t rules = 0;
		int result;

		while (rules < 3 && cases[i].rules[rules].result != NULL)
			rules++;
		init_exec(&host);
		result = run_told(cases[i].rules, rules, &host, &e);
		cr_expect_eq(e.code, cases[i].code, "%zu: %s", i, e.msg);
		if (cases[i].code != KT_E_NONE) {
			cr_expect_eq(result, -1);
			cr_expect_str_eq(e.msg, cases[i].text, "%zu", i);
		} else {
			cr_assert_eq(result, 0, "%zu", i);
			cr_expect_eq(kt_secret_len(host.credential.token), strlen(cases[i].text));
			cr_expect_arr_eq(kt_secret_bytes(host.credential.token), cases[i].text,
				strlen(cases[i].text), "%zu", i);
		}
		kt_exec_host_fini(&host);
	}
}

Test(stack, answers_with_the_first_credential_of_a_good_stack)
{
	static const struct told_case cases[] = {
		{{{KT_CONTROL_SUFFICIENT, OK, "a", ""}}, KT_E_NONE, "a"},
		{{{KT_CONTROL_OPTIONAL, OK, "a", ""}, {KT_CONTROL_OPTIONAL, OK, "b", ""}},
			KT_E_NONE, "a"},
		{{{KT_CONTROL_REQUISITE, OK, "", ""}, {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_NONE, "b"},
		{{{KT_CONTROL_SUFFICIENT, PASS, "a", ""}, {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_NONE, "b"},
		{{{KT_CONTROL_SUFFICIENT, UNAVAILABLE, "a", "4gone"},
			 {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_NONE, "b"},
		{{{KT_CONTROL_OPTIONAL, DENIED, "a", "3no"}, {KT_CONTROL_REQUIRED, OK, "b", ""}},
			KT_E_NONE, "b"},
	};

	check_told(cases, sizeof(cases) / sizeof(cases[0]));
}

Test(stack, tells_the_failure_that_decided)
{
	static const struct told_case cases[] = {
		/* the gate is shut: the source is not asked */
		{{{KT_CONTROL_REQUISITE, DENIED, "", "3PCR 7"},
			 {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_POLICY, "one: PCR 7"},
		/* the first that is required, also where an earlier one did not matter */
		{{{KT_CONTROL_OPTIONAL, ERROR, "", "5bad"},
			 {KT_CONTROL_REQUIRED, DENIED, "", "8no"},
			 {KT_CONTROL_REQUIRED, UNAVAILABLE, "", "4gone"}},
			KT_E_REFUSED, "two: no"},
		{{{KT_CONTROL_REQUIRED, DENIED, "", "3no"}, {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_POLICY, "one: no"},
		/* none of several sources */
		{{{KT_CONTROL_SUFFICIENT, PASS, "", ""}, {KT_CONTROL_SUFFICIENT, DENIED, "", "3no"},
			 {KT_CONTROL_SUFFICIENT, UNAVAILABLE, "", "4gone"}},
			KT_E_POLICY, "two: no; three: gone"},
		/* the gate opened, the source failed */
		{{{KT_CONTROL_REQUISITE, OK, "", ""}, {KT_CONTROL_SUFFICIENT, DENIED, "", "6PIN"}},
			KT_E_PIN, "two: PIN"},
		/* nobody felt concerned */
		{{{KT_CONTROL_SUFFICIENT, PASS, "", ""}, {KT_CONTROL_REQUIRED, PASS, "", ""}},
			KT_E_USAGE, "no module has a credential for this request"},
		{{{KT_CONTROL_REQUIRED, OK, "", ""}}, KT_E_USAGE,
			"no module has a credential for this request"},
		/* a number that is no result */
		{{{KT_CONTROL_REQUIRED, "9", "a", ""}}, KT_E_INTERNAL,
			"one: failed (result 9), without a reason"},
	};

	check_told(cases, sizeof(cases) / sizeof(cases[0]));
}

Test(stack, leaves_an_image_that_is_nobodys_without_an_answer)
{
	static const struct told passes[] = {
		{KT_CONTROL_SUFFICIENT, PASS, "", ""}, {KT_CONTROL_REQUIRED, PASS, "", ""}};
	static const struct told opens[] = {{KT_CONTROL_REQUIRED, OK, "", ""}};
	static const struct told fails_one[] = {{KT_CONTROL_SUFFICIENT, PASS, "", ""},
		{KT_CONTROL_SUFFICIENT, UNAVAILABLE, "", "4gone"}};
	static const struct told optional[] = {{KT_CONTROL_OPTIONAL, UNAVAILABLE, "", "4gone"},
		{KT_CONTROL_SUFFICIENT, PASS, "", ""}};
	static const struct told gate[] = {
		{KT_CONTROL_REQUISITE, OK, "", ""}, {KT_CONTROL_OPTIONAL, ERROR, "", "5bad"}};
	struct kt_exec_host host;
	struct kt_error e = {0};

	init_image(&host);
	cr_expect_eq(run_told(passes, 2, &host, &e), 0, "%s", e.msg);
	cr_expect_not(kt_exec_host_has_answer(&host));
	cr_expect_eq(run_told(opens, 1, &host, &e), 0, "%s", e.msg);
	/* what is optional may fail */
	cr_expect_eq(run_told(optional, 2, &host, &e), 0, "%s", e.msg);
	cr_expect_eq(run_told(gate, 2, &host, &e), 0, "%s", e.msg);
	cr_expect_not(kt_exec_host_has_answer(&host));
	/* but not silently, if a module failed */
	cr_expect_eq(run_told(fails_one, 2, &host, &e), -1);
	cr_expect_eq(e.code, KT_E_TPM);
	kt_exec_host_fini(&host);
}

Test(stack, is_refused_before_any_module_is_asked_when_one_calls_its_arguments_wrong)
{
	static const struct told rules[] = {{KT_CONTROL_SUFFICIENT, OK, "a", ""},
		{KT_CONTROL_OPTIONAL, "o4", "", "2as= is token"}};
	struct kt_exec_host host;
	struct kt_error e = {0};

	init_exec(&host);
	cr_expect_eq(run_told(rules, 2, &host, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_str_eq(e.msg, "/etc/d/p:2: two: as= is token");
	cr_expect_eq(opened, 2);
	cr_expect_eq(asked, 0);
	kt_exec_host_fini(&host);
}

Test(stack, counts_other_failures_to_open_when_it_is_their_turn)
{
	static const struct told_case cases[] = {
		{{{KT_CONTROL_SUFFICIENT, OK, "a", ""}, {KT_CONTROL_REQUIRED, "o3", "", "4gone"}},
			KT_E_NONE, "a"},
		{{{KT_CONTROL_SUFFICIENT, "o4", "", "8not yours"},
			 {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_NONE, "b"},
		{{{KT_CONTROL_SUFFICIENT, "o1", "", "2x"}, {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_NONE, "b"},
		{{{KT_CONTROL_REQUIRED, "o3", "", "4gone"}, {KT_CONTROL_SUFFICIENT, OK, "b", ""}},
			KT_E_TPM, "one: gone"},
	};

	check_told(cases, sizeof(cases) / sizeof(cases[0]));
}

static const struct kt_param params[] = {
	{"file", "a path", KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"other-file", "a path", KT_PARAM_FILE},
	{"as", "a word", 0},
	{0},
};

static int set_arguments(struct kt_layer *layer, const struct kt_param *table,
	const struct kt_rule *rule, struct kt_error *e)
{
	*layer = (struct kt_layer){.module = {.name = "mod", .params = table}};
	return kt_layer_set_arguments(layer, rule, "/etc/d", e);
}

static void free_arguments(struct kt_layer *layer)
{
	for (int i = 0; i < KT_RULE_ARGS_MAX; i++)
		free(layer->argv[i]);
}

Test(stack, makes_paths_absolute_from_the_profiles_folder)
{
	static const struct kt_rule rule = {
		.argc = 3, .argv = {"file=a/b", "other-file=/c", "as=file=d"}};
	struct kt_layer layer;
	struct kt_error e;

	cr_assert_eq(set_arguments(&layer, params, &rule, &e), 0, "%s", e.msg);
	cr_expect_eq(layer.argc, 3);
	cr_expect_str_eq(layer.argv[0], "file=/etc/d/a/b");
	cr_expect_str_eq(layer.argv[1], "other-file=/c");
	cr_expect_str_eq(layer.argv[2], "as=file=d");
	free_arguments(&layer);
}

Test(stack, refuses_arguments_that_a_module_does_not_take_or_lacks)
{
	static const struct {
		const struct kt_param *params;
		struct kt_rule rule;
		const char *message;
	} cases[] = {
		{params, {.argc = 2, .argv = {"file=a", "fil=b"}}, "mod has no argument \"fil\""},
		{params, {.argc = 1, .argv = {"filee=a"}}, "mod has no argument \"filee\""},
		{params, {.argc = 1, .argv = {"as=token"}}, "mod needs file="},
		{params, {.argc = 0}, "mod needs file="},
		{NULL, {.argc = 1, .argv = {"as=token"}}, "mod has no argument \"as\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_layer layer;
		struct kt_error e = {0};

		cr_expect_eq(set_arguments(&layer, cases[i].params, &cases[i].rule, &e), -1);
		cr_expect_eq(e.code, KT_E_USAGE);
		cr_expect_str_eq(e.msg, cases[i].message);
		free_arguments(&layer);
	}
}

Test(stack, is_refused_as_a_whole_when_a_module_is_missing)
{
	auto_profile struct kt_profile *profile = NULL;
	struct kt_stack *stack = NULL;
	struct kt_error e = {0};
	const char *text = "# one\noptional no-such-module\n";

	cr_assert_eq(kt_profile_parse(text, strlen(text), "p", &profile, &e), 0);
	cr_expect_eq(kt_stack_load(profile, "/etc/d/p", "/etc/d", "/nonexistent", &stack, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_not_null(strstr(e.msg, "/etc/d/p:2: no module no-such-module"), "%s", e.msg);
	cr_expect_null(stack);
}
