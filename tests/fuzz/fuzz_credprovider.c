/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialProviderRequest; and what is answered, whatever the password, must be JSON on one line.
 */
#include <assert.h>
#include <string.h>

#include "exec-plugin/credprovider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const struct kt_credprovider *request, const uint8_t *data, size_t size)
{
	auto_secret struct kt_secret *answer = NULL;
	auto_json_wipe struct json_object *back = NULL;
	struct kt_offers offers = {0};
	struct kt_secret *password = NULL;
	struct json_object *auth;
	const char *text;
	struct kt_error e;

	if (kt_secret_from(data, size, &password, &e) < 0)
		return;
	if (kt_offers_add(&offers, request->image, "user", password, &e) < 0)
		return;
	if (kt_credprovider_write(request->api_version, &offers, &answer, &e) == 0) {
		text = kt_secret_bytes(answer);
		assert(memchr(text, '\n', kt_secret_len(answer)) ==
			text + kt_secret_len(answer) - 1);
		assert(kt_json_parse_secret(answer, &back, &e) == 0);
		assert(kt_json_get_object(back, "auth", &auth, &e) == 0);
		assert(json_object_object_length(auth) == 1);
	}
	kt_offers_fini(&offers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_credprovider request = {0};
	struct kt_error e;

	if (kt_secret_from(data, size, &text, &e) < 0)
		return 0;
	if (kt_credprovider_parse(text, &request, &e) < 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	check_answer(&request, data, size);
	kt_credprovider_fini(&request);
	return 0;
}
