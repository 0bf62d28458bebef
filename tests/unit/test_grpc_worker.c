/* SPDX-License-Identifier: Apache-2.0 */
/* The worker, and what it answers, over a module inside the test. */
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/kms.h"

#include "kms-shim/answer.h"
#include "kms-shim/worker.h"

static const uint8_t encrypt_request[] = "\x0a\x03"
					 "abc"
					 "\x12\x02"
					 "u1";
static sem_t gate;

static void wait_at_gate(struct kt_kms_record *record)
{
	(void)record;
	while (sem_wait(&gate) != 0)
		continue;
}

/* The configuration is only looked at by reloads, of which there are none here. */
static struct kt_worker *make_worker(void)
{
	struct kt_worker *w = NULL;
	struct kt_error e;

	cr_assert_eq(kt_worker_new(open_core(CONF), NULL, &w, &e), 0, "%s", e.msg);
	return w;
}

static struct kt_job *make_call(enum kt_method method, int32_t stream)
{
	struct kt_job *job = calloc(1, sizeof(*job));

	cr_assert_not_null(job);
	job->method = method;
	job->stream = stream;
	job->received_us = kt_now_us();
	if (method == KT_METHOD_V2_ENCRYPT) {
		job->len = sizeof(encrypt_request) - 1;
		job->message = malloc(job->len);
		cr_assert_not_null(job->message);
		memcpy(job->message, encrypt_request, job->len);
	}
	return job;
}

/* The next finished jobs; waits for the eventfd. */
static struct kt_job *take(struct kt_worker *w)
{
	struct pollfd p = {.fd = kt_worker_fd(w), .events = POLLIN};

	cr_assert_eq(poll(&p, 1, 10000), 1, "nothing was finished");
	return kt_worker_take(w);
}

Test(grpc_worker, gives_jobs_back_in_their_order, .timeout = 30)
{
	struct kt_worker *w = make_worker();
	int32_t expected = 0;

	for (int32_t i = 0; i < 100; i++)
		cr_assert_eq(kt_worker_put(w, make_call(i % 2 == 0 ? KT_METHOD_V2_STATUS
								   : KT_METHOD_V2_ENCRYPT,
						      i)),
			0);
	while (expected < 100) {
		struct kt_job *job = take(w), *next;

		for (; job != NULL; job = next) {
			next = job->next;
			cr_expect_eq(job->stream, expected++);
			cr_expect_eq(job->status.code, KT_GRPC_OK, "%s", job->status.text);
			cr_assert_gt(job->reply.len, KT_GRPC_PREFIX_BYTES);
			cr_expect_eq(job->reply.data[4], job->reply.len - KT_GRPC_PREFIX_BYTES);
			if (job->method == KT_METHOD_V2_ENCRYPT)
				cr_expect_arr_eq(job->reply.data + 5,
					"\x0a\x03"
					"cba",
					5);
			kt_job_free(job);
		}
	}
	cr_assert_null(kt_worker_take(w));
	kt_worker_free(w);
	cr_assert_eq(plan.closed, plan.opened);
}

Test(grpc_worker, does_not_begin_what_nobody_waits_for, .timeout = 30)
{
	struct kt_worker *w = make_worker();
	struct kt_job *late = make_call(KT_METHOD_V2_ENCRYPT, 1);
	struct kt_job *left = make_call(KT_METHOD_V2_ENCRYPT, 3);
	struct kt_job *job;

	late->deadline_us = kt_now_us() - 1;
	atomic_store(&left->cancelled, true);
	cr_assert_eq(kt_worker_put(w, late), 0);
	job = take(w);
	cr_expect_eq(job->status.code, KT_GRPC_DEADLINE_EXCEEDED);
	cr_expect_null(job->reply.data);
	kt_job_free(job);
	cr_assert_eq(kt_worker_put(w, left), 0);
	job = take(w);
	cr_expect_eq(job->status.code, KT_GRPC_DEADLINE_EXCEEDED);
	kt_job_free(job);
	cr_expect_str_eq(plan.uid, "", "the module was asked");
	kt_worker_free(w);
}

