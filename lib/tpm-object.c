/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed data objects (Part 3, 12.1 Create, 12.2 Load, 12.7 Unseal, 13.3 Import).
 */
#include "lib/tpm-object.h"

#include <string.h>

#include <openssl/crypto.h>

#include "lib/tpm-internal.h"
#include "lib/wrap.h"

/* PCRs may be extended by others between PolicyPCR and Unseal; the policy is then checked anew. */
#define PCR_CHANGED_TRIES 10

/* Create, Load and Import are authorised by the parent's empty value. */
static int fail_parent(struct kt_error *e, TSS2_RC rc, const char *command)
{
	TSS2_RC base = kt_rc_base(rc);

	if (base == TPM2_RC_AUTH_FAIL || base == TPM2_RC_BAD_AUTH)
		return kt_fail(e, KT_E_REFUSED,
			"the parent key has an authorisation value of its own, which is not "
			"supported (%s)",
			command);
	return kt_fail_tss(e, rc, command);
}

static int fill_sensitive(const struct kt_secret *data, const struct kt_secret *pin,
	TPM2B_SENSITIVE_CREATE *sensitive, struct kt_error *e)
{
	size_t len = kt_secret_len(data);

	if (len == 0 || len > KT_SEALED_DATA_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "a TPM seals 1 to %d bytes, not %zu",
			KT_SEALED_DATA_MAX_BYTES, len);
	sensitive->sensitive.data.size = (UINT16)len;
	memcpy(sensitive->sensitive.data.buffer, kt_secret_bytes(data), len);
	if (pin == NULL)
		return 0;
	len = kt_secret_len(pin);
	if (len == 0 || len > TPM2_SHA256_DIGEST_SIZE)
		return kt_fail(e, KT_E_INPUT, "a PIN has 1 to %d bytes, not %zu",
			TPM2_SHA256_DIGEST_SIZE, len);
	sensitive->sensitive.userAuth.size = (UINT16)len;
	memcpy(sensitive->sensitive.userAuth.buffer, kt_secret_bytes(pin), len);
	return 0;
}

static TPM2B_PUBLIC sealed_template(const TPM2B_DIGEST *policy, bool has_pin)
{
	TPM2B_PUBLIC template = {
		.publicArea =
			{
				.type = TPM2_ALG_KEYEDHASH,
				.nameAlg = TPM2_ALG_SHA256,
				.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT,
				.authPolicy = *policy,
				.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
			},
	};

	if (policy->size == 0)
		template.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	if (!has_pin)
		template.publicArea.objectAttributes |= TPMA_OBJECT_NODA;
	return template;
}

static TSS2_RC create(struct kt_tpm *tpm, ESYS_TR parent, ESYS_TR session,
	const TPM2B_SENSITIVE_CREATE *sensitive, const TPM2B_PUBLIC *template,
	TPM2B_PRIVATE **ret_private, TPM2B_PUBLIC **ret_public)
{
	const TPML_PCR_SELECTION no_pcrs = {0};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = Esys_Create(kt_tpm_esys(tpm), parent, session, ESYS_TR_NONE, ESYS_TR_NONE,
			sensitive, template, NULL, &no_pcrs, ret_private, ret_public, NULL, NULL,
			NULL);
	while (kt_tpm_retry(tpm, &retry, rc));
	return rc;
}

int kt_object_seal(struct kt_tpm *tpm, const struct kt_parent *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, const struct kt_secret *pin, TPM2B_PUBLIC *ret_public,
	TPM2B_PRIVATE *ret_private, struct kt_error *e)
{
	auto_esys TPM2B_PRIVATE *private = NULL;
	auto_esys TPM2B_PUBLIC *public = NULL;
	TPM2B_PUBLIC template = sealed_template(policy, pin != NULL);
	TPM2B_SENSITIVE_CREATE sensitive = {0};
	ESYS_TR session;
	TSS2_RC rc;

	if (kt_session_start(tpm, parent, KT_SESSION_HMAC, KT_SESSION_DECRYPT, TPM2_ALG_SHA256,
		    &session, e) < 0)
		return -1;
	if (fill_sensitive(data, pin, &sensitive, e) < 0) {
		OPENSSL_cleanse(&sensitive, sizeof(sensitive));
		return -1;
	}
	rc = create(tpm, parent->handle, session, &sensitive, &template, &private, &public);
	OPENSSL_cleanse(&sensitive, sizeof(sensitive));
	kt_session_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return fail_parent(e, rc, "TPM2_Create");
	/* What came back unprotected must be what was asked for. */
	if (public->publicArea.objectAttributes != template.publicArea.objectAttributes ||
		public->publicArea.authPolicy.size != policy->size ||
		memcmp(public->publicArea.authPolicy.buffer, policy->buffer, policy->size) != 0)
		return kt_fail(e, KT_E_REFUSED, "the TPM made another object than was asked for");
	*ret_public = *public;
	*ret_private = *private;
	return 0;
}

/* What all steps of opening an object share; borrowed. */
struct opening {
	struct kt_tpm *tpm;
	const struct kt_parent *parent;
	const struct kt_object *object;
	const struct kt_policy *policy;
	const struct kt_object_auth *auth;
};

