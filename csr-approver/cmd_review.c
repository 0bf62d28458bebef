/* SPDX-License-Identifier: Apache-2.0 */
/* csr-approver review: one request, or a List of them, in; a verdict a line out. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "csr-approver/approver.h"
#include "csr-approver/requests.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/rfc3339.h"

#define INPUT_MAX_BYTES (16 << 20)
#define LINE_MAX 8192

struct options {
	const char *inventory, *now;
	bool verbose;
};

static const struct kt_opt opts[] = {
	{"inventory", 'i', "FILE", "which machine may have which name (required)", KT_OPT_TEXT,
		offsetof(struct options, inventory)},
	{"now", 0, "TIME", "the time to judge by, RFC 3339 (default: the clock's)", KT_OPT_TEXT,
		offsetof(struct options, now)},
	{"verbose", 'v', NULL, "say more on standard error", KT_OPT_FLAG,
		offsetof(struct options, verbose)},
	{0},
};

static int print_verdict(
	const struct kt_csr_object *csr, const struct verdict *verdict, struct kt_error *e)
{
	static const char *const kinds[] = {"approve", "deny", "ignore"};
	auto_secret struct kt_secret *line = NULL;
	struct kt_jsonw w;

	if (kt_secret_new(LINE_MAX, &line, e) < 0)
		return -1;
	kt_jsonw_init(&w, line);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(&w, "name", csr->name);
	kt_jsonw_member(&w, "verdict", kinds[verdict->kind]);
	kt_jsonw_member(&w, "reason", verdict->reason);
	kt_jsonw_member(&w, "message", verdict->message);
	kt_jsonw_member(&w, "possession", verdict->possession);
	if (verdict->node[0] != '\0')
		kt_jsonw_member(&w, "node", verdict->node);
	if (verdict->ek[0] != '\0')
		kt_jsonw_member(&w, "endorsementKey", verdict->ek);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0)
		return -1;
	printf("%.*s\n", (int)kt_secret_len(line), (const char *)kt_secret_bytes(line));
	return 0;
}

static int review_all(const struct requests *requests, const struct inventory *inventory,
	int64_t now, struct kt_error *e)
{
	struct verdict verdict;

	for (size_t i = 0; i < requests->count; i++) {
		const struct kt_csr_object *csr = &requests->list[i];

		if (review(csr, requests_challenge(requests, csr), inventory, now, &verdict, e) <
				0 ||
			print_verdict(csr, &verdict, e) < 0)
			return -1;
	}
	return 0;
}

static int read_input(const char *path, uint8_t **ret_text, size_t *ret_len, struct kt_error *e)
{
	if (path == NULL || strcmp(path, "-") == 0)
		return kt_read_all(
			STDIN_FILENO, INPUT_MAX_BYTES, "standard input", ret_text, ret_len, e);
	return kt_read_file(path, INPUT_MAX_BYTES, ret_text, ret_len, e);
}

static int review_input(
	const char *path, const struct inventory *inventory, int64_t now, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	auto_json struct json_object *json = NULL;
	struct requests requests = {0};
	size_t len;
	int status;

	if (read_input(path, &text, &len, e) < 0 ||
		kt_json_parse((const char *)text, len, &json, e) < 0)
		return -1;
	status = requests_read(json, &requests, e);
	if (status == 0)
		status = review_all(&requests, inventory, now, e);
	requests_clear(&requests);
	return status;
}

static int read_inventory(const char *path, struct inventory *ret_inventory, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (path == NULL)
		return kt_fail(e, KT_E_USAGE, "which machines? give --inventory FILE");
	if (kt_read_trusted_file(path, INVENTORY_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return inventory_read((const char *)text, len, ret_inventory, e) < 0
		       ? kt_wrap(e, "%s", path)
		       : 0;
}

static int read_now(const char *text, int64_t *ret_now, struct kt_error *e)
{
	*ret_now = (int64_t)time(NULL);
	if (text == NULL)
		return 0;
	if (kt_rfc3339_parse(text, ret_now, e) < 0) {
		e->code = KT_E_USAGE;
		return kt_wrap(e, "--now");
	}
	return 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	struct inventory inventory;
	bool done;
	int64_t now;
	int first, status;

	if (kt_opt_parse(&verb_review.command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init(PROGRAM, options.verbose);
	if (read_now(options.now, &now, e) < 0 ||
		read_inventory(options.inventory, &inventory, e) < 0)
		return -1;
	status = review_input(first < argc ? argv[first] : NULL, &inventory, now, e);
	inventory_clear(&inventory);
	return status;
}

const struct kt_verb verb_review = {
	.command = {PROGRAM, "review", "[FILE]",
		"judge a CertificateSigningRequest, or a List of them, from FILE or standard input",
		opts, 0, 1},
	.run = run,
};
