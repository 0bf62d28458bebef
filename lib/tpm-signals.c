/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding signals: handlers rather than a mask, so that waiting for a TPM that never answers can be
 * ended.
 */
#include "lib/tpm-signals.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>

#define PATIENCE_SECONDS 10

static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
#define ENDING_COUNT (sizeof(ending) / sizeof(ending[0]))

/* A process has one set of handlers, so this is one for all. */
static struct sigaction before[ENDING_COUNT];
static timer_t timer;
static bool held;
static volatile sig_atomic_t noted;

/* Async-signal-safe calls only (signal-safety(7)). */
static void note(int number)
{
	const struct itimerspec patience = {.it_value.tv_sec = PATIENCE_SECONDS};
	const struct sigaction fatal = {.sa_handler = SIG_DFL};

	if (noted == 0) {
		noted = number;
		timer_settime(timer, 0, &patience, NULL);
		return;
	}
	sigaction(noted, &fatal, NULL);
	raise(noted);
}

static int install(struct kt_error *e)
{
	const struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < ENDING_COUNT; i++) {
		if (sigaction(ending[i], NULL, &before[i]) != 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot examine signals");
		/* Who ignores a signal (nohup, a shell's background job) means it. */
		if (before[i].sa_handler != SIG_IGN && sigaction(ending[i], &action, NULL) != 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot hold signals");
	}
	return 0;
}

int kt_signals_hold(struct kt_error *e)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};

	if (held)
		return kt_fail(e, KT_E_INTERNAL, "the TPM is open already");
	noted = 0;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot make a timer");
	held = true;
	return install(e);
}

int kt_signals_noted(void)
{
	return noted;
}

void kt_signals_release(void)
{
	if (!held)
		return;
	timer_delete(timer);
	for (size_t i = 0; i < ENDING_COUNT; i++)
		if (before[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &before[i], NULL);
	held = false;
	if (noted != 0)
		raise(noted);
	noted = 0;
}
