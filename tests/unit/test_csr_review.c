/* SPDX-License-Identifier: Apache-2.0 */
/* Two requests with the evidence of a software TPM (tests/data/attest), as they are and changed. */
#include <criterion/criterion.h>
#include <string.h>

#include "csr-approver/requests.h"
#include "lib/io.h"

#define NOW INT64_C(1795780860) /* 2026-11-27T12:01:00Z, a minute after both */

static struct json_object *json;
static struct requests requests;
static struct inventory inventory;
static struct kt_csr_object *challenge, *client;

static char *read_text(const char *path, size_t *ret_len)
{
	uint8_t *data;
	struct kt_error e;

	cr_assert_eq(kt_read_file(path, 1 << 20, &data, ret_len, &e), 0, "%s", e.msg);
	return (char *)data;
}

static void set_up(void)
{
	struct kt_error e;
	size_t len;
	char *text = read_text("tests/data/attest/inventory.json", &len);

	cr_assert_eq(inventory_read(text, len, &inventory, &e), 0, "%s", e.msg);
	free(text);
	text = read_text("tests/data/attest/requests.json", &len);
	cr_assert_eq(kt_json_parse(text, len, &json, &e), 0);
	free(text);
	cr_assert_eq(requests_read(json, &requests, &e), 0, "%s", e.msg);
	cr_assert_eq(requests.count, 2);
	challenge = &requests.list[0];
	client = &requests.list[1];
}

static void tear_down(void)
{
	requests_clear(&requests);
	inventory_clear(&inventory);
	kt_json_put(json);
}

TestSuite(csr_review, .init = set_up, .fini = tear_down);

static enum verdict_kind judge(void)
{
	struct verdict verdict;
	struct kt_error e;

	cr_assert_eq(review(client, challenge, &inventory, NOW, &verdict, &e), 0);
	return verdict.kind;
}

Test(csr_review, the_evidence_is_good)
{
	cr_expect_eq(requests_challenge(&requests, client), challenge);
	cr_expect_null(requests_challenge(&requests, challenge));
	cr_expect_eq(judge(), VERDICT_APPROVE);
}

Test(csr_review, no_bit_of_it_can_be_changed)
{
	for (size_t i = 0; i < client->request_len; i++) {
		client->request[i] ^= 1;
		cr_expect_eq(judge(), VERDICT_DENY, "byte %zu", i);
		client->request[i] ^= 1;
	}
	cr_expect_eq(judge(), VERDICT_APPROVE);
}

Test(csr_review, nor_of_the_challenge)
{
	for (size_t i = 0; i < challenge->request_len; i++) {
		challenge->request[i] ^= 1;
		cr_expect_eq(judge(), VERDICT_DENY, "byte %zu", i);
		challenge->request[i] ^= 1;
	}
}

Test(csr_review, nor_can_it_be_cut_off)
{
	const size_t len = client->request_len;

	for (client->request_len = 0; client->request_len < len; client->request_len++)
		cr_expect_eq(judge(), VERDICT_DENY, "%zu bytes", client->request_len);
}

Test(csr_review, another_commitment_is_another_challenge)
{
	char message[2048];
	size_t len = strlen(challenge->approved);

	cr_assert(len < sizeof(message));
	memcpy(message, challenge->approved, len + 1);
	challenge->approved = message;
	for (size_t i = len - 64; i < len; i++) {
		const char was = message[i];

		message[i] = was == '0' ? '1' : '0';
		cr_expect_eq(judge(), VERDICT_DENY);
		message[i] = was;
	}
	message[len - 1] = '\0';
	cr_expect_eq(judge(), VERDICT_DENY);
}

Test(csr_review, a_challenge_asks_for_possession)
{
	struct verdict verdict, again;
	struct kt_error e;

	challenge->approved = NULL;
	cr_assert_eq(review(challenge, NULL, &inventory, NOW, &verdict, &e), 0);
	cr_assert_eq(review(challenge, NULL, &inventory, NOW, &again, &e), 0);
	cr_expect_eq(verdict.kind, VERDICT_APPROVE);
	cr_expect_str_eq(verdict.possession, "asked");
	cr_expect_neq(strcmp(verdict.message, again.message), 0, "a secret serves once");
}
