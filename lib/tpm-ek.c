/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-ek.h"

#include <string.h>

#include <openssl/crypto.h>

#include "lib/tpm-info.h"
#include "lib/tpm-internal.h"
#include "lib/tpm-policy.h"

#define DEFAULT_TEMPLATE 2 /* ECC P-256, low range */
#define NV_FIRST ((TPM2_HANDLE)0x01c00000)

static bool is_listed(const TPML_HANDLE *handles, TPM2_HANDLE handle)
{
	for (size_t i = 0; i < handles->count; i++)
		if (handles->handle[i] == handle)
			return true;
	return false;
}

int kt_tpm_ek_create(struct kt_tpm *tpm, const struct kt_secret *auth, struct kt_tpm_ek *ret_ek,
	struct kt_error *e)
{
	TPML_HANDLE handles;
	size_t i = 0;

	if (kt_tpm_handles(tpm, NV_FIRST, &handles, e) < 0)
		return -1;
	while (kt_ek_template(i, &ret_ek->template) &&
		!is_listed(&handles, ret_ek->template.nv_index))
		i++;
	if (!kt_ek_template(i, &ret_ek->template))
		(void)kt_ek_template(DEFAULT_TEMPLATE, &ret_ek->template);
	return kt_primary_create(
		tpm, ESYS_TR_RH_ENDORSEMENT, auth, &ret_ek->template.public, &ret_ek->key, e);
}

/* PolicySecret on the endorsement hierarchy; in the high range the first branch of a PolicyOR. */
static void make_policy(const struct kt_ek_template *template, struct kt_policy *ret_policy)
{
	static const uint8_t endorsement[] = {0x40, 0x00, 0x00, 0x0b};
	struct kt_policy_step *step = &ret_policy->steps[0];

	memset(ret_policy, 0, sizeof(*ret_policy));
	step->command = TPM2_CC_PolicySecret;
	step->secret.hint = TPM2_RH_ENDORSEMENT;
	step->secret.name.size = sizeof(endorsement);
	memcpy(step->secret.name.name, endorsement, sizeof(endorsement));
	ret_policy->count = 1;
	if (template->branches[0].size == 0)
		return;
	step = &ret_policy->steps[ret_policy->count++];
	step->command = TPM2_CC_PolicyOR;
	step->branches.count = 2;
	step->branches.digests[0] = template->branches[0];
	step->branches.digests[1] = template->branches[1];
}

static int take_secret(TPM2B_DIGEST *secret, struct kt_secret **ret_secret, struct kt_error *e)
{
	int status = kt_secret_new(secret->size > 0 ? secret->size : 1, ret_secret, e);

	if (status == 0) {
		memcpy(kt_secret_buffer(*ret_secret), secret->buffer, secret->size);
		kt_secret_set_len(*ret_secret, secret->size);
	}
	OPENSSL_cleanse(secret, sizeof(*secret));
	return status;
}

int kt_tpm_activate(struct kt_tpm *tpm, const struct kt_parent *srk, const struct kt_tpm_ek *ek,
	const struct kt_parent *ak, const struct kt_secret *auth, const TPM2B_ID_OBJECT *blob,
	const TPM2B_ENCRYPTED_SECRET *seed, struct kt_secret **ret_secret, struct kt_error *e)
{
	const struct kt_policy_auth policy_auth = {.endorsement_auth = auth};
	auto_esys TPM2B_DIGEST *secret = NULL;
	struct kt_tpm_retry retry = {0};
	struct kt_policy policy;
	ESYS_TR session;
	TSS2_RC rc;

	make_policy(&ek->template, &policy);
	if (kt_session_start(tpm, srk, KT_SESSION_POLICY, KT_SESSION_ENCRYPT,
		    ek->template.public.publicArea.nameAlg, &session, e) < 0)
		return -1;
	if (kt_tpm_run_policy(tpm, session, srk, &policy, &policy_auth, e) < 0) {
		kt_tpm_flush(tpm, session);
		return -1;
	}
	do
		rc = Esys_ActivateCredential(kt_tpm_esys(tpm), ak->handle, ek->key.handle,
			ESYS_TR_PASSWORD, session, ESYS_TR_NONE, blob, seed, &secret);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	if (rc == TSS2_RC_SUCCESS)
		return take_secret(secret, ret_secret, e);
	kt_fail_tss(e, rc, "TPM2_ActivateCredential");
	if (kt_rc_base(rc) == TPM2_RC_INTEGRITY || kt_rc_base(rc) == TPM2_RC_VALUE) {
		e->code = KT_E_WRONG_TPM;
		return kt_hint(e, "the challenge is for another endorsement or attestation key");
	}
	return -1;
}

int kt_tpm_quote(struct kt_tpm *tpm, const struct kt_parent *ak, const struct kt_pcr_set *pcrs,
	const uint8_t qualifying[KT_SHA256_BYTES], struct kt_tpm_attest *ret_attest,
	struct kt_error *e)
{
	const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};
	TPM2B_DATA data = {.size = KT_SHA256_BYTES};
	auto_esys TPM2B_ATTEST *attest = NULL;
	auto_esys TPMT_SIGNATURE *signature = NULL;
	TPML_PCR_SELECTION selection;
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	memcpy(data.buffer, qualifying, KT_SHA256_BYTES);
	kt_pcr_to_tpml(pcrs, &selection);
	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_Quote(kt_tpm_esys(tpm), ak->handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, &data, &own_scheme, &selection, &attest, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_Quote");
	return kt_tpm_take_attest(attest, signature, ret_attest, e);
}
