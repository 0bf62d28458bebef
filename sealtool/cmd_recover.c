/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool recover: opens a sealed file with an offline recovery key; no TPM. */
#include "sealtool/sealtool.h"

struct options {
	struct common common;
};

static const struct kt_opt opts[] = {
	OPT_KEY(struct options, "the recovery private key (PEM or JWK)"),
	OPT_OUTPUT(struct options, "write the secret there (default: standard output)"),
	OPT_FORCE(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_sealed struct kt_sealed *sealed = NULL;
	auto_secret struct kt_secret *secret = NULL;
	bool done;
	int first;

	if (parse_options(&verb_recover, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (common->key == NULL)
		return kt_fail(e, KT_E_USAGE, "--key is needed: the recovery private key");
	if (check_secret_output(common, e) < 0 || kt_seal_read(argv[first], &sealed, e) < 0)
		return -1;
	if (open_sealed(sealed, common, NULL, &secret, e) < 0)
		return kt_wrap(e, "%s", argv[first]);
	return write_secret(common, secret, e);
}

const struct kt_verb verb_recover = {
	.command = {PROGRAM, "recover", "FILE",
		"open a sealed file with a recovery key, without a TPM", opts, 1, 1},
	.run = run,
};
