/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool show: what a sealed file says of itself; no TPM. */
#include "sealtool/describe.h"

struct options {
	struct common common;
};

static const struct kt_opt opts[] = {
	OPT_JSON(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	auto_sealed struct kt_sealed *sealed = NULL;
	bool done;
	int first;

	if (parse_options(&verb_show, argc, argv, &options, &options.common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (kt_seal_read(argv[first], &sealed, e) < 0 ||
		describe_sealed(sealed, options.common.json, e) < 0)
		return -1;
	if (check_words(sealed, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	return 0;
}

const struct kt_verb verb_show = {
	.command = {PROGRAM, "show", "FILE",
		"print what a sealed file says of itself, without a TPM", opts, 1, 1},
	.run = run,
};
