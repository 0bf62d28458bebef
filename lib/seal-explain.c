/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explaining refusals. The TPM says only "policy failure"; the expected values are in the file and
 * the present ones can be read. What cannot be found out is left out: the first error is what
 * counts.
 */
#include "lib/seal-explain.h"

#include <stdio.h>
#include <string.h>

#include "lib/tpm-info.h"
#include "lib/tpm-pcr.h"

/* Values take room: they are shown for so many PCRs, and of the rest only the numbers. */
#define SHOWN_WITH_VALUES 3
#define KT_DIFFERENCE_MAX 1024

/* Takes the first differing PCRs of `expected` over into `ret_few`; *ret_rest lists the others. */
static void split_difference(const struct kt_pcr_set *expected, const struct kt_pcr_set *present,
	struct kt_pcr_set *ret_few, struct kt_pcr_set *ret_rest)
{
	struct kt_error ignored;
	size_t count = 0;

	for (size_t b = 0; b < expected->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			TPMI_ALG_HASH alg = expected->banks[b].alg;
			const uint8_t *want = kt_pcr_value(expected, alg, i);
			const uint8_t *have = kt_pcr_value(present, alg, i);

			if (want == NULL || have == NULL ||
				memcmp(want, have, kt_pcr_bank_size(alg)) == 0)
				continue;
			if (kt_pcr_add(count < SHOWN_WITH_VALUES ? ret_few : ret_rest, alg, i, want,
				    &ignored) < 0)
				return;
			count++;
		}
}

/* On one line. */
static size_t describe(const struct kt_pcr_set *expected, const struct kt_pcr_set *present,
	char *ret_text, size_t size)
{
	char lines[KT_DIFFERENCE_MAX], *rest = lines, *line;
	size_t used = 0, count;

	count = kt_pcr_describe_difference(expected, present, lines, sizeof(lines));
	ret_text[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && used < size)
		used += (size_t)snprintf(
			ret_text + used, size - used, "%s%s", used > 0 ? "; " : "", line);
	return count;
}

static int explain_policy(struct kt_tpm *tpm, const struct kt_slot_policy *words, bool has_recovery,
	struct kt_error *e)
{
	struct kt_pcr_set present = words->pcrs, few = {0}, rest = {0};
	struct kt_error reason;
	char text[sizeof(e->msg)], others[KT_PCR_TEXT_MAX];

	if (kt_pcr_is_empty(&words->pcrs))
		return -1;
	if (kt_tpm_read_pcrs(tpm, &present, &reason) < 0)
		return kt_hint(e, "%s", reason.msg);
	split_difference(&words->pcrs, &present, &few, &rest);
	if (describe(&few, &present, text, sizeof(text)) == 0)
		return -1;
	kt_pcr_format(&rest, others);
	kt_fail(e, KT_E_POLICY, "policy not satisfied: %s%s%s", text,
		rest.count > 0 ? ", and also " : "", rest.count > 0 ? others : "");
	return has_recovery ? kt_hint(e, "if the change was meant, 'sealtool reseal --key "
					 "RECOVERY-KEY' binds the file to it")
			    : -1;
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

int kt_seal_explain(struct kt_tpm *tpm, const struct kt_slot_policy *words, bool has_recovery,
	struct kt_error *e)
{
	if (e->code == KT_E_POLICY)
		return explain_policy(tpm, words, has_recovery, e);
	if (e->code == KT_E_PIN && words->pin)
		return explain_pin(tpm, e);
	if (e->code == KT_E_LOCKOUT)
		return explain_lockout(tpm, e);
	return -1;
}
