/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON trees: json-c, behind our own strict scan, and getters that say what they missed. What the
 * scan accepts json-c reads without loss, so the tree is the text.
 */
#include "lib/json.h"

#include <limits.h>
#include <string.h>

#include "lib/b64.h"

static void free_tokener(struct json_tokener *tokener)
{
	/* The parser collects each string here; with secrets, that must not stay on the heap. */
	if (tokener != NULL && tokener->pb != NULL && tokener->pb->buf != NULL)
		explicit_bzero(tokener->pb->buf, (size_t)tokener->pb->size);
	if (tokener != NULL)
		json_tokener_free(tokener);
}
KT_AUTO(tokener, struct json_tokener *, free_tokener)

/* A parser whose buffer never needs to grow, and so never leaves a copy behind, for `len` bytes. */
static struct json_tokener *new_tokener(size_t len)
{
	/* json-c counts a scalar as a level, too. */
	struct json_tokener *tokener = json_tokener_new_ex(KT_JSON_MAX_DEPTH + 1);

	if (tokener == NULL)
		return NULL;
	if (printbuf_memset(tokener->pb, 0, 0, (int)len + 1) < 0) {
		json_tokener_free(tokener);
		return NULL;
	}
	printbuf_reset(tokener->pb);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	return tokener;
}

/* The caller wipes or frees the tree. */
static int parse(const char *text, size_t len, struct json_object **ret_object, struct kt_error *e)
{
	__attribute__((cleanup(kt_auto_tokener))) struct json_tokener *tokener = NULL;
	auto_json_wipe struct json_object *object = NULL;

	if (len > INT_MAX - 64)
		return kt_fail(e, KT_E_INPUT, "JSON text is too long");
	if (kt_json_scan(text, len, e) != 0)
		return -1;
	/* Before json-c sees it: a bare number without end would have it wait for more. */
	if (text[strspn(text, " \t\r\n")] != '{')
		return kt_fail(e, KT_E_INPUT, "JSON text is not an object");
	tokener = new_tokener(len);
	if (tokener == NULL)
		return kt_fail_memory(e);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	if (object == NULL)
		return kt_fail(e, KT_E_INPUT, "not valid JSON at byte %zu: %s",
			json_tokener_get_parse_end(tokener),
			json_tokener_error_desc(json_tokener_get_error(tokener)));
	*ret_object = kt_take(object);
	return 0;
}

int kt_json_parse(const char *text, size_t len, struct json_object **ret_object, struct kt_error *e)
{
	return parse(text, len, ret_object, e);
}

int kt_json_parse_secret(
	const struct kt_secret *text, struct json_object **ret_object, struct kt_error *e)
{
	return parse(kt_secret_bytes(text), kt_secret_len(text), ret_object, e);
}

/* json-c lends its own buffer; nobody else holds this tree. */
static void wipe_string(struct json_object *value)
{
	union {
		const char *lent;
		void *ours;
	} text = {.lent = json_object_get_string(value)};

	explicit_bzero(text.ours, (size_t)json_object_get_string_len(value));
}

static void wipe_strings(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_string:
		wipe_string(value);
		break;
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(value); i++)
			wipe_strings(json_object_array_get_idx(value, i));
		break;
	case json_type_object: {
		json_object_object_foreach(value, name, member)
		{
			(void)name;
			wipe_strings(member);
		}
		break;
	}
	default:
		break;
	}
}

void kt_json_wipe(struct json_object *object)
{
	wipe_strings(object);
	json_object_put(object);
}

static int fail_type(const char *name, const char *expected, struct kt_error *e)
{
	return kt_fail(e, KT_E_INPUT, "\"%s\" is not %s", name, expected);
}

