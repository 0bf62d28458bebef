/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/metrics.h"

#include <inttypes.h>
#include <string.h>

#define FIRST_BOUND_US 100

static const struct {
	const char *service, *method;
} method_labels[KT_METRICS_METHODS] = {
	[KT_METHOD_NONE] = {"", ""},
	[KT_METHOD_V2_STATUS] = {"v2", "Status"},
	[KT_METHOD_V2_ENCRYPT] = {"v2", "Encrypt"},
	[KT_METHOD_V2_DECRYPT] = {"v2", "Decrypt"},
	[KT_METHOD_V1_VERSION] = {"v1beta1", "Version"},
	[KT_METHOD_V1_ENCRYPT] = {"v1beta1", "Encrypt"},
	[KT_METHOD_V1_DECRYPT] = {"v1beta1", "Decrypt"},
};

static const char *const refusals[KT_REFUSALS] = {
	[KT_REFUSED_FULL] = "too_many_clients",
	[KT_REFUSED_USER] = "user_not_allowed",
	[KT_REFUSED_RESOURCES] = "out_of_resources",
};

static uint64_t bound_us(size_t bucket)
{
	return (uint64_t)FIRST_BOUND_US << bucket;
}

static void observe(struct kt_histogram *h, int64_t us)
{
	uint64_t value = us > 0 ? (uint64_t)us : 0;

	h->count++;
	h->sum_us += value;
	for (size_t i = 0; i < KT_METRICS_BUCKETS; i++)
		if (value <= bound_us(i)) {
			h->buckets[i]++;
			return;
		}
}

static struct kt_histogram *histogram_of(struct kt_metrics *metrics, enum kt_method method)
{
	switch (method) {
	case KT_METHOD_V2_STATUS:
		return &metrics->status;
	case KT_METHOD_V2_ENCRYPT:
	case KT_METHOD_V1_ENCRYPT:
		return &metrics->encrypt;
	case KT_METHOD_V2_DECRYPT:
	case KT_METHOD_V1_DECRYPT:
		return &metrics->decrypt;
	default:
		return NULL;
	}
}

void kt_metrics_count(
	struct kt_metrics *metrics, enum kt_method method, enum kt_grpc_code code, int64_t us)
{
	struct kt_histogram *h = histogram_of(metrics, method);

	if ((unsigned)method >= KT_METRICS_METHODS || (unsigned)code >= KT_METRICS_CODES)
		return;
	metrics->requests[method][code]++;
	if (h != NULL)
		observe(h, us);
}

void kt_metrics_add(struct kt_metrics *metrics, const struct kt_kms_counts *counts)
{
	metrics->module.commands += counts->commands;
	metrics->module.retries += counts->retries;
	metrics->module.reconnects += counts->reconnects;
	metrics->module.backend_us += counts->backend_us;
}

void kt_metrics_set_keys(struct kt_metrics *metrics, const struct kt_key_hashes *keys)
{
	if (metrics->keys.count > 0 && strcmp(metrics->keys.hashes[0], keys->hashes[0]) != 0)
		metrics->rotations++;
	metrics->keys = *keys;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(FILE *out, const char *name, uint64_t n)
{
	fprintf(out, "%s %" PRIu64 "\n", name, n);
}

static void counter(FILE *out, const char *name, const char *help, uint64_t n)
{
	head(out, name, "counter", help);
	value(out, name, n);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t n)
{
	head(out, name, "gauge", help);
	value(out, name, n);
}

/* Whole numbers of a smaller unit, as seconds: a double would round, and follow the locale. */
static void seconds(FILE *out, uint64_t n, unsigned digits)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	fprintf(out, "%" PRIu64 ".%0*" PRIu64 "\n", n / unit, (int)digits, n % unit);
}

static void write_histogram(
	FILE *out, const char *name, const char *help, const struct kt_histogram *h)
{
	uint64_t below = 0;

	head(out, name, "histogram", help);
	for (size_t i = 0; i < KT_METRICS_BUCKETS; i++) {
		below += h->buckets[i];
		fprintf(out, "%s_bucket{le=\"%" PRIu64 ".%04" PRIu64 "\"} %" PRIu64 "\n", name,
			bound_us(i) / 1000000, bound_us(i) % 1000000 / 100, below);
	}
	fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, h->count, name);
	seconds(out, h->sum_us, 6);
	fprintf(out, "%s_count %" PRIu64 "\n", name, h->count);
}

/* Those of both versions together, as the proposal has it. */
static void write_results(FILE *out, const char *name, const char *help,
	const struct kt_metrics *metrics, enum kt_method v2, enum kt_method v1)
{
	uint64_t good = metrics->requests[v2][KT_GRPC_OK] + metrics->requests[v1][KT_GRPC_OK];
	uint64_t bad = 0;

	for (size_t code = 1; code < KT_METRICS_CODES; code++)
		bad += metrics->requests[v2][code] + metrics->requests[v1][code];
	head(out, name, "counter", help);
	fprintf(out, "%s{result=\"success\"} %" PRIu64 "\n%s{result=\"error\"} %" PRIu64 "\n", name,
		good, name, bad);
}

/* Methods with OK always, other codes once they came. */
static void write_requests(FILE *out, const struct kt_metrics *metrics)
{
	head(out, "kubetpm_kms_requests_total", "counter",
		"Calls answered, by gRPC status; no method: one that does not exist.");
	for (size_t m = 0; m < KT_METRICS_METHODS; m++)
		for (size_t code = 0; code < KT_METRICS_CODES; code++) {
			uint64_t n = metrics->requests[m][code];

			if (n == 0 && (code != KT_GRPC_OK || m == KT_METHOD_NONE))
				continue;
			fprintf(out,
				"kubetpm_kms_requests_total{service=\"%s\",method=\"%s\",code=\"%s"
				"\"} %" PRIu64 "\n",
				method_labels[m].service, method_labels[m].method,
				kt_grpc_code_name((enum kt_grpc_code)code), n);
		}
}

