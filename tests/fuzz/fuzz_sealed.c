/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed files: whatever the bytes, parsing neither crashes nor leaks, and what parses can be
 * written again. */
#include <stdlib.h>

#include "lib/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_sealed struct kt_sealed *sealed = NULL, *again = NULL;
	auto_secret struct kt_secret *text = NULL;
	struct kt_error e;

	if (kt_sealed_parse((const char *)data, size, &sealed, &e) < 0)
		return 0;
	if (kt_sealed_serialize(sealed, &text, &e) < 0 ||
		kt_sealed_parse(kt_secret_bytes(text), kt_secret_len(text), &again, &e) < 0)
		abort();
	return 0;
}
