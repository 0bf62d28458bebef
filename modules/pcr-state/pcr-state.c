/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcr-state: a gate that opens while the TPM's PCRs have the values that were recorded. It reads
 * them without a signature: it says "not in this state" early and in words, and is no proof to
 * anybody else. (What must not be had in another state is sealed to that state.)
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <kubetpm/module.h>

#include "lib/auto.h"
#include "lib/io.h"
#include "lib/module.h"
#include "lib/pcr-file.h"
#include "lib/pcr.h"
#include "lib/tpm-pcr.h"
#include "lib/tpm.h"

/* Who can write the file can open the gate. */
static int read_expected(const char *path, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_free uint8_t *text = NULL;
	size_t len = 0;

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	if (kt_check_trusted(fd, path, e) < 0 ||
		kt_read_all(fd, KT_PCR_FILE_MAX_BYTES, path, &text, &len, e) < 0)
		return -1;
	if (kt_pcr_file_parse((const char *)text, len, ret_set, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}

/* The PCRs of `pcrs=`, or all that the file has; values from the file. */
static int choose_expected(
	int argc, const char *const argv[], struct kt_pcr_set *ret_set, struct kt_error *e)
{
	const char *path = kt_module_arg(argc, argv, "expect");
	const char *selection = kt_module_arg(argc, argv, "pcrs");
	struct kt_pcr_set recorded = {0}, chosen = {0};

	if (path == NULL)
		return kt_fail(e, KT_E_USAGE, "expect= is missing");
	if (selection != NULL && kt_pcr_parse(selection, &chosen, e) < 0)
		return kt_wrap(e, "pcrs=");
	if (read_expected(path, &recorded, e) < 0)
		return -1;
	if (selection == NULL)
		chosen = recorded;
	kt_pcr_fill(&chosen, &recorded);
	if (kt_pcr_is_empty(&chosen))
		return kt_fail(e, KT_E_USAGE, "%s: no PCR in it", path);
	if (!kt_pcr_is_complete(&chosen))
		return kt_fail(e, KT_E_USAGE, "%s: does not have every PCR of pcrs=%.128s", path,
			selection);
	*ret_set = chosen;
	return 0;
}

/* The selection of `set`, without values. */
static int select_same(const struct kt_pcr_set *set, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	TPML_PCR_SELECTION selection;

	kt_pcr_to_tpml(set, &selection);
	return kt_pcr_from_tpml(&selection, ret_set, e);
}

/* One line for all: values of as many PCRs as fit, and how many more differ. */
static int fail_difference(
	const struct kt_pcr_set *expected, const struct kt_pcr_set *present, struct kt_error *e)
{
	char text[sizeof(e->msg) - 256];
	char *rest = text, *line;
	size_t differing = kt_pcr_describe_difference(expected, present, text, sizeof(text));
	size_t told;

	if (differing == 0)
		return 0;
	kt_fail(e, KT_E_POLICY, "not in the expected state: %s", strsep(&rest, "\n"));
	for (told = 1; (line = strsep(&rest, "\n")) != NULL; told++)
		kt_hint(e, "%s", line);
	if (told < differing)
		kt_hint(e, "and %zu more", differing - told);
	return kt_hint(
		e, "if the change was meant, record the state anew with sealtool pcrs --json");
}

static int compare(
	const struct kt_pcr_set *expected, const struct kt_host *host, struct kt_error *e)
{
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_pcr_set present = {0};

	if (select_same(expected, &present, e) < 0 ||
		kt_tpm_open(host->get_item(host->ctx, KT_ITEM_TCTI), &tpm, e) < 0 ||
		kt_tpm_read_pcrs(tpm, &present, e) < 0)
		return -1;
	return fail_difference(expected, &present, e);
}

static void close_state(void *state)
{
	free(state);
}

static enum kt_result open_state(
	const struct kt_host *host, int argc, const char *const argv[], void **ret_state)
{
	struct kt_pcr_set *expected = calloc(1, sizeof(*expected));
	struct kt_error e;

	*ret_state = expected;
	if (expected == NULL) {
		kt_fail_memory(&e);
		return kt_module_fail(host, &e);
	}
	if (choose_expected(argc, argv, expected, &e) < 0)
		return kt_module_fail(host, &e);
	return KT_OK;
}

static enum kt_result credential(void *state, const struct kt_host *host, struct kt_credential *out)
{
	struct kt_error e;

	(void)out;
	if (compare(state, host, &e) < 0)
		return kt_module_fail(host, &e);
	return KT_OK;
}

static const struct kt_param params[] = {
	{"expect", "file from sealtool pcrs --json, with the expected values",
		KT_PARAM_REQUIRED | KT_PARAM_FILE},
	{"pcrs", "which of them count, such as sha256:7,11 (default: all)", 0},
	{0},
};

static const struct kt_module module = {
	.size = sizeof(module),
	.name = "pcr-state",
	.summary = "a gate: open while the PCRs have their expected values",
	.params = params,
	.open = open_state,
	.credential = credential,
	.close = close_state,
};

KT_MODULE(module)
