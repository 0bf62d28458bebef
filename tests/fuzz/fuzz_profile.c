/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: what is accepted means the same when it is written plainly and read again. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "exec-plugin/profile.h"
#include "lib/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *control_word(enum kt_control control)
{
	switch (control) {
	case KT_CONTROL_REQUIRED:
		return "required";
	case KT_CONTROL_REQUISITE:
		return "requisite";
	case KT_CONTROL_SUFFICIENT:
		return "sufficient";
	default:
		return "optional";
	}
}

static char *write_plainly(const struct kt_profile *profile)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert(file != NULL);
	for (size_t i = 0; i < profile->count; i++) {
		const struct kt_rule *rule = &profile->rules[i];

		fprintf(file, "%s %s", control_word(rule->control), rule->module);
		for (int a = 0; a < rule->argc; a++)
			fprintf(file, " %s", rule->argv[a]);
		fprintf(file, "\n");
	}
	assert(fclose(file) == 0);
	return text;
}

static void check_same(const struct kt_profile *a, const struct kt_profile *b)
{
	assert(a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		assert(a->rules[i].control == b->rules[i].control);
		assert(strcmp(a->rules[i].module, b->rules[i].module) == 0);
		assert(kt_module_name_is_valid(a->rules[i].module));
		assert(a->rules[i].argc == b->rules[i].argc);
		for (int arg = 0; arg < a->rules[i].argc; arg++)
			assert(strcmp(a->rules[i].argv[arg], b->rules[i].argv[arg]) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_profile struct kt_profile *profile = NULL;
	auto_profile struct kt_profile *again = NULL;
	auto_free char *text = NULL;
	struct kt_error e;

	if (kt_profile_parse((const char *)data, size, "profile", &profile, &e) < 0) {
		assert(e.code == KT_E_USAGE);
		return 0;
	}
	text = write_plainly(profile);
	assert(kt_profile_parse(text, strlen(text), "again", &again, &e) == 0);
	check_same(profile, again);
	return 0;
}
