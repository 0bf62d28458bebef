/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/observer.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kms-shim/call-log.h"
#include "kms-shim/exporter.h"
#include "lib/io.h"
#include "lib/log.h"

#define TEXTFILE_EVERY_US 15000000
#define TICK_MS 500

struct kt_observer {
	struct kt_metrics metrics;
	struct kt_call_log log;
	struct kt_exporter *exporter; /* NULL: no socket */
	bool exporting;		      /* somebody is connected to it */
	char *textfile;		      /* owned; NULL: none */
	int64_t written_us;	      /* when it was written last; 0: never */
	bool write_failed;	      /* and that was said */
	int64_t started_ms;
	size_t connections, queue;
	char *metrics_url, *metrics_group; /* owned: what a reload is compared with */
	mode_t metrics_mode;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t resident_bytes(void)
{
	auto_file FILE *f = fopen("/proc/self/statm", "re");
	char line[128], *second;

	/* All of it, then what is resident, in pages (proc(5)). */
	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		return 0;
	second = strchr(line, ' ');
	if (second == NULL)
		return 0;
	return strtoull(second + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Less the one that is open for counting. */
static uint64_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (dir == NULL)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (entry->d_name[0] != '.')
			count++;
	closedir(dir);
	return count > 0 ? count - 1 : 0;
}

static void look_at_process(const struct kt_observer *o, struct kt_process_figures *ret_process)
{
	struct timespec cpu = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	*ret_process = (struct kt_process_figures){
		.resident_bytes = resident_bytes(),
		.cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000,
		.open_fds = open_fds(),
		.started_ms = o->started_ms,
	};
}

static int make_text(struct kt_observer *o, const struct kt_process_figures *process,
	char **ret_text, size_t *ret_len)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool failed;

	if (out == NULL)
		return -1;
	o->metrics.connections = o->connections;
	o->metrics.queue = o->queue;
	kt_metrics_write(&o->metrics, process, out);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return -1;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int make_page(void *ctx, char **ret_page, size_t *ret_len)
{
	struct kt_observer *o = ctx;
	struct kt_process_figures process;

	look_at_process(o, &process);
	return make_text(o, &process, ret_page, ret_len);
}

/* Whoever collects it adds what it knows of processes by itself. A full disk must not keep
 * Secrets from being read: said once, and tried again. */
static void write_textfile(struct kt_observer *o)
{
	auto_free char *text = NULL;
	size_t len = 0;
	struct kt_error e;
	bool failed;

	if (make_text(o, NULL, &text, &len) < 0)
		return;
	failed = kt_publish_file(o->textfile, text, len, 0644, &e) < 0;
	if (failed && !o->write_failed)
		kt_warn("textfile: %s; trying again every %d seconds", e.msg,
			TEXTFILE_EVERY_US / 1000000);
	if (!failed && o->write_failed)
		kt_info("textfile: %s is written again", o->textfile);
	o->write_failed = failed;
}

static int copy(const char *from, char **ret_to, struct kt_error *e)
{
	if (from == NULL)
		return 0;
	*ret_to = strdup(from);
	return *ret_to != NULL ? 0 : kt_fail_memory(e);
}

KT_AUTO(observer, struct kt_observer *, kt_observer_free)
#define auto_observer __attribute__((cleanup(kt_auto_observer)))

int kt_observer_new(const struct kt_kms_conf *conf, const struct kt_key_hashes *keys,
	struct kt_observer **ret_observer, struct kt_error *e)
{
	const struct kt_listener_options options = {
		.url = conf->metrics,
		.mode = conf->metrics_mode,
		.group = conf->metrics_group,
		.optional = true,
	};
	auto_observer struct kt_observer *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return kt_fail_memory(e);
	o->started_ms = now_ms();
	o->metrics_mode = conf->metrics_mode;
	o->log.which = conf->log_calls;
	kt_metrics_set_keys(&o->metrics, keys);
	if (copy(conf->metrics, &o->metrics_url, e) < 0 ||
		copy(conf->metrics_group, &o->metrics_group, e) < 0)
		return -1;
	if (conf->metrics != NULL && kt_exporter_new(&options, make_page, o, &o->exporter, e) < 0)
		return kt_wrap(e, "metrics");
	/* Last: the file of a start that failed is not touched. */
	if (copy(conf->textfile, &o->textfile, e) < 0)
		return -1;
	*ret_observer = kt_take(o);
	return 0;
}

void kt_observer_free(struct kt_observer *o)
{
	if (o == NULL)
		return;
	if (o->textfile != NULL) {
		o->metrics.healthy = false;
		o->connections = o->queue = 0;
		write_textfile(o);
	}
	kt_exporter_free(o->exporter);
	free(o->textfile);
	free(o->metrics_url);
	free(o->metrics_group);
	free(o);
}

int kt_observer_fd(const struct kt_observer *o)
{
	return o->exporter != NULL ? kt_exporter_fd(o->exporter) : -1;
}

void kt_observer_run(struct kt_observer *o)
{
	int64_t now = kt_now_us();

	kt_exporter_run(o->exporter, now);
	o->exporting = kt_exporter_tick(o->exporter, now);
}

int kt_observer_patience(const struct kt_observer *o, int64_t now_us)
{
	int64_t left;

	if (o->exporting)
		return TICK_MS;
	if (o->textfile == NULL)
		return -1;
	left = o->written_us + TEXTFILE_EVERY_US - now_us;
	return o->written_us == 0 || left < 0 ? 0 : (int)(left / 1000) + 1;
}

void kt_observer_tick(struct kt_observer *o, int64_t now_us)
{
	if (o->exporter != NULL)
		o->exporting = kt_exporter_tick(o->exporter, now_us);
	if (o->textfile == NULL ||
		(o->written_us != 0 && now_us - o->written_us < TEXTFILE_EVERY_US))
		return;
	o->written_us = now_us;
	write_textfile(o);
}

static void log_entry(struct kt_observer *o, const struct kt_call_entry *entry)
{
	char line[KT_CALL_LINE_SIZE];
	uint64_t left_out = 0, before = o->log.left_out;
	bool wanted = kt_call_log_wants(&o->log, entry, kt_now_us(), &left_out);

	if (o->log.left_out > before)
		o->metrics.log_suppressed++;
	if (!wanted)
		return;
	if (left_out > 0)
		kt_warn("%" PRIu64 " more calls failed, and were not logged", left_out);
	kt_call_log_format(entry, line);
	kt_info("%s", line);
}

static void note_health(struct kt_observer *o, bool good)
{
	o->metrics.healthy = good;
	if (good)
		o->metrics.last_good_ms = now_ms();
}

void kt_observer_answered(struct kt_observer *o, enum kt_method method,
	const struct kt_grpc_status *status, int64_t us, bool had_job)
{
	const struct kt_call_entry entry = {.method = method, .status = status, .us = us};

	kt_metrics_count(&o->metrics, method, status->code, us);
	if (!had_job)
		log_entry(o, &entry);
}

void kt_observer_done(struct kt_observer *o, const struct kt_job *job)
{
	const struct kt_call_entry entry = {
		.method = job->method,
		.note = &job->note,
		.status = &job->status,
		.us = kt_now_us() - job->received_us,
		.backend_us = job->counts.backend_us,
		.commands = job->counts.commands,
	};
	bool good = job->status.code == KT_GRPC_OK;

	kt_metrics_add(&o->metrics, &job->counts);
	switch (job->kind) {
	case KT_JOB_CALL:
		if (job->method == KT_METHOD_V2_STATUS)
			note_health(o, good);
		log_entry(o, &entry);
		break;
	case KT_JOB_SELF_TEST:
		note_health(o, good);
		break;
	case KT_JOB_RELOAD:
		*(good ? &o->metrics.reloads_good : &o->metrics.reloads_bad) += 1;
		if (good && job->keys != NULL)
			kt_metrics_set_keys(&o->metrics, job->keys);
		break;
	}
}

void kt_observer_connected(struct kt_observer *o)
{
	o->metrics.connections_total++;
}

void kt_observer_refused(struct kt_observer *o, enum kt_refusal why)
{
	o->metrics.refused[why]++;
}

void kt_observer_set(struct kt_observer *o, size_t connections, size_t queue)
{
	o->connections = connections;
	o->queue = queue;
}

static bool differ(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

void kt_observer_reloaded(struct kt_observer *o, const struct kt_kms_conf *conf)
{
	o->log.which = conf->log_calls;
	if (differ(o->metrics_url, conf->metrics) ||
		differ(o->metrics_group, conf->metrics_group) ||
		o->metrics_mode != conf->metrics_mode || differ(o->textfile, conf->textfile))
		kt_warn("the metrics stay where they are until kms-shim is restarted");
}
