/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DER (X.690), as much of it as key files need: a reader that accepts the one encoding DER allows,
 * and a writer that fills a buffer from its end, so that lengths are known when they are written.
 * Neither recurses or allocates. Pure.
 */
#ifndef KT_LIB_DER_H
#define KT_LIB_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Identifier octets. */
#define KT_DER_BOOLEAN 0x01
#define KT_DER_INTEGER 0x02
#define KT_DER_BIT_STRING 0x03
#define KT_DER_OCTET_STRING 0x04
#define KT_DER_OID 0x06
#define KT_DER_UTF8_STRING 0x0c
#define KT_DER_SEQUENCE 0x30
#define KT_DER_EXPLICIT(n) (0xa0U | (n)) /* [n], n below 31 */

/* What is left to read; borrowed. */
struct kt_der {
	const uint8_t *data;
	size_t len;
};

/* Is there an element with this identifier next? */
bool kt_der_next_is(const struct kt_der *in, unsigned identifier);

/* Takes the next element, which must have this identifier, out of `in`; *ret_content is borrowed.
 * `what` names it in messages. KT_E_INPUT: another element or none, a length that is indefinite,
 * not minimal, or beyond the end. */
KT_CHECKED int kt_der_read(struct kt_der *in, unsigned identifier, const char *what,
	struct kt_der *ret_content, struct kt_error *e);

/* Takes the next element, [n] EXPLICIT around exactly one element with this identifier; the result
 * is the inner content. */
KT_CHECKED int kt_der_read_explicit(struct kt_der *in, unsigned n, unsigned identifier,
	const char *what, struct kt_der *ret_content, struct kt_error *e);

/* KT_E_INPUT unless everything was read. */
KT_CHECKED int kt_der_end(const struct kt_der *in, const char *what, struct kt_error *e);

/* An INTEGER's content as 32 bits: 0 to 0xffffffff, or a negative number of four octets, whose bits
 * are kept (some writers put a handle into a signed integer). KT_E_INPUT. */
KT_CHECKED int kt_der_uint32(
	const struct kt_der *content, const char *what, uint32_t *ret_value, struct kt_error *e);

/* Writer. What is written goes before what was written earlier; elements are therefore written last
 * to first, and a header after its content. The first lack of room is kept, calls need no
 * check in between. */
struct kt_derw {
	uint8_t *buffer; /* borrowed */
	size_t start;	 /* the output is buffer[start .. size) */
	size_t size;
	bool failed;
};

void kt_derw_init(struct kt_derw *w, uint8_t *buffer, size_t size);
/* How much has been written: the argument that kt_derw_header() wants as `mark`. */
size_t kt_derw_mark(const struct kt_derw *w);
void kt_derw_bytes(struct kt_derw *w, const void *data, size_t len);
/* Identifier and length for all that was written since `mark`. */
void kt_derw_header(struct kt_derw *w, unsigned identifier, size_t mark);
void kt_derw_element(struct kt_derw *w, unsigned identifier, const void *data, size_t len);
void kt_derw_uint32(struct kt_derw *w, uint32_t value);

#endif
