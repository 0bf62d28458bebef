/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-counter.h"

#include <string.h>

#include "lib/audit-counter.h"
#include "lib/tpm-internal.h"
#include "lib/tpm-session.h"

/* See tpm-hmac.c: plays no role without a session key. */
#define NONCE_BYTES 16

static int get_sys(struct kt_tpm *tpm, TSS2_SYS_CONTEXT **ret_sys, struct kt_error *e)
{
	TSS2_RC rc = Esys_GetSysContext(kt_tpm_esys(tpm), ret_sys);

	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "Esys_GetSysContext");
}

static int start_session(struct kt_tpm *tpm, TPM2_SE kind, ESYS_TR *ret_session,
	TPM2_HANDLE *ret_handle, struct kt_error *e)
{
	const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
	ESYS_CONTEXT *esys = kt_tpm_esys(tpm);
	struct kt_tpm_retry retry = {0};
	ESYS_TR session;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, ESYS_TR_NONE, NULL, kind, &none, TPM2_ALG_SHA256, &session);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_StartAuthSession");
	if (kt_tpm_track(tpm, session, e) < 0)
		return -1;
	rc = Esys_TR_GetTpmHandle(esys, session, ret_handle);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_TR_GetTpmHandle");
	*ret_session = session;
	return 0;
}

int kt_tpm_policy_session(
	struct kt_tpm *tpm, ESYS_TR *ret_session, TPM2_HANDLE *ret_handle, struct kt_error *e)
{
	return start_session(tpm, TPM2_SE_POLICY, ret_session, ret_handle, e);
}

int kt_tpm_audit_session_start(
	struct kt_tpm *tpm, struct kt_tpm_audit_session *ret_session, struct kt_error *e)
{
	if (start_session(tpm, TPM2_SE_HMAC, &ret_session->session, &ret_session->handle, e) < 0)
		return -1;
	ret_session->is_new = true;
	return 0;
}

static TPMS_AUTH_COMMAND empty_auth(TPM2_HANDLE session, TPMA_SESSION attributes)
{
	return (TPMS_AUTH_COMMAND){
		.sessionHandle = session,
		.nonce.size = NONCE_BYTES,
		.sessionAttributes = attributes,
	};
}

TPMS_AUTH_COMMAND kt_tpm_audit_session_auth(const struct kt_tpm_audit_session *session)
{
	return empty_auth(session->handle, TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_AUDIT |
						   (session->is_new ? TPMA_SESSION_AUDITRESET : 0));
}

static void make_public(TPM2B_NV_PUBLIC *ret_public)
{
	TPMS_NV_PUBLIC *area = &ret_public->nvPublic;
	struct kt_counter_policy policy;

	kt_audit_counter_policy(&policy);
	memset(ret_public, 0, sizeof(*ret_public));
	area->nvIndex = KT_COUNTER_INDEX;
	area->nameAlg = TPM2_ALG_SHA256;
	area->attributes = KT_COUNTER_ATTRIBUTES;
	area->authPolicy.size = KT_SHA256_BYTES;
	memcpy(area->authPolicy.buffer, policy.either, KT_SHA256_BYTES);
	area->dataSize = KT_COUNTER_BYTES;
}

static void branches_of(const struct kt_counter_policy *policy, TPML_DIGEST *ret_branches)
{
	memset(ret_branches, 0, sizeof(*ret_branches));
	ret_branches->count = 2;
	ret_branches->digests[0].size = ret_branches->digests[1].size = KT_SHA256_BYTES;
	memcpy(ret_branches->digests[0].buffer, policy->write, KT_SHA256_BYTES);
	memcpy(ret_branches->digests[1].buffer, policy->read, KT_SHA256_BYTES);
}

/* The branch that is run by `first`, and the PolicyOR behind it. */
static int run_policy(struct kt_tpm *tpm, TSS2_SYS_CONTEXT *sys, TPM2_HANDLE session, bool write,
	struct kt_error *e)
{
	struct kt_counter_policy policy;
	struct kt_tpm_retry retry = {0};
	TPML_DIGEST branches;
	TSS2_RC rc;

	kt_audit_counter_policy(&policy);
	branches_of(&policy, &branches);
	do
		rc = write ? Tss2_Sys_PolicyNvWritten(sys, session, NULL, TPM2_NO, NULL)
			   : Tss2_Sys_PolicyCommandCode(sys, session, NULL, TPM2_CC_NV_Read, NULL);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(
			e, rc, write ? "TPM2_PolicyNvWritten" : "TPM2_PolicyCommandCode");
	do
		rc = Tss2_Sys_PolicyOR(sys, session, NULL, &branches, NULL);
	while (kt_tpm_retry(tpm, &retry, rc));
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "TPM2_PolicyOR");
}

