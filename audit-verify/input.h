/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a log: plain or gzip'ed, or standard input. */
#ifndef KT_AUDIT_VERIFY_INPUT_H
#define KT_AUDIT_VERIFY_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/auto.h"
#include "lib/error.h"

struct kt_input;

/* "-" is standard input. KT_E_USAGE if it cannot be opened, KT_E_REFUSED if it is a folder. */
KT_CHECKED int kt_input_open(const char *path, struct kt_input **ret_input, struct kt_error *e);
/* NULL is fine. */
void kt_input_close(struct kt_input *input);
KT_AUTO(input, struct kt_input *, kt_input_close)
#define auto_input __attribute__((cleanup(kt_auto_input)))

/* Up to `size` bytes; *ret_len 0 at the end. KT_E_INPUT if it is damaged gzip, KT_E_INTERNAL. */
KT_CHECKED int kt_input_read(
	struct kt_input *input, char *ret_data, size_t size, size_t *ret_len, struct kt_error *e);

/* How much of the file was read, and how much it has (0: not known), both as they lie on disk. */
void kt_input_progress(const struct kt_input *input, uint64_t *ret_done, uint64_t *ret_all);

/* Size of a file on disk; 0 if it is not known. */
uint64_t kt_input_size(const char *path);

#endif