static int import(const struct opening *o, TPM2B_PRIVATE **ret_private, struct kt_error *e)
{
	const TPMT_SYM_DEF_OBJECT no_inner_wrapper = {.algorithm = TPM2_ALG_NULL};
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = Esys_Import(kt_tpm_esys(o->tpm), o->parent->handle, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, NULL, o->object->public, o->object->private,
			o->object->seed, &no_inner_wrapper, ret_private);
	while (kt_tpm_retry(o->tpm, &retry, rc));
	return rc == TSS2_RC_SUCCESS ? 0 : fail_parent(e, rc, "TPM2_Import");
}

static int load(const struct opening *o, ESYS_TR *ret_handle, struct kt_error *e)
{
	auto_esys TPM2B_PRIVATE *imported = NULL;
	struct kt_tpm_retry retry = {0};
	ESYS_TR handle = ESYS_TR_NONE;
	TSS2_RC rc;

	if (kt_tpm_check(o->tpm, e) < 0)
		return -1;
	if (o->object->seed != NULL && import(o, &imported, e) < 0)
		return -1;
	do
		rc = Esys_Load(kt_tpm_esys(o->tpm), o->parent->handle, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE,
			imported != NULL ? imported : o->object->private, o->object->public,
			&handle);
	while (kt_tpm_retry(o->tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return fail_parent(e, rc, "TPM2_Load");
	if (kt_tpm_track(o->tpm, handle, e) < 0)
		return -1;
	*ret_handle = handle;
	return 0;
}

/* A session that satisfies the policy, or one for the bare authValue where that is enough. */
static int start_session(const struct opening *o, ESYS_TR *ret_session, struct kt_error *e)
{
	const TPMT_PUBLIC *object = &o->object->public->publicArea;
	bool bare =
		o->policy->count == 0 && (object->objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0;
	ESYS_TR session = ESYS_TR_NONE;

	if (kt_session_start(o->tpm, o->parent, bare ? KT_SESSION_HMAC : KT_SESSION_POLICY,
		    KT_SESSION_ENCRYPT, object->nameAlg, &session, e) < 0)
		return -1;
	if (kt_tpm_run_policy(o->tpm, session, o->parent, o->policy, &o->auth->policy, e) < 0) {
		kt_tpm_flush(o->tpm, session);
		return -1;
	}
	*ret_session = session;
	return 0;
}

/* Moves what ESYS left on the heap into locked memory. */
static int take_data(TPM2B_SENSITIVE_DATA *data, struct kt_secret **ret_data, struct kt_error *e)
{
	int status = kt_secret_from(data->buffer, data->size, ret_data, e);

	OPENSSL_cleanse(data, sizeof(*data));
	return status;
}

static TSS2_RC unseal(
	struct kt_tpm *tpm, ESYS_TR object, ESYS_TR session, TPM2B_SENSITIVE_DATA **ret_data)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = Esys_Unseal(
			kt_tpm_esys(tpm), object, session, ESYS_TR_NONE, ESYS_TR_NONE, ret_data);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	return rc;
}

/* `handle` is loaded, `session` fresh. */
static int unseal_loaded(const struct opening *o, ESYS_TR handle, ESYS_TR session,
	struct kt_secret **ret_data, struct kt_error *e)
{
	auto_esys TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC rc;

	if (kt_tpm_set_auth(o->tpm, handle, o->auth->value, e) < 0)
		return -1;
	rc = unseal(o->tpm, handle, session, &data);
	for (int i = 0; kt_rc_base(rc) == TPM2_RC_PCR_CHANGED && i < PCR_CHANGED_TRIES; i++) {
		if (start_session(o, &session, e) < 0)
			return -1;
		rc = unseal(o->tpm, handle, session, &data);
	}
	if (rc != TSS2_RC_SUCCESS)
		kt_fail_tss(e, rc, "TPM2_Unseal");
	if (rc != TSS2_RC_SUCCESS && e->code == KT_E_PIN && o->auth->value == NULL)
		kt_hint(e, "no password was given for it (--key-auth-file)");
	if (rc != TSS2_RC_SUCCESS)
		return -1;
	return take_data(data, ret_data, e);
}

int kt_object_unseal(struct kt_tpm *tpm, const struct kt_parent *parent,
	const struct kt_object *object, const struct kt_policy *policy,
	const struct kt_object_auth *auth, struct kt_secret **ret_data, struct kt_error *e)
{
	const struct opening o = {tpm, parent, object, policy, auth};
	ESYS_TR session = ESYS_TR_NONE, handle = ESYS_TR_NONE;
	int status;

	/* The policy first: where it does not hold, nothing needs to be loaded. */
	if (start_session(&o, &session, e) < 0)
		return -1;
	if (load(&o, &handle, e) < 0) {
		kt_tpm_flush(tpm, session);
		return -1;
	}
	status = unseal_loaded(&o, handle, session, ret_data, e);
	kt_tpm_flush(tpm, handle);
	return status;
}
