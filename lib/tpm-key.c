/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding, making and verifying parent keys (Part 3, 12.4 ReadPublic, 24.1 CreatePrimary, 28.5
 * EvictControl).
 */
#include "lib/tpm-key.h"

#include <string.h>

#include <openssl/crypto.h>
#include <tss2/tss2_mu.h>

#include "lib/tpm-internal.h"
#include "lib/tpm-session.h"

/* ESYS keeps a key as handle ‖ Name ‖ type ‖ TPM2B_PUBLIC; this is what precedes the public area
 * besides the Name. The public area found there is the one ESYS encrypts a session's salt to. */
static int read_esys_public(struct kt_tpm *tpm, ESYS_TR handle, TPM2B_PUBLIC *ret_public,
	TPM2B_NAME *ret_name, struct kt_error *e)
{
	auto_esys uint8_t *data = NULL;
	size_t size, offset = sizeof(TPM2_HANDLE);
	TSS2_RC rc = Esys_TR_Serialize(kt_tpm_esys(tpm), handle, &data, &size);

	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_TR_Serialize");
	rc = Tss2_MU_TPM2B_NAME_Unmarshal(data, size, &offset, ret_name);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_TR_Serialize");
	offset += sizeof(UINT32);
	if (offset >= size)
		return kt_fail(e, KT_E_INTERNAL, "cannot read a key's public area from ESYS");
	return kt_public_unmarshal(data + offset, size - offset, ret_public, e);
}

static int verify_parent(struct kt_tpm *tpm, struct kt_parent *parent, struct kt_error *e)
{
	TPM2B_NAME claimed;

	if (read_esys_public(tpm, parent->handle, &parent->public, &claimed, e) < 0 ||
		kt_public_name(&parent->public, &parent->name, e) < 0)
		return -1;
	if (!kt_name_equal(&parent->name, &claimed))
		return kt_fail(e, KT_E_REFUSED,
			"the TPM's public key and its Name do not belong together: something "
			"between here and the TPM changes what it says");
	return 0;
}

int kt_parent_load(
	struct kt_tpm *tpm, TPM2_HANDLE handle, struct kt_parent *ret_parent, struct kt_error *e)
{
	struct kt_parent parent = {0};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_TR_FromTPMPublic(kt_tpm_esys(tpm), handle, ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, &parent.handle);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (kt_rc_base(rc) == TPM2_RC_HANDLE)
		return kt_fail(e, KT_E_NOT_PROVISIONED, "no key at 0x%08x in this TPM", handle);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_ReadPublic");
	if (verify_parent(tpm, &parent, e) < 0)
		return -1;
	*ret_parent = parent;
	return 0;
}

int kt_srk_load(struct kt_tpm *tpm, struct kt_parent *ret_parent, struct kt_error *e)
{
	struct kt_parent parent;

	if (kt_parent_load(tpm, KT_SRK_HANDLE, &parent, e) < 0)
		return e->code == KT_E_NOT_PROVISIONED
			       ? kt_hint(e, "run 'sealtool init' once on this machine")
			       : -1;
	if (kt_public_check_storage_key(&parent.public, e) < 0)
		return kt_wrap(e, "the key at 0x%08x", KT_SRK_HANDLE);
	*ret_parent = parent;
	return 0;
}

int kt_parent_check_name(
	const struct kt_parent *parent, const TPM2B_NAME *expected, struct kt_error *e)
{
	char want[KT_NAME_TEXT_MAX], have[KT_NAME_TEXT_MAX];

	if (kt_name_equal(&parent->name, expected))
		return 0;
	kt_name_format(expected, want);
	kt_name_format(&parent->name, have);
	return kt_fail(e, KT_E_WRONG_TPM,
		"another TPM, or a replaced storage key: expected Name %s, this machine has %s",
		want, have);
}

int kt_tpm_set_auth(
	struct kt_tpm *tpm, ESYS_TR handle, const struct kt_secret *auth, struct kt_error *e)
{
	TPM2B_AUTH value = {0};
	TSS2_RC rc;

	if (auth != NULL) {
		if (kt_secret_len(auth) > sizeof(value.buffer))
			return kt_fail(e, KT_E_INPUT,
				"an authorisation value of more than %zu bytes",
				sizeof(value.buffer));
		value.size = (UINT16)kt_secret_len(auth);
		memcpy(value.buffer, kt_secret_bytes(auth), value.size);
	}
	rc = Esys_TR_SetAuth(kt_tpm_esys(tpm), handle, &value);
	OPENSSL_cleanse(&value, sizeof(value));
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "Esys_TR_SetAuth");
}

/* A hierarchy's authorisation: an HMAC session, so that the value itself never crosses the bus. It
 * cannot be salted: this runs before there is a key whose Name could be pinned. An empty value
 * needs no session of its own. */
