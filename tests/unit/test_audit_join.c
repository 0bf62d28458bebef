/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "audit-verify/join.h"

#define T0 UINT64_C(1795708800) /* 2026-11-26T16:00:00Z */

static const char *const resources[] = {"secrets"};
static struct kt_join *join;

static void set_up(void)
{
	struct kt_error e;

	cr_assert_eq(kt_join_new(resources, 1, &join, &e), 0);
}

static void tear_down(void)
{
	kt_join_free(join);
}

TestSuite(audit_join, .init = set_up, .fini = tear_down);

static int event(const char *verb, const char *resource, const char *received, const char *stage)
{
	char line[1024];
	struct kt_error e;

	snprintf(line, sizeof(line),
		"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/"
		"v1\",\"verb\":\"%s\",\"objectRef\":{"
		"\"resource\":\"%s\"},\"requestReceivedTimestamp\":\"2026-11-26T%s.123456Z\","
		"\"stageTimestamp\":\"2026-11-26T%s.123456Z\"}",
		verb, resource, received, stage);
	return kt_join_event(join, line, strlen(line), &e);
}

static struct kt_join_result ask(uint64_t seconds)
{
	const struct kt_decryption decryption = {.ts = (T0 + seconds) * 1000, .uid = "u"};
	struct kt_join_result before, after;

	kt_join_result(join, &before);
	kt_join_decryption(join, &decryption);
	kt_join_result(join, &after);
	after.explained -= before.explained;
	after.unexplained -= before.unexplained;
	after.outside -= before.outside;
	return after;
}

Test(audit_join, a_request_explains_what_falls_into_its_time)
{
	cr_expect_eq(event("get", "secrets", "16:01:00", "16:01:02"), 0);
	cr_expect_eq(event("list", "pods", "16:02:00", "16:10:00"), 0);
	cr_expect_eq(event("list", "secrets", "16:00:30", "16:00:31"), 0);
	kt_join_sort(join);
	cr_expect_eq(ask(60).explained, 1);
	cr_expect_eq(ask(67).explained, 1);
	cr_expect_eq(ask(30).explained, 1);
	cr_expect_eq(ask(68).unexplained, 1);
	cr_expect_eq(ask(300).unexplained, 1);
	cr_expect_eq(ask(3600).outside, 1);
	cr_expect_eq(ask(0).outside, 1);
}

Test(audit_join, a_watch_explains_only_its_beginning)
{
	cr_expect_eq(event("watch", "secrets", "16:01:00", "16:30:00"), 0);
	cr_expect_eq(event("get", "pods", "16:00:00", "16:30:00"), 0);
	kt_join_sort(join);
	cr_expect_eq(ask(60).explained, 1);
	cr_expect_eq(ask(600).unexplained, 1);
}

Test(audit_join, what_is_no_event_is_refused)
{
	static const char *const bad[] = {"x", "{}", "[]", "{\"kind\":\"Pod\"}",
		"{\"kind\":\"Event\",\"requestReceivedTimestamp\":\"yesterday\"}"};
	struct kt_error e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(kt_join_event(join, bad[i], strlen(bad[i]), &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
	cr_expect_eq(kt_join_event(join, "", 0, &e), 0);
}
