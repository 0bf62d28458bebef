/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/approval.h"

#include <string.h>

#include "lib/b64.h"
#include "lib/ecdsa.h"
#include "lib/hex.h"
#include "lib/policy-signer.h"

#define KIND "kubetpm-approval"
#define VERSION 1
#define DIGEST_BYTES TPM2_SHA256_DIGEST_SIZE
#define TEXT_MAX 32768 /* four banks of 24 PCRs take half of it */

int kt_approval_policy(
	const struct kt_approval *approval, TPM2B_DIGEST *ret_policy, struct kt_error *e)
{
	struct kt_policy policy = {.count = 1};

	policy.steps[0].command = TPM2_CC_PolicyPCR;
	kt_pcr_to_tpml(&approval->pcrs, &policy.steps[0].pcr.selection);
	if (kt_pcr_digest(&approval->pcrs, KT_APPROVAL_ALG, &policy.steps[0].pcr.digest, e) < 0)
		return -1;
	return kt_policy_digest(KT_APPROVAL_ALG, &policy, ret_policy, e);
}

/* aHash (Part 3, 23.16): what is signed, hashed already. */
static int signed_digest(
	const struct kt_approval *approval, TPM2B_DIGEST *ret_digest, struct kt_error *e)
{
	TPM2B_DIGEST policy;

	if (kt_approval_policy(approval, &policy, e) < 0)
		return -1;
	return kt_hash(KT_APPROVAL_ALG,
		(struct kt_span[]){
			{policy.buffer, policy.size}, {approval->key, strlen(approval->key)}},
		2, ret_digest, e);
}

KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))

int kt_approval_sign(struct kt_approval *approval, EVP_PKEY *private_key, struct kt_error *e)
{
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(private_key, NULL);
	TPM2B_DIGEST digest;
	TPM2B_PUBLIC public;
	uint8_t der[128];
	size_t len = sizeof(der);

	if (kt_signer_public(private_key, &public, e) < 0 ||
		kt_public_name(&public, &approval->signer, e) < 0 ||
		signed_digest(approval, &digest, e) < 0)
		return -1;
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
		EVP_PKEY_sign(ctx, der, &len, digest.buffer, digest.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot sign");
	return kt_ecdsa_from_der(der, len, approval->signature, e);
}

static int check_signer(
	const struct kt_approval *approval, const EVP_PKEY *signer, struct kt_error *e)
{
	TPM2B_PUBLIC public;
	TPM2B_NAME name;
	char text[KT_NAME_TEXT_MAX];

	if (kt_signer_public(signer, &public, e) < 0 || kt_public_name(&public, &name, e) < 0)
		return -1;
	if (kt_name_equal(&name, &approval->signer))
		return 0;
	kt_name_format(&approval->signer, text);
	return kt_fail(e, KT_E_EVIDENCE, "signed by another key: the one with the Name %s", text);
}

int kt_approval_verify(const struct kt_approval *approval, EVP_PKEY *signer, struct kt_error *e)
{
	TPM2B_DIGEST digest;

	if (check_signer(approval, signer, e) < 0 || signed_digest(approval, &digest, e) < 0)
		return -1;
	return kt_ecdsa_verify(signer, digest.buffer, approval->signature)
		       ? 0
		       : kt_fail(e, KT_E_EVIDENCE,
				 "the signature does not verify: the approval was changed");
}

void kt_approval_step(
	const TPM2B_PUBLIC *signer, const char key[KT_UUID_SIZE], struct kt_policy_step *ret_step)
{
	memset(ret_step, 0, sizeof(*ret_step));
	ret_step->command = TPM2_CC_PolicyAuthorize;
	ret_step->authorize.key = *signer;
	ret_step->authorize.ref.size = (UINT16)strlen(key);
	memcpy(ret_step->authorize.ref.buffer, key, strlen(key));
	ret_step->authorize.signature.sigAlg = TPM2_ALG_NULL;
}

int kt_approval_apply(
	const struct kt_approval *approval, struct kt_policy *policy, struct kt_error *e)
{
	struct kt_policy_step *pcr = &policy->steps[0], *step = &policy->steps[1];
	TPMS_SIGNATURE_ECC *ecc = &step->authorize.signature.signature.ecdsa;

	if (policy->count == 0 || policy->count >= KT_POLICY_STEPS_MAX ||
		policy->steps[0].command != TPM2_CC_PolicyAuthorize)
		return kt_fail(e, KT_E_INTERNAL, "this policy asks for no approval");
	memmove(step, pcr, policy->count * sizeof(*step));
	memset(pcr, 0, sizeof(*pcr));
	pcr->command = TPM2_CC_PolicyPCR;
	kt_pcr_to_tpml(&approval->pcrs, &pcr->pcr.selection);
	if (kt_pcr_digest(&approval->pcrs, KT_APPROVAL_ALG, &pcr->pcr.digest, e) < 0)
		return -1;
	step->authorize.signature.sigAlg = TPM2_ALG_ECDSA;
	ecc->hash = KT_APPROVAL_ALG;
	ecc->signatureR.size = ecc->signatureS.size = KT_ECDSA_BYTES / 2;
	memcpy(ecc->signatureR.buffer, approval->signature, KT_ECDSA_BYTES / 2);
	memcpy(ecc->signatureS.buffer, approval->signature + KT_ECDSA_BYTES / 2,
		KT_ECDSA_BYTES / 2);
	policy->count++;
	return 0;
}

/* Nothing but what we know: a word that we pass over could be one that somebody relies on. */
static int check_members(struct json_object *object, struct kt_error *e)
{
	static const char *const known[] = {"kind", "version", "key", "signer", "pcrs", "policy",
		"created", "comment", "signature"};

	json_object_object_foreach(object, name, value)
	{
		bool found = false;

		(void)value;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !found; i++)
			found = strcmp(name, known[i]) == 0;
		if (!found)
			return kt_fail(e, KT_E_INPUT, "unknown member \"%.64s\"", name);
	}
	return 0;
}