static int define(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, struct kt_error *e)
{
	const TPM2B_AUTH no_auth = {.size = 0};
	struct kt_tpm_retry retry = {0};
	ESYS_TR session, index;
	TPM2B_NV_PUBLIC public;
	TSS2_RC rc;

	make_public(&public);
	if (kt_tpm_check(tpm, e) < 0 ||
		kt_auth_start(tpm, srk, ESYS_TR_RH_OWNER, owner_auth, &session, e) < 0)
		return -1;
	do
		rc = Esys_NV_DefineSpace(kt_tpm_esys(tpm), ESYS_TR_RH_OWNER, session, ESYS_TR_NONE,
			ESYS_TR_NONE, &no_auth, &public, &index);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, session, rc);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_auth(e, rc, "TPM2_NV_DefineSpace");
	return kt_rc_base(rc) == TPM2_RC_ATTRIBUTES
		       ? kt_hint(e, "this TPM has no PIN indices, which count uses; what is left "
				    "is --tier c")
		       : -1;
}

/* A policy session that has run a branch; ends with the command that uses it. */
static int start_authorised(struct kt_tpm *tpm, bool write, TSS2_SYS_CONTEXT **ret_sys,
	ESYS_TR *ret_session, TPMS_AUTH_COMMAND *ret_auth, struct kt_error *e)
{
	TPM2_HANDLE handle;

	if (get_sys(tpm, ret_sys, e) < 0 || kt_tpm_policy_session(tpm, ret_session, &handle, e) < 0)
		return -1;
	if (run_policy(tpm, *ret_sys, handle, write, e) < 0) {
		kt_tpm_flush(tpm, *ret_session);
		return -1;
	}
	*ret_auth = empty_auth(handle, 0);
	return 0;
}

/* Count 0, no limit: once. */
static int begin(struct kt_tpm *tpm, struct kt_error *e)
{
	TPM2B_MAX_NV_BUFFER data = {
		.size = KT_COUNTER_BYTES, .buffer = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}};
	TSS2L_SYS_AUTH_COMMAND auth = {.count = 1};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	struct kt_tpm_retry retry = {0};
	TSS2_SYS_CONTEXT *sys;
	ESYS_TR session;
	TSS2_RC rc;

	if (start_authorised(tpm, true, &sys, &session, &auth.auths[0], e) < 0)
		return -1;
	do
		rc = Tss2_Sys_NV_Write(
			sys, KT_COUNTER_INDEX, KT_COUNTER_INDEX, &auth, &data, 0, &answer);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "TPM2_NV_Write");
}

static bool is_ours(const TPM2B_NV_PUBLIC *public)
{
	TPM2B_NV_PUBLIC own;
	const TPMS_NV_PUBLIC *a = &public->nvPublic, *b = &own.nvPublic;

	make_public(&own);
	return a->nvIndex == b->nvIndex && a->nameAlg == b->nameAlg &&
	       (a->attributes & ~KT_COUNTER_WRITTEN) == b->attributes &&
	       a->dataSize == b->dataSize && a->authPolicy.size == b->authPolicy.size &&
	       memcmp(a->authPolicy.buffer, b->authPolicy.buffer, KT_SHA256_BYTES) == 0;
}

/* *ret_written only if it is there. */
static int look(struct kt_tpm *tpm, bool *ret_written, struct kt_error *e)
{
	TPM2B_NV_PUBLIC public = {0};
	TPM2B_NAME name = {.size = sizeof(name.name)};
	struct kt_tpm_retry retry = {0};
	TSS2_SYS_CONTEXT *sys;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0 || get_sys(tpm, &sys, e) < 0)
		return -1;
	do
		rc = Tss2_Sys_NV_ReadPublic(sys, KT_COUNTER_INDEX, NULL, &public, &name, NULL);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (kt_rc_base(rc) == TPM2_RC_HANDLE)
		return kt_fail(e, KT_E_NOT_PROVISIONED,
			"there is no use counter at 0x%08x: 'sealtool audit init --tier b' makes "
			"it",
			KT_COUNTER_INDEX);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_NV_ReadPublic");
	if (!is_ours(&public))
		return kt_fail(e, KT_E_REFUSED,
			"the NV index 0x%08x is somebody else's, or was changed: it is no use "
			"counter "
			"of ours",
			KT_COUNTER_INDEX);
	*ret_written = (public.nvPublic.attributes & KT_COUNTER_WRITTEN) != 0;
	return 0;
}

int kt_tpm_counter_make(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, struct kt_error *e)
{
	bool is_written = false;

	if (look(tpm, &is_written, e) < 0) {
		if (e->code != KT_E_NOT_PROVISIONED || define(tpm, srk, owner_auth, e) < 0)
			return -1;
	}
	return is_written ? 0 : begin(tpm, e);
}

int kt_tpm_counter_check(struct kt_tpm *tpm, struct kt_error *e)
{
	bool is_written;

	if (look(tpm, &is_written, e) < 0)
		return -1;
	return is_written ? 0
			  : kt_fail(e, KT_E_NOT_PROVISIONED,
				    "the use counter at 0x%08x has no value: 'sealtool audit init "
				    "--tier b' begins it",
				    KT_COUNTER_INDEX);
}

