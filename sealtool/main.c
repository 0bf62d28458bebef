/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealtool: seals secrets to this machine's TPM and its measured state, and opens them again. One
 * file a verb; this one only finds it.
 */
#include "sealtool/sealtool.h"

static const struct kt_verb *const verbs[] = {
	&verb_init,
	&verb_seal,
	&verb_unseal,
	&verb_show,
	&verb_reseal,
	&verb_recipient,
	&verb_recover,
	&verb_recover_record,
	&verb_export,
	&verb_import,
	&verb_key,
	&verb_policy,
	&verb_audit,
	&verb_sign_cert,
	&verb_pcrs,
	&verb_srk,
	&verb_doctor,
};

int main(int argc, char *argv[])
{
	return kt_verb_main(PROGRAM, "Seal secrets to a TPM and to the machine's measured state.",
		verbs, sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}
