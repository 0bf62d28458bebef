/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool srk: this machine's storage public key, for sealing to it from elsewhere. */
#include <stdio.h>

#include "lib/b64.h"
#include "lib/io.h"
#include "lib/tpm-key.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
};

static const struct kt_opt opts[] = {
	OPT_OUTPUT(struct options, "write the public area (TPM2B_PUBLIC) to FILE"),
	OPT_JSON(struct options),
	OPT_TCTI(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static const char *type_of(const TPM2B_PUBLIC *public)
{
	if (public->publicArea.type == TPM2_ALG_RSA)
		return "rsa";
	switch (public->publicArea.parameters.eccDetail.curveID) {
	case TPM2_ECC_NIST_P256:
		return "ecc-p256";
	case TPM2_ECC_NIST_P384:
		return "ecc-p384";
	default:
		return "ecc";
	}
}

static int print_facts(
	const struct kt_parent *srk, bool json, const uint8_t *data, size_t len, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	auto_free char *public = NULL;
	char name[KT_NAME_TEXT_MAX];
	struct kt_jsonw w;

	kt_name_format(&srk->name, name);
	if (!json) {
		printf("handle: 0x%08x\nname:   %s\ntype:   %s\n", KT_SRK_HANDLE, name,
			type_of(&srk->public));
		return 0;
	}
	if (start_json(&w, &text, e) < 0 || kt_b64_encode(data, len, &public, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "handle", "0x81000001");
	kt_jsonw_member(&w, "name", name);
	kt_jsonw_member(&w, "type", type_of(&srk->public));
	kt_jsonw_member(&w, "public", public);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const struct common *common = &options.common;
	auto_tpm struct kt_tpm *tpm = NULL;
	uint8_t data[sizeof(TPM2B_PUBLIC)];
	struct kt_parent srk;
	bool done;
	int first;
	size_t len;

	if (parse_options(&verb_srk, argc, argv, &options, common, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (kt_tpm_open(common->tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0 ||
		kt_public_marshal(&srk.public, data, &len, e) < 0)
		return -1;
	if (common->output != NULL && kt_replace_file(common->output, data, len, 0644, e) < 0)
		return -1;
	if (common->output != NULL && !common->json)
		return 0;
	return print_facts(&srk, common->json, data, len, e);
}

const struct kt_verb verb_srk = {
	.command = {PROGRAM, "srk", "", "print or export this machine's storage public key", opts,
		0, 0},
	.run = run,
};
