// SPDX-License-Identifier: Apache-2.0
// A module in C++: the header's one symbol must not be mangled.
#include <kubetpm/module.h>

static kt_result credential(void *, const kt_host *host, kt_credential *out)
{
	out->token = host->secret_new(host->ctx, 16);
	return host->secret_append(host->ctx, out->token, "plus-token", 10) == 0 ? KT_OK : KT_ERROR;
}

static const kt_module plus = {
	sizeof(kt_module), "plus", "in C++", nullptr, nullptr, credential, nullptr};

KT_MODULE(plus)
