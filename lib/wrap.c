/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing to a public key: builds the sealed data object that TPM2_Create would make, and the outer
 * wrapper that TPM2_Duplicate would put around it. Nothing here checks whose key the parent is: its
 * Name is for the caller to pin. Every secret intermediate lies in one struct kt_secret that is
 * wiped on return.
 */
#include "lib/wrap.h"

#include <string.h>

#include <openssl/rand.h>
#include <tss2/tss2_mu.h>

#include "lib/protect.h"
#include "lib/tpm-public.h"

/* What is secret on the way. */
struct work {
	TPM2B_SENSITIVE sensitive;
	uint8_t plain[sizeof(TPM2B_SENSITIVE)];
	size_t plain_len;
	struct kt_protect_work protect;
};

/* TPMT_SENSITIVE of the object (Part 2, 12.3.2.4): a fresh obfuscation value, the data, no auth. */
static int make_sensitive(const struct kt_secret *data, struct work *w, struct kt_error *e)
{
	TPMT_SENSITIVE *area = &w->sensitive.sensitiveArea;

	area->sensitiveType = TPM2_ALG_KEYEDHASH;
	area->seedValue.size = TPM2_SHA256_DIGEST_SIZE;
	if (RAND_bytes(area->seedValue.buffer, area->seedValue.size) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "random numbers");
	area->sensitive.bits.size = (UINT16)kt_secret_len(data);
	memcpy(area->sensitive.bits.buffer, kt_secret_bytes(data), kt_secret_len(data));
	if (Tss2_MU_TPM2B_SENSITIVE_Marshal(
		    &w->sensitive, w->plain, sizeof(w->plain), &w->plain_len) != TSS2_RC_SUCCESS)
		return kt_fail(e, KT_E_INTERNAL, "sensitive area cannot be marshalled");
	return 0;
}

/* The public area; unique = H(obfuscation value ‖ data) (Part 1, 27.5.3.2). */
static int make_public(const TPM2B_DIGEST *policy, const struct work *w, TPM2B_PUBLIC *ret_public,
	struct kt_error *e)
{
	const TPMT_SENSITIVE *secret = &w->sensitive.sensitiveArea;
	struct kt_span spans[] = {
		{secret->seedValue.buffer, secret->seedValue.size},
		{secret->sensitive.bits.buffer, secret->sensitive.bits.size},
	};
	TPMT_PUBLIC *area = &ret_public->publicArea;
	TPM2B_DIGEST unique;

	if (kt_hash(TPM2_ALG_SHA256, spans, 2, &unique, e) < 0)
		return -1;
	memset(ret_public, 0, sizeof(*ret_public));
	area->type = TPM2_ALG_KEYEDHASH;
	area->nameAlg = TPM2_ALG_SHA256;
	area->objectAttributes = TPMA_OBJECT_NODA;
	if (policy->size == 0)
		area->objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	area->authPolicy = *policy;
	area->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	area->unique.keyedHash = unique;
	return 0;
}

static int wrap(const TPM2B_PUBLIC *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, struct work *w, struct kt_wrapped *ret_wrapped,
	struct kt_error *e)
{
	struct kt_wrapped wrapped;
	TPM2B_NAME name;
	size_t len;

	memset(&wrapped, 0, sizeof(wrapped));
	if (make_sensitive(data, w, e) < 0 || make_public(policy, w, &wrapped.public, e) < 0 ||
		kt_public_name(&wrapped.public, &name, e) < 0 ||
		kt_protect(&parent->publicArea, "DUPLICATE", &name, w->plain, w->plain_len,
			&w->protect, &wrapped.seed, wrapped.duplicate.buffer, &len, e) < 0)
		return -1;
	wrapped.duplicate.size = (UINT16)len;
	*ret_wrapped = wrapped;
	return 0;
}

int kt_wrap_sealed_data(const TPM2B_PUBLIC *parent, const struct kt_secret *data,
	const TPM2B_DIGEST *policy, struct kt_wrapped *ret_wrapped, struct kt_error *e)
{
	auto_secret struct kt_secret *memory = NULL;
	size_t len = kt_secret_len(data);

	if (kt_public_check_storage_key(parent, e) < 0)
		return -1;
	if (len == 0 || len > KT_SEALED_DATA_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "a TPM object seals 1 to %d bytes, not %zu",
			KT_SEALED_DATA_MAX_BYTES, len);
	if (policy->size != 0 && policy->size != TPM2_SHA256_DIGEST_SIZE)
		return kt_fail(
			e, KT_E_INPUT, "policy digest of %u bytes is not SHA-256", policy->size);
	if (kt_secret_new(sizeof(struct work), &memory, e) < 0)
		return -1;
	return wrap(parent, data, policy, kt_secret_buffer(memory), ret_wrapped, e);
}
