/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scan against json-c, which is the other implementation at hand: what the scan accepts json-c
 * must accept, and what a tree says must survive being written by our writer and read again.
 */
#include <assert.h>
#include <string.h>

#include "lib/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(struct kt_jsonw *w, struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_object: {
		kt_jsonw_begin_object(w);
		json_object_object_foreach(value, name, member)
		{
			kt_jsonw_name(w, name);
			write_value(w, member);
		}
		kt_jsonw_end_object(w);
		break;
	}
	case json_type_array:
		kt_jsonw_begin_array(w);
		for (size_t i = 0; i < json_object_array_length(value); i++)
			write_value(w, json_object_array_get_idx(value, i));
		kt_jsonw_end_array(w);
		break;
	case json_type_string:
		kt_jsonw_string(w, json_object_get_string(value));
		break;
	case json_type_boolean:
		kt_jsonw_bool(w, json_object_get_boolean(value));
		break;
	case json_type_null:
		kt_jsonw_raw(w, "null");
		break;
	default:
		kt_jsonw_raw(w, json_object_to_json_string(value));
		break;
	}
}

static void check_round_trip(struct json_object *object, size_t size)
{
	auto_secret struct kt_secret *out = NULL;
	auto_json_wipe struct json_object *back = NULL;
	struct kt_jsonw w;
	struct kt_error e;

	/* A character grows sixfold at most. */
	if (kt_secret_new(6 * size + 64, &out, &e) != 0)
		return;
	kt_jsonw_init(&w, out);
	write_value(&w, object);
	assert(kt_jsonw_end(&w, &e) == 0);
	assert(kt_json_parse_secret(out, &back, &e) == 0);
	assert(json_object_equal(object, back));
}

static void use_getters(struct json_object *object)
{
	json_object_object_foreach(object, name, member)
	{
		struct json_object *value;
		auto_free uint8_t *bytes = NULL;
		const char *text;
		size_t len;
		int64_t number;
		bool flag;
		struct kt_error e;

		(void)member;
		if (kt_json_get_int(object, name, -100, 100, &number, &e) == 0)
			assert(number >= -100 && number <= 100);
		if (kt_json_get_string_opt(object, name, 16, &text, &e) == 0)
			assert(text == NULL || strlen(text) <= 16);
		if (kt_json_get_array(object, name, 4, &value, &e) == 0)
			assert(json_object_array_length(value) <= 4);
		if (kt_json_get_b64url(object, name, 8, &bytes, &len, &e) == 0)
			assert(len <= 8);
		if (kt_json_get_object(object, name, &value, &e) == 0)
			assert(kt_json_get_string(object, name, 16, &text, &e) != 0);
		if (kt_json_get_bool_opt(object, name, true, &flag, &e) != 0)
			assert(e.code == KT_E_INPUT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_json struct json_object *object = NULL;
	const char *text = (const char *)data;
	bool is_object = false;
	bool valid;
	struct kt_error e;

	for (size_t i = 0; i < size && !is_object && memchr(" \t\r\n{", data[i], 5) != NULL; i++)
		is_object = data[i] == '{';
	valid = kt_json_scan(text, size, &e) == 0;
	assert((kt_json_parse(text, size, &object, &e) == 0) == (valid && is_object));
	if (object == NULL)
		return 0;
	use_getters(object);
	check_round_trip(object, size);
	return 0;
}
