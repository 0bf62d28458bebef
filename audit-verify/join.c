/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/join.h"

#include <string.h>

#include "audit-verify/input.h"
#include "lib/json.h"
#include "lib/rfc3339.h"

#define SPANS_MAX ((size_t)4 << 20)
#define TEXT_MAX 256

/* Seconds since the epoch, both ends included. */
struct span {
	int64_t first, last;
};

struct kt_join {
	const char *const *resources; /* borrowed */
	size_t resource_count;
	struct span *spans; /* owned; sorted and apart after kt_join_sort() */
	size_t span_count, span_capacity;
	int64_t first, last; /* of all events; first > last: none */
	struct kt_join_result result;
	struct kt_decryption list[KT_JOIN_LISTED_MAX];
};

int kt_join_new(
	const char *const *resources, size_t count, struct kt_join **ret_join, struct kt_error *e)
{
	struct kt_join *join = calloc(1, sizeof(*join));

	if (join == NULL)
		return kt_fail_memory(e);
	join->resources = resources;
	join->resource_count = count;
	join->first = INT64_MAX;
	join->last = INT64_MIN;
	*ret_join = join;
	return 0;
}

void kt_join_free(struct kt_join *join)
{
	if (join == NULL)
		return;
	free(join->spans);
	free(join);
}

/* Events come nearly in order, and in crowds: most of them only make the last span longer. */
static int add_span(struct kt_join *join, int64_t first, int64_t last, struct kt_error *e)
{
	struct span *before = join->span_count > 0 ? &join->spans[join->span_count - 1] : NULL;

	if (before != NULL && first >= before->first && first <= before->last + 1) {
		if (last > before->last)
			before->last = last;
		return 0;
	}
	if (join->span_count == join->span_capacity) {
		size_t capacity = join->span_capacity * 2 + 256;
		struct span *more;

		if (capacity > SPANS_MAX)
			return kt_fail(e, KT_E_INPUT, "the API server's log is too long");
		more = realloc(join->spans, capacity * sizeof(*more));
		if (more == NULL)
			return kt_fail_memory(e);
		join->spans = more;
		join->span_capacity = capacity;
	}
	join->spans[join->span_count++] = (struct span){first, last};
	return 0;
}

static bool is_encrypted(const struct kt_join *join, const char *resource)
{
	for (size_t i = 0; resource != NULL && i < join->resource_count; i++)
		if (strcmp(join->resources[i], resource) == 0)
			return true;
	return false;
}

static int get_time(
	struct json_object *event, const char *name, int64_t *ret_seconds, struct kt_error *e)
{
	const char *text;

	if (kt_json_get_string(event, name, TEXT_MAX, &text, e) < 0)
		return -1;
	return kt_rfc3339_parse(text, ret_seconds, e) < 0 ? kt_wrap(e, "%s", name) : 0;
}

/* *ret_resource NULL: a request for no object. */
static int get_resource(struct json_object *event, const char **ret_resource, struct kt_error *e)
{
	struct json_object *object = NULL;

	*ret_resource = NULL;
	if (kt_json_get_object_opt(event, "objectRef", &object, e) < 0)
		return -1;
	if (object == NULL)
		return 0;
	return kt_json_get_string_opt(object, "resource", TEXT_MAX, ret_resource, e);
}

static int note_event(struct kt_join *join, struct json_object *event, struct kt_error *e)
{
	const char *kind, *verb, *resource;
	int64_t received, stage;

	if (kt_json_get_string(event, "kind", TEXT_MAX, &kind, e) < 0)
		return -1;
	if (strcmp(kind, "Event") != 0)
		return kt_fail(e, KT_E_INPUT, "not an audit.k8s.io Event");
	if (get_time(event, "requestReceivedTimestamp", &received, e) < 0 ||
		get_time(event, "stageTimestamp", &stage, e) < 0 ||
		kt_json_get_string(event, "verb", TEXT_MAX, &verb, e) < 0 ||
		get_resource(event, &resource, e) < 0)
		return -1;
	/* A watch reads when it begins, and may then go on for hours. */
	if (strcmp(verb, "watch") == 0 || stage < received)
		stage = received;
	if (received < join->first)
		join->first = received;
	if (stage > join->last)
		join->last = stage;
	if (!is_encrypted(join, resource))
		return 0;
	join->result.events++;
	return add_span(join, received - KT_JOIN_SLACK_S, stage + KT_JOIN_SLACK_S, e);
}

