/* SPDX-License-Identifier: Apache-2.0 */
/* Glue between the library's conventions and the module ABI. */
#include "lib/module.h"

#include <stddef.h>
#include <string.h>

enum kt_result kt_module_fail(const struct kt_host *host, const struct kt_error *e)
{
	host->fail(host->ctx, e->code, "%s", e->msg);
	switch (e->code) {
	case KT_E_POLICY:
	case KT_E_PIN:
	case KT_E_LOCKOUT:
	case KT_E_REFUSED:
	case KT_E_WRONG_TPM:
	case KT_E_REVOKED:
	case KT_E_EVIDENCE:
		return KT_DENIED;
	case KT_E_TPM:
	case KT_E_NETWORK:
	case KT_E_BUSY:
		return KT_UNAVAIL;
	default:
		return KT_ERROR;
	}
}

void kt_module_count(const struct kt_host *host, enum kt_counter counter, uint64_t n)
{
	if (n > 0 && host->size >= offsetof(struct kt_host, count) + sizeof(host->count) &&
		host->count != NULL)
		host->count(host->ctx, counter, n);
}

const char *kt_module_arg(int argc, const char *const argv[], const char *key)
{
	size_t len = strlen(key);

	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=')
			return argv[i] + len + 1;
	return NULL;
}

int kt_module_give(const struct kt_host *host, const void *bytes, size_t len,
	struct kt_secret **ret_secret, struct kt_error *e)
{
	struct kt_secret *secret = host->secret_new(host->ctx, len > 0 ? len : 1);

	if (secret == NULL)
		return kt_fail(e, KT_E_INTERNAL, "no locked memory for %zu bytes", len);
	if (len > 0 && host->secret_append(host->ctx, secret, bytes, len) < 0) {
		host->secret_free(host->ctx, secret);
		return kt_fail(e, KT_E_INTERNAL, "no room for %zu bytes", len);
	}
	*ret_secret = secret;
	return 0;
}