static int take_count(const TPM2B_MAX_NV_BUFFER *data, uint64_t *ret_uses, struct kt_error *e)
{
	static const uint8_t limit[] = {0xff, 0xff, 0xff, 0xff};

	if (data->size != KT_COUNTER_BYTES || memcmp(data->buffer + 4, limit, sizeof(limit)) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"the use counter at 0x%08x has another limit than ours: somebody made it "
			"anew",
			KT_COUNTER_INDEX);
	*ret_uses = (uint64_t)data->buffer[0] << 24 | (uint64_t)data->buffer[1] << 16 |
		    (uint64_t)data->buffer[2] << 8 | data->buffer[3];
	return 0;
}

int kt_tpm_counter_read(struct kt_tpm *tpm, struct kt_tpm_audit_session *audit, uint64_t *ret_uses,
	struct kt_error *e)
{
	TSS2L_SYS_AUTH_COMMAND auth = {.count = audit != NULL ? 2 : 1};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	TPM2B_MAX_NV_BUFFER data;
	struct kt_tpm_retry retry = {0};
	TSS2_SYS_CONTEXT *sys;
	ESYS_TR session;
	TSS2_RC rc;

	if (start_authorised(tpm, false, &sys, &session, &auth.auths[0], e) < 0)
		return -1;
	if (audit != NULL)
		auth.auths[1] = kt_tpm_audit_session_auth(audit);
	do {
		data.size = 0;
		rc = Tss2_Sys_NV_Read(sys, KT_COUNTER_INDEX, KT_COUNTER_INDEX, &auth,
			KT_COUNTER_BYTES, 0, &data, &answer);
	} while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_NV_Read");
	if (audit != NULL)
		audit->is_new = false;
	return take_count(&data, ret_uses, e);
}

/* With a password, as some chips fail on another kind of session here. */
TSS2_RC kt_tpm_counter_policy(TSS2_SYS_CONTEXT *sys, TPM2_HANDLE policy_session)
{
	const TSS2L_SYS_AUTH_COMMAND auth = {
		.count = 1,
		.auths = {{.sessionHandle = TPM2_RS_PW,
			.sessionAttributes = TPMA_SESSION_CONTINUESESSION}},
	};
	const TPM2B_NONCE nothing = {.size = 0};
	const TPM2B_DIGEST no_hash = {.size = 0};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	TPM2B_TIMEOUT timeout = {.size = 0};
	TPMT_TK_AUTH ticket = {0};

	return Tss2_Sys_PolicySecret(sys, KT_COUNTER_INDEX, policy_session, &auth, &nothing,
		&no_hash, &nothing, 0, &timeout, &ticket, &answer);
}

/* Nobody knows the qualifying data before: so the reading behind it is not an older one. */
static int bind_session(struct kt_tpm *tpm, struct kt_tpm_audit_session *session,
	const uint8_t qualifying[KT_SHA256_BYTES], struct kt_error *e)
{
	const TSS2L_SYS_AUTH_COMMAND auth = {
		.count = 1, .auths = {kt_tpm_audit_session_auth(session)}};
	TPM2B_SENSITIVE_DATA data = {.size = KT_SHA256_BYTES};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	struct kt_tpm_retry retry = {0};
	TSS2_SYS_CONTEXT *sys;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0 || get_sys(tpm, &sys, e) < 0)
		return -1;
	memcpy(data.buffer, qualifying, KT_SHA256_BYTES);
	do
		rc = Tss2_Sys_StirRandom(sys, &auth, &data, &answer);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_StirRandom");
	session->is_new = false;
	return 0;
}

static int attest_session(struct kt_tpm *tpm, struct kt_tpm_audit_session *session,
	const struct kt_tpm_audit_vouch *vouch, struct kt_tpm_attest *ret_attest,
	struct kt_error *e)
{
	const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_DATA data = {.size = KT_SHA256_BYTES};
	auto_esys TPM2B_ATTEST *attest = NULL;
	auto_esys TPMT_SIGNATURE *signature = NULL;
	struct kt_tpm_retry retry = {0};
	ESYS_TR auth;
	TSS2_RC rc;

	memcpy(data.buffer, vouch->qualifying, KT_SHA256_BYTES);
	if (kt_auth_start(
		    tpm, vouch->srk, ESYS_TR_RH_ENDORSEMENT, vouch->endorsement_auth, &auth, e) < 0)
		return -1;
	do
		rc = Esys_GetSessionAuditDigest(kt_tpm_esys(tpm), ESYS_TR_RH_ENDORSEMENT,
			vouch->ak->handle, session->session, auth, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			&data, &own_scheme, &attest, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, auth, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_auth(e, rc, "TPM2_GetSessionAuditDigest");
	if (kt_tpm_take_attest(attest, signature, ret_attest, e) < 0)
		return -1;
	session->is_new = true;
	return 0;
}

int kt_tpm_audit_session_vouch(struct kt_tpm *tpm, struct kt_tpm_audit_session *session,
	const struct kt_tpm_audit_vouch *vouch, uint64_t *ret_uses,
	struct kt_tpm_attest *ret_attest, struct kt_error *e)
{
	*ret_uses = 0;
	if (bind_session(tpm, session, vouch->qualifying, e) < 0 ||
		(vouch->counts && kt_tpm_counter_read(tpm, session, ret_uses, e) < 0))
		return -1;
	return attest_session(tpm, session, vouch, ret_attest, e);
}
