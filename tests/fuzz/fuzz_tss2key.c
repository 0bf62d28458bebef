/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files, PEM and DER. What is accepted must be the same again after it was written in our
 * own form, and is put through everything that looks at a key without a TPM.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/policy.h"
#include "lib/tpm-public.h"
#include "lib/tss2key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compute(const struct kt_policy *policy, TPMI_ALG_HASH alg)
{
	TPM2B_DIGEST digest;
	struct kt_error e;

	if (kt_policy_digest(alg, policy, &digest, &e) == 0)
		assert(digest.size == kt_hash_size(alg));
	else
		assert(e.code == KT_E_INPUT);
}

static void look_at(const struct kt_tss2key *key)
{
	TPMI_ALG_HASH alg = key->public.publicArea.nameAlg;
	TPM2B_NAME name;
	struct kt_error e;

	assert(memchr(key->description, '\0', sizeof(key->description)) != NULL);
	assert(key->auth_policy_count <= KT_TSS2KEY_AUTH_POLICIES_MAX);
	compute(&key->policy, alg);
	for (size_t i = 0; i < key->auth_policy_count; i++) {
		assert(memchr(key->auth_policies[i].name, '\0', 64) != NULL);
		compute(&key->auth_policies[i].policy, alg);
	}
	if (kt_public_name(&key->public, &name, &e) != 0)
		assert(kt_hash_size(alg) == 0);
}

static void write_and_read(const struct kt_tss2key *key)
{
	auto_free struct kt_tss2key *again = kt_tss2key_new();
	auto_free uint8_t *der = NULL;
	auto_free char *pem = NULL;
	size_t len;
	struct kt_error e;

	if (again == NULL)
		return;
	/* Our form may be longer than what was read. */
	if (kt_tss2key_to_der(key, &der, &len, &e) != 0) {
		assert(e.code == KT_E_INTERNAL);
		return;
	}
	assert(!key->legacy);
	assert(kt_tss2key_from_der(der, len, again, &e) == 0);
	assert(memcmp(key, again, sizeof(*key)) == 0);
	assert(kt_tss2key_to_pem(key, &pem, &e) == 0);
	if (strlen(pem) > KT_TSS2KEY_MAX_BYTES)
		return;
	memset(again, 0, sizeof(*again));
	assert(kt_tss2key_from_file((const uint8_t *)pem, strlen(pem), again, &e) == 0);
	assert(memcmp(key, again, sizeof(*key)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free struct kt_tss2key *key = kt_tss2key_new();
	struct kt_error e;

	if (key == NULL)
		return 0;
	if (kt_tss2key_from_file(data, size, key, &e) != 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	look_at(key);
	write_and_read(key);
	return 0;
}
