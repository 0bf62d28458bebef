/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern and an image, divided by a newline, against a matcher that is plainly right, and slow.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec-plugin/image.h"
#include "lib/auto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUTER_MAX 200

/* `*` stands for any run of characters without a dot. */
static bool host_matches(const char *glob, const char *host)
{
	bool ends = *host == '\0' || *host == '/' || *host == ':';

	if (*glob == '\0' || *glob == '/' || *glob == ':')
		return ends;
	if (*glob == '*')
		return host_matches(glob + 1, host) ||
		       (!ends && *host != '.' && host_matches(glob, host + 1));
	return *glob == *host && host_matches(glob + 1, host + 1);
}

static bool plainly_matches(const char *pattern, const char *image)
{
	const char *rest = pattern + strcspn(pattern, ":/");
	const char *image_rest = image + strcspn(image, ":/");
	size_t port = strcspn(rest, "/"), image_port = strcspn(image_rest, "/");

	return host_matches(pattern, image) && port == image_port &&
	       memcmp(rest, image_rest, port) == 0 &&
	       strncmp(rest + port, image_rest + port, strlen(rest + port)) == 0;
}

/* Stars make the plain one take for ever. */
static bool is_feasible(const char *pattern)
{
	size_t stars = 0;

	for (const char *p = pattern; *p != '\0'; p++)
		stars += *p == '*';
	return stars <= 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *pattern = strndup((const char *)data, size);
	char *image = pattern != NULL ? strchr(pattern, '\n') : NULL;
	struct kt_error e;
	bool matches;

	if (image == NULL)
		return 0;
	*image++ = '\0';
	matches = kt_image_matches(pattern, image);
	if (matches)
		assert(kt_image_check_pattern(pattern, &e) == 0);
	if (kt_image_path_decides(pattern, image))
		assert(kt_image_check_pattern(pattern, &e) == 0);
	/* Addresses in brackets have rules of their own; the plain matcher knows names only. */
	if (size > OUTER_MAX || !is_feasible(pattern) || pattern[0] == '[' || image[0] == '[' ||
		strcmp(pattern, "index.docker.io") == 0)
		return 0;
	if (kt_image_check_pattern(pattern, &e) == 0 && kt_image_check_pattern(image, &e) == 0)
		assert(matches == plainly_matches(pattern, image));
	else
		assert(!matches);
	return 0;
}
