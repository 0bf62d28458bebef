/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which machine may have which name: a file of JSON (kubetpm-formats(5), Inventory). A machine is
 * its endorsement key. Pure.
 */
#ifndef KT_CSR_APPROVER_INVENTORY_H
#define KT_CSR_APPROVER_INVENTORY_H

#include "lib/ek.h"
#include "lib/pcr.h"

#define INVENTORY_MAX_BYTES (4 << 20)
#define INVENTORY_MACHINES_MAX 10000
#define INVENTORY_SETS_MAX 1000
#define INVENTORY_SETS_OF_MACHINE_MAX 16
#define INVENTORY_NAME_MAX 253
#define INVENTORY_LIFETIME_MIN 600 /* what the API server takes at least */

/* Texts are borrowed from the JSON. */
struct inventory_machine {
	const char *ek, *node;
	bool quarantined;
	int64_t max_lifetime; /* of a certificate, seconds */
	size_t set_count;
	size_t sets[INVENTORY_SETS_OF_MACHINE_MAX]; /* in any of these states */
};

struct inventory_set {
	const char *name;
	struct kt_pcr_set values;
};

/* Owned. */
struct inventory {
	struct json_object *json;
	size_t machine_count, set_count;
	struct inventory_machine *machines;
	struct inventory_set *sets;
};

/* *ret_inventory is freed by inventory_clear(). KT_E_INPUT: one EK or one name twice, too. */
KT_CHECKED int inventory_read(
	const char *text, size_t len, struct inventory *ret_inventory, struct kt_error *e);
void inventory_clear(struct inventory *inventory);

/* Borrowed; NULL if it is not there. */
const struct inventory_machine *inventory_find(
	const struct inventory *inventory, const char *fingerprint);

#endif