static int read_kind(struct json_object *object, struct kt_error *e)
{
	const char *kind;
	int64_t version;

	if (kt_json_get_string(object, "kind", 64, &kind, e) < 0)
		return -1;
	if (strcmp(kind, KIND) != 0)
		return kt_fail(e, KT_E_INPUT, "\"kind\" is \"%.64s\", not \"" KIND "\"", kind);
	if (kt_json_get_int(object, "version", 0, INT64_MAX, &version, e) < 0)
		return -1;
	if (version != VERSION)
		return kt_fail(e, KT_E_INPUT, "version %lld is not known here, only %d",
			(long long)version, VERSION);
	return 0;
}

static int read_names(struct json_object *object, struct kt_approval *approval, struct kt_error *e)
{
	const char *key, *signer, *created, *comment = NULL;
	int64_t seconds;

	if (kt_json_get_string(object, "key", KT_UUID_SIZE - 1, &key, e) < 0 ||
		kt_json_get_string(object, "signer", KT_NAME_TEXT_MAX - 1, &signer, e) < 0 ||
		kt_name_parse(signer, &approval->signer, e) < 0 ||
		kt_json_get_string(object, "created", KT_RFC3339_SIZE - 1, &created, e) < 0 ||
		kt_rfc3339_parse(created, &seconds, e) < 0 ||
		kt_rfc3339_format(seconds, approval->created, e) < 0 ||
		kt_json_get_string_opt(
			object, "comment", KT_APPROVAL_COMMENT_MAX_BYTES, &comment, e) < 0)
		return -1;
	if (!kt_uuid_is_valid(key))
		return kt_fail(e, KT_E_INPUT, "\"key\" is no UUID");
	memcpy(approval->key, key, strlen(key) + 1);
	if (comment != NULL)
		memcpy(approval->comment, comment, strlen(comment) + 1);
	return 0;
}

