/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal: written in lower case, read in either. Pure. */
#ifndef KT_LIB_HEX_H
#define KT_LIB_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* `ret_text` has room for 2 * len + 1 bytes. */
void kt_hex_encode(const void *data, size_t len, char *ret_text);

/* Exactly `len` bytes, from a string of exactly 2 * len digits. KT_E_INPUT. */
KT_CHECKED int kt_hex_decode(const char *text, void *ret_data, size_t len, struct kt_error *e);

#endif
