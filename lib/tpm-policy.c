/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy steps as TPM commands. Which policy an object has was parsed and computed elsewhere.
 */
#include "lib/tpm-policy.h"

#include <openssl/crypto.h>

#include "lib/pcr.h"
#include "lib/tpm-internal.h"

struct run {
	struct kt_tpm *tpm;
	ESYS_TR session;
	const struct kt_parent *salt;
	const struct kt_policy_auth *auth;
};

typedef TSS2_RC step_fn(struct run *run, const struct kt_policy_step *step);

#define NO_SESSIONS ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE

static TSS2_RC run_pcr(struct run *run, const struct kt_policy_step *step)
{
	return Esys_PolicyPCR(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS, &step->pcr.digest,
		&step->pcr.selection);
}

static TSS2_RC run_or(struct run *run, const struct kt_policy_step *step)
{
	return Esys_PolicyOR(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS, &step->branches);
}

static TSS2_RC run_auth_value(struct run *run, const struct kt_policy_step *step)
{
	(void)step;
	return Esys_PolicyAuthValue(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS);
}

static TSS2_RC run_command_code(struct run *run, const struct kt_policy_step *step)
{
	return Esys_PolicyCommandCode(
		kt_tpm_esys(run->tpm), run->session, NO_SESSIONS, step->command_code);
}

static TSS2_RC run_locality(struct run *run, const struct kt_policy_step *step)
{
	return Esys_PolicyLocality(
		kt_tpm_esys(run->tpm), run->session, NO_SESSIONS, step->locality);
}

static TSS2_RC run_counter_timer(struct run *run, const struct kt_policy_step *step)
{
	return Esys_PolicyCounterTimer(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS,
		&step->counter.operand, step->counter.offset, step->counter.operation);
}

static const struct {
	TPM2_CC command;
	const char *name;
	step_fn *run;
} simple_steps[] = {
	{TPM2_CC_PolicyPCR, "TPM2_PolicyPCR", run_pcr},
	{TPM2_CC_PolicyOR, "TPM2_PolicyOR", run_or},
	/* PolicyPassword has the same digest, and would send the value in clear. */
	{TPM2_CC_PolicyAuthValue, "TPM2_PolicyAuthValue", run_auth_value},
	{TPM2_CC_PolicyPassword, "TPM2_PolicyAuthValue", run_auth_value},
	{TPM2_CC_PolicyCommandCode, "TPM2_PolicyCommandCode", run_command_code},
	{TPM2_CC_PolicyLocality, "TPM2_PolicyLocality", run_locality},
	{TPM2_CC_PolicyCounterTimer, "TPM2_PolicyCounterTimer", run_counter_timer},
};

static int fail_pcr(const struct kt_policy_step *step, struct kt_error *e)
{
	struct kt_error ignored;
	struct kt_pcr_set pcrs;
	char text[KT_PCR_TEXT_MAX] = "of a selection we cannot show";

	if (kt_pcr_from_tpml(&step->pcr.selection, &pcrs, &ignored) == 0)
		kt_pcr_format(&pcrs, text);
	return kt_fail(e, KT_E_POLICY,
		"policy not satisfied: the PCRs %s do not have the values it demands", text);
}

static int run_simple(
	struct run *run, const struct kt_policy_step *step, size_t which, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = simple_steps[which].run(run, step);
	while (kt_tpm_retry(run->tpm, &retry, rc));
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_tss(e, rc, simple_steps[which].name);
	/* An explicit digest that is not the present one (Part 3, 23.7) is VALUE. */
	if (kt_rc_base(rc) == TPM2_RC_VALUE && step->command == TPM2_CC_PolicyPCR)
		return fail_pcr(step, e);
	/* None of the branches (Part 3, 23.6) is VALUE too. */
	if (kt_rc_base(rc) == TPM2_RC_VALUE && step->command == TPM2_CC_PolicyOR)
		return kt_fail(e, KT_E_POLICY,
			"policy not satisfied: the steps taken are none of its alternatives");
	if (kt_rc_base(rc) == TPM2_RC_POLICY)
		e->code = KT_E_POLICY;
	return -1;
}

