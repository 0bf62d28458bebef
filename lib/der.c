/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written out rather than left to OpenSSL: its decoder takes BER, that is indefinite and padded
 * lengths, and its templates cannot step over tags from a later version of a format.
 */
#include "lib/der.h"

#include <string.h>

bool kt_der_next_is(const struct kt_der *in, unsigned identifier)
{
	return in->len > 0 && in->data[0] == identifier;
}

/* Length octets at in->data[1] (X.690, 8.1.3 and 10.1): *ret_header counts the identifier too. */
static int read_length(const struct kt_der *in, const char *what, size_t *ret_header,
	size_t *ret_len, struct kt_error *e)
{
	size_t octets, len = 0;

	if (in->len < 2)
		return kt_fail(e, KT_E_INPUT, "%s is cut short", what);
	if (in->data[1] < 0x80) {
		*ret_header = 2;
		*ret_len = in->data[1];
		return 0;
	}
	octets = in->data[1] & 0x7f;
	if (octets == 0)
		return kt_fail(e, KT_E_INPUT, "%s has an indefinite length", what);
	if (octets > 3)
		return kt_fail(e, KT_E_INPUT, "%s is too long", what);
	if (in->len < 2 + octets)
		return kt_fail(e, KT_E_INPUT, "%s is cut short", what);
	for (size_t i = 0; i < octets; i++)
		len = len << 8 | in->data[2 + i];
	if (in->data[2] == 0 || len < 0x80)
		return kt_fail(e, KT_E_INPUT, "%s has a padded length", what);
	*ret_header = 2 + octets;
	*ret_len = len;
	return 0;
}

int kt_der_read(struct kt_der *in, unsigned identifier, const char *what,
	struct kt_der *ret_content, struct kt_error *e)
{
	size_t header, len;

	if (in->len == 0)
		return kt_fail(e, KT_E_INPUT, "%s is missing", what);
	if (in->data[0] != identifier)
		return kt_fail(
			e, KT_E_INPUT, "ASN.1 tag 0x%02x where %s is expected", in->data[0], what);
	if (read_length(in, what, &header, &len, e) < 0)
		return -1;
	if (len > in->len - header)
		return kt_fail(e, KT_E_INPUT, "%s is cut short", what);
	*ret_content = (struct kt_der){in->data + header, len};
	in->data += header + len;
	in->len -= header + len;
	return 0;
}

int kt_der_read_explicit(struct kt_der *in, unsigned n, unsigned identifier, const char *what,
	struct kt_der *ret_content, struct kt_error *e)
{
	struct kt_der outer, content;

	if (kt_der_read(in, KT_DER_EXPLICIT(n), what, &outer, e) < 0 ||
		kt_der_read(&outer, identifier, what, &content, e) < 0 ||
		kt_der_end(&outer, what, e) < 0)
		return -1;
	*ret_content = content;
	return 0;
}

int kt_der_end(const struct kt_der *in, const char *what, struct kt_error *e)
{
	if (in->len != 0)
		return kt_fail(e, KT_E_INPUT, "%zu bytes too many in %s", in->len, what);
	return 0;
}

int kt_der_uint32(
	const struct kt_der *content, const char *what, uint32_t *ret_value, struct kt_error *e)
{
	const uint8_t *octet = content->data;
	size_t len = content->len;
	uint32_t value = 0;

	if (len == 0 || len > 5 || (len == 5 && octet[0] != 0) ||
		(len < 4 && (octet[0] & 0x80) != 0))
		return kt_fail(e, KT_E_INPUT, "%s is not a number of 32 bits", what);
	/* X.690, 8.3.2: the first nine bits are not all equal. */
	if (len > 1 && ((octet[0] == 0x00 && (octet[1] & 0x80) == 0) ||
			       (octet[0] == 0xff && (octet[1] & 0x80) != 0)))
		return kt_fail(e, KT_E_INPUT, "%s is padded", what);
	for (size_t i = 0; i < len; i++)
		value = value << 8 | octet[i];
	*ret_value = value;
	return 0;
}

void kt_derw_init(struct kt_derw *w, uint8_t *buffer, size_t size)
{
	*w = (struct kt_derw){.buffer = buffer, .start = size, .size = size};
}

size_t kt_derw_mark(const struct kt_derw *w)
{
	return w->size - w->start;
}

void kt_derw_bytes(struct kt_derw *w, const void *data, size_t len)
{
	if (w->failed || len > w->start) {
		w->failed = true;
		return;
	}
	w->start -= len;
	memcpy(w->buffer + w->start, data, len);
}

void kt_derw_header(struct kt_derw *w, unsigned identifier, size_t mark)
{
	size_t len = kt_derw_mark(w) - mark;
	uint8_t octets[5];
	size_t first = sizeof(octets);

	if (len > 0xffffff) {
		w->failed = true;
		return;
	}
	if (len < 0x80) {
		octets[--first] = (uint8_t)len;
	} else {
		for (; len > 0; len >>= 8)
			octets[--first] = (uint8_t)len;
		octets[first - 1] = (uint8_t)(0x80 | (sizeof(octets) - first));
		first--;
	}
	octets[--first] = (uint8_t)identifier;
	kt_derw_bytes(w, octets + first, sizeof(octets) - first);
}

void kt_derw_element(struct kt_derw *w, unsigned identifier, const void *data, size_t len)
{
	size_t mark = kt_derw_mark(w);

	kt_derw_bytes(w, data, len);
	kt_derw_header(w, identifier, mark);
}

void kt_derw_uint32(struct kt_derw *w, uint32_t value)
{
	uint8_t octets[5] = {0, (uint8_t)(value >> 24), (uint8_t)(value >> 16),
		(uint8_t)(value >> 8), (uint8_t)value};
	size_t first = 0;

	while (first < 4 && octets[first] == 0 && (octets[first + 1] & 0x80) == 0)
		first++;
	kt_derw_element(w, KT_DER_INTEGER, octets + first, sizeof(octets) - first);
}
