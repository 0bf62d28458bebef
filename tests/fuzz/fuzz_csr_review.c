/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with evidence, as the API server shows them, judged with an inventory that has the
 * machine of the corpus. Nothing that was changed may be approved but by a challenge. */
#include <assert.h>
#include <string.h>

#include "csr-approver/requests.h"
#include "lib/io.h"

#define NOW INT64_C(1795780860) /* 2026-11-27T12:01:00Z */

static const char inventory_text[] =
	"{\"kind\":\"kubetpm-inventory\",\"version\":1,\"pcrSets\":{\"fresh\":{\"sha256\":{\"7\":"
	"\"0000000000000000000000000000000000000000000000000000000000000000\"}}},\"machines\":[{"
	"\"ek\":\"bdd4372fdae345caffe429cea524e7470d6c97b9cdec3f5467a41d87e2553465\",\"node\":"
	"\"n1\","
	"\"maxLifetime\":7200,\"pcrSets\":[\"fresh\"]}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct inventory *inventory(void)
{
	static struct inventory known;
	struct kt_error e;

	if (known.json == NULL)
		assert(inventory_read(inventory_text, strlen(inventory_text), &known, &e) == 0);
	return &known;
}

static void judge(const struct requests *requests, const struct kt_csr_object *csr)
{
	struct verdict verdict;
	struct kt_error e;

	assert(review(csr, requests_challenge(requests, csr), inventory(), NOW, &verdict, &e) == 0);
	assert(verdict.reason != NULL && strlen(verdict.message) < sizeof(verdict.message));
	if (verdict.kind == VERDICT_APPROVE)
		assert(verdict.possession[0] != 'n' && strcmp(verdict.node, "n1") == 0);
	if (verdict.kind == VERDICT_APPROVE && strcmp(csr->signer, SIGNER_CLIENT) == 0)
		assert(strcmp(verdict.possession, "proven") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *json = NULL;
	struct requests requests = {0};
	struct kt_error e;

	if (kt_json_parse((const char *)data, size, &json, &e) == 0) {
		if (requests_read(json, &requests, &e) == 0)
			for (size_t i = 0; i < requests.count && i < 8; i++)
				judge(&requests, &requests.list[i]);
		else
			assert(e.code == KT_E_INPUT || e.code == KT_E_INTERNAL);
		requests_clear(&requests);
	}
	kt_json_put(json);
	return 0;
}
