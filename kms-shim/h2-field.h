/* SPDX-License-Identifier: Apache-2.0 */
/* A header field for nghttp2, from two strings that it copies. */
#ifndef KT_KMS_SHIM_H2_FIELD_H
#define KT_KMS_SHIM_H2_FIELD_H

#include <string.h>

#include <nghttp2/nghttp2.h>

static inline nghttp2_nv kt_h2_field(const char *name, const char *value)
{
	/* nghttp2 only reads them, but has no const for that. */
	union {
		const char *from;
		uint8_t *to;
	} n = {.from = name}, v = {.from = value};

	return (nghttp2_nv){
		.name = n.to, .value = v.to, .namelen = strlen(name), .valuelen = strlen(value)};
}

#endif
