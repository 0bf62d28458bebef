/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way to nghttp2. */
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/frames.h"

/* The heads of a stream of frames, cut at every place. */
Test(grpc_frames, lose_a_goaway_however_they_are_cut)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const char frames[] = "\0\0\0\4\0\0\0\0\0"
				     "\0\0\x08\7\0\0\0\0\0\0\0\0\7\0\0\0\0"
				     "\0\0\3\0\1\0\0\0\1abc";
	uint8_t in[sizeof(preface) + sizeof(frames)], out[sizeof(in)];
	const size_t in_len = sizeof(preface) - 1 + sizeof(frames) - 1;

	memcpy(in, preface, sizeof(preface) - 1);
	memcpy(in + sizeof(preface) - 1, frames, sizeof(frames) - 1);
	for (size_t cut = 0; cut <= in_len; cut++) {
		struct kt_frames f = {0};
		size_t at = 0, out_len = 0;

		while (at < in_len) {
			size_t end = at < cut ? cut : in_len;
			struct kt_frames_piece piece;
			size_t n = kt_frames_next(&f, in + at, end - at, &piece);

			cr_assert_gt(n, 0);
			memcpy(out + out_len, piece.data, piece.len);
			out_len += piece.len;
			at += n;
		}
		cr_assert(f.leaving);
		cr_assert_eq(out_len, 24 + 9 + 12);
		cr_assert_arr_eq(out, in, 24 + 9);
		cr_assert_arr_eq(out + 33, frames + 9 + 17, 12);
	}
}

Test(grpc_frames, keep_a_goaway_that_is_too_long_for_a_frame)
{
	static const uint8_t in[24 + 9] = {[24] = 0, 0x40, 1, 7};
	struct kt_frames f = {0};
	struct kt_frames_piece piece;

	cr_assert_eq(kt_frames_next(&f, in, 33, &piece), 24);
	cr_assert_eq(kt_frames_next(&f, in + 24, 9, &piece), 9);
	cr_assert_eq(piece.len, 9, "nghttp2 says what is wrong with it");
	cr_assert(!f.leaving);
}
