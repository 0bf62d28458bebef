/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/hex.h"
#include "lib/json.h"
#include "lib/rfc3339.h"

#define SHOWN_MAX 50 /* findings for people */
/* A thousand findings, a hundred decryptions, each with a path. */
#define JSON_MAX ((size_t)4 << 20)
#define WORD_MAX 1024

static const char join_strength[] =
	"A decryption that no request explains is a lead: the API server also decrypts when it "
	"starts, "
	"or when it meets a seed that it does not have. One that a request explains proves "
	"nothing: "
	"what the API server has opened it keeps, and reads more with it without asking.";

static const char *path_of(const struct kt_report *report, size_t file)
{
	return file < report->path_count ? report->paths[file] : "?";
}

static void format_time(uint64_t ts, char ret_text[KT_RFC3339_SIZE])
{
	struct kt_error ignored;

	if (kt_rfc3339_format((int64_t)(ts / 1000), ret_text, &ignored) < 0)
		snprintf(ret_text, KT_RFC3339_SIZE, "?");
}

static void print_findings(const struct kt_report *report)
{
	const struct kt_conclusion *v = report->verdict;
	size_t shown = v->found_count < SHOWN_MAX ? v->found_count : SHOWN_MAX;

	for (size_t i = 0; i < shown; i++)
		printf("%s:%" PRIu64 ": %s: %s\n", path_of(report, v->found[i].place.file),
			v->found[i].place.line, kt_audit_finding_name(v->found[i].finding),
			v->found[i].text);
	if (v->found_count + v->found_more > shown)
		printf("... and %" PRIu64 " more\n", v->found_count + v->found_more - shown);
}

/* As it stands in the log: what else a hostile one has must not reach a terminal. */
static void escape(const char *word, char ret_text[3 * WORD_MAX + 1])
{
	kt_audit_escape(word, strnlen(word, WORD_MAX), ret_text);
}

static void print_keys(const struct kt_audit_keyset *keys)
{
	char name[2 * KT_AUDIT_NAME_BYTES + 1], key_id[3 * WORD_MAX + 1];

	for (size_t i = 0; keys != NULL && i < keys->count; i++) {
		const struct kt_audit_key *key = &keys->keys[i];
		bool hmac = key->type == KT_AUDIT_HMAC;

		kt_hex_encode(key->name, sizeof(key->name), name);
		escape(key->key_id, key_id);
		printf("key %zu:            %s %s%s%s\n", i, hmac ? "hmac" : "p256", name,
			hmac ? ", key_id " : "", key_id);
	}
}

static void print_join(const struct kt_report *report)
{
	struct kt_join_result r;
	char time[KT_RFC3339_SIZE];

	if (report->join == NULL)
		return;
	kt_join_result(report->join, &r);
	printf("decryptions:      %" PRIu64 " in the time of one of %" PRIu64
	       " API requests, %" PRIu64 " in the time of none, %" PRIu64
	       " outside the API server's log\n",
		r.explained, r.events, r.unexplained, r.outside);
	for (size_t i = 0; i < r.listed; i++) {
		format_time(r.list[i].ts, time);
		printf("  no request:     entry %" PRIu64 ", %s, uid %s (%s:%" PRIu64 ")\n",
			r.list[i].n, time, r.list[i].uid, path_of(report, r.list[i].place.file),
			r.list[i].place.line);
	}
	if (r.unexplained > r.listed)
		printf("  ... and %" PRIu64 " more\n", r.unexplained - r.listed);
	printf("%s\n", join_strength);
}

void kt_report_text(const struct kt_report *report)
{
	const struct kt_conclusion *v = report->verdict;
	char time[KT_RFC3339_SIZE];

	print_findings(report);
	if (v->accepted_findings > 0)
		printf("%" PRIu64 " findings before the checkpoint that was accepted\n",
			v->accepted_findings);
	printf("%s:%s %" PRIu64 " entries: %" PRIu64 " encryptions, %" PRIu64
	       " decryptions, %" PRIu64 " repeated after crashes, %" PRIu64
	       " certificates; %" PRIu64 " checkpoints\n",
		kt_conclusion_code(v) == KT_E_NONE ? "complete" : "NOT complete",
		kt_conclusion_code(v) == KT_E_NONE ? "        " : "    ", v->entries - v->first_n,
		v->totals.encryptions, v->totals.decryptions, v->totals.redone,
		v->totals.certificates, v->totals.checkpoints);
	if (v->first_n > 0)
		printf("begins after:     entry %" PRIu64 " (earlier files were not looked at)\n",
			v->first_n);
	if (v->has_checkpoint) {
		format_time(v->last_ts, time);
		printf("last checkpoint:  %s, ", time);
		if (v->tier != KT_AUDIT_TIER_C)
			printf("%s %" PRIu64 ", ",
				v->tier == KT_AUDIT_TIER_B ? "uses counted" : "auditCounter",
				v->last.counter);
		printf("resetCount %" PRIu64 ", restartCount %" PRIu64 "%s%s\n", v->last.reset,
			v->last.restart, v->nonce[0] != '\0' ? ", nonce " : "", v->nonce);
	}
	if (v->tier == KT_AUDIT_TIER_C)
		printf("tier c:           nothing shows a use that was left out of this log\n");
	print_keys(v->keys);
	print_join(report);
}

static void write_place(
	const struct kt_report *report, const struct kt_place *place, struct kt_jsonw *w)
{
	kt_jsonw_member(w, "file", path_of(report, place->file));
	kt_jsonw_member_int(w, "line", place->line);
}

