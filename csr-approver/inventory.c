/* SPDX-License-Identifier: Apache-2.0 */
#include "csr-approver/inventory.h"

#include <string.h>

#include "lib/hex.h"

#define KIND "kubetpm-inventory"
#define VERSION 1

/* Of an object: its i-th member in the file's order. */
static int read_sets(struct inventory *inventory, struct kt_error *e)
{
	struct json_object *sets;

	if (kt_json_get_object(inventory->json, "pcrSets", &sets, e) < 0)
		return -1;
	if (json_object_object_length(sets) > INVENTORY_SETS_MAX)
		return kt_fail(e, KT_E_INPUT, "more than %d pcrSets", INVENTORY_SETS_MAX);
	inventory->sets =
		calloc((size_t)json_object_object_length(sets) + 1, sizeof(*inventory->sets));
	if (inventory->sets == NULL)
		return kt_fail_memory(e);
	json_object_object_foreach(sets, name, values)
	{
		struct inventory_set *set = &inventory->sets[inventory->set_count];

		if (!json_object_is_type(values, json_type_object))
			return kt_fail(e, KT_E_INPUT, "pcrSets: '%.64s' is not an object", name);
		set->name = name;
		if (kt_pcr_from_json(values, &set->values, e) < 0)
			return kt_wrap(e, "pcrSets: '%.64s'", name);
		inventory->set_count++;
	}
	return 0;
}

static int find_set(
	const struct inventory *inventory, const char *name, size_t *ret_index, struct kt_error *e)
{
	for (size_t i = 0; i < inventory->set_count; i++)
		if (strcmp(inventory->sets[i].name, name) == 0) {
			*ret_index = i;
			return 0;
		}
	return kt_fail(e, KT_E_INPUT, "there is no pcrSet '%.64s'", name);
}

static int read_machine_sets(const struct inventory *inventory, struct json_object *object,
	struct inventory_machine *machine, struct kt_error *e)
{
	struct json_object *names;

	if (kt_json_get_array(object, "pcrSets", INVENTORY_SETS_OF_MACHINE_MAX, &names, e) < 0)
		return -1;
	machine->set_count = json_object_array_length(names);
	if (machine->set_count == 0)
		return kt_fail(e, KT_E_INPUT, "pcrSets is empty: no state would be good");
	for (size_t i = 0; i < machine->set_count; i++) {
		struct json_object *name = json_object_array_get_idx(names, i);

		if (!json_object_is_type(name, json_type_string))
			return kt_fail(e, KT_E_INPUT, "pcrSets: not a list of strings");
		if (find_set(inventory, json_object_get_string(name), &machine->sets[i], e) < 0)
			return -1;
	}
	return 0;
}

static int read_machine(const struct inventory *inventory, struct json_object *object,
	struct inventory_machine *machine, struct kt_error *e)
{
	uint8_t fingerprint[(KT_EK_FINGERPRINT_SIZE - 1) / 2];
	char again[KT_EK_FINGERPRINT_SIZE];

	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "not an object");
	if (kt_json_get_string(object, "ek", KT_EK_FINGERPRINT_SIZE, &machine->ek, e) < 0 ||
		kt_hex_decode(machine->ek, fingerprint, sizeof(fingerprint), e) < 0 ||
		kt_json_get_string(object, "node", INVENTORY_NAME_MAX, &machine->node, e) < 0 ||
		kt_json_get_int(object, "maxLifetime", INVENTORY_LIFETIME_MIN, INT32_MAX,
			&machine->max_lifetime, e) < 0 ||
		kt_json_get_bool_opt(object, "quarantined", false, &machine->quarantined, e) < 0)
		return -1;
	kt_hex_encode(fingerprint, sizeof(fingerprint), again);
	if (strcmp(again, machine->ek) != 0)
		return kt_fail(e, KT_E_INPUT, "ek: not in lower case");
	return read_machine_sets(inventory, object, machine, e);
}

/* One EK, one name: the other way round, a stolen name would have two machines. */
static int check_unique(const struct inventory *inventory, size_t i, struct kt_error *e)
{
	const struct inventory_machine *new = &inventory->machines[i];

	for (size_t j = 0; j < i; j++)
		if (strcmp(inventory->machines[j].ek, new->ek) == 0 ||
			strcmp(inventory->machines[j].node, new->node) == 0)
			return kt_fail(e, KT_E_INPUT,
				"the endorsement key or the name '%s' is there twice", new->node);
	return 0;
}

static int read_machines(struct inventory *inventory, struct kt_error *e)
{
	struct json_object *machines;

	if (kt_json_get_array(inventory->json, "machines", INVENTORY_MACHINES_MAX, &machines, e) <
		0)
		return -1;
	inventory->machine_count = json_object_array_length(machines);
	inventory->machines = calloc(inventory->machine_count + 1, sizeof(*inventory->machines));
	if (inventory->machines == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < inventory->machine_count; i++)
		if (read_machine(inventory, json_object_array_get_idx(machines, i),
			    &inventory->machines[i], e) < 0 ||
			check_unique(inventory, i, e) < 0)
			return kt_wrap(e, "machine %zu", i);
	return 0;
}

int inventory_read(
	const char *text, size_t len, struct inventory *ret_inventory, struct kt_error *e)
{
	struct inventory inventory = {0};
	const char *kind;
	int64_t version;

	if (kt_json_parse(text, len, &inventory.json, e) < 0)
		return -1;
	if (kt_json_get_string(inventory.json, "kind", INVENTORY_NAME_MAX, &kind, e) < 0 ||
		kt_json_get_int(inventory.json, "version", 0, INT32_MAX, &version, e) < 0) {
		inventory_clear(&inventory);
		return -1;
	}
	if (strcmp(kind, KIND) != 0 || version != VERSION) {
		inventory_clear(&inventory);
		return kt_fail(e, KT_E_INPUT, "not a " KIND " of version %d", VERSION);
	}
	if (read_sets(&inventory, e) < 0 || read_machines(&inventory, e) < 0) {
		inventory_clear(&inventory);
		return -1;
	}
	*ret_inventory = inventory;
	return 0;
}

void inventory_clear(struct inventory *inventory)
{
	free(inventory->machines);
	free(inventory->sets);
	kt_json_put(inventory->json);
	*inventory = (struct inventory){0};
}

const struct inventory_machine *inventory_find(
	const struct inventory *inventory, const char *fingerprint)
{
	for (size_t i = 0; i < inventory->machine_count; i++)
		if (strcmp(inventory->machines[i].ek, fingerprint) == 0)
			return &inventory->machines[i];
	return NULL;
}
