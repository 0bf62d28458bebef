/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/make-credential.h"

#include <string.h>

#include "lib/protect.h"
#include "lib/tpm-public.h"

/* What is secret on the way. */
struct work {
	uint8_t identity[2 + KT_CHALLENGE_SECRET_BYTES]; /* TPM2B */
	struct kt_protect_work protect;
};

int kt_make_credential(const TPM2B_PUBLIC *ek, const TPM2B_NAME *name,
	const struct kt_secret *secret, struct kt_made_credential *ret_credential,
	struct kt_error *e)
{
	auto_secret struct kt_secret *memory = NULL;
	struct kt_made_credential credential = {0};
	struct work *w;
	size_t len;

	if (kt_secret_len(secret) != KT_CHALLENGE_SECRET_BYTES)
		return kt_fail(
			e, KT_E_INTERNAL, "a credential of %zu bytes", kt_secret_len(secret));
	if (kt_public_check_storage_key(ek, e) < 0 ||
		kt_secret_new(sizeof(struct work), &memory, e) < 0)
		return -1;
	w = kt_secret_buffer(memory);
	w->identity[0] = 0;
	w->identity[1] = KT_CHALLENGE_SECRET_BYTES;
	memcpy(w->identity + 2, kt_secret_bytes(secret), KT_CHALLENGE_SECRET_BYTES);
	if (kt_protect(&ek->publicArea, "IDENTITY", name, w->identity, sizeof(w->identity),
		    &w->protect, &credential.seed, credential.blob.credential, &len, e) < 0)
		return -1;
	credential.blob.size = (UINT16)len;
	*ret_credential = credential;
	return 0;
}
