/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool unseal: opens a sealed file with this machine's TPM. */
#include <string.h>

#include "lib/log.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
	const char *purpose;
};

static const struct kt_opt opts[] = {
	OPT_PIN(struct options),
	OPT_POLICY_DIR(struct options),
	{"purpose", 'p', "PURPOSE", "refuse a file that was sealed for another purpose",
		KT_OPT_TEXT, offsetof(struct options, purpose)},
	OPT_OUTPUT(struct options, "write the secret there (default: standard output)"),
	OPT_FORCE(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static bool has_pin_slot(const struct kt_sealed *sealed)
{
	for (size_t i = 0; i < sealed->count; i++)
		if (sealed->recipients[i].kind == KT_RECIPIENT_TPM2 &&
			sealed->recipients[i].words.pin)
			return true;
	return false;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *pin = NULL, *secret = NULL;
	bool done;
	int first;

	if (parse_options(&verb_unseal, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (check_secret_output(common, e) < 0 || kt_seal_read(argv[first], &sealed, e) < 0)
		return -1;
	if (options.purpose != NULL && strcmp(options.purpose, sealed->purpose) != 0)
		return kt_fail(e, KT_E_REFUSED, "%s: sealed for purpose \"%s\", not \"%s\"",
			argv[first], sealed->purpose, options.purpose);
	if (read_pin(common, false, &pin, e) < 0)
		return -1;
	if (open_sealed(sealed, common, pin, &secret, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	if (pin != NULL && !has_pin_slot(sealed))
		kt_warn("%s opens without a PIN", argv[first]);
	return write_secret(common, secret, e);
}

const struct kt_verb verb_unseal = {
	.command = {PROGRAM, "unseal", "FILE",
		"write the secret to standard output, if the policy holds", opts, 1, 1},
	.run = run,
};