/* After SIG-auth's proposal for plugins (kubernetes/kubernetes#115306). */
static void write_sig_auth(FILE *out, const struct kt_metrics *metrics)
{
	write_histogram(out, "kmsplugin_encryption_duration_seconds",
		"Time from an Encrypt's first byte to its answer.", &metrics->encrypt);
	write_histogram(out, "kmsplugin_decryption_duration_seconds",
		"Time from a Decrypt's first byte to its answer.", &metrics->decrypt);
	write_results(out, "kmsplugin_encryption_total", "Encrypts answered.", metrics,
		KT_METHOD_V2_ENCRYPT, KT_METHOD_V1_ENCRYPT);
	write_results(out, "kmsplugin_decryption_total", "Decrypts answered.", metrics,
		KT_METHOD_V2_DECRYPT, KT_METHOD_V1_DECRYPT);
	head(out, "kmsplugin_local_kek_rotation_total", "counter",
		"Changes of the current key since the start; error: reloads that failed.");
	fprintf(out,
		"kmsplugin_local_kek_rotation_total{result=\"success\"} %" PRIu64 "\n"
		"kmsplugin_local_kek_rotation_total{result=\"error\"} %" PRIu64 "\n",
		metrics->rotations, metrics->reloads_bad);
}

static void write_health(FILE *out, const struct kt_metrics *metrics)
{
	gauge(out, "kubetpm_kms_healthy", "1 if the last Status, or self-test, was good.",
		metrics->healthy);
	head(out, "kubetpm_kms_last_good_status_timestamp_seconds", "gauge",
		"When Status was good last; 0: never.");
	fprintf(out, "kubetpm_kms_last_good_status_timestamp_seconds ");
	seconds(out, (uint64_t)metrics->last_good_ms, 3);
	write_histogram(out, "kubetpm_kms_status_duration_seconds",
		"Time from a Status's first byte to its answer.", &metrics->status);
	head(out, "kubetpm_kms_key_info", "gauge",
		"The keys, by the hash that the API server's key_id_hash shows.");
	for (size_t i = 0; i < metrics->keys.count; i++)
		fprintf(out, "kubetpm_kms_key_info{key_id_hash=\"%s\",use=\"%s\"} 1\n",
			metrics->keys.hashes[i], i == 0 ? "current" : "old");
}

static void write_server(FILE *out, const struct kt_metrics *metrics)
{
	head(out, "kubetpm_kms_reloads_total", "counter", "Configurations read after SIGHUP.");
	fprintf(out,
		"kubetpm_kms_reloads_total{result=\"success\"} %" PRIu64 "\n"
		"kubetpm_kms_reloads_total{result=\"error\"} %" PRIu64 "\n",
		metrics->reloads_good, metrics->reloads_bad);
	gauge(out, "kubetpm_kms_connections", "Open connections.", metrics->connections);
	counter(out, "kubetpm_kms_connections_total", "Connections accepted.",
		metrics->connections_total);
	head(out, "kubetpm_kms_connections_refused_total", "counter",
		"Connections closed at once.");
	for (size_t i = 0; i < KT_REFUSALS; i++)
		fprintf(out, "kubetpm_kms_connections_refused_total{reason=\"%s\"} %" PRIu64 "\n",
			refusals[i], metrics->refused[i]);
	gauge(out, "kubetpm_kms_queue_length", "Calls given to the TPM's thread and not yet back.",
		metrics->queue);
	counter(out, "kubetpm_kms_calls_log_suppressed_total",
		"Failed calls that were not logged, because there were too many.",
		metrics->log_suppressed);
}

static void write_tpm(FILE *out, const struct kt_metrics *metrics)
{
	counter(out, "kubetpm_tpm_commands_total",
		"Commands sent to the TPM, or requests to the service, by the module.",
		metrics->module.commands);
	counter(out, "kubetpm_tpm_retries_total",
		"Commands sent again, because the TPM was busy or had no room.",
		metrics->module.retries);
	counter(out, "kubetpm_tpm_reconnects_total",
		"Connections made because one before was lost.", metrics->module.reconnects);
	head(out, "kubetpm_tpm_seconds_total", "counter", "Time waited for the TPM.");
	fprintf(out, "kubetpm_tpm_seconds_total ");
	seconds(out, metrics->module.backend_us, 6);
}

static void write_process(FILE *out, const struct kt_process_figures *process)
{
	gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
		process->resident_bytes);
	gauge(out, "process_open_fds", "Number of open file descriptors.", process->open_fds);
	head(out, "process_cpu_seconds_total", "counter",
		"Total user and system CPU time spent in seconds.");
	fprintf(out, "process_cpu_seconds_total ");
	seconds(out, process->cpu_us, 6);
	head(out, "process_start_time_seconds", "gauge",
		"Start time of the process since unix epoch in seconds.");
	fprintf(out, "process_start_time_seconds ");
	seconds(out, (uint64_t)process->started_ms, 3);
}

void kt_metrics_write(
	const struct kt_metrics *metrics, const struct kt_process_figures *process, FILE *out)
{
	write_sig_auth(out, metrics);
	write_requests(out, metrics);
	write_health(out, metrics);
	write_server(out, metrics);
	write_tpm(out, metrics);
	head(out, "kubetpm_build_info", "gauge", "The version that runs.");
	fprintf(out, "kubetpm_build_info{version=\"%s\"} 1\n", KT_VERSION);
	if (process != NULL)
		write_process(out, process);
}
