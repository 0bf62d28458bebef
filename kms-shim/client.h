/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC client for one call at a time on a unix socket, for `kms-shim check`. Everything that it
 * waits for is bounded by one deadline, everything that it keeps by a size: what answers may be
 * anybody.
 */
#ifndef KT_KMS_SHIM_CLIENT_H
#define KT_KMS_SHIM_CLIENT_H

#include "kms-shim/codec.h"

#define KT_CLIENT_RECEIVED_MAX_BYTES (1u << 20) /* on a connection */

struct kt_client;

/* Connects to "unix:///path"; all calls have to be over by `deadline_us` (kt_now_us()).
 * KT_E_NETWORK if nobody listens there. */
KT_CHECKED int kt_client_open(
	const char *url, int64_t deadline_us, struct kt_client **ret_client, struct kt_error *e);
/* NULL is fine. */
void kt_client_close(struct kt_client *client);
KT_AUTO(client, struct kt_client *, kt_client_close)
#define auto_client __attribute__((cleanup(kt_auto_client)))

/* Sends `question` and waits. 0: *ret_status is what the peer ended the call with, and if that is
 * OK, *ret_message its message, owned by the client until the next call. KT_E_NETWORK if there was
 * no such end, KT_E_INPUT if it was none of gRPC. */
KT_CHECKED int kt_client_call(struct kt_client *client, enum kt_method method,
	const struct kt_frame *question, struct kt_grpc_status *ret_status,
	struct kt_bytes *ret_message, struct kt_error *e);

#endif