static TPM2_HANDLE entity_handle(const struct kt_policy_step *step)
{
	const TPM2B_NAME *name = &step->secret.name;

	/* The Name of a permanent handle is the handle itself (Part 1, 16). */
	if (name->size == sizeof(UINT32))
		return (TPM2_HANDLE)name->name[0] << 24 | (TPM2_HANDLE)name->name[1] << 16 |
		       (TPM2_HANDLE)name->name[2] << 8 | name->name[3];
	return step->secret.hint;
}

/* The entity whose secret is asked for, and its authorisation value. */
static int find_entity(struct run *run, const struct kt_policy_step *step, ESYS_TR *ret_handle,
	const struct kt_secret **ret_auth, struct kt_error *e)
{
	TPM2_HANDLE handle = entity_handle(step);
	struct kt_parent object;

	*ret_auth = NULL;
	switch (handle) {
	case TPM2_RH_OWNER:
		*ret_handle = ESYS_TR_RH_OWNER;
		*ret_auth = run->auth->owner_auth;
		return 0;
	case TPM2_RH_ENDORSEMENT:
		*ret_handle = ESYS_TR_RH_ENDORSEMENT;
		*ret_auth = run->auth->endorsement_auth;
		return 0;
	case TPM2_RH_NULL:
		*ret_handle = ESYS_TR_RH_NULL;
		return 0;
	}
	if (handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
		return kt_fail(e, KT_E_REFUSED,
			"the policy asks for the secret of 0x%08x; only hierarchies and persistent "
			"objects can be asked",
			handle);
	if (kt_parent_load(run->tpm, handle, &object, e) < 0)
		return -1;
	if (!kt_name_equal(&object.name, &step->secret.name))
		return kt_fail(e, KT_E_POLICY,
			"the policy asks for the secret of an object at 0x%08x, where another one "
			"is now",
			handle);
	*ret_handle = object.handle;
	*ret_auth = run->auth->object_auth;
	return 0;
}

static int run_secret(struct run *run, const struct kt_policy_step *step, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	const struct kt_secret *auth = NULL;
	ESYS_TR handle = ESYS_TR_NONE, session = ESYS_TR_PASSWORD;
	TSS2_RC rc;

	if (find_entity(run, step, &handle, &auth, e) < 0 ||
		kt_tpm_set_auth(run->tpm, handle, auth, e) < 0)
		return -1;
	/* A value must not cross the bus in clear; an empty one has nothing to hide. */
	if (auth != NULL && kt_session_start(run->tpm, run->salt, KT_SESSION_HMAC,
				    KT_SESSION_AUTH_ONLY, TPM2_ALG_SHA256, &session, e) < 0)
		return -1;
	do
		rc = Esys_PolicySecret(kt_tpm_esys(run->tpm), handle, run->session, session,
			ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, &step->secret.ref, 0, NULL, NULL);
	while (kt_tpm_retry(run->tpm, &retry, rc));
	if (session != ESYS_TR_PASSWORD)
		kt_session_end(run->tpm, session, rc);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_tss(e, rc, "TPM2_PolicySecret");
	if (e->code != KT_E_PIN)
		return -1;
	return kt_hint(e, "the policy asks for the authorisation value of %s",
		handle == ESYS_TR_RH_OWNER	   ? "the owner hierarchy (--owner-auth-file)"
		: handle == ESYS_TR_RH_ENDORSEMENT ? "the endorsement hierarchy "
						     "(--endorsement-auth-file)"
						   : "another object (--policy-auth-file)");
}

static int load_signer(
	struct kt_tpm *tpm, const TPM2B_PUBLIC *public, ESYS_TR *ret_key, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do /* the ticket needs a hierarchy other than NULL (Part 3, 20.1) */
		rc = Esys_LoadExternal(
			kt_tpm_esys(tpm), NO_SESSIONS, NULL, public, ESYS_TR_RH_OWNER, ret_key);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_LoadExternal");
	return kt_tpm_track(tpm, *ret_key, e);
}

/* aHash of the signature: H(approvedPolicy ‖ policyRef) (Part 3, 23.16). */
static int verify_signature(struct kt_tpm *tpm, ESYS_TR key, const struct kt_policy_step *step,
	const TPM2B_DIGEST *approved, TPMT_TK_VERIFIED *ret_ticket, struct kt_error *e)
{
	const struct kt_span signed_data[] = {
		{approved->buffer, approved->size},
		{step->authorize.ref.buffer, step->authorize.ref.size},
	};
	const TPMT_SIGNATURE *signature = &step->authorize.signature;
	auto_esys TPMT_TK_VERIFIED *ticket = NULL;
	struct kt_tpm_retry retry = {0};
	TPM2B_DIGEST digest;
	TSS2_RC rc;

	if (kt_hash(signature->signature.any.hashAlg, signed_data, 2, &digest, e) < 0)
		return -1;
	do
		rc = Esys_VerifySignature(
			kt_tpm_esys(tpm), key, NO_SESSIONS, &digest, signature, &ticket);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_VerifySignature");
	*ret_ticket = *ticket;
	return 0;
}

int kt_tpm_verify_approval(struct kt_tpm *tpm, const struct kt_policy_step *step,
	const TPM2B_DIGEST *approved, TPMT_TK_VERIFIED *ret_ticket, struct kt_error *e)
{
	ESYS_TR key = ESYS_TR_NONE;
	int status;

	if (step->authorize.signature.sigAlg == TPM2_ALG_NULL)
		return kt_fail(
			e, KT_E_POLICY, "the policy needs a signed approval, and there is none");
	if (load_signer(tpm, &step->authorize.key, &key, e) < 0)
		return -1;
	status = verify_signature(tpm, key, step, approved, ret_ticket, e);
	kt_tpm_flush(tpm, key);
	return status;
}

/* `approved`: the digest of the steps so far, which is what was signed. */
static int run_authorize(struct run *run, const struct kt_policy_step *step, struct kt_error *e)
{
	auto_esys TPM2B_DIGEST *approved = NULL;
	struct kt_tpm_retry retry = {0};
	TPMT_TK_VERIFIED ticket;
	TPM2B_NAME name;
	TSS2_RC rc;

	rc = Esys_PolicyGetDigest(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS, &approved);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_PolicyGetDigest");
	if (kt_tpm_verify_approval(run->tpm, step, approved, &ticket, e) < 0 ||
		kt_public_name(&step->authorize.key, &name, e) < 0)
		return -1;
	do
		rc = Esys_PolicyAuthorize(kt_tpm_esys(run->tpm), run->session, NO_SESSIONS,
			approved, &step->authorize.ref, &name, &ticket);
	while (kt_tpm_retry(run->tpm, &retry, rc));
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_tss(e, rc, "TPM2_PolicyAuthorize");
	if (kt_rc_base(rc) == TPM2_RC_VALUE)
		e->code = KT_E_POLICY;
	return -1;
}

static int run_step(struct run *run, const struct kt_policy_step *step, struct kt_error *e)
{
	if (kt_tpm_check(run->tpm, e) < 0)
		return -1;
	if (step->command == TPM2_CC_PolicySecret)
		return run_secret(run, step, e);
	if (step->command == TPM2_CC_PolicyAuthorize)
		return run_authorize(run, step, e);
	for (size_t i = 0; i < sizeof(simple_steps) / sizeof(simple_steps[0]); i++)
		if (simple_steps[i].command == step->command)
			return run_simple(run, step, i, e);
	return kt_fail(e, KT_E_INPUT, "policy command 0x%08x is not supported", step->command);
}

int kt_tpm_run_policy(struct kt_tpm *tpm, ESYS_TR session, const struct kt_parent *salt,
	const struct kt_policy *policy, const struct kt_policy_auth *auth, struct kt_error *e)
{
	struct run run = {.tpm = tpm, .session = session, .salt = salt, .auth = auth};

	for (size_t i = 0; i < policy->count; i++)
		if (run_step(&run, &policy->steps[i], e) < 0)
			return -1;
	return 0;
}
