/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors lie in an epoll of their own, which is a descriptor that the loop can wait for.
 * After the answer a client's further bytes are read and thrown away until it closes: on a socket
 * that is closed with something unread, the answer could be lost.
 */
#include "kms-shim/exporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "kms-shim/http-get.h"

#define PATH "/metrics"
#define LISTENER KT_EXPORTER_CLIENTS_MAX /* in epoll_data, beside the clients' numbers */
#define EVENTS_MAX 16

struct client {
	int fd; /* -1: a free place */
	int64_t since_us;
	char head[KT_HTTP_HEAD_MAX_BYTES];
	size_t head_len;
	char *answer; /* owned; NULL until the request is known */
	size_t len, sent;
};

struct kt_exporter {
	struct kt_listener *listener;
	kt_exporter_page *page;
	void *ctx;
	int epoll;
	struct client clients[KT_EXPORTER_CLIENTS_MAX];
};

static void drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	free(c->answer);
	c->answer = NULL;
}

/* Head and, if wanted, page. */
static int compose(struct kt_exporter *x, struct client *c, const struct kt_http_get *request)
{
	auto_free char *page = NULL;
	unsigned status = request->status;
	size_t page_len = 0;
	int len;

	if (status == 200 && x->page(x->ctx, &page, &page_len) < 0)
		status = 500;
	len = asprintf(&c->answer,
		"HTTP/1.1 %u %s\r\n"
		"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"%sContent-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
		status, kt_http_reason(status), status == 405 ? "Allow: GET, HEAD\r\n" : "",
		status == 200 ? page_len : 0, status == 200 && request->body ? (int)page_len : 0,
		page != NULL ? page : "");
	if (len < 0) {
		c->answer = NULL;
		return -1;
	}
	c->len = (size_t)len;
	c->sent = 0;
	return 0;
}

static int wait_for(struct kt_exporter *x, const struct client *c, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(c - x->clients)};

	return epoll_ctl(x->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* -1: the connection is over. */
static int send_answer(struct kt_exporter *x, struct client *c)
{
	while (c->sent < c->len) {
		ssize_t n = send(c->fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? wait_for(x, c, EPOLLOUT) : -1;
		c->sent += (size_t)n;
	}
	if (shutdown(c->fd, SHUT_WR) != 0)
		return -1;
	return wait_for(x, c, EPOLLIN);
}

/* The same bound counts for what is thrown away: one read an event, and the clock. */
static int receive(struct kt_exporter *x, struct client *c)
{
	struct kt_http_get request;
	char waste[KT_HTTP_HEAD_MAX_BYTES];
	bool answered = c->answer != NULL;
	char *to = answered ? waste : c->head + c->head_len;
	size_t room = answered ? sizeof(waste) : sizeof(c->head) - c->head_len;
	ssize_t n = recv(c->fd, to, room, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	if (answered)
		return 0;
	c->head_len += (size_t)n;
	if (!kt_http_get_parse(c->head, c->head_len, PATH, &request))
		return 0;
	if (compose(x, c, &request) < 0)
		return -1;
	return send_answer(x, c);
}

static void handle(struct kt_exporter *x, struct client *c, uint32_t events)
{
	int result = 0;

	if (c->fd < 0)
		return;
	if ((events & EPOLLOUT) != 0)
		result = send_answer(x, c);
	else if ((events & EPOLLIN) != 0)
		result = receive(x, c);
	else
		result = -1;
	if (result < 0)
		drop(c);
}

/* The first free place, or that of who has been there longest. */
static struct client *make_room(struct kt_exporter *x)
{
	struct client *oldest = &x->clients[0];

	for (struct client *c = x->clients; c < x->clients + KT_EXPORTER_CLIENTS_MAX; c++) {
		if (c->fd < 0)
			return c;
		if (c->since_us < oldest->since_us)
			oldest = c;
	}
	drop(oldest);
	return oldest;
}

static void accept_clients(struct kt_exporter *x, int64_t now_us)
{
	for (int i = 0; i < KT_EXPORTER_CLIENTS_MAX; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		struct client *c;
		int fd = kt_listener_accept(x->listener, NULL, 0);

		if (fd < 0)
			return;
		c = make_room(x);
		*c = (struct client){.fd = fd, .since_us = now_us};
		event.data.u32 = (uint32_t)(c - x->clients);
		if (epoll_ctl(x->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			drop(c);
	}
}

void kt_exporter_run(struct kt_exporter *x, int64_t now_us)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(x->epoll, events, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == LISTENER)
			accept_clients(x, now_us);
		else
			handle(x, &x->clients[events[i].data.u32], events[i].events);
	}
}

bool kt_exporter_tick(struct kt_exporter *x, int64_t now_us)
{
	bool busy = false;

	for (struct client *c = x->clients; c < x->clients + KT_EXPORTER_CLIENTS_MAX; c++) {
		if (c->fd >= 0 && now_us - c->since_us > KT_EXPORTER_PATIENCE_US)
			drop(c);
		busy = busy || c->fd >= 0;
	}
	return busy;
}

KT_AUTO(exporter, struct kt_exporter *, kt_exporter_free)
#define auto_exporter __attribute__((cleanup(kt_auto_exporter)))

int kt_exporter_new(const struct kt_listener_options *options, kt_exporter_page *page, void *ctx,
	struct kt_exporter **ret_exporter, struct kt_error *e)
{
	auto_exporter struct kt_exporter *x = calloc(1, sizeof(*x));
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER};

	if (x == NULL)
		return kt_fail_memory(e);
	x->page = page;
	x->ctx = ctx;
	for (size_t i = 0; i < KT_EXPORTER_CLIENTS_MAX; i++)
		x->clients[i].fd = -1;
	x->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (x->epoll < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make an epoll");
	if (kt_listener_open(options, &x->listener, e) < 0)
		return -1;
	if (epoll_ctl(x->epoll, EPOLL_CTL_ADD, kt_listener_fd(x->listener), &event) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot watch %s", options->url);
	*ret_exporter = kt_take(x);
	return 0;
}

void kt_exporter_free(struct kt_exporter *x)
{
	if (x == NULL)
		return;
	for (struct client *c = x->clients; c < x->clients + KT_EXPORTER_CLIENTS_MAX; c++)
		if (c->fd >= 0)
			drop(c);
	kt_listener_close(x->listener);
	if (x->epoll >= 0)
		close(x->epoll);
	free(x);
}

int kt_exporter_fd(const struct kt_exporter *x)
{
	return x->epoll;
}