static void write_findings(const struct kt_report *report, struct kt_jsonw *w)
{
	const struct kt_conclusion *v = report->verdict;

	kt_jsonw_name(w, "findings");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < v->found_count; i++) {
		kt_jsonw_begin_object(w);
		kt_jsonw_member(w, "id", kt_audit_finding_name(v->found[i].finding));
		write_place(report, &v->found[i].place, w);
		kt_jsonw_member(w, "text", v->found[i].text);
		kt_jsonw_end_object(w);
	}
	kt_jsonw_end_array(w);
	kt_jsonw_member_int(w, "moreFindings", v->found_more);
	kt_jsonw_member_int(w, "acceptedFindings", v->accepted_findings);
}

static void write_word(struct kt_jsonw *w, const char *name, const char *word)
{
	char text[3 * WORD_MAX + 1];

	escape(word, text);
	kt_jsonw_member(w, name, text);
}

static void write_keys(const struct kt_audit_keyset *keys, struct kt_jsonw *w)
{
	char name[2 * KT_AUDIT_NAME_BYTES + 1];

	kt_jsonw_name(w, "keys");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; keys != NULL && i < keys->count; i++) {
		const struct kt_audit_key *key = &keys->keys[i];

		kt_hex_encode(key->name, sizeof(key->name), name);
		kt_jsonw_begin_object(w);
		kt_jsonw_member(w, "type", key->type == KT_AUDIT_HMAC ? "hmac" : "p256");
		kt_jsonw_member(w, "name", name);
		if (key->type == KT_AUDIT_HMAC) {
			write_word(w, "cluster", key->cluster);
			write_word(w, "keyId", key->key_id);
		}
		kt_jsonw_end_object(w);
	}
	kt_jsonw_end_array(w);
}

static void write_checkpoint(const struct kt_conclusion *v, struct kt_jsonw *w)
{
	char head[2 * KT_SHA256_BYTES + 1];

	if (!v->has_checkpoint)
		return;
	kt_hex_encode(v->head, sizeof(v->head), head);
	kt_jsonw_name(w, "lastCheckpoint");
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "tier", kt_audit_tier_name(v->tier));
	kt_jsonw_member_int(w, "time", v->last_ts);
	kt_jsonw_member_int(w, "auditCounter", v->last.counter);
	kt_jsonw_member_int(w, "resetCount", v->last.reset);
	kt_jsonw_member_int(w, "restartCount", v->last.restart);
	kt_jsonw_member(w, "nonce", v->nonce);
	kt_jsonw_member(w, "head", head);
	kt_jsonw_end_object(w);
}

static void write_join(const struct kt_report *report, struct kt_jsonw *w)
{
	struct kt_join_result r;

	if (report->join == NULL)
		return;
	kt_join_result(report->join, &r);
	kt_jsonw_name(w, "join");
	kt_jsonw_begin_object(w);
	kt_jsonw_member_int(w, "requests", r.events);
	kt_jsonw_member_int(w, "explained", r.explained);
	kt_jsonw_member_int(w, "unexplained", r.unexplained);
	kt_jsonw_member_int(w, "outside", r.outside);
	kt_jsonw_name(w, "decryptions");
	kt_jsonw_begin_array(w);
	for (size_t i = 0; i < r.listed; i++) {
		kt_jsonw_begin_object(w);
		kt_jsonw_member_int(w, "entry", r.list[i].n);
		kt_jsonw_member_int(w, "time", r.list[i].ts);
		kt_jsonw_member(w, "uid", r.list[i].uid);
		write_place(report, &r.list[i].place, w);
		kt_jsonw_end_object(w);
	}
	kt_jsonw_end_array(w);
	kt_jsonw_member(w, "strength", join_strength);
	kt_jsonw_end_object(w);
}

int kt_report_json(const struct kt_report *report, struct kt_error *e)
{
	const struct kt_conclusion *v = report->verdict;
	auto_secret struct kt_secret *text = NULL;
	struct kt_jsonw w;

	if (kt_secret_new_unlocked(JSON_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(&w, text);
	kt_jsonw_begin_object(&w);
	kt_jsonw_member(
		&w, "verdict", kt_conclusion_code(v) == KT_E_NONE ? "complete" : "incomplete");
	kt_jsonw_member_int(&w, "status", (uint64_t)kt_conclusion_code(v));
	kt_jsonw_member_int(&w, "entries", v->entries - v->first_n);
	kt_jsonw_member_int(&w, "entriesBefore", v->first_n);
	kt_jsonw_member_int(&w, "encryptions", v->totals.encryptions);
	kt_jsonw_member_int(&w, "decryptions", v->totals.decryptions);
	kt_jsonw_member_int(&w, "redone", v->totals.redone);
	kt_jsonw_member_int(&w, "certificates", v->totals.certificates);
	kt_jsonw_member_int(&w, "checkpoints", v->totals.checkpoints);
	write_checkpoint(v, &w);
	write_keys(v->keys, &w);
	write_findings(report, &w);
	write_join(report, &w);
	kt_jsonw_end_object(&w);
	if (kt_jsonw_end(&w, e) < 0 || kt_secret_append(text, "\n", 1, e) < 0)
		return -1;
	return kt_secret_write(text, STDOUT_FILENO, "standard output", e);
}

int kt_report_failure(const struct kt_report *report, struct kt_error *e)
{
	const struct kt_conclusion *v = report->verdict;
	const uint64_t count = v->found_count + v->found_more;
	const struct kt_found *first = &v->found[0];

	return kt_fail(e, kt_conclusion_code(v),
		"%s:%" PRIu64 ": %s: %s (%" PRIu64 " finding%s in all)",
		path_of(report, first->place.file), first->place.line,
		kt_audit_finding_name(first->finding), first->text, count, count == 1 ? "" : "s");
}
