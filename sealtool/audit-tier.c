/* SPDX-License-Identifier: Apache-2.0 */
#include "sealtool/audit-tier.h"

#include <string.h>

#include "lib/tpm-info.h"

#define COMMANDS_MAX 13

/* The best first, with the commands it needs; ended by 0. */
static const struct {
	enum kt_audit_tier tier;
	const char *text;
	TPM2_CC needs[COMMANDS_MAX];
} tiers[] = {
	{KT_AUDIT_TIER_A, "command audit",
		{TPM2_CC_SetCommandCodeAuditStatus, TPM2_CC_GetCommandAuditDigest, TPM2_CC_HMAC,
			TPM2_CC_Sign, TPM2_CC_CertifyCreation}},
	{KT_AUDIT_TIER_B, "session audit, and a use counter",
		{TPM2_CC_GetSessionAuditDigest, TPM2_CC_StirRandom, TPM2_CC_HMAC, TPM2_CC_Sign,
			TPM2_CC_CertifyCreation, TPM2_CC_NV_DefineSpace, TPM2_CC_NV_Write,
			TPM2_CC_NV_Read, TPM2_CC_PolicySecret, TPM2_CC_PolicyNvWritten,
			TPM2_CC_PolicyCommandCode, TPM2_CC_PolicyOR}},
	{KT_AUDIT_TIER_C, "session audit alone",
		{TPM2_CC_GetSessionAuditDigest, TPM2_CC_StirRandom, TPM2_CC_HMAC, TPM2_CC_Sign,
			TPM2_CC_CertifyCreation}},
};
#define TIER_COUNT (sizeof(tiers) / sizeof(tiers[0]))

const char *audit_tier_text(enum kt_audit_tier tier)
{
	for (size_t i = 0; i < TIER_COUNT; i++)
		if (tiers[i].tier == tier)
			return tiers[i].text;
	return "neither command audit nor session audit";
}

static int can_do(struct kt_tpm *tpm, size_t i, bool *ret_can, struct kt_error *e)
{
	*ret_can = true;
	for (size_t j = 0; *ret_can && j < COMMANDS_MAX && tiers[i].needs[j] != 0; j++)
		if (kt_tpm_has_command(tpm, tiers[i].needs[j], ret_can, e) < 0)
			return -1;
	return 0;
}

int audit_probe_tier(struct kt_tpm *tpm, enum kt_audit_tier *ret_tier, struct kt_error *e)
{
	bool can;

	for (size_t i = 0; i < TIER_COUNT; i++) {
		if (can_do(tpm, i, &can, e) < 0)
			return -1;
		*ret_tier = tiers[i].tier;
		if (can)
			return 0;
	}
	*ret_tier = AUDIT_TIER_NONE;
	return 0;
}

static int find_tier(const char *name, size_t *ret_index, struct kt_error *e)
{
	for (size_t i = 0; i < TIER_COUNT; i++)
		if (strcmp(name, kt_audit_tier_name(tiers[i].tier)) == 0) {
			*ret_index = i;
			return 0;
		}
	return kt_fail(e, KT_E_USAGE,
		"--tier: 'a', command audit, 'b', session audit and a use counter, or 'c', session "
		"audit alone; not '%s'",
		name);
}

int audit_choose_tier(
	struct kt_tpm *tpm, const char *name, enum kt_audit_tier *ret_tier, struct kt_error *e)
{
	enum kt_audit_tier best;
	size_t wanted = 0;
	bool can;

	if ((name != NULL && find_tier(name, &wanted, e) < 0) ||
		audit_probe_tier(tpm, &best, e) < 0)
		return -1;
	if (best == AUDIT_TIER_NONE)
		return kt_fail(e, KT_E_TPM,
			"this TPM has neither command audit nor session audit: what its keys are "
			"used for cannot be shown, and no log is begun");
	*ret_tier = best;
	if (name == NULL)
		return 0;
	if (can_do(tpm, wanted, &can, e) < 0)
		return -1;
	*ret_tier = tiers[wanted].tier;
	return can ? 0
		   : kt_fail(e, KT_E_TPM, "this TPM cannot do tier %s, only tier %s", name,
			     kt_audit_tier_name(best));
}
