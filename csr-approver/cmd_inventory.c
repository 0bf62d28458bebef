/* SPDX-License-Identifier: Apache-2.0 */
/* csr-approver inventory: lists and changes the file that says which machine may have which name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "csr-approver/approver.h"
#include "csr-approver/inventory.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/rfc3339.h"

#define EMPTY "{\"kind\":\"kubetpm-inventory\",\"version\":1,\"pcrSets\":{},\"machines\":[]}"
#define LIFETIME_DEFAULT 86400

struct options {
	const char *inventory, *ek, *node, *pcrs, *max_lifetime;
	struct kt_opt_list sets;
	bool json, verbose;
};

static const struct kt_opt opts[] = {
	{"inventory", 'i', "FILE", "the inventory (required)", KT_OPT_TEXT,
		offsetof(struct options, inventory)},
	{"ek", 0, "HEX", "add: SHA-256 of the endorsement key's SubjectPublicKeyInfo", KT_OPT_TEXT,
		offsetof(struct options, ek)},
	{"node", 'n', "NAME", "add, remove, quarantine, accept: the node", KT_OPT_TEXT,
		offsetof(struct options, node)},
	{"pcr-set", 0, "NAME", "add: a state it may be in; may be repeated. pcrs: the set",
		KT_OPT_LIST, offsetof(struct options, sets)},
	{"pcrs", 'p', "SELECTION", "pcrs: values, e.g. sha256:7=HEX", KT_OPT_TEXT,
		offsetof(struct options, pcrs)},
	{"max-lifetime", 0, "TIME", "add: of a certificate, at least 10m (default 24h)",
		KT_OPT_TEXT, offsetof(struct options, max_lifetime)},
	{"json", 'j', NULL, "list: print JSON for machines", KT_OPT_FLAG,
		offsetof(struct options, json)},
	{"verbose", 'v', NULL, "say more on standard error", KT_OPT_FLAG,
		offsetof(struct options, verbose)},
	{0},
};

/* One that is not there is empty, where it may be made. */
static int open_inventory(const struct options *options, bool make, struct inventory *ret_inventory,
	struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	struct stat st;
	size_t len;

	if (options->inventory == NULL)
		return kt_fail(e, KT_E_USAGE, "which one? give --inventory FILE");
	if (make && lstat(options->inventory, &st) < 0)
		return inventory_read(EMPTY, strlen(EMPTY), ret_inventory, e);
	if (kt_read_trusted_file(options->inventory, INVENTORY_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return inventory_read((const char *)text, len, ret_inventory, e) < 0
		       ? kt_wrap(e, "%s", options->inventory)
		       : 0;
}

/* What would not be read again is not written. */
static int save(
	const struct options *options, const struct inventory *inventory, struct kt_error *e)
{
	const char *text = json_object_to_json_string_ext(inventory->json,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	struct inventory again;

	if (text == NULL)
		return kt_fail_memory(e);
	if (inventory_read(text, strlen(text), &again, e) < 0)
		return -1;
	inventory_clear(&again);
	return kt_replace_file(options->inventory, text, strlen(text), 0644, e);
}

static int read_lifetime(const char *text, int64_t *ret_seconds, struct kt_error *e)
{
	*ret_seconds = LIFETIME_DEFAULT;
	if (text == NULL)
		return 0;
	if (kt_duration_parse(text, ret_seconds, e) < 0 || *ret_seconds < INVENTORY_LIFETIME_MIN ||
		*ret_seconds > INT32_MAX)
		return kt_fail(e, KT_E_USAGE, "--max-lifetime: a time of 10m or more, such as 24h");
	return 0;
}

static int add(const struct options *options, struct inventory *inventory, struct kt_error *e)
{
	struct json_object *machines = json_object_object_get(inventory->json, "machines");
	struct json_object *machine = json_object_new_object(), *sets = json_object_new_array();
	int64_t lifetime;

	if (machine == NULL || sets == NULL ||
		json_object_object_add(machine, "pcrSets", sets) != 0 ||
		json_object_array_add(machines, machine) != 0)
		return kt_fail_memory(e);
	if (options->ek == NULL || options->node == NULL || options->sets.count == 0)
		return kt_fail(e, KT_E_USAGE, "add: give --ek HEX, --node NAME and --pcr-set NAME");
	if (read_lifetime(options->max_lifetime, &lifetime, e) < 0)
		return -1;
	for (size_t i = 0; i < options->sets.count; i++)
		json_object_array_add(sets, json_object_new_string(options->sets.values[i]));
	json_object_object_add(machine, "ek", json_object_new_string(options->ek));
	json_object_object_add(machine, "node", json_object_new_string(options->node));
	json_object_object_add(machine, "maxLifetime", json_object_new_int64(lifetime));
	return 0;
}

/* The machine of a node: where it stands in the file. */
static int find_node(const struct options *options, const struct inventory *inventory,
	size_t *ret_index, struct kt_error *e)
{
	if (options->node == NULL)
		return kt_fail(e, KT_E_USAGE, "which machine? give --node NAME");
	for (size_t i = 0; i < inventory->machine_count; i++)
		if (strcmp(inventory->machines[i].node, options->node) == 0) {
			*ret_index = i;
			return 0;
		}
	return kt_fail(e, KT_E_USAGE, "there is no node '%s' in the inventory", options->node);
}

static int remove_machine(
	const struct options *options, struct inventory *inventory, struct kt_error *e)
{
	struct json_object *machines = json_object_object_get(inventory->json, "machines");
	size_t i;

	if (find_node(options, inventory, &i, e) < 0)
		return -1;
	json_object_array_del_idx(machines, i, 1);
	return 0;
}

static int set_quarantine(const struct options *options, struct inventory *inventory,
	bool quarantined, struct kt_error *e)
{
	struct json_object *machines = json_object_object_get(inventory->json, "machines");
	size_t i;

	if (find_node(options, inventory, &i, e) < 0)
		return -1;
	if (json_object_object_add(json_object_array_get_idx(machines, i), "quarantined",
		    json_object_new_boolean(quarantined)) != 0)
		return kt_fail_memory(e);
	return 0;
}

static int quarantine(
	const struct options *options, struct inventory *inventory, struct kt_error *e)
{
	return set_quarantine(options, inventory, true, e);
}

static int accept(const struct options *options, struct inventory *inventory, struct kt_error *e)
{
	return set_quarantine(options, inventory, false, e);
}

/* Values as seals have them, so that a state can be written down once. */
static int define_set(
	const struct options *options, struct inventory *inventory, struct kt_error *e)
{
	struct json_object *sets = json_object_object_get(inventory->json, "pcrSets");
	auto_secret struct kt_secret *text = NULL;
	struct json_object *values;
	struct kt_pcr_set set;
	struct kt_jsonw w;

	if (options->sets.count != 1 || options->pcrs == NULL)
		return kt_fail(e, KT_E_USAGE, "pcrs: give --pcr-set NAME and --pcrs SELECTION");
	if (kt_pcr_parse(options->pcrs, &set, e) < 0)
		return -1;
	if (!kt_pcr_is_complete(&set))
		return kt_fail(e, KT_E_USAGE, "--pcrs: each PCR needs a value, as in sha256:7=HEX");
	if (kt_secret_new(INVENTORY_MAX_BYTES / 64, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	kt_pcr_write_json(&set, &w);
	if (kt_jsonw_end(&w, e) < 0 || kt_json_parse((const char *)kt_secret_bytes(text),
					       kt_secret_len(text), &values, e) < 0)
		return -1;
	json_object_object_add(sets, options->sets.values[0], values);
	return 0;
}

static void print_machine(
	const struct inventory *inventory, const struct inventory_machine *machine)
{
	printf("%-32s  %s  %8" PRId64 "s  %-11s ", machine->node, machine->ek,
		machine->max_lifetime, machine->quarantined ? "quarantined" : "accepted");
	for (size_t i = 0; i < machine->set_count; i++)
		printf(" %s", inventory->sets[machine->sets[i]].name);
	printf("\n");
}

static int list(const struct options *options, struct kt_error *e)
{
	struct inventory inventory;

	if (open_inventory(options, false, &inventory, e) < 0)
		return -1;
	if (options->json)
		printf("%s\n", json_object_to_json_string_ext(
				       inventory.json, JSON_C_TO_STRING_NOSLASHESCAPE));
	for (size_t i = 0; !options->json && i < inventory.machine_count; i++)
		print_machine(&inventory, &inventory.machines[i]);
	inventory_clear(&inventory);
	return 0;
}

static const struct change {
	const char *name;
	bool makes_file;
	int (*run)(const struct options *options, struct inventory *inventory, struct kt_error *e);
} changes[] = {
	{"add", true, add},
	{"remove", false, remove_machine},
	{"quarantine", false, quarantine},
	{"accept", false, accept},
	{"pcrs", true, define_set},
};

static int change(const struct options *options, const struct change *what, struct kt_error *e)
{
	struct inventory inventory;
	int status;

	if (open_inventory(options, what->makes_file, &inventory, e) < 0)
		return -1;
	status = what->run(options, &inventory, e);
	if (status == 0)
		status = save(options, &inventory, e);
	inventory_clear(&inventory);
	return status;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	bool done;
	int first;

	if (kt_opt_parse(&verb_inventory.command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init(PROGRAM, options.verbose);
	if (strcmp(argv[first], "list") == 0)
		return list(&options, e);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (strcmp(argv[first], changes[i].name) == 0)
			return change(&options, &changes[i], e);
	return kt_fail(e, KT_E_USAGE,
		"inventory: 'list', 'add', 'remove', 'quarantine', 'accept' or 'pcrs'");
}

const struct kt_verb verb_inventory = {
	.command = {PROGRAM, "inventory", "list|add|remove|quarantine|accept|pcrs",
		"say which machine, known by its endorsement key, may have which node's name", opts,
		1, 1},
	.run = run,
};
