/* SPDX-License-Identifier: Apache-2.0 */
/* Approvals: what is accepted can be written and read again, means the same, and can be run. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/approval.h"
#include "lib/auto.h"
#include "lib/policy-signer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_run(const struct kt_approval *approval)
{
	const uint8_t point[KT_SIGNER_POINT_BYTES] = {0};
	struct kt_policy policy = {.count = 1};
	TPM2B_DIGEST before, after;
	TPM2B_PUBLIC signer;
	struct kt_error e;

	kt_signer_public_of_point(point, &signer);
	kt_approval_step(&signer, approval->key, &policy.steps[0]);
	assert(kt_policy_digest(KT_APPROVAL_ALG, &policy, &before, &e) == 0);
	assert(kt_approval_apply(approval, &policy, &e) == 0);
	/* PolicyAuthorize forgets what was before it. */
	assert(kt_policy_digest(KT_APPROVAL_ALG, &policy, &after, &e) == 0);
	assert(memcmp(&before, &after, sizeof(before.size) + before.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free struct kt_approval *approval = calloc(1, sizeof(*approval));
	auto_free struct kt_approval *again = calloc(1, sizeof(*again));
	auto_free char *text = NULL;
	struct kt_error e;

	assert(approval != NULL && again != NULL);
	if (kt_approval_parse((const char *)data, size, approval, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(kt_uuid_is_valid(approval->key));
	assert(kt_pcr_is_complete(&approval->pcrs) && !kt_pcr_is_empty(&approval->pcrs));
	assert(kt_approval_format(approval, &text, &e) == 0);
	assert(kt_approval_parse(text, strlen(text), again, &e) == 0);
	assert(strcmp(approval->key, again->key) == 0);
	assert(strcmp(approval->comment, again->comment) == 0);
	assert(memcmp(approval->signature, again->signature, sizeof(again->signature)) == 0);
	check_run(approval);
	return 0;
}