static int read_state(struct json_object *object, struct kt_approval *approval, struct kt_error *e)
{
	struct json_object *pcrs;
	const char *text;
	TPM2B_DIGEST policy;
	uint8_t claimed[DIGEST_BYTES];

	if (kt_json_get_object(object, "pcrs", &pcrs, e) < 0 ||
		kt_pcr_from_json(pcrs, &approval->pcrs, e) < 0 ||
		kt_json_get_string(object, "policy", (size_t)2 * DIGEST_BYTES, &text, e) < 0)
		return -1;
	if (kt_hex_decode(text, claimed, sizeof(claimed), e) < 0)
		return kt_wrap(e, "\"policy\"");
	if (kt_approval_policy(approval, &policy, e) < 0)
		return -1;
	if (memcmp(policy.buffer, claimed, sizeof(claimed)) != 0)
		return kt_fail(e, KT_E_INPUT,
			"\"policy\" is not that of \"pcrs\": the approval was changed");
	return 0;
}

static int read_signature(
	struct json_object *object, struct kt_approval *approval, struct kt_error *e)
{
	auto_free uint8_t *signature = NULL;
	size_t len;

	if (kt_json_get_b64url(
		    object, "signature", KT_APPROVAL_SIGNATURE_BYTES, &signature, &len, e) < 0)
		return -1;
	if (len != KT_APPROVAL_SIGNATURE_BYTES)
		return kt_fail(e, KT_E_INPUT, "\"signature\" has %zu bytes, not %d", len,
			KT_APPROVAL_SIGNATURE_BYTES);
	memcpy(approval->signature, signature, len);
	return 0;
}

int kt_approval_parse(
	const char *text, size_t len, struct kt_approval *ret_approval, struct kt_error *e)
{
	auto_json struct json_object *object = NULL;
	struct kt_approval approval = {0};

	if (len > KT_APPROVAL_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "longer than %d bytes", KT_APPROVAL_MAX_BYTES);
	if (kt_json_parse(text, len, &object, e) < 0 || check_members(object, e) < 0 ||
		read_kind(object, e) < 0 || read_names(object, &approval, e) < 0 ||
		read_state(object, &approval, e) < 0 || read_signature(object, &approval, e) < 0) {
		if (e->code != KT_E_INTERNAL)
			e->code = KT_E_INPUT;
		return kt_wrap(e, "approval");
	}
	*ret_approval = approval;
	return 0;
}

static int write_json(const struct kt_approval *approval, struct kt_jsonw *w, struct kt_error *e)
{
	auto_free char *signature = NULL;
	char signer[KT_NAME_TEXT_MAX], policy_text[2 * DIGEST_BYTES + 1];
	TPM2B_DIGEST policy;

	if (kt_approval_policy(approval, &policy, e) < 0 ||
		kt_b64url_encode(approval->signature, sizeof(approval->signature), &signature, e) <
			0)
		return -1;
	kt_name_format(&approval->signer, signer);
	kt_hex_encode(policy.buffer, policy.size, policy_text);
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "kind", KIND);
	kt_jsonw_name(w, "version");
	kt_jsonw_int(w, VERSION);
	kt_jsonw_member(w, "key", approval->key);
	kt_jsonw_member(w, "signer", signer);
	kt_jsonw_name(w, "pcrs");
	kt_pcr_write_json(&approval->pcrs, w);
	kt_jsonw_member(w, "policy", policy_text);
	kt_jsonw_member(w, "created", approval->created);
	if (approval->comment[0] != '\0')
		kt_jsonw_member(w, "comment", approval->comment);
	kt_jsonw_member(w, "signature", signature);
	kt_jsonw_end_object(w);
	return kt_jsonw_end(w, e);
}

int kt_approval_format(const struct kt_approval *approval, char **ret_text, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	auto_json struct json_object *object = NULL;
	struct kt_jsonw w;
	char *pretty = NULL;

	if (kt_secret_new_unlocked(TEXT_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	if (write_json(approval, &w, e) < 0 || kt_json_parse((const char *)kt_secret_bytes(text),
						       kt_secret_len(text), &object, e) < 0)
		return -1;
	if (asprintf(&pretty, "%s\n",
		    json_object_to_json_string_ext(
			    object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		return kt_fail_memory(e);
	*ret_text = pretty;
	return 0;
}
