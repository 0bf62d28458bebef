/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line on stderr for each call:
 *
 *	call method=v2.Decrypt uid=1c… key_id_hash=sha256:… result=OK us=1873 tpm_us=640 commands=3
 *
 * Who can read it learns nothing that opens anything; what a client sent stands in it only as
 * letters, digits and marks. A client that can connect cannot fill the log: failures are counted
 * beyond some a second, and told of later.
 */
#ifndef KT_KMS_SHIM_CALL_LOG_H
#define KT_KMS_SHIM_CALL_LOG_H

#include "kms-shim/answer.h"
#include "kms-shim/call.h"
#include "kms-shim/conf.h"

struct kt_call_log {
	enum kt_log_calls which;
	bool status_known;
	enum kt_grpc_code status; /* of the last Status that was logged */
	unsigned tokens;	  /* failures that may still be logged */
	int64_t filled_us;	  /* when that was reckoned up last */
	uint64_t left_out;	  /* since the last line */
};

/* What there is to say. */
struct kt_call_entry {
	enum kt_method method;
	const struct kt_answer_note *note; /* NULL: nothing is known */
	const struct kt_grpc_status *status;
	int64_t us;
	uint64_t backend_us, commands;
};

#define KT_CALL_LINE_SIZE 1024
#define KT_CALL_UID_MAX_BYTES 64

/* Should it be logged, at this time (kt_now_us())? Takes note of it. *ret_left_out: how many were
 * not, before. */
bool kt_call_log_wants(struct kt_call_log *log, const struct kt_call_entry *entry, int64_t now_us,
	uint64_t *ret_left_out);

/* The line, without newline. */
void kt_call_log_format(const struct kt_call_entry *entry, char ret_line[KT_CALL_LINE_SIZE]);

#endif
