/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: which alarm is set when, and what becomes of it. */
#include <signal.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "exec-plugin/deadline.h"

static void expect_left(unsigned most)
{
	unsigned left = alarm(0);

	cr_expect(left + 2 >= most && left <= most, "%u of %u", left, most);
}

Test(deadline, is_seconds_for_a_request_less_than_a_minute_for_an_answer_and_more_for_people)
{
	kt_deadline_for_answer(false);
	expect_left(50);
	kt_deadline_for_answer(true);
	expect_left(300);
	kt_deadline_for_request();
	expect_left(10);
}

Test(deadline, for_an_answer_includes_the_time_that_the_request_took)
{
	kt_deadline_for_request();
	alarm(3);
	kt_deadline_for_answer(false);
	expect_left(43);
	kt_deadline_for_answer(false);
	expect_left(50);
}

Test(deadline, cannot_be_blocked_or_ignored_by_a_parent)
{
	struct sigaction action;
	sigset_t set;
	struct kt_error e;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGTERM);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	cr_assert_neq(signal(SIGALRM, SIG_IGN), SIG_ERR);
	cr_assert_neq(signal(SIGTERM, SIG_IGN), SIG_ERR);
	cr_assert_eq(kt_deadline_init(&e), 0, "%s", e.msg);
	cr_assert_eq(sigprocmask(SIG_BLOCK, NULL, &set), 0);
	cr_expect_not(sigismember(&set, SIGALRM));
	cr_expect_not(sigismember(&set, SIGTERM));
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(sigaction(i == 0 ? SIGALRM : SIGTERM, NULL, &action), 0);
		cr_expect(action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL);
	}
}

Test(deadline, of_a_request_is_a_malformed_one, .exit_code = KT_E_INPUT)
{
	struct kt_error e;

	cr_assert_eq(kt_deadline_init(&e), 0);
	kt_deadline_for_request();
	raise(SIGALRM);
}

Test(deadline, of_an_answer_is_an_unreachable_tpm, .exit_code = KT_E_TPM)
{
	struct kt_error e;

	cr_assert_eq(kt_deadline_init(&e), 0);
	kt_deadline_for_request();
	kt_deadline_for_answer(false);
	raise(SIGALRM);
}

Test(deadline, leaves_the_end_by_sigterm_as_it_is, .signal = SIGTERM)
{
	struct kt_error e;

	cr_assert_eq(kt_deadline_init(&e), 0);
	kt_deadline_for_answer(false);
	raise(SIGTERM);
}

/* As a module does while it holds the TPM. */
static void hold(int number)
{
	(void)number;
}

Test(deadline, ends_a_module_that_holds_on_with_the_second_alarm, .exit_code = KT_E_TPM)
{
	struct kt_error e;

	cr_assert_eq(kt_deadline_init(&e), 0);
	kt_deadline_for_answer(false);
	cr_assert_neq(signal(SIGTERM, hold), SIG_ERR);
	raise(SIGALRM);
	expect_left(5);
	raise(SIGALRM);
}
