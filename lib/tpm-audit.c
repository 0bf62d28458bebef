/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-audit.h"

#include <string.h>

#include <tss2/tss2_mu.h>

#include "lib/tpm-internal.h"
#include "lib/tpm-session.h"

#define AK_ATTRIBUTES                                                                              \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
		TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |             \
		TPMA_OBJECT_SIGN_ENCRYPT)

/* kubetpm-formats(5) names it, and lib/attest.c computes its Name without a TPM library. */
static const TPM2B_PUBLIC ak_template = {
	.publicArea.type = TPM2_ALG_ECC,
	.publicArea.nameAlg = TPM2_ALG_SHA256,
	.publicArea.objectAttributes = AK_ATTRIBUTES,
	.publicArea.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL,
	.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA,
	.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256,
	.publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256,
	.publicArea.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL,
};

static const TPMT_SIG_SCHEME own_scheme = {.scheme = TPM2_ALG_NULL};

static bool copy_coordinate(const TPM2B_ECC_PARAMETER *number, uint8_t *out)
{
	const size_t size = KT_AUDIT_POINT_BYTES / 2;

	if (number->size > size)
		return false;
	memset(out, 0, size);
	memcpy(out + size - number->size, number->buffer, number->size);
	return true;
}

/* The Name that an examiner computes from the point alone must be the one that the key has. */
static int check_ak(
	const struct kt_parent *ak, uint8_t ret_point[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	const TPMS_ECC_POINT *unique = &ak->public.publicArea.unique.ecc;
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_ak examined;
	bool same;

	if (ak->public.publicArea.type != TPM2_ALG_ECC || !copy_coordinate(&unique->x, point) ||
		!copy_coordinate(&unique->y, point + KT_AUDIT_POINT_BYTES / 2) ||
		kt_ak_from_point(point, &examined, e) < 0)
		return kt_fail(e, KT_E_REFUSED, "the key at 0x%08x is no attestation key of ours",
			KT_AK_HANDLE);
	same = ak->name.size == sizeof(examined.name) &&
	       memcmp(ak->name.name, examined.name, sizeof(examined.name)) == 0;
	kt_ak_clear(&examined);
	if (!same)
		return kt_fail(e, KT_E_REFUSED,
			"the key at 0x%08x is no attestation key of ours: it has other attributes",
			KT_AK_HANDLE);
	memcpy(ret_point, point, sizeof(point));
	return 0;
}

int kt_tpm_ak_load(struct kt_tpm *tpm, struct kt_parent *ret_ak,
	uint8_t ret_point[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	struct kt_parent ak;

	if (kt_parent_load(tpm, KT_AK_HANDLE, &ak, e) < 0)
		return e->code == KT_E_NOT_PROVISIONED
			       ? kt_hint(e, "'sealtool audit init' makes the attestation key")
			       : -1;
	if (check_ak(&ak, ret_point, e) < 0)
		return -1;
	*ret_ak = ak;
	return 0;
}

int kt_tpm_ak_provision(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, const struct kt_secret *endorsement_auth,
	struct kt_parent *ret_ak, uint8_t ret_point[KT_AUDIT_POINT_BYTES], struct kt_error *e)
{
	struct kt_parent primary;

	if (kt_tpm_ak_load(tpm, ret_ak, ret_point, e) == 0)
		return 0;
	if (e->code != KT_E_NOT_PROVISIONED)
		return -1;
	if (kt_primary_create(
		    tpm, ESYS_TR_RH_ENDORSEMENT, endorsement_auth, &ak_template, &primary, e) < 0 ||
		kt_parent_persist(tpm, srk, owner_auth, &primary, KT_AK_HANDLE, e) < 0)
		return -1;
	kt_parent_release(tpm, &primary);
	if (kt_tpm_ak_load(tpm, ret_ak, ret_point, e) < 0)
		return -1;
	return kt_parent_check_name(ret_ak, &primary.name, e);
}

static bool take_signature(
	const TPMT_SIGNATURE *signature, uint8_t ret_signature[KT_AUDIT_POINT_BYTES])
{
	const TPMS_SIGNATURE_ECC *ecc = &signature->signature.ecdsa;

	return signature->sigAlg == TPM2_ALG_ECDSA &&
	       copy_coordinate(&ecc->signatureR, ret_signature) &&
	       copy_coordinate(&ecc->signatureS, ret_signature + KT_AUDIT_POINT_BYTES / 2);
}

int kt_tpm_take_attest(const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
	struct kt_tpm_attest *ret_attest, struct kt_error *e)
{
	memset(ret_attest->signature, 0, sizeof(ret_attest->signature));
	if (attest->size > sizeof(ret_attest->data) ||
		(signature != NULL && !take_signature(signature, ret_attest->signature)))
		return kt_fail(e, KT_E_REFUSED, "the TPM's attestation is malformed");
	memcpy(ret_attest->data, attest->attestationData, attest->size);
	ret_attest->len = attest->size;
	return 0;
}

int kt_tpm_audit_digest(struct kt_tpm *tpm, const struct kt_parent *srk, const struct kt_parent *ak,
	const struct kt_secret *endorsement_auth, const uint8_t qualifying[KT_SHA256_BYTES],
	struct kt_tpm_attest *ret_attest, struct kt_error *e)
{
	TPM2B_DATA data = {.size = KT_SHA256_BYTES};
	auto_esys TPM2B_ATTEST *attest = NULL;
	auto_esys TPMT_SIGNATURE *signature = NULL;
	struct kt_tpm_retry retry = {0};
	ESYS_TR session;
	TSS2_RC rc;

	memcpy(data.buffer, qualifying, KT_SHA256_BYTES);
	if (kt_tpm_check(tpm, e) < 0 ||
		kt_auth_start(tpm, srk, ESYS_TR_RH_ENDORSEMENT, endorsement_auth, &session, e) < 0)
		return -1;
	do
		rc = Esys_GetCommandAuditDigest(kt_tpm_esys(tpm), ESYS_TR_RH_ENDORSEMENT,
			ak != NULL ? ak->handle : ESYS_TR_RH_NULL, session, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, &data, &own_scheme, &attest, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_auth(e, rc, "TPM2_GetCommandAuditDigest");
	return kt_tpm_take_attest(attest, ak != NULL ? signature : NULL, ret_attest, e);
}

int kt_tpm_audit_change_marshal(const struct kt_tpm_audit_change *change,
	uint8_t ret_raw[KT_TPM_AUDIT_RAW_MAX], size_t *ret_len, struct kt_error *e)
{
	size_t len = 0;

	if (Tss2_MU_UINT16_Marshal(change->alg, ret_raw, KT_TPM_AUDIT_RAW_MAX, &len) != 0 ||
		Tss2_MU_TPML_CC_Marshal(&change->set, ret_raw, KT_TPM_AUDIT_RAW_MAX, &len) != 0 ||
		Tss2_MU_TPML_CC_Marshal(&change->clear, ret_raw, KT_TPM_AUDIT_RAW_MAX, &len) != 0)
		return kt_fail(e, KT_E_INTERNAL, "too many audited commands");
	*ret_len = len;
	return 0;
}

int kt_tpm_audit_change(struct kt_tpm *tpm, const struct kt_parent *srk,
	const struct kt_secret *owner_auth, const struct kt_tpm_audit_change *change,
	struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	ESYS_TR session;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0 ||
		kt_auth_start(tpm, srk, ESYS_TR_RH_OWNER, owner_auth, &session, e) < 0)
		return -1;
	do
		rc = Esys_SetCommandCodeAuditStatus(kt_tpm_esys(tpm), ESYS_TR_RH_OWNER, session,
			ESYS_TR_NONE, ESYS_TR_NONE, change->alg, &change->set, &change->clear);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_auth_end(tpm, session, rc);
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_auth(e, rc, "TPM2_SetCommandCodeAuditStatus");
}

int kt_tpm_read_counts(struct kt_tpm *tpm, struct kt_audit_counts *ret_counts, struct kt_error *e)
{
	auto_esys TPMS_TIME_INFO *info = NULL;
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_ReadClock(
			kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &info);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_ReadClock");
	ret_counts->reset = info->clockInfo.resetCount;
	ret_counts->restart = info->clockInfo.restartCount;
	ret_counts->clock = info->clockInfo.clock;
	return 0;
}

int kt_tpm_certify_creation(struct kt_tpm *tpm, const struct kt_parent *ak, ESYS_TR object,
	const struct kt_tpm_creation *creation, const uint8_t qualifying[KT_SHA256_BYTES],
	struct kt_tpm_attest *ret_attest, struct kt_error *e)
{
	TPM2B_DATA data = {.size = KT_SHA256_BYTES};
	auto_esys TPM2B_ATTEST *attest = NULL;
	auto_esys TPMT_SIGNATURE *signature = NULL;
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	memcpy(data.buffer, qualifying, KT_SHA256_BYTES);
	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_CertifyCreation(kt_tpm_esys(tpm), ak->handle, object, ESYS_TR_PASSWORD,
			ESYS_TR_NONE, ESYS_TR_NONE, &data, &creation->hash, &own_scheme,
			&creation->ticket, &attest, &signature);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_CertifyCreation");
	return kt_tpm_take_attest(attest, signature, ret_attest, e);
}
