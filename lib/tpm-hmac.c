/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path: PolicyPCR, PolicyCommandCode, HMAC (Part 3, 23.7, 23.11, 15.5), with
 * PolicyAuthorize (23.16) after the first where states are approved, in a session and with a key
 * that are kept. A policy session that was used successfully with continueSession set is as good as
 * new (Part 1, 19.7.2); after a failure PolicyRestart makes it so.
 */
#include "lib/tpm-hmac.h"

#include <string.h>

#include <openssl/crypto.h>
#include <tss2/tss2_sys.h>

#include "lib/log.h"
#include "lib/tpm-child.h"
#include "lib/tpm-internal.h"
#include "lib/tpm-policy.h"

/* PCRs may be extended by others between PolicyPCR and HMAC; the policy is then checked anew. */
#define PCR_CHANGED_TRIES 10
/* Plays no role without a session key, but hardware may want the smallest legal size (Part 1,
 * 19.6.5). */
#define NONCE_BYTES 16

struct kt_hmac {
	char *tcti; /* NULL: the default */
	struct kt_tpm *tpm;
	TSS2_SYS_CONTEXT *sys;
	struct kt_parent srk;
	ESYS_TR session, key;
	TPM2_HANDLE session_handle, key_handle;
	const struct kt_hmac_key *loaded; /* which one `key` is */
	bool used;			  /* the session has something to be reset */
	bool suspect;			  /* a failure that a new connection may mend */
	bool is_sent;			  /* and nobody knows what became of it */
	uint64_t connections;
	int64_t deadline_ms;
	struct kt_tpm_figures figures;
};

/* A computation: what goes in and comes out. */
struct job {
	struct kt_hmac *hmac;
	struct kt_hmac_key *key;
	const struct kt_hmac_hook *hook; /* NULL: none */
	const uint8_t *input;
	uint8_t *output;
};

int kt_hmac_new(const char *tcti, struct kt_hmac **ret_hmac, struct kt_error *e)
{
	struct kt_hmac *hmac = calloc(1, sizeof(*hmac));
	char *copy = tcti != NULL ? strdup(tcti) : NULL;

	if (hmac == NULL || (tcti != NULL && copy == NULL)) {
		free(hmac);
		free(copy);
		return kt_fail_memory(e);
	}
	hmac->tcti = copy;
	hmac->session = ESYS_TR_NONE;
	hmac->key = ESYS_TR_NONE;
	*ret_hmac = hmac;
	return 0;
}

/* What is still in the TPM is flushed, in our turn if it can be had. */
static void disconnect(struct kt_hmac *hmac)
{
	struct kt_error e;

	if (hmac->tpm == NULL)
		return;
	if (kt_tpm_resume(hmac->tpm, &e) < 0)
		kt_debug("%s", e.msg);
	kt_tpm_close(hmac->tpm);
	hmac->tpm = NULL;
	hmac->sys = NULL;
	hmac->session = ESYS_TR_NONE;
	hmac->key = ESYS_TR_NONE;
	hmac->loaded = NULL;
	hmac->used = false;
}

void kt_hmac_free(struct kt_hmac *hmac)
{
	if (hmac == NULL)
		return;
	disconnect(hmac);
	free(hmac->tcti);
	free(hmac);
}

static int connect_tpm(struct kt_hmac *hmac, struct kt_error *e)
{
	TSS2_RC rc;

	if (hmac->connections > 0)
		hmac->figures.reconnects++;
	if (kt_tpm_open_for_long(hmac->tcti, &hmac->figures, &hmac->tpm, e) < 0)
		return -1;
	hmac->connections++;
	kt_tpm_set_deadline(hmac->tpm, hmac->deadline_ms);
	rc = Esys_GetSysContext(kt_tpm_esys(hmac->tpm), &hmac->sys);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_GetSysContext");
	return kt_srk_load(hmac->tpm, &hmac->srk, e);
}

void kt_hmac_set_deadline(struct kt_hmac *hmac, int64_t deadline_ms)
{
	hmac->deadline_ms = deadline_ms;
	if (hmac->tpm != NULL)
		kt_tpm_set_deadline(hmac->tpm, deadline_ms);
}

