/* SPDX-License-Identifier: Apache-2.0 */
/* KUBERNETES_EXEC_INFO; and what is answered, whatever the token, must be JSON on one line. */
#include <assert.h>
#include <string.h>

#include "exec-plugin/execcred.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const uint8_t *data, size_t size, const char *api_version)
{
	auto_secret struct kt_secret *token = NULL;
	auto_secret struct kt_secret *answer = NULL;
	auto_json_wipe struct json_object *back = NULL;
	struct kt_credential credential = {.not_after = (int64_t)size};
	struct json_object *status;
	const char *text;
	struct kt_error e;

	if (kt_secret_from(data, size, &token, &e) < 0)
		return;
	credential.token = token;
	if (kt_execcred_write(api_version, &credential, 1000, &answer, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return;
	}
	text = kt_secret_bytes(answer);
	assert(memchr(text, '\n', kt_secret_len(answer)) == text + kt_secret_len(answer) - 1);
	/* Our own parser refuses NUL bytes, which a token of arbitrary bytes may have. */
	if (memchr(data, '\0', size) != NULL)
		return;
	assert(kt_json_parse_secret(answer, &back, &e) == 0);
	assert(kt_json_get_object(back, "status", &status, &e) == 0);
	assert(kt_json_get_string(status, "token", size, &text, &e) == 0);
	assert(strlen(text) == size && memcmp(text, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_execcred request = {0};
	struct kt_error e;

	check_answer(data, size, "client.authentication.k8s.io/v1");
	if (kt_execcred_parse((const char *)data, size, &request, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(strncmp(request.api_version, "client.authentication.k8s.io/v1", 31) == 0);
	if (request.config != NULL)
		assert(kt_json_scan(request.config, strlen(request.config), &e) == 0);
	kt_execcred_fini(&request);
	return 0;
}
