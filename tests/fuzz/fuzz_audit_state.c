/* SPDX-License-Identifier: Apache-2.0 */
/* audit-verify's state. */
#include <assert.h>

#include "audit-verify/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_accepted accepted = {0};
	struct kt_error e;

	if (kt_state_parse((const char *)data, size, &accepted, &e) != 0)
		assert(e.code == KT_E_INPUT && !accepted.is_known);
	else
		assert(accepted.is_known);
	return 0;
}