uint64_t kt_hmac_connections(const struct kt_hmac *hmac)
{
	return hmac->connections;
}

void kt_hmac_take_figures(struct kt_hmac *hmac, struct kt_tpm_figures *ret_figures)
{
	*ret_figures = hmac->figures;
	hmac->figures = (struct kt_tpm_figures){0};
}

static int attempt(
	struct kt_hmac *hmac, kt_hmac_operation *operation, void *ctx, struct kt_error *e)
{
	int status;

	if (hmac->tpm == NULL)
		status = connect_tpm(hmac, e);
	else
		status = kt_tpm_resume(hmac->tpm, e);
	hmac->suspect = false;
	if (status == 0)
		status = operation(hmac->tpm, &hmac->srk, ctx, e);
	/* After another failure nothing that is kept can be relied on. */
	if (status < 0 && (e->code != KT_E_POLICY || hmac->suspect))
		disconnect(hmac);
	if (hmac->tpm != NULL)
		kt_tpm_pause(hmac->tpm);
	return status;
}

int kt_hmac_run(struct kt_hmac *hmac, kt_hmac_operation *operation, void *ctx, struct kt_error *e)
{
	bool kept = hmac->tpm != NULL;

	hmac->is_sent = false;
	if (attempt(hmac, operation, ctx, e) == 0)
		return 0;
	/* A TPM that was too busy for seconds needs no second try; a command that it may have
	 * carried out must not get one. */
	if (!kept || hmac->tpm != NULL || e->code == KT_E_BUSY || hmac->is_sent)
		return -1;
	return attempt(hmac, operation, ctx, e);
}

static int start_session(struct kt_hmac *hmac, struct kt_error *e)
{
	ESYS_TR session;

	if (hmac->session != ESYS_TR_NONE)
		return 0;
	if (kt_tpm_policy_session(hmac->tpm, &session, &hmac->session_handle, e) < 0)
		return -1;
	hmac->session = session;
	hmac->used = false;
	return 0;
}

static void unload_key(struct kt_hmac *hmac)
{
	if (hmac->loaded != NULL)
		kt_tpm_flush(hmac->tpm, hmac->key);
	hmac->key = ESYS_TR_NONE;
	hmac->loaded = NULL;
}

/* One key at a time: a bare TPM has three slots, and others want some. */
static int load_key(struct kt_hmac *hmac, const struct kt_hmac_key *key, struct kt_error *e)
{
	TSS2_RC rc;

	if (hmac->loaded == key)
		return 0;
	unload_key(hmac);
	if (kt_parent_check_name(&hmac->srk, &key->parent, e) < 0 ||
		kt_child_load(hmac->tpm, &hmac->srk, &key->public, &key->private, &hmac->key, e) <
			0)
		return -1;
	rc = Esys_TR_GetTpmHandle(kt_tpm_esys(hmac->tpm), hmac->key, &hmac->key_handle);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_TR_GetTpmHandle");
	hmac->loaded = key;
	return 0;
}

/* A gap between saved sessions is ours to mend, by a new one; waiting does not. */
static bool again(struct kt_hmac *hmac, struct kt_tpm_retry *retry, TSS2_RC rc)
{
	return kt_rc_base(rc) != TPM2_RC_CONTEXT_GAP && kt_tpm_retry(hmac->tpm, retry, rc);
}

