/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/h2-memory.h"

#include <stdlib.h>

#include "kms-shim/wipe.h"

static void *h2_malloc(size_t size, void *unused)
{
	(void)unused;
	return malloc(size != 0 ? size : 1);
}

static void h2_free(void *p, void *unused)
{
	(void)unused;
	kt_wipe_free(p);
}

static void *h2_calloc(size_t count, size_t size, void *unused)
{
	(void)unused;
	return calloc(count, size);
}

static void *h2_realloc(void *p, size_t size, void *unused)
{
	(void)unused;
	return kt_wipe_realloc(p, size);
}

nghttp2_mem kt_h2_memory = {
	.malloc = h2_malloc, .free = h2_free, .calloc = h2_calloc, .realloc = h2_realloc};
