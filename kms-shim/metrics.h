/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kms-shim tells about itself: counters, and their text in Prometheus' format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure: no clock, no socket. One
 * thread.
 */
#ifndef KT_KMS_SHIM_METRICS_H
#define KT_KMS_SHIM_METRICS_H

#include <stdio.h>

#include "kms-shim/call.h"
#include "kms-shim/kms.h"

#define KT_METRICS_METHODS (KT_METHOD_V1_DECRYPT + 1)
#define KT_METRICS_CODES 17 /* google.rpc.Code: 0 to 16 */
/* Upper bounds of 0.1 ms, doubled up to 6.5 s: those of the API server's own histogram of KMS
 * calls (k8s.io/apiserver, envelope/metrics/metrics.go), as far as its timeouts go. */
#define KT_METRICS_BUCKETS 17

struct kt_histogram {
	uint64_t buckets[KT_METRICS_BUCKETS]; /* each on its own, not yet added up */
	uint64_t count, sum_us;
};

/* Why a connection was not served. */
enum kt_refusal { KT_REFUSED_FULL, KT_REFUSED_USER, KT_REFUSED_RESOURCES, KT_REFUSALS };

/* All zero is the start. */
struct kt_metrics {
	uint64_t requests[KT_METRICS_METHODS][KT_METRICS_CODES];
	struct kt_histogram status, encrypt, decrypt;
	uint64_t reloads_good, reloads_bad, rotations;
	uint64_t connections_total, refused[KT_REFUSALS];
	uint64_t log_suppressed;
	struct kt_kms_counts module; /* all together */

	/* The present. */
	bool healthy;
	int64_t last_good_ms; /* since the epoch; 0: never */
	size_t connections, queue;
	struct kt_key_hashes keys;
};

/* What the process is; for those who ask it itself. */
struct kt_process_figures {
	uint64_t resident_bytes, cpu_us, open_fds;
	int64_t started_ms; /* since the epoch */
};

/* A call was answered, `us` after its first byte came. */
void kt_metrics_count(
	struct kt_metrics *metrics, enum kt_method method, enum kt_grpc_code code, int64_t us);

/* Adds what a module counted. */
void kt_metrics_add(struct kt_metrics *metrics, const struct kt_kms_counts *counts);

/* Other keys are in force. */
void kt_metrics_set_keys(struct kt_metrics *metrics, const struct kt_key_hashes *keys);

/* Writes all of it; `process` may be NULL. Errors stick to `out` (ferror(3)). */
void kt_metrics_write(
	const struct kt_metrics *metrics, const struct kt_process_figures *process, FILE *out);

#endif
