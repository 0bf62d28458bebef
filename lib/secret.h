/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret bytes: own pages, locked into memory, left out of core dumps and of forked children, wiped
 * on free. There is no accessor that returns a string, so nothing here can be printed by mistake.
 */
#ifndef KT_LIB_SECRET_H
#define KT_LIB_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/auto.h"
#include "lib/error.h"

#define KT_SECRET_MAX_BYTES ((size_t)4 << 20)

struct kt_secret;

/* Empty, with room for `capacity` bytes (1..KT_SECRET_MAX_BYTES), fixed for its life. Owned by the
 * caller. Fails with KT_E_INTERNAL if memory cannot be had or cannot be locked. */
KT_CHECKED int kt_secret_new(size_t capacity, struct kt_secret **ret_secret, struct kt_error *e);

/* For text that is no secret but comes from the same writers: not locked, so that it does not count
 * against RLIMIT_MEMLOCK. Everything else is the same. */
KT_CHECKED int kt_secret_new_unlocked(
	size_t capacity, struct kt_secret **ret_secret, struct kt_error *e);

/* A copy of `len` bytes; `capacity` is max(len, 1). */
KT_CHECKED int kt_secret_from(
	const void *bytes, size_t len, struct kt_secret **ret_secret, struct kt_error *e);

/* Wipes and frees; NULL is fine. */
void kt_secret_free(struct kt_secret *secret);
KT_AUTO(secret, struct kt_secret *, kt_secret_free)
#define auto_secret __attribute__((cleanup(kt_auto_secret)))

size_t kt_secret_len(const struct kt_secret *secret);
size_t kt_secret_capacity(const struct kt_secret *secret);

/* The bytes, borrowed; kt_secret_len() of them are valid. */
const void *kt_secret_bytes(const struct kt_secret *secret);

/* The whole buffer, to be written by a decoder: capacity bytes, borrowed. */
void *kt_secret_buffer(struct kt_secret *secret);

/* Says how many bytes a decoder wrote into the buffer; at most the capacity. */
void kt_secret_set_len(struct kt_secret *secret, size_t len);

/* Appends; KT_E_INPUT if it does not fit. */
KT_CHECKED int kt_secret_append(
	struct kt_secret *secret, const void *bytes, size_t len, struct kt_error *e);

/* While this is on, glibc overwrites whatever is freed: for calls into libraries that free buffers
 * in which secrets stood without wiping them. Not on all the time, since ESYS also makes and frees
 * whole OpenSSL library contexts, which would take a millisecond more. */
void kt_wipe_freed(bool on);

/* Compares in constant time (in the length's time, if the lengths differ). */
bool kt_secret_equal(const struct kt_secret *a, const struct kt_secret *b);

/* Appends what `fd` gives until end of file; KT_E_INPUT if it is more than fits. `what` names the
 * source in messages. */
KT_CHECKED int kt_secret_read(
	struct kt_secret *secret, int fd, const char *what, struct kt_error *e);

/* All that `fd` gives until end of file, in a secret that fits: locked memory is scarce, so it
 * starts small and grows. KT_E_INPUT if there are more than `max` bytes. */
KT_CHECKED int kt_secret_read_all(
	int fd, size_t max, const char *what, struct kt_secret **ret_secret, struct kt_error *e);

/* Writes all bytes to `fd`. KT_E_INTERNAL on failure. */
KT_CHECKED int kt_secret_write(
	const struct kt_secret *secret, int fd, const char *what, struct kt_error *e);

#endif
