/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explaining refusals. The TPM says only "policy failure"; the expected values are in the file and
 * the present ones can be read. What cannot be found out is left out: the first error is what
 * counts.
 */
#include "lib/seal-explain.h"

#include <string.h>

#include "lib/tpm-info.h"
#include "lib/tpm-pcr.h"

static int explain_policy(
	struct kt_tpm *tpm, const struct kt_slot_policy *words, struct kt_error *e)
{
	struct kt_pcr_set present = words->pcrs;
	struct kt_error ignored;
	char text[sizeof(e->msg)];

	if (kt_pcr_is_empty(&words->pcrs) || kt_tpm_read_pcrs(tpm, &present, &ignored) < 0)
		return -1;
	if (kt_pcr_describe_difference(&words->pcrs, &present, text, sizeof(text)) == 0)
		return -1;
	for (char *p = text; (p = strchr(p, '\n')) != NULL;)
		*p = ';';
	return kt_fail(e, KT_E_POLICY,
		"policy not satisfied: %s; if the change was meant, bind the file anew with "
		"'sealtool reseal --key RECOVERY-KEY FILE'",
		text);
}

static int explain_pin(struct kt_tpm *tpm, struct kt_error *e)
{
	struct kt_error ignored;
	UINT32 tries, interval;

	if (kt_tpm_tries_left(tpm, &tries, &interval, &ignored) < 0)
		return -1;
	return kt_fail(e, KT_E_PIN,
		"wrong PIN; %u %s left before the TPM locks out, one is forgiven every %u seconds",
		tries, tries == 1 ? "try is" : "tries are", interval);
}

static int explain_lockout(struct kt_tpm *tpm, struct kt_error *e)
{
	struct kt_error ignored;
	UINT32 tries, interval;

	if (kt_tpm_tries_left(tpm, &tries, &interval, &ignored) < 0)
		return -1;
	return kt_hint(
		e, "one try is forgiven every %u seconds while the TPM is powered", interval);
}

int kt_seal_explain(struct kt_tpm *tpm, const struct kt_slot_policy *words, struct kt_error *e)
{
	if (e->code == KT_E_POLICY)
		return explain_policy(tpm, words, e);
	if (e->code == KT_E_PIN && words->pin)
		return explain_pin(tpm, e);
	if (e->code == KT_E_LOCKOUT)
		return explain_lockout(tpm, e);
	return -1;
}
