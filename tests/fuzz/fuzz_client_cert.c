/* SPDX-License-Identifier: Apache-2.0 */
/* The secret of as=client-certificate and as=token: PEM, and tokens. */
#include <assert.h>
#include <string.h>

#include "lib/client-cert.h"
#include "modules/cred-sealed/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_secret struct kt_secret *secret = NULL;
	struct kt_client_cert cert = {0};
	int64_t expiry = 0;
	struct kt_error e;
	size_t len;

	if (kt_secret_from(data, size, &secret, &e) < 0)
		return 0;
	if (kt_token_check(secret, &len, &e) == 0) {
		assert(len > 0 && len <= size);
		assert(kt_token_expiry((const char *)data, len, &expiry, &e) < 0 || expiry >= 0);
	}
	if (kt_client_cert_split(secret, &cert, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	/* Nothing is made up: at most one newline a block is added. */
	assert(kt_secret_len(cert.certificates) + kt_secret_len(cert.key) <=
		size + KT_CLIENT_CERT_CHAIN_MAX + 1);
	assert(memcmp(kt_secret_bytes(cert.certificates), "-----BEGIN CERTIFICATE-----", 27) == 0);
	kt_client_cert_fini(&cert);
	return 0;
}
