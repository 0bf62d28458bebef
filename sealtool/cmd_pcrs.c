/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool pcrs: present PCR values, for people or for --for-pcrs. */
#include <stdio.h>

#include "lib/hex.h"
#include "lib/tpm-pcr.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
	const char *pcrs;
};

static const struct kt_opt opts[] = {
	{"pcrs", 0, "SELECTION", "which PCRs, e.g. sha256:0,7 (default: all of the SHA-256 bank)",
		KT_OPT_TEXT, offsetof(struct options, pcrs)},
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static void print_table(const struct kt_pcr_set *set)
{
	char hex[2 * TPM2_SHA512_DIGEST_SIZE + 1];

	for (size_t b = 0; b < set->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			const struct kt_pcr_bank *bank = &set->banks[b];

			if ((bank->known >> i & 1) == 0)
				continue;
			kt_hex_encode(bank->value[i], kt_pcr_bank_size(bank->alg), hex);
			printf("%s:%-2u  %s\n", kt_pcr_bank_name(bank->alg), i, hex);
		}
}

static int print_json(const struct kt_pcr_set *set, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_name(&w, "pcrs");
	kt_pcr_write_json(set, &w);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

/* The SHA-256 bank, or where there is none, the first that is active. */
static int choose_pcrs(struct kt_tpm *tpm, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	struct kt_pcr_set active, set = {0};

	if (kt_tpm_pcr_banks(tpm, &active, e) < 0)
		return -1;
	if (active.count == 0)
		return kt_fail(e, KT_E_NOT_PROVISIONED, "the TPM has no active PCR bank");
	set.count = 1;
	set.banks[0] = active.banks[0];
	for (size_t b = 0; b < active.count; b++)
		if (active.banks[b].alg == TPM2_ALG_SHA256)
			set.banks[0] = active.banks[b];
	*ret_set = set;
	return 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_tpm struct kt_tpm *tpm = NULL;
	struct kt_pcr_set set;
	bool done;
	int first;

	if (parse_options(&verb_pcrs, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (options.pcrs != NULL && kt_pcr_parse(options.pcrs, &set, e) < 0)
		return kt_wrap(e, "--pcrs");
	if (kt_tpm_open(common->tcti, &tpm, e) < 0 ||
		(options.pcrs == NULL && choose_pcrs(tpm, &set, e) < 0) ||
		kt_tpm_read_pcrs(tpm, &set, e) < 0)
		return -1;
	if (common->json)
		return print_json(&set, e);
	print_table(&set);
	return 0;
}

const struct kt_verb verb_pcrs = {
	.command = {PROGRAM, "pcrs", "", "print present PCR values", opts, 0, 0},
	.run = run,
};
