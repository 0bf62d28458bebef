/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps as Kubernetes writes them (RFC 3339, UTC, whole seconds), and Go durations. Pure. */
#ifndef KT_LIB_RFC3339_H
#define KT_LIB_RFC3339_H

#include <stdint.h>

#include "lib/error.h"

#define KT_RFC3339_SIZE 21 /* "2026-08-22T10:05:00Z" and NUL */

/* `seconds` since the epoch, years 0001 to 9999; KT_E_INPUT outside. */
KT_CHECKED int kt_rfc3339_format(
	int64_t seconds, char ret_text[KT_RFC3339_SIZE], struct kt_error *e);

/* Accepts any offset and fraction; the fraction is dropped. KT_E_INPUT. */
KT_CHECKED int kt_rfc3339_parse(const char *text, int64_t *ret_seconds, struct kt_error *e);

/* A duration in whole seconds: "90s", "10m", "1h30m", "0s" (Go's time.ParseDuration without
 * fractions and units below a second). KT_E_INPUT. */
KT_CHECKED int kt_duration_parse(const char *text, int64_t *ret_seconds, struct kt_error *e);

#endif
