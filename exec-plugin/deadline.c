/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two alarms. The first one ends us as SIGTERM would: a module that holds the TPM has a handler
 * there, flushes what it has loaded, and passes the signal on to ours, which knows that it was the
 * deadline. The second one, a little later, ends us as we are. Async-signal-safe calls only
 * (signal-safety(7)).
 */
#include "exec-plugin/deadline.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* The kubelet gives up after 60 s, client-go never. */
#define REQUEST_SECONDS 10
#define ANSWER_SECONDS 50
#define INTERACTIVE_SECONDS 300
#define GRACE_SECONDS 5

static volatile sig_atomic_t reading; /* the request */
static volatile sig_atomic_t expired;

/* Standard error may be a pipe that is full and that nobody reads. */
static void say(const char *message, size_t len)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t ignored;

	if (poll(&err, 1, 0) != 1 || (err.revents & POLLOUT) == 0)
		return;
	ignored = write(STDERR_FILENO, message, len);
	(void)ignored;
}

static void on_alarm(int number)
{
	static const char no_request[] = "exec-plugin: no request on standard input in time\n";
	static const char no_answer[] = "exec-plugin: no answer in time; giving up\n";
	int saved = errno;

	(void)number;
	if (reading) {
		say(no_request, sizeof(no_request) - 1);
		_exit(KT_E_INPUT);
	}
	if (expired)
		_exit(KT_E_TPM);
	expired = 1;
	alarm(GRACE_SECONDS);
	say(no_answer, sizeof(no_answer) - 1);
	if (kill(getpid(), SIGTERM) < 0)
		_exit(KT_E_TPM);
	errno = saved;
}

static void on_term(int number)
{
	const struct sigaction fatal = {.sa_handler = SIG_DFL};

	if (expired)
		_exit(KT_E_TPM);
	if (sigaction(number, &fatal, NULL) < 0 || raise(number) != 0)
		_exit(KT_E_INTERNAL);
}

int kt_deadline_init(struct kt_error *e)
{
	/* The second alarm counts also while the first one's handler is stuck. */
	const struct sigaction late = {.sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_NODEFER};
	const struct sigaction end = {.sa_handler = on_term, .sa_flags = SA_RESTART};
	sigset_t ours;

	if (sigaction(SIGTERM, &end, NULL) < 0 || sigaction(SIGALRM, &late, NULL) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot handle signals");
	sigemptyset(&ours);
	sigaddset(&ours, SIGALRM);
	sigaddset(&ours, SIGTERM);
	if (sigprocmask(SIG_UNBLOCK, &ours, NULL) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot unblock signals");
	return 0;
}

void kt_deadline_for_request(void)
{
	reading = 1;
	alarm(REQUEST_SECONDS);
}

/* What reading the request has taken counts. */
void kt_deadline_for_answer(bool interactive)
{
	unsigned taken = reading ? REQUEST_SECONDS - alarm(0) : 0;

	reading = 0;
	alarm(interactive ? INTERACTIVE_SECONDS : ANSWER_SECONDS - taken);
}
