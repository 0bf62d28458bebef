/* SPDX-License-Identifier: Apache-2.0 */
/* Part 3, 12.1 TPM2_Create and 12.2 TPM2_Load; TPM2_CreateLoaded is missing in chips that are still
 * sold. */
#include "lib/tpm-child.h"

#include "lib/tpm-internal.h"
#include "lib/tpm-session.h"

TPM2B_PUBLIC kt_template_hmac(TPMA_OBJECT attributes, const TPM2B_DIGEST *policy)
{
	return (TPM2B_PUBLIC){
		.publicArea =
			{
				.type = TPM2_ALG_KEYEDHASH,
				.nameAlg = TPM2_ALG_SHA256,
				.objectAttributes = attributes,
				.authPolicy = *policy,
				.parameters.keyedHashDetail.scheme =
					{
						.scheme = TPM2_ALG_HMAC,
						.details.hmac.hashAlg = TPM2_ALG_SHA256,
					},
			},
	};
}

TPM2B_PUBLIC kt_template_p256(TPMA_OBJECT attributes, const TPM2B_DIGEST *policy)
{
	return (TPM2B_PUBLIC){
		.publicArea =
			{
				.type = TPM2_ALG_ECC,
				.nameAlg = TPM2_ALG_SHA256,
				.objectAttributes = attributes,
				.authPolicy = *policy,
				.parameters.eccDetail =
					{
						.symmetric.algorithm = TPM2_ALG_NULL,
						.scheme =
							{
								.scheme = TPM2_ALG_ECDSA,
								.details.ecdsa.hashAlg =
									TPM2_ALG_SHA256,
							},
						.curveID = TPM2_ECC_NIST_P256,
						.kdf.scheme = TPM2_ALG_NULL,
					},
			},
	};
}

/* The public area comes back authenticated, but is checked: nobody looks at it later. */
static int check_made(const TPM2B_PUBLIC *made, const TPM2B_PUBLIC *template, struct kt_error *e)
{
	TPM2B_PUBLIC expected = *template;
	TPM2B_NAME want, have;

	expected.publicArea.unique = made->publicArea.unique;
	if (kt_public_name(&expected, &want, e) < 0 || kt_public_name(made, &have, e) < 0)
		return -1;
	if (!kt_name_equal(&want, &have))
		return kt_fail(e, KT_E_REFUSED, "the TPM made another key than was asked for");
	return 0;
}

int kt_child_create(struct kt_tpm *tpm, const struct kt_parent *parent,
	const TPM2B_PUBLIC *template, TPM2B_PUBLIC *ret_public, TPM2B_PRIVATE *ret_private,
	struct kt_tpm_creation *ret_creation, struct kt_error *e)
{
	const TPM2B_SENSITIVE_CREATE sensitive = {0};
	const TPML_PCR_SELECTION no_pcrs = {0};
	auto_esys TPM2B_PRIVATE *private = NULL;
	auto_esys TPM2B_PUBLIC *public = NULL;
	auto_esys TPM2B_DIGEST *hash = NULL;
	auto_esys TPMT_TK_CREATION *ticket = NULL;
	struct kt_tpm_retry retry = {0};
	ESYS_TR session;
	TSS2_RC rc;

	if (kt_session_start(tpm, parent, KT_SESSION_HMAC, KT_SESSION_AUTH_ONLY, TPM2_ALG_SHA256,
		    &session, e) < 0)
		return -1;
	do
		rc = Esys_Create(kt_tpm_esys(tpm), parent->handle, session, ESYS_TR_NONE,
			ESYS_TR_NONE, &sensitive, template, NULL, &no_pcrs, &private, &public, NULL,
			&hash, &ticket);
	while (kt_tpm_retry(tpm, &retry, rc));
	kt_session_end(tpm, session, rc);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_Create");
	if (check_made(public, template, e) < 0)
		return -1;
	*ret_public = *public;
	*ret_private = *private;
	ret_creation->hash = *hash;
	ret_creation->ticket = *ticket;
	return 0;
}

int kt_child_load(struct kt_tpm *tpm, const struct kt_parent *parent, const TPM2B_PUBLIC *public,
	const TPM2B_PRIVATE *private, ESYS_TR *ret_handle, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	ESYS_TR handle = ESYS_TR_NONE;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_Load(kt_tpm_esys(tpm), parent->handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, private, public, &handle);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_Load");
	if (kt_tpm_track(tpm, handle, e) < 0)
		return -1;
	*ret_handle = handle;
	return 0;
}