static int start_hierarchy_auth(struct kt_tpm *tpm, ESYS_TR hierarchy, const struct kt_secret *auth,
	ESYS_TR *ret_session, struct kt_error *e)
{
	const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (kt_tpm_set_auth(tpm, hierarchy, auth, e) < 0)
		return -1;
	if (auth == NULL || kt_secret_len(auth) == 0) {
		*ret_session = ESYS_TR_PASSWORD;
		return 0;
	}
	do
		rc = Esys_StartAuthSession(kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE,
			ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &none,
			TPM2_ALG_SHA256, ret_session);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_StartAuthSession");
	if (kt_tpm_track(tpm, *ret_session, e) < 0)
		return -1;
	rc = Esys_TRSess_SetAttributes(kt_tpm_esys(tpm), *ret_session, 0, 0xff);
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "Esys_TRSess_SetAttributes");
}

/* What the session's use ended in: the TPM ended it (continueSession is clear), or it has to be
 * flushed. */
void kt_auth_end(struct kt_tpm *tpm, ESYS_TR session, TSS2_RC rc)
{
	if (session == ESYS_TR_PASSWORD)
		return;
	if (rc == TSS2_RC_SUCCESS)
		kt_tpm_forget(tpm, session);
	else
		kt_tpm_flush(tpm, session);
}

int kt_fail_auth(struct kt_error *e, TSS2_RC rc, const char *command)
{
	TSS2_RC base = kt_rc_base(rc);

	kt_fail_tss(e, rc, command);
	if (base == TPM2_RC_BAD_AUTH || base == TPM2_RC_AUTH_FAIL)
		kt_hint(e, "wrong or missing authorisation value of the hierarchy "
			   "(--owner-auth-file, --endorsement-auth-file)");
	return -1;
}

int kt_primary_create(struct kt_tpm *tpm, ESYS_TR hierarchy, const struct kt_secret *auth,
	const TPM2B_PUBLIC *template, struct kt_parent *ret_parent, struct kt_error *e)
{
	const TPM2B_SENSITIVE_CREATE empty = {0};
	const TPML_PCR_SELECTION no_pcrs = {0};
	struct kt_parent parent = {0};
	struct kt_tpm_retry retry = {0};
	ESYS_TR session = ESYS_TR_NONE;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0 || start_hierarchy_auth(tpm, hierarchy, auth, &session, e) < 0)
		return -1;
	do
		rc = Esys_CreatePrimary(kt_tpm_esys(tpm), hierarchy, session, ESYS_TR_NONE,
			ESYS_TR_NONE, &empty, template, NULL, &no_pcrs, &parent.handle, NULL, NULL,
			NULL, NULL);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_auth(e, rc, "TPM2_CreatePrimary");
	if (kt_tpm_track(tpm, parent.handle, e) < 0 || verify_parent(tpm, &parent, e) < 0)
		return -1;
	*ret_parent = parent;
	return 0;
}

void kt_parent_release(struct kt_tpm *tpm, struct kt_parent *parent)
{
	kt_tpm_flush(tpm, parent->handle);
	parent->handle = ESYS_TR_NONE;
}

int kt_auth_start(struct kt_tpm *tpm, const struct kt_parent *salt, ESYS_TR entity,
	const struct kt_secret *auth, ESYS_TR *ret_session, struct kt_error *e)
{
	if (kt_tpm_set_auth(tpm, entity, auth, e) < 0)
		return -1;
	*ret_session = ESYS_TR_PASSWORD;
	if (auth == NULL)
		return 0;
	return kt_session_start(
		tpm, salt, KT_SESSION_HMAC, KT_SESSION_AUTH_ONLY, TPM2_ALG_SHA256, ret_session, e);
}

int kt_parent_persist(struct kt_tpm *tpm, const struct kt_parent *salt,
	const struct kt_secret *owner_auth, const struct kt_parent *primary, TPM2_HANDLE handle,
	struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	ESYS_TR session, persistent = ESYS_TR_NONE;
	TSS2_RC rc;

	if (kt_auth_start(tpm, salt, ESYS_TR_RH_OWNER, owner_auth, &session, e) < 0)
		return -1;
	do
		rc = Esys_EvictControl(kt_tpm_esys(tpm), ESYS_TR_RH_OWNER, primary->handle, session,
			ESYS_TR_NONE, ESYS_TR_NONE, handle, &persistent);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, session, rc);
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_auth(e, rc, "TPM2_EvictControl");
}

int kt_srk_provision(struct kt_tpm *tpm, const struct kt_secret *owner_auth,
	struct kt_parent *ret_parent, bool *ret_made, struct kt_error *e)
{
	struct kt_parent primary;

	if (kt_srk_load(tpm, ret_parent, e) == 0) {
		*ret_made = false;
		return 0;
	}
	if (e->code != KT_E_NOT_PROVISIONED)
		return -1;
	if (kt_primary_create(
		    tpm, ESYS_TR_RH_OWNER, owner_auth, &kt_template_srk_ecc, &primary, e) < 0)
		return -1;
	/* By now there is a key to salt the session to: the one that is made persistent. */
	if (kt_parent_persist(tpm, &primary, owner_auth, &primary, KT_SRK_HANDLE, e) < 0)
		return -1;
	kt_parent_release(tpm, &primary);
	if (kt_srk_load(tpm, ret_parent, e) < 0 ||
		kt_parent_check_name(ret_parent, &primary.name, e) < 0)
		return -1;
	*ret_made = true;
	return 0;
}