int kt_join_event(struct kt_join *join, const char *line, size_t len, struct kt_error *e)
{
	auto_json struct json_object *event = NULL;

	if (len == 0)
		return 0;
	if (kt_json_parse(line, len, &event, e) < 0)
		return -1;
	return note_event(join, event, e);
}

static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void kt_join_sort(struct kt_join *join)
{
	size_t kept = 0;

	if (join->span_count == 0)
		return;
	qsort(join->spans, join->span_count, sizeof(join->spans[0]), compare);
	for (size_t i = 1; i < join->span_count; i++) {
		struct span *last = &join->spans[kept];

		if (join->spans[i].first > last->last + 1)
			join->spans[++kept] = join->spans[i];
		else if (join->spans[i].last > last->last)
			last->last = join->spans[i].last;
	}
	join->span_count = kept + 1;
}

static int read_lines(
	struct kt_join *join, struct kt_input *input, char *buffer, struct kt_error *e)
{
	size_t len = 0, got;
	uint64_t number = 1;

	for (;;) {
		char *next = buffer, *newline;

		if (kt_input_read(input, buffer + len, KT_JOIN_LINE_MAX - len, &got, e) < 0)
			return -1;
		/* The last line may have no newline. */
		if (got == 0)
			return len == 0 ? 0 : kt_join_event(join, buffer, len, e);
		len += got;
		while ((newline = memchr(next, '\n', (size_t)(buffer + len - next))) != NULL) {
			if (kt_join_event(join, next, (size_t)(newline - next), e) < 0)
				return kt_wrap(e, "line %llu", (unsigned long long)number);
			number++;
			next = newline + 1;
		}
		len = (size_t)(buffer + len - next);
		memmove(buffer, next, len);
		if (len == KT_JOIN_LINE_MAX)
			return kt_fail(
				e, KT_E_INPUT, "line %llu is too long", (unsigned long long)number);
	}
}

int kt_join_read(const char *path, const char *const *resources, size_t count,
	struct kt_join **ret_join, struct kt_error *e)
{
	auto_join struct kt_join *join = NULL;
	auto_input struct kt_input *input = NULL;
	auto_free char *buffer = malloc(KT_JOIN_LINE_MAX);

	if (buffer == NULL)
		return kt_fail_memory(e);
	if (kt_join_new(resources, count, &join, e) < 0 || kt_input_open(path, &input, e) < 0)
		return -1;
	if (read_lines(join, input, buffer, e) < 0)
		return kt_wrap(e, "%s", path);
	kt_join_sort(join);
	*ret_join = kt_take(join);
	return 0;
}

static bool is_explained(const struct kt_join *join, int64_t at)
{
	size_t low = 0, high = join->span_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (join->spans[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < join->span_count && join->spans[low].first <= at;
}

void kt_join_decryption(struct kt_join *join, const struct kt_decryption *decryption)
{
	struct kt_join_result *result = &join->result;
	int64_t at = (int64_t)(decryption->ts / 1000);

	if (at < join->first - KT_JOIN_SLACK_S || at > join->last + KT_JOIN_SLACK_S) {
		result->outside++;
	} else if (is_explained(join, at)) {
		result->explained++;
	} else {
		result->unexplained++;
		if (result->listed < KT_JOIN_LISTED_MAX)
			join->list[result->listed++] = *decryption;
	}
}

void kt_join_result(const struct kt_join *join, struct kt_join_result *ret_result)
{
	*ret_result = join->result;
	ret_result->list = join->list;
}
