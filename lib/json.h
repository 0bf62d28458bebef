/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, strictly (RFC 8259): json-c parses, after our own scan has refused what json-c would let
 * through: doubled member names, invalid UTF-8, raw control characters, lone surrogates, "\u0000",
 * trailing bytes, nesting beyond KT_JSON_MAX_DEPTH, numbers outside the grammar, integers beyond 64
 * bits. Typed getters say where they are and what they expected. The writer streams into locked
 * memory, so a secret never enters a json-c tree on output. Pure.
 */
#ifndef KT_LIB_JSON_H
#define KT_LIB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/secret.h"

#define KT_JSON_MAX_DEPTH 32

static inline void kt_json_put(struct json_object *object)
{
	json_object_put(object);
}
KT_AUTO(json, struct json_object *, kt_json_put)
#define auto_json __attribute__((cleanup(kt_auto_json)))

/* Is this one well-formed JSON text without doubled names? KT_E_INPUT, with the offset. */
KT_CHECKED int kt_json_scan(const char *text, size_t len, struct kt_error *e);

/* Length of the UTF-8 sequence that `text` (of `len` bytes) starts with, or 0 if it is none. */
size_t kt_json_utf8_len(const uint8_t *text, size_t len);

/* One JSON text whose top is an object. *ret_object is owned by the caller. KT_E_INPUT. */
KT_CHECKED int kt_json_parse(
	const char *text, size_t len, struct json_object **ret_object, struct kt_error *e);

/* Like kt_json_parse; kt_json_wipe() must be used to free the tree: it overwrites every string
 * first. The parser's own buffers are wiped too. */
KT_CHECKED int kt_json_parse_secret(
	const struct kt_secret *text, struct json_object **ret_object, struct kt_error *e);
void kt_json_wipe(struct json_object *object);
KT_AUTO(json_wipe, struct json_object *, kt_json_wipe)
#define auto_json_wipe __attribute__((cleanup(kt_auto_json_wipe)))

/*
 * Getters. The result is borrowed from `object`. A missing member, JSON null, or one of another
 * type is KT_E_INPUT and the message names it; the _opt forms leave the result NULL/false/default
 * where the member is missing or null, and still refuse another type.
 */
KT_CHECKED int kt_json_get_object(struct json_object *object, const char *name,
	struct json_object **ret_value, struct kt_error *e);
KT_CHECKED int kt_json_get_object_opt(struct json_object *object, const char *name,
	struct json_object **ret_value, struct kt_error *e);
KT_CHECKED int kt_json_get_array(struct json_object *object, const char *name, size_t max,
	struct json_object **ret_value, struct kt_error *e);
/* `max`: longest accepted string in bytes. A string with an embedded NUL cannot occur (the scan
 * refuses "\u0000"). */
KT_CHECKED int kt_json_get_string(struct json_object *object, const char *name, size_t max,
	const char **ret_value, struct kt_error *e);
KT_CHECKED int kt_json_get_string_opt(struct json_object *object, const char *name, size_t max,
	const char **ret_value, struct kt_error *e);
KT_CHECKED int kt_json_get_bool_opt(struct json_object *object, const char *name, bool fallback,
	bool *ret_value, struct kt_error *e);
KT_CHECKED int kt_json_get_int(struct json_object *object, const char *name, int64_t min,
	int64_t max, int64_t *ret_value, struct kt_error *e);
/* base64url member, decoded; owned by the caller. */
KT_CHECKED int kt_json_get_b64url(struct json_object *object, const char *name, size_t max,
	uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

/*
 * Writer: appends JSON text to a secret of fixed capacity. The caller keeps the order right (name
 * before value inside objects); commas are written by themselves. The first failure (KT_E_INPUT:
 * does not fit) is kept and reported by kt_jsonw_end(), so calls need no check in between. Text is
 * escaped; bytes that are not UTF-8, and NUL, are a failure.
 */
struct kt_jsonw {
	struct kt_secret *out; /* borrowed */
	bool failed;
	bool pending_comma;
	struct kt_error error;
};

void kt_jsonw_init(struct kt_jsonw *w, struct kt_secret *out);
void kt_jsonw_begin_object(struct kt_jsonw *w);
void kt_jsonw_end_object(struct kt_jsonw *w);
void kt_jsonw_begin_array(struct kt_jsonw *w);
void kt_jsonw_end_array(struct kt_jsonw *w);
void kt_jsonw_name(struct kt_jsonw *w, const char *name);
void kt_jsonw_string(struct kt_jsonw *w, const char *value);
void kt_jsonw_secret(struct kt_jsonw *w, const struct kt_secret *value); /* as a string */
void kt_jsonw_bool(struct kt_jsonw *w, bool value);
void kt_jsonw_int(struct kt_jsonw *w, int64_t value);
/* JSON text that is already well-formed, as it is. */
void kt_jsonw_raw(struct kt_jsonw *w, const char *text);
/* name and string in one call. */
void kt_jsonw_member(struct kt_jsonw *w, const char *name, const char *value);
/* name and number, name and true or false. */
void kt_jsonw_member_int(struct kt_jsonw *w, const char *name, uint64_t value);
void kt_jsonw_member_bool(struct kt_jsonw *w, const char *name, bool value);
KT_CHECKED int kt_jsonw_end(struct kt_jsonw *w, struct kt_error *e);

#endif
