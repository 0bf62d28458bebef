/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that owns the core, and so the TPM. Jobs go in, are done one after the other, and come
 * back with the answer; an eventfd tells when some have. Everything here is called from one other
 * thread, the loop's.
 */
#ifndef KT_KMS_SHIM_WORKER_H
#define KT_KMS_SHIM_WORKER_H

#include <stdatomic.h>

#include "kms-shim/answer.h"
#include "kms-shim/codec.h"

#define KT_WORKER_QUEUE_MAX 1024
#define KT_WORKER_PATIENCE_S 10

enum kt_job_kind { KT_JOB_CALL, KT_JOB_SELF_TEST, KT_JOB_RELOAD };

struct kt_job {
	struct kt_job *next;
	enum kt_job_kind kind;

	/* A call: whose, what. Times are kt_now_us(). */
	uint64_t session;
	int32_t stream;
	enum kt_method method;
	uint8_t *message; /* owned; wiped */
	size_t len;
	int64_t received_us, deadline_us; /* deadline 0: none */
	atomic_bool cancelled;		  /* the client has left: do not begin */

	/* Done. */
	struct kt_grpc_status status;
	struct kt_frame reply; /* owned; of a call with code 0 */
	size_t sent;
	int64_t checked_us;	    /* Status: since when it holds, if the module was asked; or 0 */
	struct kt_kms_conf *conf;   /* owned; what was reloaded, or NULL */
	struct kt_key_hashes *keys; /* owned; its keys, or NULL */

	/* For log and metrics. */
	struct kt_answer_note note;
	struct kt_kms_counts counts;
};

struct kt_worker;

/* Takes the core. `conf` is what it was opened with, borrowed until a job has brought back another.
 * The thread starts with all signals blocked. */
KT_CHECKED int kt_worker_new(struct kt_kms *kms, const struct kt_kms_conf *conf,
	struct kt_worker **ret_worker, struct kt_error *e);

/* Ends the thread after the job it is at, drops the others, closes the core. A module that does not
 * return within KT_WORKER_PATIENCE_S is left behind, with all it holds. NULL is fine. */
void kt_worker_free(struct kt_worker *worker);
KT_AUTO(worker, struct kt_worker *, kt_worker_free)
#define auto_worker __attribute__((cleanup(kt_auto_worker)))

/* Takes the job; -1, and the job stays the caller's, if KT_WORKER_QUEUE_MAX are waiting. */
KT_CHECKED int kt_worker_put(struct kt_worker *worker, struct kt_job *job);

/* Readable when there are finished jobs. */
int kt_worker_fd(const struct kt_worker *worker);

/* All finished jobs, first one first, owned by the caller; NULL if there are none. */
struct kt_job *kt_worker_take(struct kt_worker *worker);

/* Wipes. */
void kt_job_free(struct kt_job *job);
KT_AUTO(job, struct kt_job *, kt_job_free)
#define auto_job __attribute__((cleanup(kt_auto_job)))

/* CLOCK_MONOTONIC in microseconds. */
int64_t kt_now_us(void);

#endif
