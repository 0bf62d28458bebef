/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who watches the server: counts what it answers, logs it, and shows the figures on a socket and in
 * a file. Belongs to the loop's thread.
 */
#ifndef KT_KMS_SHIM_OBSERVER_H
#define KT_KMS_SHIM_OBSERVER_H

#include "kms-shim/metrics.h"
#include "kms-shim/worker.h"

struct kt_observer;

/* Listens at conf->metrics, if there is one. `keys` are those that the core begins with. */
KT_CHECKED int kt_observer_new(const struct kt_kms_conf *conf, const struct kt_key_hashes *keys,
	struct kt_observer **ret_observer, struct kt_error *e);
/* Writes the textfile for the last time. NULL is fine. */
void kt_observer_free(struct kt_observer *observer);

/* Readable when kt_observer_run() has something to do; -1 if it never has. */
int kt_observer_fd(const struct kt_observer *observer);
void kt_observer_run(struct kt_observer *observer);

/* To be called at least as often as this says: in milliseconds from now, -1: for ever. */
int kt_observer_patience(const struct kt_observer *observer, int64_t now_us);
void kt_observer_tick(struct kt_observer *observer, int64_t now_us);

/* A call was answered, `us` after it began; one that no job was made for is logged here. */
void kt_observer_answered(struct kt_observer *observer, enum kt_method method,
	const struct kt_grpc_status *status, int64_t us, bool had_job);
/* A job came back: logged, and its figures are added. */
void kt_observer_done(struct kt_observer *observer, const struct kt_job *job);

void kt_observer_connected(struct kt_observer *observer);
void kt_observer_refused(struct kt_observer *observer, enum kt_refusal why);
/* What there is at present. */
void kt_observer_set(struct kt_observer *observer, size_t connections, size_t queue);
/* Another configuration is in force; what cannot change while the program runs is told of. */
void kt_observer_reloaded(struct kt_observer *observer, const struct kt_kms_conf *conf);

#endif
