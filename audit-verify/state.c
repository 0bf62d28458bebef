/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/state.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/hex.h"
#include "lib/io.h"
#include "lib/json.h"

#define KIND "kubetpm-audit-state"
#define TEXT_MAX 4096

static int get_number(
	struct json_object *object, const char *name, uint64_t *ret_value, struct kt_error *e)
{
	int64_t value;

	if (kt_json_get_int(object, name, 0, INT64_MAX, &value, e) < 0)
		return -1;
	*ret_value = (uint64_t)value;
	return 0;
}

static int get_bytes(struct json_object *object, const char *name, uint8_t *ret_data, size_t len,
	struct kt_error *e)
{
	const char *hex;

	if (kt_json_get_string(object, name, 2 * len, &hex, e) < 0)
		return -1;
	return kt_hex_decode(hex, ret_data, len, e) < 0 ? kt_wrap(e, "%s", name) : 0;
}

int kt_state_parse(
	const char *text, size_t len, struct kt_accepted *ret_accepted, struct kt_error *e)
{
	auto_json struct json_object *object = NULL;
	struct kt_accepted a = {.is_known = true};
	const char *kind;
	int64_t version;

	if (kt_json_parse(text, len, &object, e) < 0 ||
		kt_json_get_string(object, "kind", sizeof(KIND), &kind, e) < 0 ||
		kt_json_get_int(object, "version", 1, 1, &version, e) < 0)
		return -1;
	if (strcmp(kind, KIND) != 0)
		return kt_fail(e, KT_E_INPUT, "not a state of audit-verify");
	if (get_bytes(object, "attestationKey", a.ak_name, sizeof(a.ak_name), e) < 0 ||
		get_number(object, "entries", &a.entries, e) < 0 ||
		get_bytes(object, "head", a.head, sizeof(a.head), e) < 0 ||
		get_number(object, "auditCounter", &a.counts.counter, e) < 0 ||
		get_number(object, "resetCount", &a.counts.reset, e) < 0 ||
		get_number(object, "restartCount", &a.counts.restart, e) < 0 ||
		get_number(object, "clock", &a.counts.clock, e) < 0)
		return -1;
	*ret_accepted = a;
	return 0;
}

int kt_state_read(const char *path, struct kt_accepted *ret_accepted, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	struct stat st;
	size_t len;

	memset(ret_accepted, 0, sizeof(*ret_accepted));
	if (lstat(path, &st) != 0 && errno == ENOENT)
		return 0;
	if (kt_read_trusted_file(path, TEXT_MAX, &text, &len, e) < 0)
		return -1;
	return kt_state_parse((const char *)text, len, ret_accepted, e) < 0 ? kt_wrap(e, "%s", path)
									    : 0;
}

int kt_state_write(const char *path, const struct kt_accepted *accepted, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	char hex[2 * KT_AUDIT_NAME_BYTES + 1];
	struct kt_jsonw w;

	if (kt_secret_new_unlocked(TEXT_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "kind", KIND);
	kt_jsonw_member_int(&w, "version", 1);
	kt_hex_encode(accepted->ak_name, sizeof(accepted->ak_name), hex);
	kt_jsonw_member(&w, "attestationKey", hex);
	kt_jsonw_member_int(&w, "entries", accepted->entries);
	kt_hex_encode(accepted->head, sizeof(accepted->head), hex);
	kt_jsonw_member(&w, "head", hex);
	kt_jsonw_member_int(&w, "auditCounter", accepted->counts.counter);
	kt_jsonw_member_int(&w, "resetCount", accepted->counts.reset);
	kt_jsonw_member_int(&w, "restartCount", accepted->counts.restart);
	kt_jsonw_member_int(&w, "clock", accepted->counts.clock);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(text, "\n", 1, e) < 0)
		return -1;
	return kt_replace_file(path, kt_secret_bytes(text), kt_secret_len(text), 0600, e);
}
