/* SPDX-License-Identifier: Apache-2.0 */
#include "sealtool/audit-tier.h"

#include <string.h>

#include "lib/tpm-info.h"

#define COMMANDS_MAX 16

/* What each one needs; ended by 0. */
static const TPM2_CC needs[][COMMANDS_MAX] = {
	[AUDIT_TIER_A] = {TPM2_CC_SetCommandCodeAuditStatus, TPM2_CC_GetCommandAuditDigest,
		TPM2_CC_HMAC, TPM2_CC_Sign, TPM2_CC_CertifyCreation},
	[AUDIT_TIER_B] = {TPM2_CC_GetSessionAuditDigest, TPM2_CC_HMAC, TPM2_CC_Sign,
		TPM2_CC_CertifyCreation, TPM2_CC_NV_DefineSpace, TPM2_CC_NV_Write, TPM2_CC_NV_Read,
		TPM2_CC_PolicySecret, TPM2_CC_PolicyNvWritten, TPM2_CC_PolicyCommandCode,
		TPM2_CC_PolicyOR},
	[AUDIT_TIER_C] = {0},
};

const char *audit_tier_name(enum audit_tier tier)
{
	static const char *const names[] = {"a", "b", "c"};

	return names[tier];
}

const char *audit_tier_text(enum audit_tier tier)
{
	static const char *const texts[] = {"command audit", "session audit, and a use counter",
		"neither command audit nor session audit"};

	return texts[tier];
}

static int can_do(struct kt_tpm *tpm, enum audit_tier tier, bool *ret_can, struct kt_error *e)
{
	*ret_can = true;
	for (size_t i = 0; *ret_can && needs[tier][i] != 0; i++)
		if (kt_tpm_has_command(tpm, needs[tier][i], ret_can, e) < 0)
			return -1;
	return 0;
}

int audit_probe_tier(struct kt_tpm *tpm, enum audit_tier *ret_tier, struct kt_error *e)
{
	bool can = false;

	for (int tier = AUDIT_TIER_A; tier <= AUDIT_TIER_C && !can; tier++) {
		if (can_do(tpm, (enum audit_tier)tier, &can, e) < 0)
			return -1;
		*ret_tier = (enum audit_tier)tier;
	}
	return 0;
}

static int no_audit(struct kt_error *e)
{
	return kt_fail(e, KT_E_TPM,
		"this TPM has neither command audit nor session audit and a use counter (tier c): "
		"what its keys are used for cannot be shown, and no log is begun");
}

int audit_choose_tier(
	struct kt_tpm *tpm, const char *name, enum audit_tier *ret_tier, struct kt_error *e)
{
	bool can;

	if (name == NULL) {
		if (audit_probe_tier(tpm, ret_tier, e) < 0)
			return -1;
		return *ret_tier != AUDIT_TIER_C ? 0 : no_audit(e);
	}
	if (strcmp(name, "a") != 0 && strcmp(name, "b") != 0)
		return kt_fail(e, KT_E_USAGE,
			"--tier: 'a', command audit, or 'b', session audit and a use counter; not "
			"'%s'",
			name);
	*ret_tier = *name == 'a' ? AUDIT_TIER_A : AUDIT_TIER_B;
	if (can_do(tpm, *ret_tier, &can, e) < 0)
		return -1;
	if (can)
		return 0;
	if (audit_probe_tier(tpm, ret_tier, e) < 0)
		return -1;
	return *ret_tier == AUDIT_TIER_C
		       ? no_audit(e)
		       : kt_fail(e, KT_E_TPM, "this TPM cannot do tier %s, only tier %s", name,
				 audit_tier_name(*ret_tier));
}
