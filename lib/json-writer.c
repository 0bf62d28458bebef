/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer: straight into locked memory, so that a secret is escaped without a copy on the
 * heap. It does not check the order of calls; whoever reads the text back will.
 */
#include "lib/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void kt_jsonw_init(struct kt_jsonw *w, struct kt_secret *out)
{
	*w = (struct kt_jsonw){.out = out};
}

static void put(struct kt_jsonw *w, const void *bytes, size_t len)
{
	if (!w->failed && kt_secret_append(w->out, bytes, len, &w->error) != 0) {
		w->failed = true;
		kt_wrap(&w->error, "JSON text");
	}
}

static void put_text(struct kt_jsonw *w, const char *text)
{
	put(w, text, strlen(text));
}

static void fail(struct kt_jsonw *w, const char *why)
{
	if (!w->failed)
		kt_fail(&w->error, KT_E_INPUT, "cannot be written as JSON: %s", why);
	w->failed = true;
}

/* In front of each name and each value without one. */
static void separate(struct kt_jsonw *w)
{
	if (w->pending_comma)
		put_text(w, ",");
	w->pending_comma = false;
}

static void put_escape(struct kt_jsonw *w, uint8_t c)
{
	static const char short_forms[] = "\"\"\\\\b\bf\fn\nr\rt\t";
	char text[8];

	for (size_t i = 0; i < sizeof(short_forms) - 1; i += 2)
		if ((uint8_t)short_forms[i + 1] == c) {
			put_text(w, "\\");
			put(w, &short_forms[i], 1);
			return;
		}
	snprintf(text, sizeof(text), "\\u%04x", c);
	put_text(w, text);
}

/* Runs that need no escape go out in one piece. */
static void put_string(struct kt_jsonw *w, const uint8_t *text, size_t len)
{
	size_t start = 0, at = 0;

	put_text(w, "\"");
	while (at < len && !w->failed) {
		size_t step = kt_json_utf8_len(text + at, len - at);
		uint8_t c = text[at];

		if (step == 0) {
			fail(w, "text that is not UTF-8");
		} else if (c == 0) {
			fail(w, "text with a NUL byte");
		} else if (c < 0x20 || c == '"' || c == '\\') {
			put(w, text + start, at - start);
			put_escape(w, c);
			start = at + 1;
		}
		at += step;
	}
	put(w, text + start, at - start);
	put_text(w, "\"");
}

void kt_jsonw_begin_object(struct kt_jsonw *w)
{
	separate(w);
	put_text(w, "{");
}

void kt_jsonw_end_object(struct kt_jsonw *w)
{
	put_text(w, "}");
	w->pending_comma = true;
}

void kt_jsonw_begin_array(struct kt_jsonw *w)
{
	separate(w);
	put_text(w, "[");
}

void kt_jsonw_end_array(struct kt_jsonw *w)
{
	put_text(w, "]");
	w->pending_comma = true;
}

void kt_jsonw_name(struct kt_jsonw *w, const char *name)
{
	separate(w);
	put_string(w, (const uint8_t *)name, strlen(name));
	put_text(w, ":");
}

void kt_jsonw_string(struct kt_jsonw *w, const char *value)
{
	separate(w);
	put_string(w, (const uint8_t *)value, strlen(value));
	w->pending_comma = true;
}

void kt_jsonw_secret(struct kt_jsonw *w, const struct kt_secret *value)
{
	separate(w);
	put_string(w, kt_secret_bytes(value), kt_secret_len(value));
	w->pending_comma = true;
}

void kt_jsonw_bool(struct kt_jsonw *w, bool value)
{
	kt_jsonw_raw(w, value ? "true" : "false");
}

void kt_jsonw_int(struct kt_jsonw *w, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	kt_jsonw_raw(w, text);
}

void kt_jsonw_raw(struct kt_jsonw *w, const char *text)
{
	separate(w);
	put_text(w, text);
	w->pending_comma = true;
}

void kt_jsonw_member(struct kt_jsonw *w, const char *name, const char *value)
{
	kt_jsonw_name(w, name);
	kt_jsonw_string(w, value);
}

void kt_jsonw_member_int(struct kt_jsonw *w, const char *name, uint64_t value)
{
	kt_jsonw_name(w, name);
	kt_jsonw_int(w, (int64_t)value);
}

void kt_jsonw_member_bool(struct kt_jsonw *w, const char *name, bool value)
{
	kt_jsonw_name(w, name);
	kt_jsonw_bool(w, value);
}

int kt_jsonw_end(struct kt_jsonw *w, struct kt_error *e)
{
	if (!w->failed)
		return 0;
	return kt_fail(e, w->error.code, "%s", w->error.msg);
}
