/* SPDX-License-Identifier: Apache-2.0 */
/* Figures in, Prometheus text out. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "kms-shim/metrics.h"
#include "lib/auto.h"

static struct kt_metrics metrics;

static char *text_of(const struct kt_process_figures *process)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(out);
	kt_metrics_write(&metrics, process, out);
	cr_assert_eq(ferror(out), 0);
	cr_assert_eq(fclose(out), 0);
	return text;
}

/* The value of the one line that begins so. */
static const char *value_of(const char *text, const char *series)
{
	static char value[64];
	char start[256];
	const char *at;

	snprintf(start, sizeof(start), "\n%s ", series);
	at = strstr(text, start);
	cr_assert_not_null(at, "no %s in:\n%s", series, text);
	cr_expect_null(strstr(at + 1, start), "%s is there twice", series);
	at += strlen(start);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
	return value;
}

#define expect_value(text, series, expected)                                                       \
	cr_expect_str_eq(value_of(text, series), expected, "%s", series)

Test(metrics, counts_calls_by_method_and_code)
{
	auto_free char *text = NULL;

	for (int i = 0; i < 5; i++)
		kt_metrics_count(&metrics, KT_METHOD_V2_STATUS, KT_GRPC_OK, 90);
	kt_metrics_count(&metrics, KT_METHOD_V2_STATUS, KT_GRPC_FAILED_PRECONDITION, 90);
	kt_metrics_count(&metrics, KT_METHOD_V2_ENCRYPT, KT_GRPC_OK, 1000);
	kt_metrics_count(&metrics, KT_METHOD_V1_ENCRYPT, KT_GRPC_OK, 1000);
	kt_metrics_count(&metrics, KT_METHOD_V1_ENCRYPT, KT_GRPC_UNAVAILABLE, 1000);
	kt_metrics_count(&metrics, KT_METHOD_V2_DECRYPT, KT_GRPC_INVALID_ARGUMENT, 1000);
	kt_metrics_count(&metrics, KT_METHOD_NONE, KT_GRPC_UNIMPLEMENTED, 1000);
	kt_metrics_count(&metrics, (enum kt_method)99, KT_GRPC_OK, 1000);
	kt_metrics_count(&metrics, KT_METHOD_V2_STATUS, (enum kt_grpc_code)17, 1000);
	text = text_of(NULL);
#define REQUESTS(service, method, code)                                                            \
	"kubetpm_kms_requests_total{service=\"" service "\",method=\"" method "\",code=\"" code    \
	"\"}"
	expect_value(text, REQUESTS("v2", "Status", "OK"), "5");
	expect_value(text, REQUESTS("v2", "Status", "FAILED_PRECONDITION"), "1");
	expect_value(text, REQUESTS("v2", "Encrypt", "OK"), "1");
	expect_value(text, REQUESTS("v1beta1", "Encrypt", "OK"), "1");
	expect_value(text, REQUESTS("v1beta1", "Version", "OK"), "0");
	expect_value(text, REQUESTS("", "", "UNIMPLEMENTED"), "1");
	expect_value(text, "kmsplugin_encryption_total{result=\"success\"}", "2");
	expect_value(text, "kmsplugin_encryption_total{result=\"error\"}", "1");
	expect_value(text, "kmsplugin_decryption_total{result=\"success\"}", "0");
	expect_value(text, "kmsplugin_decryption_total{result=\"error\"}", "1");
	expect_value(text, "kubetpm_kms_status_duration_seconds_count", "6");
}

