/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll loop. Whatever happens to a connection, it is written to afterwards and freed if that
 * says so: nothing else frees one. Signals arrive through a signalfd, finished jobs through the
 * worker's eventfd.
 */
#include "kms-shim/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "kms-shim/listener.h"
#include "kms-shim/observer.h"
#include "kms-shim/sdnotify.h"
#include "kms-shim/session.h"
#include "lib/log.h"

#define SCRATCH_BYTES 65536
#define EVENTS_MAX 32
#define STATUS_HOLDS_US 1000000
#define TICK_US 500000
#define SELF_TEST_AGAIN_US 5000000
/* A full house: who has had nothing to say for so long makes room for a new one. */
#define EVICT_AFTER_US 1000000
/* SIGTERM: first the notice, then the real GOAWAY, then the end, whatever is still open. */
#define LAST_GOAWAY_AFTER_US 500000
#define DRAIN_US 5000000

enum phase { SERVING, NOTICED, DRAINING, ENDED };

/* What an event is about: one of these, or a client's slot. */
enum source { FROM_SIGNAL = KT_SERVE_CLIENTS_MAX, FROM_WORKER, FROM_LISTENER, FROM_OBSERVER };

struct server {
	const struct kt_kms_conf *conf; /* the one in force */
	struct kt_kms_conf *reloaded;	/* owned; the same, once one was reloaded */
	struct kt_listener *listener;
	struct kt_worker *worker;
	struct kt_observer *observer;
	size_t jobs; /* in the worker's hands */
	struct kt_session_host host;
	struct kt_session *clients[KT_SERVE_CLIENTS_MAX];
	uint32_t waits_for[KT_SERVE_CLIENTS_MAX];
	size_t client_count;
	uint64_t next_id;	 /* 0 is nobody */
	struct kt_frame status;	 /* owned: a good answer to Status */
	int64_t status_until_us; /* as long as it may be given again */
	int epoll, signals;
	enum phase phase;
	int64_t phase_since_us, ticked_us, self_test_us, refused_us;
	bool ready, testing, reloading, listening;
};

static int watch(struct server *v, int op, int fd, uint32_t events, uint32_t what)
{
	struct epoll_event event = {.events = events, .data.u32 = what};

	return epoll_ctl(v->epoll, op, fd, &event);
}

/* Identifiers hold the slot, so that finished jobs find their way. */
static uint32_t slot_of(uint64_t id)
{
	return (uint32_t)(id % KT_SERVE_CLIENTS_MAX);
}

static void drop_client(struct server *v, uint32_t slot)
{
	kt_session_free(v->clients[slot]);
	v->clients[slot] = NULL;
	v->client_count--;
}

/* After whatever happened to a client. */
static void settle_client(struct server *v, uint32_t slot)
{
	struct kt_session *s = v->clients[slot];
	uint32_t events;

	if (kt_session_write(s) < 0) {
		drop_client(v, slot);
		return;
	}
	events = kt_session_events(s);
	if (events == v->waits_for[slot])
		return;
	v->waits_for[slot] = events;
	if (watch(v, EPOLL_CTL_MOD, kt_session_fd(s), events, slot) != 0)
		drop_client(v, slot);
}

/* Whom to close first: who was never answered anything, then who has been idle longest. */
static bool goes_before(const struct kt_session *a, const struct kt_session *b)
{
	if (kt_session_has_served(a) != kt_session_has_served(b))
		return !kt_session_has_served(a);
	return kt_session_idle_since(a) < kt_session_idle_since(b);
}

/* A free slot, if need be that of a client who is idle. KT_SERVE_CLIENTS_MAX: none. */
static uint32_t make_room(struct server *v, int64_t now)
{
	uint32_t first = KT_SERVE_CLIENTS_MAX;

	for (uint32_t i = 0; i < KT_SERVE_CLIENTS_MAX; i++) {
		const struct kt_session *s = v->clients[i];

		if (s == NULL)
			return i;
		if (!kt_session_is_busy(s) && now - kt_session_idle_since(s) > EVICT_AFTER_US &&
			(first == KT_SERVE_CLIENTS_MAX || goes_before(s, v->clients[first])))
			first = i;
	}
	if (first != KT_SERVE_CLIENTS_MAX)
		drop_client(v, first);
	return first;
}

/* At most one line a second: whoever can connect must not be able to fill the log. */
static void note_refused(struct server *v, enum kt_refusal reason, const char *why)
{
	int64_t now = kt_now_us();

	kt_observer_refused(v->observer, reason);
	if (v->refused_us != 0 && now - v->refused_us < 1000000)
		return;
	v->refused_us = now;
	kt_warn("connection refused: %s", why);
}

