/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public areas. What is accepted must marshal to the input; and a key that passes for a storage key
 * is wrapped to, since its file comes from another machine.
 */
#include <assert.h>
#include <string.h>

#include "lib/secret.h"
#include "lib/tpm-public.h"
#include "lib/wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_it(const TPM2B_PUBLIC *public)
{
	TPM2B_NAME name, again;
	char text[KT_NAME_TEXT_MAX];
	struct kt_error e;

	if (kt_public_name(public, &name, &e) != 0) {
		assert(kt_hash_size(public->publicArea.nameAlg) == 0);
		return;
	}
	kt_name_format(&name, text);
	assert(kt_name_parse(text, &again, &e) == 0);
	assert(kt_name_equal(&name, &again));
}

static void wrap_to(const TPM2B_PUBLIC *public)
{
	static const TPM2B_DIGEST no_policy;
	auto_secret struct kt_secret *data = NULL;
	struct kt_wrapped wrapped;
	struct kt_error e;

	if (kt_public_check_storage_key(public, &e) != 0) {
		assert(e.code == KT_E_REFUSED);
		return;
	}
	if (kt_secret_from("secret", 6, &data, &e) != 0)
		return;
	if (kt_wrap_sealed_data(public, data, &no_policy, &wrapped, &e) == 0)
		assert(kt_public_is_sealed_data(&wrapped.public));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[sizeof(TPM2B_PUBLIC)];
	TPM2B_PUBLIC public;
	size_t len = 0;
	struct kt_error e;

	if (kt_public_unmarshal(data, size, &public, &e) != 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(kt_public_marshal(&public, again, &len, &e) == 0);
	assert(len == size && memcmp(again, data, size) == 0);
	name_it(&public);
	wrap_to(&public);
	return 0;
}
