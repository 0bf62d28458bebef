/* SPDX-License-Identifier: Apache-2.0 */
#include "csr-approver/requests.h"

#include <string.h>

void requests_clear(struct requests *requests)
{
	for (size_t i = 0; i < requests->count; i++)
		kt_csr_object_clear(&requests->list[i]);
	free(requests->list);
}

static int add_request(struct requests *requests, struct json_object *object, struct kt_error *e)
{
	if (!json_object_is_type(object, json_type_object))
		return kt_fail(e, KT_E_INPUT, "item %zu is no object", requests->count);
	if (kt_csr_object_read(object, &requests->list[requests->count], e) < 0)
		return kt_wrap(e, "request %zu", requests->count);
	requests->count++;
	return 0;
}

int requests_read(struct json_object *json, struct requests *ret_requests, struct kt_error *e)
{
	struct json_object *items;
	size_t count;

	*ret_requests = (struct requests){0};
	if (!json_object_object_get_ex(json, "items", NULL)) {
		ret_requests->list = calloc(1, sizeof(struct kt_csr_object));
		return ret_requests->list != NULL ? add_request(ret_requests, json, e)
						  : kt_fail_memory(e);
	}
	if (kt_json_get_array(json, "items", REQUESTS_MAX, &items, e) < 0)
		return -1;
	count = json_object_array_length(items);
	ret_requests->list = calloc(count + 1, sizeof(struct kt_csr_object));
	if (ret_requests->list == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < count; i++)
		if (add_request(ret_requests, json_object_array_get_idx(items, i), e) < 0)
			return -1;
	return 0;
}

const struct kt_csr_object *requests_challenge(
	const struct requests *requests, const struct kt_csr_object *csr)
{
	const size_t prefix = strlen(CLIENT_NAME_PREFIX);

	for (size_t i = 0; i < requests->count; i++)
		if (strncmp(csr->name, CLIENT_NAME_PREFIX, prefix) == 0 &&
			strcmp(csr->name + prefix, requests->list[i].uid) == 0)
			return &requests->list[i];
	return NULL;
}
