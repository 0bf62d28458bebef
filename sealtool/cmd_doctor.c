/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool doctor: is this machine fit for kubetpm, and what to do if not. */
#include <stdio.h>

#include "sealtool/doctor.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
};

static const struct kt_opt opts[] = {
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static const char *const status_words[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARN] = "warn",
	[FINDING_FAIL] = "fail",
};

static void print_table(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct finding *f = &report->findings[i];

		printf("%-4s  %-24s  %s\n", status_words[f->status], f->id, f->detail);
		if (*f->action != '\0')
			printf("%32s-> %s\n", "", f->action);
	}
}

static int print_json(const struct report *report, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_name(&w, "findings");
	kt_jsonw_begin_array(&w);
	for (size_t i = 0; i < report->count; i++) {
		const struct finding *f = &report->findings[i];

		kt_jsonw_begin_object(&w);
		kt_jsonw_member(&w, "id", f->id);
		kt_jsonw_member(&w, "status", status_words[f->status]);
		kt_jsonw_member(&w, "detail", f->detail);
		kt_jsonw_member(&w, "action", f->action);
		kt_jsonw_end_object(&w);
	}
	kt_jsonw_end_array(&w);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static void examine(struct report *report, const char *tcti)
{
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_error e;

	check_device(report, tcti);
	check_memory(report);
	if (kt_tpm_open(tcti, &tpm, &e) < 0) {
		report_add(report, "tpm-connection", FINDING_FAIL, e.code,
			"see tpm-device; --tcti CONFIG tries another way", "%s", e.msg);
		return;
	}
	report_add(report, "tpm-connection", FINDING_OK, KT_E_NONE, "", "answers");
	check_tpm(report, tpm);
}

/* The first failure decides the exit status. */
static int conclude(const struct report *report, struct kt_error *e)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].status == FINDING_FAIL)
			return kt_fail(e, report->findings[i].code, "not fit yet: %s: %s",
				report->findings[i].id, report->findings[i].detail);
	return 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	struct report report = {0};
	bool done;
	int first;

	if (parse_options(&verb_doctor, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	examine(&report, common->tcti);
	if (!common->json)
		print_table(&report);
	else if (print_json(&report, e) < 0)
		return -1;
	return conclude(&report, e);
}

const struct kt_verb verb_doctor = {
	.command = {PROGRAM, "doctor", "", "tell whether this machine is fit, and what to do", opts,
		0, 0},
	.run = run,
};
