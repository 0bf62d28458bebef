/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a kube-apiserver's audit log, as --join reads them. */
#include <assert.h>
#include <string.h>

#include "audit-verify/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const resources[] = {"secrets"};
	const struct kt_decryption decryption = {.ts = UINT64_C(1795714216430)};
	const char *next = (const char *)data, *end = next + size;
	auto_join struct kt_join *join = NULL;
	struct kt_join_result result;
	struct kt_error e;

	assert(kt_join_new(resources, 1, &join, &e) == 0);
	while (next < end) {
		const char *newline = memchr(next, '\n', (size_t)(end - next));
		size_t len = (size_t)((newline != NULL ? newline : end) - next);

		if (kt_join_event(join, next, len, &e) != 0)
			assert(e.code == KT_E_INPUT);
		next += len + 1;
	}
	kt_join_sort(join);
	kt_join_decryption(join, &decryption);
	kt_join_result(join, &result);
	assert(result.explained + result.unexplained + result.outside == 1);
	return 0;
}
