/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists under one lock, what is to be done and what is done. The core is only touched by the
 * thread; the lock is never held while it is.
 */
#include "kms-shim/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "lib/log.h"

struct list {
	struct kt_job *first, **last;
	size_t count;
};

struct kt_worker {
	struct kt_kms *kms;
	const struct kt_kms_conf *conf; /* borrowed */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list todo, done;
	bool stop, started;
	int event;
};

int64_t kt_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void kt_job_free(struct kt_job *job)
{
	if (job == NULL)
		return;
	kt_wipe_free(job->message);
	kt_wipe_free(job->reply.data);
	kt_kms_conf_free(job->conf);
	free(job->keys);
	free(job);
}

static void list_init(struct list *list)
{
	*list = (struct list){.last = &list->first};
}

static void list_put(struct list *list, struct kt_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
	list->count++;
}

static struct kt_job *list_take_all(struct list *list)
{
	struct kt_job *first = list->first;

	list_init(list);
	return first;
}

static struct kt_job *list_take(struct list *list)
{
	struct kt_job *job = list->first;

	list->first = job->next;
	if (list->first == NULL)
		list->last = &list->first;
	list->count--;
	return job;
}

static void free_all(struct kt_job *job)
{
	while (job != NULL) {
		struct kt_job *next = job->next;

		kt_job_free(job);
		job = next;
	}
}

static void do_call(struct kt_worker *w, struct kt_job *job)
{
	int64_t begun_us = kt_now_us();
	bool late = job->deadline_us != 0 && begun_us >= job->deadline_us;

	/* Nobody waits for the answer any more: the TPM's time is better spent on the next one. */
	if (late || atomic_load(&job->cancelled)) {
		if (kt_grpc_fail(&job->status, KT_GRPC_DEADLINE_EXCEEDED,
			    "the deadline passed before the call's turn came") < 0)
			return;
	}
	/* A module that is given one gives up by then; the answer is sent on time in any case. */
	kt_kms_set_deadline(w->kms, job->deadline_us / 1000);
	if (kt_answer(w->kms, job->method, job->message, job->len, &job->note, &job->reply,
		    &job->status) == 0)
		job->status.code = KT_GRPC_OK;
	kt_kms_set_deadline(w->kms, 0);
	if (job->method == KT_METHOD_V2_STATUS && kt_kms_module_time(w->kms) > 0)
		job->checked_us = begun_us;
}

/* The new core stands before the old one goes: a bad file, or a key that does not open, changes
 * nothing. */
static int reload(struct kt_worker *w, struct kt_job *job, struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	auto_kms struct kt_kms *fresh = NULL;
	struct kt_kms *old = w->kms;

	job->keys = calloc(1, sizeof(*job->keys));
	if (job->keys == NULL)
		return kt_fail_memory(e);
	if (kt_kms_reload(w->kms, w->conf, &fresh, &conf, e) < 0 ||
		kt_kms_key_hashes(fresh, job->keys, e) < 0)
		return -1;
	w->kms = kt_take(fresh);
	w->conf = job->conf = kt_take(conf);
	kt_kms_close(old);
	return 0;
}

static void do_job(struct kt_worker *w, struct kt_job *job)
{
	struct kt_error e;
	int result = 0;

	switch (job->kind) {
	case KT_JOB_CALL:
		do_call(w, job);
		return;
	case KT_JOB_SELF_TEST:
		result = kt_answer_self_test(w->kms, &e);
		break;
	case KT_JOB_RELOAD:
		result = reload(w, job, &e);
		break;
	}
	if (result < 0 && kt_grpc_fail_error(&job->status, &e) < 0)
		return;
}

static int notify(struct kt_worker *w)
{
	static const uint64_t one = 1;

	return write(w->event, &one, sizeof(one)) == (ssize_t)sizeof(one) ? 0 : -1;
}

/* Until there is a job or an end; with the lock held. Jobs come from the loop alone, so that the
 * core is nobody else's while the module uses the quiet. */
static void wait_for_job(struct kt_worker *w)
{
	int after_ms = kt_kms_idle_after_ms(w->kms);
	struct timespec until;

	if (after_ms < 0) {
		pthread_cond_wait(&w->wake, &w->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += after_ms / 1000;
	until.tv_nsec += (long)(after_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (pthread_cond_clockwait(&w->wake, &w->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
		return;
	pthread_mutex_unlock(&w->lock);
	kt_kms_idle(w->kms);
	pthread_mutex_lock(&w->lock);
}

static void *work(void *argument)
{
	struct kt_worker *w = argument;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct kt_job *job;
		bool first;

		if (w->todo.first == NULL) {
			wait_for_job(w);
			continue;
		}
		job = list_take(&w->todo);
		pthread_mutex_unlock(&w->lock);
		do_job(w, job);
		kt_kms_take_counts(w->kms, &job->counts);
		pthread_mutex_lock(&w->lock);
		first = w->done.first == NULL;
		list_put(&w->done, job);
		/* The counter cannot overflow: it is only raised when the list was empty. */
		if (first && notify(w) < 0)
			kt_warn("cannot wake the loop: %s", strerror(errno));
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Signals are the loop's, so the thread inherits a full mask. */
static int start(struct kt_worker *w, struct kt_error *e)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0) {
		error = pthread_create(&w->thread, NULL, work, w);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (error != 0)
		return kt_fail(
			e, KT_E_INTERNAL, "cannot start the worker thread: %s", strerror(error));
	w->started = true;
	return 0;
}

int kt_worker_new(struct kt_kms *kms, const struct kt_kms_conf *conf, struct kt_worker **ret_worker,
	struct kt_error *e)
{
	auto_worker struct kt_worker *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		kt_kms_close(kms);
		return kt_fail_memory(e);
	}
	w->kms = kms;
	w->conf = conf;
	list_init(&w->todo);
	list_init(&w->done);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make an eventfd");
	if (start(w, e) < 0)
		return -1;
	*ret_worker = kt_take(w);
	return 0;
}

/* A TPM that hangs must not keep the process from ending. */
static int end_thread(struct kt_worker *w)
{
	struct timespec until;

	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += KT_WORKER_PATIENCE_S;
	return pthread_timedjoin_np(w->thread, NULL, &until) == 0 ? 0 : -1;
}

void kt_worker_free(struct kt_worker *w)
{
	if (w == NULL)
		return;
	if (w->started && end_thread(w) < 0) {
		kt_warn("the module has not returned for %d seconds; ending without it",
			KT_WORKER_PATIENCE_S);
		return;
	}
	free_all(list_take_all(&w->todo));
	free_all(list_take_all(&w->done));
	kt_kms_close(w->kms);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	if (w->event >= 0)
		close(w->event);
	free(w);
}

int kt_worker_put(struct kt_worker *w, struct kt_job *job)
{
	bool full;

	pthread_mutex_lock(&w->lock);
	full = w->todo.count >= KT_WORKER_QUEUE_MAX;
	if (!full) {
		list_put(&w->todo, job);
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return full ? -1 : 0;
}

int kt_worker_fd(const struct kt_worker *w)
{
	return w->event;
}

struct kt_job *kt_worker_take(struct kt_worker *w)
{
	struct kt_job *jobs;
	uint64_t count;

	pthread_mutex_lock(&w->lock);
	/* Nothing to read is fine: an earlier call took the jobs. */
	if (read(w->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		kt_warn("cannot read the eventfd: %s", strerror(errno));
	jobs = list_take_all(&w->done);
	pthread_mutex_unlock(&w->lock);
	return jobs;
}
