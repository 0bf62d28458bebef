/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where HTTP/2 frames begin and end in what a client sends, to take its GOAWAY out before nghttp2
 * sees it: grpc-go names its own last stream there, which nghttp2 answers with a connection error
 * while answers are still under way. Pure.
 */
#ifndef KT_KMS_SHIM_FRAMES_H
#define KT_KMS_SHIM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_FRAMES_HEAD_BYTES 9

struct kt_frames {
	size_t preface; /* bytes of the client's preface that have come */
	uint8_t head[KT_FRAMES_HEAD_BYTES];
	size_t head_len;
	size_t left;  /* bytes of the present frame still to come */
	bool leaving; /* a GOAWAY has begun */
	bool skip;    /* the present frame is one */
};

/* A piece of input for nghttp2. */
struct kt_frames_piece {
	const uint8_t *data;
	size_t len;
};

/* Takes the next bytes, as many as *ret_piece and the return value say. The piece, which may be
 * empty, is for nghttp2; it is borrowed from `data` or from *frames, until the next call. To be
 * called until all is taken. */
size_t kt_frames_next(struct kt_frames *frames, const uint8_t *data, size_t len,
	struct kt_frames_piece *ret_piece);

#endif