Test(grpc_worker, has_a_queue_with_an_end, .timeout = 30)
{
	struct kt_worker *w = make_worker();
	struct kt_job *refused = make_call(KT_METHOD_V2_STATUS, 9);
	size_t taken = 0, finished = 0;

	cr_assert_eq(sem_init(&gate, 0, 0), 0);
	plan.spoil = wait_at_gate;
	for (; taken <= KT_WORKER_QUEUE_MAX + 1; taken++) {
		struct kt_job *job =
			make_call(taken == 0 ? KT_METHOD_V2_ENCRYPT : KT_METHOD_V2_STATUS, 1);

		if (kt_worker_put(w, job) == 0)
			continue;
		kt_job_free(job);
		break;
	}
	/* One may be in the module's hands already. */
	cr_expect(taken == KT_WORKER_QUEUE_MAX || taken == KT_WORKER_QUEUE_MAX + 1, "%zu", taken);
	sem_post(&gate);
	while (finished < taken)
		for (struct kt_job *job = take(w), *next; job != NULL; job = next, finished++) {
			next = job->next;
			kt_job_free(job);
		}
	cr_expect_eq(kt_worker_put(w, refused), 0, "there is room again");
	kt_worker_free(w);
}

Test(grpc_worker, drops_what_is_left_at_the_end, .timeout = 30)
{
	struct kt_worker *w = make_worker();

	for (int32_t i = 0; i < 500; i++)
		cr_assert_eq(kt_worker_put(w, make_call(KT_METHOD_V2_ENCRYPT, i)), 0);
	kt_worker_free(w);
	cr_assert_eq(plan.closed, plan.opened);
}

static void flip_a_bit(struct kt_kms_record *record)
{
	static uint8_t other[32];

	memcpy(other, record->ciphertext.data, sizeof(other));
	other[7] ^= 1;
	record->ciphertext.data = other;
}

Test(grpc_worker, a_call_has_its_own_deadline_and_leaves_none_behind, .timeout = 30)
{
	struct kt_worker *w = make_worker();
	struct kt_job *job = make_call(KT_METHOD_V2_ENCRYPT, 1);

	job->deadline_us = job->received_us + 9000000;
	cr_assert_eq(kt_worker_put(w, job), 0);
	job = take(w);
	cr_expect_eq(plan.deadline_ms, job->deadline_us / 1000);
	kt_job_free(job);
	job = calloc(1, sizeof(*job));
	cr_assert_not_null(job);
	job->kind = KT_JOB_SELF_TEST;
	cr_assert_eq(kt_worker_put(w, job), 0);
	job = take(w);
	cr_expect_eq(job->status.code, KT_GRPC_OK, "%s", job->status.text);
	cr_expect_eq(plan.deadline_ms, 0);
	kt_job_free(job);
	kt_worker_free(w);
}

Test(grpc_worker, a_self_test_passes_only_if_the_same_comes_back)
{
	struct kt_kms *kms = open_core(CONF);
	struct kt_error e;

	cr_assert_eq(kt_answer_self_test(kms, &e), 0);
	plan.spoil = flip_a_bit;
	cr_assert_eq(kt_answer_self_test(kms, &e), -1);
	cr_assert_eq(e.code, KT_E_INTERNAL);
	plan.spoil = NULL;
	plan.decrypt = KT_UNAVAIL;
	plan.code = KT_E_TPM;
	cr_assert_eq(kt_answer_self_test(kms, &e), -1);
	cr_assert_eq(e.code, KT_E_TPM);
	kt_kms_close(kms);
}

Test(grpc_worker, an_answer_has_the_code_of_the_failure)
{
	struct kt_kms *kms = open_core(CONF);
	struct kt_answer_note note = {0};
	struct kt_grpc_status status = {0};
	struct kt_frame frame = {0};

	plan.status = KT_DENIED;
	plan.code = KT_E_POLICY;
	cr_assert_eq(kt_answer(kms, KT_METHOD_V2_STATUS, NULL, 0, &note, &frame, &status), -1);
	cr_expect_eq(status.code, KT_GRPC_FAILED_PRECONDITION);
	cr_expect_null(frame.data);
	plan.encrypt = KT_UNAVAIL;
	plan.code = KT_E_TPM;
	cr_assert_eq(kt_answer(kms, KT_METHOD_V2_ENCRYPT, encrypt_request,
			     sizeof(encrypt_request) - 1, &note, &frame, &status),
		-1);
	cr_expect_eq(status.code, KT_GRPC_UNAVAILABLE);
	cr_expect_str_eq(note.uid, "u1", "the log can name the call");
	kt_kms_close(kms);
}
