/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the TPM's binary structures (big-endian, TPM2B with a 16-bit size) without its library:
 * a cursor that fails at the first thing that is missing and stays so. Pure.
 */
#ifndef KT_LIB_OCTETS_H
#define KT_LIB_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_octets {
	const uint8_t *next;
	size_t left;
	bool failed;
};

/* NULL if there are not so many left. */
static inline const uint8_t *kt_octets_take(struct kt_octets *o, size_t len)
{
	const uint8_t *taken = o->next;

	if (o->failed || o->left < len) {
		o->failed = true;
		return NULL;
	}
	o->next += len;
	o->left -= len;
	return taken;
}

/* 1 to 8 octets; 0 if they are missing. */
static inline uint64_t kt_octets_number(struct kt_octets *o, size_t len)
{
	const uint8_t *octets = kt_octets_take(o, len);
	uint64_t value = 0;

	for (size_t i = 0; octets != NULL && i < len; i++)
		value = value << 8 | octets[i];
	return value;
}

/* A TPM2B; NULL and *ret_len 0 if it is not whole. */
static inline const uint8_t *kt_octets_2b(struct kt_octets *o, size_t *ret_len)
{
	size_t len = (size_t)kt_octets_number(o, 2);
	const uint8_t *taken = kt_octets_take(o, len);

	*ret_len = taken != NULL ? len : 0;
	return taken;
}

/* All was there, and nothing is left. */
static inline bool kt_octets_end(const struct kt_octets *o)
{
	return !o->failed && o->left == 0;
}

#endif
