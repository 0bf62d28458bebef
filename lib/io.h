/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded reading, complete writing, and replacing a file so that a crash or a full disk leaves
 * either the old or the new one, whole. Also the ownership check on files we trust.
 */
#ifndef KT_LIB_IO_H
#define KT_LIB_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/error.h"

/* Reads until end of file. *ret_data has a NUL behind its *ret_len bytes and is owned by the
 * caller. KT_E_INPUT if there are more than `max` bytes, KT_E_INTERNAL if reading fails. `what`
 * names the source in messages. */
KT_CHECKED int kt_read_all(int fd, size_t max, const char *what, uint8_t **ret_data,
	size_t *ret_len, struct kt_error *e);

/* The same for a file. KT_E_USAGE if it cannot be opened, KT_E_REFUSED if it may not be,
 * KT_E_REFUSED if it is not a regular file (or a pipe, which `<(...)` gives). */
KT_CHECKED int kt_read_file(
	const char *path, size_t max, uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

/* The same for a file that is believed: KT_E_REFUSED too if kt_check_trusted() refuses it. */
KT_CHECKED int kt_read_trusted_file(
	const char *path, size_t max, uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

/* Writes all, also after short writes. KT_E_INTERNAL. */
KT_CHECKED int kt_write_all(
	int fd, const void *data, size_t len, const char *what, struct kt_error *e);

/* Replaces (or makes) `path` with `data`, atomically and durably: written to an unnamed file in the
 * same folder, synced, linked into place, folder synced; where unnamed files cannot be had, to a
 * hidden one, with signals held meanwhile. An existing file's mode and owner are kept; a new one
 * gets `mode`. A symbolic link to a file is followed. KT_E_REFUSED if `path` is anything but a
 * regular file, KT_E_USAGE if it cannot be written there at all, KT_E_INTERNAL for a full disk and
 * the like; the old file is then untouched and nothing else is left. */
KT_CHECKED int kt_replace_file(
	const char *path, const void *data, size_t len, mode_t mode, struct kt_error *e);

/* The same, without waiting for the disk: after a power cut the old file may be back, or an empty
 * one there. For what is written again soon; the mode is `mode` each time. */
KT_CHECKED int kt_publish_file(
	const char *path, const void *data, size_t len, mode_t mode, struct kt_error *e);

/* Locks an existing file against others who would change it too, from before it is read until after
 * it is replaced: *ret_fd, to be closed by the caller, holds the lock. Waits up to 30 seconds, then
 * KT_E_BUSY. KT_E_USAGE if it cannot be opened. */
KT_CHECKED int kt_lock_file(const char *path, int *ret_fd, struct kt_error *e);

/* Fails with KT_E_REFUSED unless `fd` is a regular file that root or the effective user owns and
 * that nobody else can write. `path` is for messages. */
KT_CHECKED int kt_check_trusted(int fd, const char *path, struct kt_error *e);

#endif
