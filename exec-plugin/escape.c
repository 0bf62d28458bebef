/* SPDX-License-Identifier: Apache-2.0 */
/* As lib/json-writer.c escapes: two bytes where JSON has a short form, six for other controls. */
#include "exec-plugin/escape.h"

#include <stdint.h>
#include <string.h>

static size_t escaped_byte_len(uint8_t c)
{
	if (c != 0 && strchr("\"\\\b\f\n\r\t", c) != NULL)
		return 2;
	return c < 0x20 ? 6 : 1;
}

size_t kt_escaped_len(const void *text, size_t len)
{
	const uint8_t *bytes = text;
	size_t escaped = 0;

	for (size_t i = 0; i < len; i++)
		escaped += escaped_byte_len(bytes[i]);
	return escaped;
}

size_t kt_escaped_secret_len(const struct kt_secret *secret)
{
	return kt_escaped_len(kt_secret_bytes(secret), kt_secret_len(secret));
}
