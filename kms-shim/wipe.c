/* SPDX-License-Identifier: Apache-2.0 */
/* Overwriting before freeing. The libraries do not say how large a block was: malloc knows. */
#include "kms-shim/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void kt_wipe_free(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *kt_wipe_realloc(void *p, size_t size)
{
	size_t old = p != NULL ? malloc_usable_size(p) : 0;
	void *moved;

	/* What realloc() moves away from, it does not overwrite. */
	if (p != NULL && size <= old && size >= old / 2)
		return p;
	moved = malloc(size != 0 ? size : 1);
	if (moved == NULL)
		return NULL;
	if (p != NULL)
		memcpy(moved, p, old < size ? old : size);
	kt_wipe_free(p);
	return moved;
}