static int restart_policy(struct kt_hmac *hmac, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (!hmac->used)
		return 0;
	do
		rc = Tss2_Sys_PolicyRestart(hmac->sys, hmac->session_handle, NULL, NULL);
	while (again(hmac, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_PolicyRestart");
	hmac->used = false;
	return 0;
}

static const struct kt_policy_step *find_authorize(const struct kt_policy *policy)
{
	for (size_t i = 0; i < policy->count; i++)
		if (policy->steps[i].command == TPM2_CC_PolicyAuthorize)
			return &policy->steps[i];
	return NULL;
}

/* The signature is looked at once: the ticket that says so is good for as long as the owner
 * hierarchy is. */
static int get_ticket(struct kt_hmac *hmac, struct kt_hmac_key *key, struct kt_error *e)
{
	const struct kt_policy_step *step = find_authorize(&key->policy);
	struct kt_hmac_approval *approval = &key->approval;
	struct kt_policy before = key->policy;

	if (step == NULL || approval->known)
		return 0;
	before.count = (size_t)(step - key->policy.steps);
	if (kt_policy_digest(TPM2_ALG_SHA256, &before, &approval->approved, e) < 0 ||
		kt_public_name(&step->authorize.key, &approval->signer, e) < 0 ||
		kt_tpm_verify_approval(hmac->tpm, step, &approval->approved, &approval->ticket, e) <
			0)
		return -1;
	approval->known = true;
	return 0;
}

static TSS2_RC call_step(struct kt_hmac *hmac, const struct kt_policy_step *step,
	const struct kt_hmac_approval *approval)
{
	switch (step->command) {
	case TPM2_CC_PolicyPCR:
		return Tss2_Sys_PolicyPCR(hmac->sys, hmac->session_handle, NULL, &step->pcr.digest,
			&step->pcr.selection, NULL);
	case TPM2_CC_PolicyOR:
		return Tss2_Sys_PolicyOR(
			hmac->sys, hmac->session_handle, NULL, &step->branches, NULL);
	case TPM2_CC_PolicyAuthorize:
		return Tss2_Sys_PolicyAuthorize(hmac->sys, hmac->session_handle, NULL,
			&approval->approved, &step->authorize.ref, &approval->signer,
			&approval->ticket, NULL);
	case TPM2_CC_PolicyCommandCode:
		return Tss2_Sys_PolicyCommandCode(
			hmac->sys, hmac->session_handle, NULL, step->command_code, NULL);
	case TPM2_CC_PolicySecret:
		return kt_tpm_counter_policy(hmac->sys, hmac->session_handle);
	default:
		return TSS2_SYS_RC_BAD_VALUE;
	}
}

static int run_step(struct kt_hmac *hmac, const struct kt_policy_step *step,
	struct kt_hmac_approval *approval, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = call_step(hmac, step, approval);
	while (again(hmac, &retry, rc));
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_tss(e, rc, kt_policy_command_name(step->command));
	/* A ticket of a hierarchy that was cleared since: another one may do. */
	if (step->command == TPM2_CC_PolicyAuthorize) {
		approval->known = false;
		hmac->suspect = true;
	}
	/* An explicit digest that is not the present one (Part 3, 23.7) is VALUE. */
	if (step->command == TPM2_CC_PolicyPCR && kt_rc_base(rc) == TPM2_RC_VALUE)
		return kt_fail(e, KT_E_POLICY,
			"policy not satisfied: the PCRs do not have the values it demands");
	return -1;
}

static TSS2_RC call_hmac(const struct job *job, TPM2B_DIGEST *ret_output)
{
	struct kt_tpm_audit_session *audit =
		job->hook != NULL ? job->hook->session(job->hook->ctx) : NULL;
	TSS2L_SYS_AUTH_COMMAND auth = {
		.count = 1,
		.auths = {{
			.sessionHandle = job->hmac->session_handle,
			.nonce.size = NONCE_BYTES,
			.sessionAttributes = TPMA_SESSION_CONTINUESESSION,
		}},
	};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	TPM2B_MAX_BUFFER input = {.size = KT_HMAC_BYTES};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (audit != NULL)
		auth.auths[auth.count++] = kt_tpm_audit_session_auth(audit);
	memcpy(input.buffer, job->input, KT_HMAC_BYTES);
	do {
		ret_output->size = 0;
		rc = Tss2_Sys_HMAC(job->hmac->sys, job->hmac->key_handle, &auth, &input,
			TPM2_ALG_NULL, ret_output, &answer);
	} while (again(job->hmac, &retry, rc));
	if (audit != NULL && rc == TSS2_RC_SUCCESS)
		audit->is_new = false;
	return rc;
}

static int take_output(const struct job *job, const TPM2B_DIGEST *output, struct kt_error *e)
{
	if (output->size != KT_HMAC_BYTES)
		return kt_fail(
			e, KT_E_REFUSED, "the TPM's HMAC has %u bytes", (unsigned)output->size);
	memcpy(job->output, output->buffer, KT_HMAC_BYTES);
	return 0;
}

/* The TPM itself said no, so that it did nothing; what comes from in between says nothing. */
static bool is_refusal(TSS2_RC rc)
{
	const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

static int call_hook(const struct job *job, struct kt_error *e)
{
	const struct kt_hmac_hook *hook = job->hook;

	if (hook == NULL)
		return 0;
	return hook->before(job->hmac->tpm, &job->hmac->srk, job->hmac->key, hook->ctx, e);
}

/* *ret_changed: PCRs were extended meanwhile, so that it has to be done again. */
static int use_key(const struct job *job, bool *ret_changed, struct kt_error *e)
{
	struct kt_hmac *hmac = job->hmac;
	const struct kt_policy *policy = &job->key->policy;
	bool is_counted = false;
	TPM2B_DIGEST output;
	TSS2_RC rc;
	int status;

	if (get_ticket(hmac, job->key, e) < 0 || restart_policy(hmac, e) < 0)
		return -1;
	hmac->used = true;
	for (size_t i = 0; i < policy->count; i++) {
		is_counted = policy->steps[i].command == TPM2_CC_PolicySecret;
		if ((is_counted && call_hook(job, e) < 0) ||
			run_step(hmac, &policy->steps[i], &job->key->approval, e) < 0)
			return -1;
	}
	if (!is_counted && call_hook(job, e) < 0)
		return -1;
	rc = call_hmac(job, &output);
	hmac->is_sent = job->hook != NULL && rc != TSS2_RC_SUCCESS && !is_refusal(rc);
	/* What was counted is not counted again without another intent. */
	*ret_changed = kt_rc_base(rc) == TPM2_RC_PCR_CHANGED && !is_counted;
	if (rc != TSS2_RC_SUCCESS) {
		/* The policy has just been run: if the TPM does not think so, key or session may
		 * be somebody else's by now, after a reset. */
		hmac->suspect = true;
		return kt_fail_tss(e, rc, "TPM2_HMAC");
	}
	hmac->used = false;
	status = take_output(job, &output, e);
	OPENSSL_cleanse(&output, sizeof(output));
	return status;
}

static int compute(struct kt_tpm *tpm, const struct kt_parent *srk, void *ctx, struct kt_error *e)
{
	const struct job *job = ctx;
	bool changed = false;
	int status;

	(void)tpm;
	(void)srk;
	if (start_session(job->hmac, e) < 0 || load_key(job->hmac, job->key, e) < 0)
		return -1;
	status = use_key(job, &changed, e);
	for (int i = 0; changed && i < PCR_CHANGED_TRIES; i++) {
		changed = false;
		job->hmac->suspect = false;
		status = use_key(job, &changed, e);
	}
	return status;
}

int kt_hmac_compute_hooked(struct kt_hmac *hmac, struct kt_hmac_key *key,
	const struct kt_hmac_hook *hook, const uint8_t input[KT_HMAC_BYTES],
	uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	struct job job = {hmac, key, hook, input, ret_output};

	return kt_hmac_run(hmac, compute, &job, e);
}

int kt_hmac_compute(struct kt_hmac *hmac, struct kt_hmac_key *key,
	const uint8_t input[KT_HMAC_BYTES], uint8_t ret_output[KT_HMAC_BYTES], struct kt_error *e)
{
	return kt_hmac_compute_hooked(hmac, key, NULL, input, ret_output, e);
}

void kt_hmac_drop_key(struct kt_hmac *hmac, const struct kt_hmac_key *key)
{
	struct kt_error ignored;

	if (hmac->loaded != key || kt_tpm_resume(hmac->tpm, &ignored) < 0)
		return;
	unload_key(hmac);
	kt_tpm_pause(hmac->tpm);
}
