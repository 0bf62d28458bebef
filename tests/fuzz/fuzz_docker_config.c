/* SPDX-License-Identifier: Apache-2.0 */
/* docker's config.json, all of its registries. */
#include <assert.h>
#include <string.h>

#include "exec-plugin/image.h"
#include "modules/cred-sealed/docker-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int wants(void *ctx, size_t number, const char *pattern)
{
	struct kt_error e;

	(void)ctx;
	assert(number > 0);
	/* One scheme is taken off; what had two is no pattern, and fits nothing. */
	assert(strncmp(pattern, "https://", 8) != 0 || kt_image_check_pattern(pattern, &e) < 0);
	return 1;
}

static int take(void *ctx, const char *pattern, const char *username,
	const struct kt_secret *password, struct kt_error *e)
{
	size_t *size = ctx;

	(void)pattern;
	(void)e;
	assert(strlen(username) + kt_secret_len(password) <= *size);
	assert(memchr(kt_secret_bytes(password), '\0', kt_secret_len(password)) == NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_secret struct kt_secret *text = NULL;
	const struct kt_docker_visitor visitor = {.ctx = &size, .wants = wants, .take = take};
	struct kt_error e;

	if (kt_secret_from(data, size, &text, &e) < 0)
		return 0;
	if (kt_docker_config_visit(text, &visitor, &e) < 0)
		assert(e.code == KT_E_INPUT);
	return 0;
}
