/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool seal: a secret from standard input into a sealed file. */
#include "sealtool/recipients.h"

struct options {
	struct common common;
	struct recipient_options recipients;
	const char *name;
	const char *purpose;
};

static const struct kt_opt opts[] = {
	{"name", 'n', "NAME", "what the secret is called", KT_OPT_TEXT,
		offsetof(struct options, name)},
	{"purpose", 'p', "PURPOSE", "what may use it: exec-credential, image-credential, …",
		KT_OPT_TEXT, offsetof(struct options, purpose)},
	OPT_RECIPIENTS(struct options),
	OPT_PIN(struct options),
	OPT_OUTPUT(struct options, "the sealed file (default: standard output)"),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	auto_secret struct kt_secret *pin = NULL, *secret = NULL;
	bool done;
	int first;

	if (sealed == NULL)
		return kt_fail_memory(e);
	if (parse_options(&verb_seal, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (name_sealed(sealed, options.name, options.purpose, e) < 0 ||
		read_pin(common, true, &pin, e) < 0 || read_stdin_secret(&secret, e) < 0 ||
		seal_to_recipients(sealed, &options.recipients, common, pin, secret, e) < 0)
		return -1;
	if (write_sealed(common, sealed, e) < 0)
		return -1;
	warn_about_file(sealed);
	return 0;
}

const struct kt_verb verb_seal = {
	.command = {PROGRAM, "seal", "< SECRET", "seal standard input to TPMs and recovery keys",
		opts, 0, 0},
	.run = run,
};
