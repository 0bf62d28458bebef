/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery keys, public and private, PEM and JWK. */
#include "lib/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_pkey EVP_PKEY *public = NULL, *private = NULL;
	auto_secret struct kt_secret *text = NULL;
	struct kt_error e;

	if (kt_jwk_read_public(data, size, &public, &e) < 0)
	public = NULL;
	if (size > 0 && size <= KT_KEY_FILE_MAX_BYTES &&
		kt_secret_from(data, size, &text, &e) == 0 &&
		kt_jwk_read_private(text, NULL, &private, &e) < 0)
	private = NULL;
	return 0;
}
