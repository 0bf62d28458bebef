/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a text is as a JSON string: an answer's memory is locked, and a limit may be low
 * (RLIMIT_MEMLOCK was 64 KiB for long), so it is measured rather than guessed. Pure.
 */
#ifndef KT_EXEC_PLUGIN_ESCAPE_H
#define KT_EXEC_PLUGIN_ESCAPE_H

#include <stddef.h>

#include "lib/secret.h"

/* Without the quotes. */
size_t kt_escaped_len(const void *text, size_t len);
size_t kt_escaped_secret_len(const struct kt_secret *secret);

#endif