Test(metrics, a_histogram_adds_up)
{
	static const int64_t us[] = {
		-5, 0, 99, 100, 101, 200, 201, 3200, 6553600, 6553601, 70000000};
	auto_free char *text = NULL;

	for (size_t i = 0; i < sizeof(us) / sizeof(us[0]); i++)
		kt_metrics_count(&metrics, KT_METHOD_V2_DECRYPT, KT_GRPC_OK, us[i]);
	text = text_of(NULL);
#define BUCKET(le) "kmsplugin_decryption_duration_seconds_bucket{le=\"" le "\"}"
	expect_value(text, BUCKET("0.0001"), "4");
	expect_value(text, BUCKET("0.0002"), "6");
	expect_value(text, BUCKET("0.0004"), "7");
	expect_value(text, BUCKET("0.0016"), "7");
	expect_value(text, BUCKET("0.0032"), "8");
	expect_value(text, BUCKET("3.2768"), "8");
	expect_value(text, BUCKET("6.5536"), "9");
	expect_value(text, BUCKET("+Inf"), "11");
	expect_value(text, "kmsplugin_decryption_duration_seconds_count", "11");
	/* What is negative counts as nothing: 99+100+101+200+201+3200+6553600+6553601+70000000 */
	expect_value(text, "kmsplugin_decryption_duration_seconds_sum", "83.111102");
}

Test(metrics, tells_keys_and_rotations)
{
	struct kt_key_hashes keys = {.count = 2, .hashes = {"sha256:aa", "sha256:bb"}};
	auto_free char *text = NULL;

	kt_metrics_set_keys(&metrics, &keys);
	cr_expect_eq(metrics.rotations, 0);
	kt_metrics_set_keys(&metrics, &keys);
	cr_expect_eq(metrics.rotations, 0);
	memcpy(keys.hashes[0], "sha256:cc", 10);
	memcpy(keys.hashes[1], "sha256:aa", 10);
	kt_metrics_set_keys(&metrics, &keys);
	text = text_of(NULL);
	expect_value(text, "kmsplugin_local_kek_rotation_total{result=\"success\"}", "1");
	expect_value(text, "kubetpm_kms_key_info{key_id_hash=\"sha256:cc\",use=\"current\"}", "1");
	expect_value(text, "kubetpm_kms_key_info{key_id_hash=\"sha256:aa\",use=\"old\"}", "1");
	cr_expect_null(strstr(text, "sha256:bb"));
}

Test(metrics, tells_the_rest)
{
	const struct kt_kms_counts counts = {
		.commands = 3, .retries = 2, .reconnects = 1, .backend_us = 1000001};
	const struct kt_process_figures process = {.resident_bytes = 4096,
		.cpu_us = 2500000,
		.open_fds = 9,
		.started_ms = 1700000000123};
	auto_free char *text = NULL, *without = NULL;

	kt_metrics_add(&metrics, &counts);
	kt_metrics_add(&metrics, &counts);
	metrics.healthy = true;
	metrics.last_good_ms = 1764151234007;
	metrics.connections = 4;
	metrics.queue = 5;
	metrics.refused[KT_REFUSED_USER] = 6;
	metrics.reloads_bad = 7;
	text = text_of(&process);
	expect_value(text, "kubetpm_tpm_commands_total", "6");
	expect_value(text, "kubetpm_tpm_retries_total", "4");
	expect_value(text, "kubetpm_tpm_reconnects_total", "2");
	expect_value(text, "kubetpm_tpm_seconds_total", "2.000002");
	expect_value(text, "kubetpm_kms_healthy", "1");
	expect_value(text, "kubetpm_kms_last_good_status_timestamp_seconds", "1764151234.007");
	expect_value(text, "kubetpm_kms_connections", "4");
	expect_value(text, "kubetpm_kms_queue_length", "5");
	expect_value(
		text, "kubetpm_kms_connections_refused_total{reason=\"user_not_allowed\"}", "6");
	expect_value(text, "kubetpm_kms_reloads_total{result=\"error\"}", "7");
	expect_value(text, "process_resident_memory_bytes", "4096");
	expect_value(text, "process_cpu_seconds_total", "2.500000");
	expect_value(text, "process_open_fds", "9");
	expect_value(text, "process_start_time_seconds", "1700000000.123");
	without = text_of(NULL);
	cr_expect_null(strstr(without, "process_"));
}
