/* SPDX-License-Identifier: Apache-2.0 */
/* sealtool init: finds or makes the storage root key at 0x81000001. */
#include <stdio.h>

#include "lib/tpm-key.h"
#include "sealtool/sealtool.h"

struct options {
	struct common common;
};

static const struct kt_opt opts[] = {
	OPT_OWNER_AUTH(struct options),
	OPT_TCTI(struct options),
	OPT_JSON(struct options),
	OPT_VERBOSE(struct options),
	OPT_END,
};

static int print_json(const char *name, bool made, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (start_json(&w, &text, e) < 0)
		return -1;
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "handle", "0x81000001");
	kt_jsonw_member(&w, "name", name);
	kt_jsonw_name(&w, "made");
	kt_jsonw_bool(&w, made);
	kt_jsonw_end_object(&w);
	return finish_json(&w, text, e);
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	auto_secret struct kt_secret *owner_auth = NULL;
	auto_tpm struct kt_tpm *tpm = NULL;
	char name[KT_NAME_TEXT_MAX];
	struct kt_parent srk;
	bool done, made;
	int first;

	if (parse_options(&verb_init, argc, argv, &options, &options.common, &first, &done, e) <
			0 ||
		done)
		return done ? 0 : -1;
	if (read_auth(options.common.owner_auth_file, &owner_auth, e) < 0 ||
		kt_tpm_open(options.common.tcti, &tpm, e) < 0 ||
		kt_srk_provision(tpm, owner_auth, &srk, &made, e) < 0)
		return -1;
	kt_name_format(&srk.name, name);
	if (options.common.json)
		return print_json(name, made, e);
	printf("%s the storage root key at 0x%08x\nName: %s\n", made ? "made" : "found",
		KT_SRK_HANDLE, name);
	return 0;
}

const struct kt_verb verb_init = {
	.command = {PROGRAM, "init", "", "find or make this machine's storage root key", opts, 0,
		0},
	.run = run,
};