/* The member, or NULL where it is missing or null and `optional`. */
static int get_typed(struct json_object *object, const char *name, enum json_type type,
	const char *expected, bool optional, struct json_object **ret_value, struct kt_error *e)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "no object where \"%s\" should be in one", name);
	if (!json_object_object_get_ex(object, name, &value) && !optional)
		return kt_fail(e, KT_E_INPUT, "\"%s\" is missing", name);
	if (value == NULL && !optional)
		return kt_fail(e, KT_E_INPUT, "\"%s\" is null", name);
	if (value != NULL && !json_object_is_type(value, type))
		return fail_type(name, expected, e);
	*ret_value = value;
	return 0;
}

int kt_json_get_object(struct json_object *object, const char *name, struct json_object **ret_value,
	struct kt_error *e)
{
	return get_typed(
		object, name, json_type_object, "an object", /* optional= */ false, ret_value, e);
}

int kt_json_get_object_opt(struct json_object *object, const char *name,
	struct json_object **ret_value, struct kt_error *e)
{
	return get_typed(
		object, name, json_type_object, "an object", /* optional= */ true, ret_value, e);
}

int kt_json_get_array(struct json_object *object, const char *name, size_t max,
	struct json_object **ret_value, struct kt_error *e)
{
	struct json_object *value;

	if (get_typed(object, name, json_type_array, "an array", /* optional= */ false, &value,
		    e) != 0)
		return -1;
	if (json_object_array_length(value) > max)
		return kt_fail(e, KT_E_INPUT, "\"%s\" has more than %zu elements", name, max);
	*ret_value = value;
	return 0;
}

static int get_string(struct json_object *object, const char *name, size_t max, bool optional,
	const char **ret_value, struct kt_error *e)
{
	struct json_object *value;

	if (get_typed(object, name, json_type_string, "a string", optional, &value, e) != 0)
		return -1;
	if (value != NULL && (size_t)json_object_get_string_len(value) > max)
		return kt_fail(e, KT_E_INPUT, "\"%s\" is longer than %zu bytes", name, max);
	*ret_value = value != NULL ? json_object_get_string(value) : NULL;
	return 0;
}

int kt_json_get_string(struct json_object *object, const char *name, size_t max,
	const char **ret_value, struct kt_error *e)
{
	return get_string(object, name, max, /* optional= */ false, ret_value, e);
}

int kt_json_get_string_opt(struct json_object *object, const char *name, size_t max,
	const char **ret_value, struct kt_error *e)
{
	return get_string(object, name, max, /* optional= */ true, ret_value, e);
}

int kt_json_get_bool_opt(struct json_object *object, const char *name, bool fallback,
	bool *ret_value, struct kt_error *e)
{
	struct json_object *value;

	if (get_typed(object, name, json_type_boolean, "true or false", /* optional= */ true,
		    &value, e) != 0)
		return -1;
	*ret_value = value != NULL ? json_object_get_boolean(value) != 0 : fallback;
	return 0;
}

int kt_json_get_int(struct json_object *object, const char *name, int64_t min, int64_t max,
	int64_t *ret_value, struct kt_error *e)
{
	struct json_object *value;
	int64_t number;

	if (get_typed(object, name, json_type_int, "an integer", /* optional= */ false, &value,
		    e) != 0)
		return -1;
	number = json_object_get_int64(value);
	/* Above INT64_MAX json-c answers INT64_MAX. */
	if (number < min || number > max ||
		(number == INT64_MAX && json_object_get_uint64(value) != (uint64_t)INT64_MAX))
		return kt_fail(e, KT_E_INPUT, "\"%s\" is out of range", name);
	*ret_value = number;
	return 0;
}

int kt_json_get_b64url(struct json_object *object, const char *name, size_t max, uint8_t **ret_data,
	size_t *ret_len, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	const char *text;
	size_t len;

	if (max > KT_SECRET_MAX_BYTES)
		max = KT_SECRET_MAX_BYTES;
	if (kt_json_get_string(object, name, kt_b64url_encoded_len(max), &text, e) != 0)
		return -1;
	if (kt_b64url_decode(text, strlen(text), &data, &len, e) != 0)
		return kt_wrap(e, "\"%s\"", name);
	*ret_data = kt_take(data);
	*ret_len = len;
	return 0;
}
