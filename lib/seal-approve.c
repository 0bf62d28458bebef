/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/seal-approve.h"

#include "lib/approvals.h"
#include "lib/jwk.h"
#include "lib/log.h"
#include "lib/seal-explain.h"
#include "lib/tpm-pcr.h"

static void pass_over(void *ctx, const struct kt_error *e)
{
	(void)ctx;
	kt_debug("passed over: %s", e->msg);
}

static int choose(struct kt_tpm *tpm, const struct kt_approvals *approvals, const char *key,
	const char *policy_dir, struct kt_policy *policy, struct kt_error *e)
{
	const struct kt_approval *found, *nearest;
	struct kt_pcr_set present;

	if (approvals->count == 0) {
		kt_fail(e, KT_E_POLICY, "policy not satisfied: no state is approved for this file");
		return kt_hint(e,
			"sign one with 'sealtool policy sign --for %s', and put it into %s", key,
			policy_dir);
	}
	if (kt_approvals_selection(approvals, &present, e) < 0 ||
		kt_tpm_read_pcrs(tpm, &present, e) < 0)
		return -1;
	found = kt_approvals_find(approvals, &present);
	if (found != NULL)
		return kt_approval_apply(found, policy, e);
	nearest = kt_approvals_nearest(approvals, &present);
	kt_fail(e, KT_E_POLICY, "policy not satisfied");
	if (kt_seal_explain(tpm, &(struct kt_slot_policy){.pcrs = nearest->pcrs}, false, e) < 0)
		return kt_hint(
			e, "none of the %zu approvals in %s fits", approvals->count, policy_dir);
	return -1;
}

int kt_seal_approve(struct kt_tpm *tpm, const struct kt_slot_policy *words, const char *policy_dir,
	struct kt_policy *policy, struct kt_error *e)
{
	struct kt_approvals approvals = {0};
	auto_pkey EVP_PKEY *signer = NULL;
	int status;

	if (policy_dir == NULL)
		return kt_fail(e, KT_E_USAGE,
			"the file opens in states that its operator approves; say where the "
			"approvals are: --policy-dir (policy-dir= in a profile)");
	if (kt_p256_from_point(words->signer, &signer, e) < 0 ||
		kt_approvals_read(policy_dir, words->approved_for, signer, pass_over, NULL,
			&approvals, e) < 0)
		return -1;
	status = choose(tpm, &approvals, words->approved_for, policy_dir, policy, e);
	kt_approvals_fini(&approvals);
	return status;
}
