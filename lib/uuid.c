/* SPDX-License-Identifier: Apache-2.0 */
/* Making and recognising UUIDs. */
#include "lib/uuid.h"

#include <stdint.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/hex.h"

static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
#define GROUPS (sizeof(group_bytes) / sizeof(group_bytes[0]))

int kt_uuid_new(char ret_text[KT_UUID_SIZE], struct kt_error *e)
{
	const uint8_t *next;
	uint8_t b[16];
	char *out = ret_text;

	if (RAND_bytes(b, sizeof(b)) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no random bytes");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	next = b;
	for (size_t i = 0; i < GROUPS; i++) {
		if (i > 0)
			*out++ = '-';
		kt_hex_encode(next, group_bytes[i], out);
		out += 2 * (size_t)group_bytes[i];
		next += group_bytes[i];
	}
	return 0;
}

bool kt_uuid_is_valid(const char *text)
{
	for (size_t i = 0; i < GROUPS; i++) {
		size_t digits = 2 * (size_t)group_bytes[i];

		if (i > 0 && *text++ != '-')
			return false;
		if (strspn(text, "0123456789abcdef") < digits)
			return false;
		text += digits;
	}
	return *text == '\0';
}
