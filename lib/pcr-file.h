/* SPDX-License-Identifier: Apache-2.0 */
/* Files of PCR values, as 'sealtool pcrs --json' prints them: {"pcrs":{"sha256":{"7":"HEX"}}}. */
#ifndef KT_LIB_PCR_FILE_H
#define KT_LIB_PCR_FILE_H

#include "lib/pcr.h"

#define KT_PCR_FILE_MAX_BYTES 65536

/* KT_E_USAGE if it cannot be opened, KT_E_INPUT for its content; the message names the file. */
KT_CHECKED int kt_pcr_file_read(const char *path, struct kt_pcr_set *ret_pcrs, struct kt_error *e);

/* The text, pure. */
KT_CHECKED int kt_pcr_file_parse(
	const char *text, size_t len, struct kt_pcr_set *ret_pcrs, struct kt_error *e);

#endif
