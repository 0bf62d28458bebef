/* SPDX-License-Identifier: Apache-2.0 */
/* The approver's inventory. */
#include <assert.h>

#include "csr-approver/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inventory inventory;
	struct kt_error e;

	if (inventory_read((const char *)data, size, &inventory, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	for (size_t i = 0; i < inventory.machine_count; i++)
		assert(inventory_find(&inventory, inventory.machines[i].ek) ==
			&inventory.machines[i]);
	inventory_clear(&inventory);
	return 0;
}
