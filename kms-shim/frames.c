/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 9113 section 4.1. Only heads are looked at; all else, right or wrong, is left to nghttp2, and
 * so is a GOAWAY that is longer than a frame may be.
 */
#include "kms-shim/frames.h"

#include <string.h>

#define PREFACE_BYTES 24
#define FRAME_MAX_BYTES 16384
#define TYPE_GOAWAY 7

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t kt_frames_next(
	struct kt_frames *f, const uint8_t *data, size_t len, struct kt_frames_piece *ret_piece)
{
	size_t n;

	*ret_piece = (struct kt_frames_piece){.data = data};
	if (f->preface < PREFACE_BYTES) {
		n = smaller(PREFACE_BYTES - f->preface, len);
		f->preface += n;
		ret_piece->len = n;
		return n;
	}
	if (f->left > 0) {
		n = smaller(f->left, len);
		f->left -= n;
		ret_piece->len = f->skip ? 0 : n;
		return n;
	}
	n = smaller(sizeof(f->head) - f->head_len, len);
	memcpy(f->head + f->head_len, data, n);
	f->head_len += n;
	if (f->head_len < sizeof(f->head))
		return n;
	f->head_len = 0;
	f->left = (size_t)f->head[0] << 16 | (size_t)f->head[1] << 8 | f->head[2];
	f->skip = f->head[3] == TYPE_GOAWAY && f->left <= FRAME_MAX_BYTES;
	if (f->skip)
		f->leaving = true;
	else
		*ret_piece = (struct kt_frames_piece){.data = f->head, .len = sizeof(f->head)};
	return n;
}