static void add_client(struct server *v, int fd)
{
	uint32_t slot = make_room(v, kt_now_us());
	struct kt_error e;

	if (slot == KT_SERVE_CLIENTS_MAX) {
		close(fd);
		note_refused(v, KT_REFUSED_FULL, "too many clients");
		return;
	}
	if (kt_session_new(fd, v->next_id * KT_SERVE_CLIENTS_MAX + slot, &v->host,
		    &v->clients[slot], &e) < 0) {
		note_refused(v, KT_REFUSED_RESOURCES, e.msg);
		return;
	}
	v->next_id++;
	v->client_count++;
	kt_observer_connected(v->observer);
	v->waits_for[slot] = EPOLLIN;
	if (watch(v, EPOLL_CTL_ADD, fd, EPOLLIN, slot) != 0) {
		drop_client(v, slot);
		return;
	}
	settle_client(v, slot);
}

static void set_listening(struct server *v, bool on)
{
	if (v->listening == on)
		return;
	if (watch(v, EPOLL_CTL_MOD, kt_listener_fd(v->listener), on ? EPOLLIN : 0, FROM_LISTENER) ==
		0)
		v->listening = on;
}

static void accept_clients(struct server *v)
{
	for (int i = 0; i < EVENTS_MAX; i++) {
		int fd = kt_listener_accept(
			v->listener, v->conf->allow_uids, v->conf->allow_uid_count);

		if (fd >= 0) {
			add_client(v, fd);
			continue;
		}
		if (errno == EACCES) {
			note_refused(v, KT_REFUSED_USER, "its user is not in allow-uid");
			continue;
		}
		/* Out of descriptors or memory: the next tick tries again. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			note_refused(v, KT_REFUSED_RESOURCES, strerror(errno));
			set_listening(v, false);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static int put_job(void *ctx, struct kt_job *job)
{
	struct server *v = ctx;

	if (kt_worker_put(v->worker, job) < 0)
		return -1;
	v->jobs++;
	return 0;
}

static void answered(void *ctx, enum kt_method method, const struct kt_grpc_status *status,
	int64_t us, bool had_job)
{
	struct server *v = ctx;

	kt_observer_answered(v->observer, method, status, us, had_job);
}

static bool known_status(void *ctx, struct kt_frame *ret_reply)
{
	struct server *v = ctx;
	uint8_t *copy;

	if (kt_now_us() >= v->status_until_us)
		return false;
	copy = malloc(v->status.len);
	if (copy == NULL)
		return false;
	memcpy(copy, v->status.data, v->status.len);
	*ret_reply = (struct kt_frame){.data = copy, .len = v->status.len};
	return true;
}

/* A good Status is given again for a second, counted from before the module was asked; whatever
 * fails meanwhile ends that at once. */
static void note_result(struct server *v, const struct kt_job *job)
{
	uint8_t *copy;

	if (job->status.code != KT_GRPC_OK)
		v->status_until_us = 0;
	if (job->status.code != KT_GRPC_OK || job->checked_us == 0)
		return;
	copy = malloc(job->reply.len);
	if (copy == NULL)
		return;
	memcpy(copy, job->reply.data, job->reply.len);
	kt_wipe_free(v->status.data);
	v->status = (struct kt_frame){.data = copy, .len = job->reply.len};
	v->status_until_us = job->checked_us + STATUS_HOLDS_US;
}

/* False if it could not be queued: the clock asks again. */
static bool put_simple(struct server *v, enum kt_job_kind kind)
{
	struct kt_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return false;
	job->kind = kind;
	if (put_job(v, job) == 0)
		return true;
	kt_job_free(job);
	return false;
}

static void start_self_test(struct server *v)
{
	v->self_test_us = kt_now_us();
	v->testing = put_simple(v, KT_JOB_SELF_TEST);
}

static void self_test_done(struct server *v, const struct kt_job *job)
{
	char state[sizeof(job->status.text) + 64];

	v->testing = false;
	if (job->status.code == KT_GRPC_OK) {
		v->ready = true;
		kt_debug("ready");
		kt_sdnotify("READY=1\nSTATUS=serving");
		return;
	}
	kt_warn("not ready: %s", job->status.text);
	snprintf(state, sizeof(state), "STATUS=not ready: %s", job->status.text);
	kt_sdnotify(state);
}

static void start_reload(struct server *v)
{
	if (v->reloading)
		return;
	kt_sdnotify_reloading();
	v->reloading = put_simple(v, KT_JOB_RELOAD);
	if (!v->reloading)
		kt_warn("cannot reload now: too many calls are waiting");
}

static bool differ(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static void reload_done(struct server *v, struct kt_job *job)
{
	v->reloading = false;
	if (job->status.code != KT_GRPC_OK) {
		kt_warn("not reloaded, nothing has changed: %s", job->status.text);
		kt_sdnotify("READY=1\nSTATUS=serving; the last reload failed");
		return;
	}
	if (differ(v->conf->listen, job->conf->listen) ||
		v->conf->socket_mode != job->conf->socket_mode ||
		differ(v->conf->socket_owner, job->conf->socket_owner) ||
		differ(v->conf->socket_group, job->conf->socket_group))
		kt_warn("the socket stays as it is until kms-shim is restarted");
	kt_observer_reloaded(v->observer, job->conf);
	kt_kms_conf_free(v->reloaded);
	v->reloaded = kt_take(job->conf);
	v->status_until_us = 0;
	v->conf = v->reloaded;
	kt_debug("reloaded");
	kt_sdnotify("READY=1\nSTATUS=serving");
}

static void take_results(struct server *v)
{
	struct kt_job *job = kt_worker_take(v->worker), *next;

	for (; job != NULL; job = next) {
		uint32_t slot = slot_of(job->session);
		struct kt_session *s = v->clients[slot];

		next = job->next;
		v->jobs--;
		note_result(v, job);
		kt_observer_done(v->observer, job);
		if (job->kind == KT_JOB_CALL && s != NULL && kt_session_id(s) == job->session) {
			kt_session_finish(s, job);
			/* Written once, after the last of a batch for the same client. */
			if (next == NULL || next->kind != KT_JOB_CALL ||
				next->session != kt_session_id(s))
				settle_client(v, slot);
			continue;
		}
		if (job->kind == KT_JOB_SELF_TEST)
			self_test_done(v, job);
		if (job->kind == KT_JOB_RELOAD)
			reload_done(v, job);
		kt_job_free(job);
	}
}

static void enter_phase(struct server *v, enum phase phase)
{
	v->phase = phase;
	v->phase_since_us = kt_now_us();
	for (uint32_t i = 0; i < KT_SERVE_CLIENTS_MAX; i++)
		if (v->clients[i] != NULL && phase != ENDED) {
			kt_session_shutdown(v->clients[i], /* last= */ phase == DRAINING);
			settle_client(v, i);
		}
}

static void begin_end(struct server *v)
{
	if (v->phase != SERVING) {
		enter_phase(v, ENDED);
		return;
	}
	kt_sdnotify("STOPPING=1");
	/* Closed only at the end: clients that come meanwhile queue for whoever serves next, if the
	 * socket is systemd's. */
	set_listening(v, false);
	enter_phase(v, NOTICED);
}

static void take_signals(struct server *v)
{
	struct signalfd_siginfo info;

	while (read(v->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			start_reload(v);
		else
			begin_end(v);
	}
}

static void handle_client(struct server *v, uint32_t slot, uint32_t events)
{
	struct kt_session *s = v->clients[slot];

	/* Closed by an earlier event of the same batch. */
	if (s == NULL)
		return;
	if ((events & EPOLLIN) != 0 && kt_session_read(s) < 0) {
		drop_client(v, slot);
		return;
	}
	/* Gone in both directions: nobody would read an answer. */
	if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) {
		drop_client(v, slot);
		return;
	}
	settle_client(v, slot);
}

static void tick(struct server *v, int64_t now)
{
	v->ticked_us = now;
	for (uint32_t i = 0; i < KT_SERVE_CLIENTS_MAX; i++) {
		if (v->clients[i] == NULL)
			continue;
		if (kt_session_tick(v->clients[i], now) < 0)
			drop_client(v, i);
		else
			settle_client(v, i);
	}
	kt_observer_set(v->observer, v->client_count, v->jobs);
	kt_observer_tick(v->observer, now);
	if (v->phase == SERVING)
		set_listening(v, true);
	if (!v->ready && !v->testing && now - v->self_test_us >= SELF_TEST_AGAIN_US)
		start_self_test(v);
	if (v->phase == NOTICED && now - v->phase_since_us >= LAST_GOAWAY_AFTER_US)
		enter_phase(v, DRAINING);
	if (v->phase == DRAINING && now - v->phase_since_us >= DRAIN_US)
		enter_phase(v, ENDED);
}

/* Sleeps for ever when nothing is under way. */
static int patience(const struct server *v, int64_t now)
{
	int observer = kt_observer_patience(v->observer, now);
	bool busy = v->phase != SERVING || !v->ready || !v->listening;

	for (uint32_t i = 0; i < KT_SERVE_CLIENTS_MAX && !busy; i++)
		busy = v->clients[i] != NULL && kt_session_is_busy(v->clients[i]);
	/* Not less than a tick: that is when it is looked at. */
	if (!busy && (observer < 0 || observer > TICK_US / 1000))
		return observer;
	return busy || observer >= 0 ? TICK_US / 1000 : -1;
}

static void handle(struct server *v, const struct epoll_event *event)
{
	switch (event->data.u32) {
	case FROM_SIGNAL:
		take_signals(v);
		break;
	case FROM_WORKER:
		take_results(v);
		break;
	case FROM_LISTENER:
		accept_clients(v);
		break;
	case FROM_OBSERVER:
		kt_observer_set(v->observer, v->client_count, v->jobs);
		kt_observer_run(v->observer);
		break;
	default:
		handle_client(v, event->data.u32, event->events);
	}
}

static int loop(struct server *v, struct kt_error *e)
{
	struct epoll_event events[EVENTS_MAX];

	while (v->phase != ENDED && (v->phase == SERVING || v->client_count > 0)) {
		int n = epoll_wait(v->epoll, events, EVENTS_MAX, patience(v, kt_now_us()));
		int64_t now;

		if (n < 0 && errno != EINTR)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot wait for events");
		for (int i = 0; i < n; i++)
			handle(v, &events[i]);
		now = kt_now_us();
		if (now - v->ticked_us >= TICK_US)
			tick(v, now);
	}
	return 0;
}

/* Before any thread: all of them inherit the mask. */
static int catch_signals(struct server *v, struct kt_error *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return kt_fail(e, KT_E_INTERNAL, "cannot block signals");
	v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (v->signals < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make a signalfd");
	return 0;
}

static int start(struct server *v, const char *module_dir, struct kt_error *e)
{
	const struct kt_listener_options options = {
		.url = v->conf->listen,
		.mode = v->conf->socket_mode,
		.owner = v->conf->socket_owner,
		.group = v->conf->socket_group,
	};
	struct kt_key_hashes keys;
	struct kt_kms *kms = NULL;

	if (catch_signals(v, e) < 0)
		return -1;
	v->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (v->epoll < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make an epoll");
	if (kt_secret_new(SCRATCH_BYTES, &v->host.input, e) < 0 ||
		kt_secret_new(SCRATCH_BYTES, &v->host.output, e) < 0)
		return -1;
	if (kt_kms_open(v->conf, module_dir, &kms, e) < 0)
		return -1;
	if (kt_kms_key_hashes(kms, &keys, e) < 0) {
		kt_kms_close(kms);
		return -1;
	}
	if (kt_worker_new(kms, v->conf, &v->worker, e) < 0 ||
		kt_listener_open(&options, &v->listener, e) < 0 ||
		kt_observer_new(v->conf, &keys, &v->observer, e) < 0)
		return -1;
	if (kt_observer_fd(v->observer) >= 0 &&
		watch(v, EPOLL_CTL_ADD, kt_observer_fd(v->observer), EPOLLIN, FROM_OBSERVER) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot watch the socket of the metrics");
	if (watch(v, EPOLL_CTL_ADD, v->signals, EPOLLIN, FROM_SIGNAL) != 0 ||
		watch(v, EPOLL_CTL_ADD, kt_worker_fd(v->worker), EPOLLIN, FROM_WORKER) != 0 ||
		watch(v, EPOLL_CTL_ADD, kt_listener_fd(v->listener), EPOLLIN, FROM_LISTENER) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot watch descriptors");
	v->listening = true;
	start_self_test(v);
	return 0;
}

static void stop(struct server *v)
{
	for (uint32_t i = 0; i < KT_SERVE_CLIENTS_MAX; i++)
		if (v->clients[i] != NULL)
			drop_client(v, i);
	kt_listener_close(v->listener);
	kt_worker_free(v->worker);
	kt_observer_free(v->observer);
	kt_secret_free(v->host.input);
	kt_secret_free(v->host.output);
	kt_kms_conf_free(v->reloaded);
	kt_wipe_free(v->status.data);
	if (v->epoll >= 0)
		close(v->epoll);
	if (v->signals >= 0)
		close(v->signals);
}

int kt_serve(const char *conf_path, const struct kt_kms_conf *conf, const char *module_dir,
	struct kt_error *e)
{
	struct server v = {
		.conf = conf,
		.host = {.ctx = &v,
			.put = put_job,
			.known_status = known_status,
			.answered = answered},
		.next_id = 1,
		.epoll = -1,
		.signals = -1,
	};
	int result;

	if (conf->listen == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: no line \"listen = unix:///PATH\"", conf_path);
	result = start(&v, module_dir, e);
	if (result == 0)
		result = loop(&v, e);
	stop(&v);
	return result;
}
