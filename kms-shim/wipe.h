/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap that overwrites what is given back, for nghttp2 and protobuf-c, through whose buffers
 * plaintexts pass, and for requests and replies on their way between threads. Long-lived secrets
 * are a struct kt_secret instead.
 */
#ifndef KT_KMS_SHIM_WIPE_H
#define KT_KMS_SHIM_WIPE_H

#include <stddef.h>

#include "lib/auto.h"

/* free() and realloc() that leave nothing behind; NULL is fine. */
void kt_wipe_free(void *p);
void *kt_wipe_realloc(void *p, size_t size);

static inline void kt_auto_wipe_p(void *p)
{
	kt_wipe_free(*(void **)p);
}
#define auto_wipe __attribute__((cleanup(kt_auto_wipe_p)))

#endif
