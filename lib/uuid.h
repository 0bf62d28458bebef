/* SPDX-License-Identifier: Apache-2.0 */
/* Random UUIDs (RFC 9562, 5.4: version 4), in lower case. */
#ifndef KT_LIB_UUID_H
#define KT_LIB_UUID_H

#include <stdbool.h>

#include "lib/error.h"

#define KT_UUID_SIZE 37 /* with NUL */

KT_CHECKED int kt_uuid_new(char ret_text[KT_UUID_SIZE], struct kt_error *e);

/* 8-4-4-4-12 lower-case hex digits, of whatever version. */
bool kt_uuid_is_valid(const char *text);

#endif
