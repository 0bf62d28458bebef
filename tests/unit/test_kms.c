/* SPDX-License-Identifier: Apache-2.0 */
/* The core: limits in both directions, failing closed, finding keys, and what a module is told. */
#include <unistd.h>

#include "kms.h"
#include "lib/key-id.h"

static struct kt_kms_encrypted encrypt(struct kt_kms *kms, const char *plaintext)
{
	struct kt_kms_encrypted encrypted;
	struct kt_error e;

	cr_assert_eq(kt_kms_encrypt(kms, "u1", plaintext, strlen(plaintext), &encrypted, &e), 0,
		"%s", e.msg);
	return encrypted;
}

Test(kms, opens_what_it_encrypted)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted = encrypt(kms, "hello");
	struct kt_kms_status status;
	struct kt_error e;

	cr_expect_arr_eq(encrypted.record.ciphertext.data, "olleh", 5);
	cr_expect_str_eq(plan.uid, "u1");
	cr_assert_eq(kt_kms_status(kms, &status, &e), 0);
	cr_expect_str_eq(status.version, "v2");
	cr_expect_str_eq(status.healthz, "ok");
	cr_expect_str_eq(status.key_id, encrypted.key_id);
	cr_expect_str_eq(plan.key_id, encrypted.key_id);
	cr_assert_eq(
		kt_kms_decrypt(kms, "u2", encrypted.key_id, &encrypted.record, &plaintext, &e), 0);
	cr_expect_eq(kt_secret_len(plaintext), 5);
	cr_expect_arr_eq(kt_secret_bytes(plaintext), "hello", 5);
	cr_expect_str_eq(plan.uid, "u2");
}

Test(kms, names_a_key_by_all_that_makes_it_unique)
{
	static const struct kt_key_id_parts other[] = {
		{"prod", "kms-tpm", "k", "1", "0"},
		{"prodk", "ms-tpm", "k", "1", "0"},
		{"prod", "kms-tpmk", "", "1", "0"},
		{"prod", "kms-tpm", "k", "", "10"},
		{"prod", "kms-tpm", "k", "1", "1"},
		{"test", "kms-tpm", "k", "1", "0"},
	};
	char ids[6][KT_KMS_KEY_ID_SIZE], hash[KT_KMS_KEY_ID_SIZE];
	struct kt_error e;

	for (size_t i = 0; i < 6; i++) {
		cr_assert_eq(kt_key_id(&other[i], ids[i], &e), 0);
		for (size_t k = 0; k < i; k++)
			cr_expect_str_neq(ids[i], ids[k]);
	}
	/* Python: sha256(b"".join(pack(">I", len(t)) + t for t in (b"kubetpm.kms.key-id", ...))) */
	cr_expect_str_eq(
		ids[0], "sha256:e58cfbe89cd20186004ab6c9407ad2d8ecbe7520ed574ebdd5c66e726a4722ee");
	/* sha256sum of "abc" (FIPS 180-4) */
	cr_assert_eq(kt_key_id_hash("abc", hash, &e), 0);
	cr_expect_str_eq(
		hash, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(kms, another_epoch_is_another_key_id_and_both_decrypt)
{
	auto_kms struct kt_kms *before = open_core("module=fake\ncluster=c\nkey=a\n");
	auto_kms struct kt_kms *after =
		open_core("module=fake\ncluster=c\nkey=a\nepoch=1\nold-key=a 0\n");
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted = encrypt(before, "x");
	struct kt_kms_status status;
	struct kt_error e;

	cr_assert_eq(kt_kms_status(after, &status, &e), 0);
	cr_expect_str_neq(status.key_id, encrypted.key_id);
	cr_expect_eq(
		kt_kms_decrypt(after, "", encrypted.key_id, &encrypted.record, &plaintext, &e), 0);
}

Test(kms, decrypts_with_old_keys_and_no_others)
{
	auto_kms struct kt_kms *before = open_core("module=fake\ncluster=prod\nkey=old\n");
	auto_kms struct kt_kms *foreign = open_core("module=fake\ncluster=test\nkey=old\n");
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted = encrypt(before, "hello");
	struct kt_error e;

	cr_assert_eq(
		kt_kms_decrypt(kms, "", encrypted.key_id, &encrypted.record, &plaintext, &e), 0);
	cr_expect_arr_eq(kt_secret_bytes(plaintext), "hello", 5);
	kt_secret_free(kt_take(plaintext));
	encrypted = encrypt(foreign, "hello");
	cr_expect_eq(
		kt_kms_decrypt(kms, "", encrypted.key_id, &encrypted.record, &plaintext, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_not_null(strstr(e.msg, encrypted.key_id), "%s", e.msg);
	cr_expect_not_null(strstr(e.msg, "/etc/kms.conf"), "%s", e.msg);
	cr_expect_eq(kt_kms_decrypt(kms, "", "", &encrypted.record, &plaintext, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_null(plaintext);
}

Test(kms, fails_closed_when_the_module_says_no)
{
	static const struct {
		enum kt_result result;
		enum kt_code code, expected;
		enum kt_grpc_code grpc;
	} cases[] = {
		{KT_DENIED, KT_E_POLICY, KT_E_POLICY, KT_GRPC_FAILED_PRECONDITION},
		{KT_DENIED, KT_E_NONE, KT_E_REFUSED, KT_GRPC_PERMISSION_DENIED},
		{KT_UNAVAIL, KT_E_TPM, KT_E_TPM, KT_GRPC_UNAVAILABLE},
		{KT_UNAVAIL, KT_E_LOCKOUT, KT_E_LOCKOUT, KT_GRPC_UNAVAILABLE},
		{KT_UNAVAIL, KT_E_NONE, KT_E_NETWORK, KT_GRPC_UNAVAILABLE},
		{KT_PASS, KT_E_NONE, KT_E_INTERNAL, KT_GRPC_INTERNAL},
		{(enum kt_result)77, KT_E_NONE, KT_E_INTERNAL, KT_GRPC_INTERNAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_kms struct kt_kms *kms = open_core(CONF);
		auto_secret struct kt_secret *plaintext = NULL;
		struct kt_kms_encrypted encrypted = encrypt(kms, "x");
		struct kt_kms_encrypted unset = {0};
		struct kt_kms_status status = {0};
		struct kt_error e = {0};

		plan.status = plan.encrypt = plan.decrypt = cases[i].result;
		plan.code = cases[i].code;
		cr_expect_eq(kt_kms_status(kms, &status, &e), -1, "case %zu", i);
		cr_expect_eq(e.code, cases[i].expected, "case %zu: %d", i, e.code);
		cr_expect_eq(kt_grpc_code_of(e.code), cases[i].grpc, "case %zu", i);
		cr_expect_null(status.healthz);
		cr_expect_eq(kt_kms_encrypt(kms, "", "x", 1, &unset, &e), -1, "case %zu", i);
		cr_expect_eq(e.code, cases[i].expected, "case %zu", i);
		cr_expect_null(unset.key_id);
		cr_expect_eq(kt_kms_decrypt(
				     kms, "", encrypted.key_id, &encrypted.record, &plaintext, &e),
			-1, "case %zu", i);
		cr_expect_null(plaintext);
		plan.status = plan.encrypt = plan.decrypt = KT_OK;
	}
}

Test(kms, status_asks_the_module_once_a_second)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	struct kt_kms_status status;
	struct kt_error e;

	for (int i = 0; i < 100; i++)
		cr_assert_eq(kt_kms_status(kms, &status, &e), 0);
	cr_expect_eq(plan.asked, 1, "asked %u times", plan.asked);
	cr_expect_eq(kt_kms_module_time(kms), 0);
	plan.status = KT_DENIED;
	usleep(1010000);
	cr_expect_eq(kt_kms_status(kms, &status, &e), -1);
	plan.status = KT_OK;
	cr_expect_eq(kt_kms_status(kms, &status, &e), -1, "an answer holds for a second");
	usleep(1010000);
	cr_expect_eq(kt_kms_status(kms, &status, &e), 0);
	cr_expect_eq(plan.asked, 3, "asked %u times", plan.asked);
}

Test(kms, a_failed_call_makes_status_ask_again)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	struct kt_kms_encrypted encrypted;
	struct kt_kms_status status;
	struct kt_error e;

	cr_assert_eq(kt_kms_status(kms, &status, &e), 0);
	plan.status = plan.encrypt = KT_DENIED;
	plan.code = KT_E_POLICY;
	cr_assert_eq(kt_kms_encrypt(kms, "", "x", 1, &encrypted, &e), -1);
	cr_expect_eq(kt_kms_status(kms, &status, &e), -1);
	cr_expect_eq(e.code, KT_E_POLICY);
}

static uint8_t large[KT_KMS_ANNOTATIONS_MAX_BYTES + 1];

static void make_empty(struct kt_kms_record *record)
{
	record->ciphertext.len = 0;
}
static void make_null(struct kt_kms_record *record)
{
	record->ciphertext.data = NULL;
}
static void make_long(struct kt_kms_record *record)
{
	record->ciphertext = (struct kt_bytes){large, 1025};
}
static void make_path(struct kt_kms_record *record)
{
	record->annotations[0].name = "kms.kubernetes.io/local-kek";
}
static void make_nameless(struct kt_kms_record *record)
{
	record->annotations[0].name = NULL;
}
static void make_double(struct kt_kms_record *record)
{
	record->annotations[1] = record->annotations[0];
	record->annotation_count = 2;
}
static void make_many(struct kt_kms_record *record)
{
	record->annotation_count = KT_KMS_ANNOTATIONS_MAX + 1;
}
static void make_large(struct kt_kms_record *record)
{
	record->annotations[0].value =
		(struct kt_bytes){large, 32768 - strlen("id.kubetpm.internal") + 1};
}
static void make_large_by_sum(struct kt_kms_record *record)
{
	record->annotations[0].value = (struct kt_bytes){large, 32000};
	record->annotations[1] = (struct kt_kms_annotation){"b.c", {large, 750}};
	record->annotation_count = 2;
}
static void make_huge(struct kt_kms_record *record)
{
	record->annotations[0].value = (struct kt_bytes){large, SIZE_MAX};
}
static void make_largest(struct kt_kms_record *record)
{
	record->ciphertext = (struct kt_bytes){large, 1024};
	record->annotations[0].value =
		(struct kt_bytes){large, 32768 - strlen("id.kubetpm.internal")};
}

Test(kms, gives_out_nothing_that_the_api_server_would_refuse)
{
	void (*const spoilers[])(struct kt_kms_record *) = {make_empty, make_null, make_long,
		make_path, make_nameless, make_double, make_many, make_large, make_large_by_sum,
		make_huge};
	auto_kms struct kt_kms *kms = open_core(CONF);
	struct kt_kms_encrypted encrypted = {0};
	struct kt_bytes cipher = {0};
	struct kt_error e;

	for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
		plan.spoil = spoilers[i];
		cr_expect_eq(kt_kms_encrypt(kms, "", "x", 1, &encrypted, &e), -1, "spoiler %zu", i);
		cr_expect_eq(e.code, KT_E_INTERNAL, "spoiler %zu", i);
		cr_expect_eq(kt_kms_encrypt_v1(kms, "x", 1, &cipher, &e), -1, "spoiler %zu", i);
	}
	cr_expect_null(encrypted.key_id);
	cr_expect_null(cipher.data);
	plan.spoil = make_largest;
	cr_expect_eq(kt_kms_encrypt(kms, "", "x", 1, &encrypted, &e), 0, "%s", e.msg);
}

Test(kms, refuses_requests_beyond_the_limits)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_free char *big = calloc(1, KT_KMS_MESSAGE_MAX_BYTES + 1);
	struct kt_kms_encrypted encrypted = {0};
	char uid[258];
	struct kt_error e;

	memset(uid, 'u', 257);
	uid[257] = '\0';
	cr_assert_not_null(big);
	cr_expect_eq(kt_kms_encrypt(kms, "", big, 0, &encrypted, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(
		kt_kms_encrypt(kms, "", big, KT_KMS_MESSAGE_MAX_BYTES + 1, &encrypted, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(kt_kms_encrypt(kms, uid, "x", 1, &encrypted, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	cr_expect_eq(kt_kms_encrypt(kms, uid + 1, "x", 1, &encrypted, &e), 0, "%s", e.msg);
	cr_expect_eq(kt_kms_encrypt(kms, "a\nb", "x", 1, &encrypted, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
	plan.spoil = make_largest;
	cr_expect_eq(kt_kms_encrypt(kms, "", big, KT_KMS_MESSAGE_MAX_BYTES, &encrypted, &e), 0);
}

Test(kms, checks_a_record_before_the_module_sees_it)
{
	void (*const spoilers[])(struct kt_kms_record *) = {make_empty, make_null, make_long,
		make_path, make_double, make_many, make_large, make_huge};
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted = encrypt(kms, "x");
	struct kt_error e;

	plan.uid[0] = '\0';
	for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
		struct kt_kms_record record = encrypted.record;

		spoilers[i](&record);
		cr_expect_eq(kt_kms_decrypt(kms, "seen", encrypted.key_id, &record, &plaintext, &e),
			-1, "spoiler %zu", i);
		cr_expect_eq(e.code, KT_E_INPUT, "spoiler %zu", i);
	}
	cr_expect_str_eq(plan.uid, "");
}

Test(kms, a_plaintext_that_is_none_does_not_pass)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted = encrypt(kms, "x");
	struct kt_error e;

	plan.no_plaintext = true;
	cr_expect_eq(
		kt_kms_decrypt(kms, "", encrypted.key_id, &encrypted.record, &plaintext, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
}

Test(kms, v1_carries_all_in_its_ciphertext)
{
	auto_kms struct kt_kms *before = open_core("module=fake\ncluster=prod\nkey=old\n");
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_bytes cipher;
	struct kt_error e;

	cr_assert_eq(kt_kms_encrypt_v1(before, "ping", 4, &cipher, &e), 0, "%s", e.msg);
	cr_assert_eq(
		kt_kms_decrypt_v1(kms, cipher.data, cipher.len, &plaintext, &e), 0, "%s", e.msg);
	cr_expect_eq(kt_secret_len(plaintext), 4);
	cr_expect_arr_eq(kt_secret_bytes(plaintext), "ping", 4);
}

Test(kms, tells_a_module_until_when_the_caller_waits)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	auto_secret struct kt_secret *plaintext = NULL;
	struct kt_kms_encrypted encrypted;
	struct kt_error e;

	kt_kms_set_deadline(kms, 12345);
	encrypted = encrypt(kms, "x");
	cr_expect_eq(plan.deadline_ms, 12345);
	kt_kms_set_deadline(kms, 0);
	cr_expect_eq(
		kt_kms_decrypt(kms, "", encrypted.key_id, &encrypted.record, &plaintext, &e), 0);
	cr_expect_eq(plan.deadline_ms, 0);
}

Test(kms, keeps_what_the_module_counts_until_it_is_taken)
{
	auto_kms struct kt_kms *kms = open_core(CONF);
	struct kt_kms_counts counts;

	plan.commands = 3;
	encrypt(kms, "x");
	encrypt(kms, "y");
	kt_kms_take_counts(kms, &counts);
	cr_expect_eq(counts.commands, 6);
	cr_expect_eq(counts.retries, 0);
	kt_kms_take_counts(kms, &counts);
	cr_expect_eq(counts.commands, 0);
}

Test(kms, tells_a_module_its_lines_and_the_request)
{
	auto_kms struct kt_kms *kms =
		open_core("module=fake\ncluster=prod\nkey=k\nword=w x\nfile=f\ntcti=swtpm\n");

	(void)kms;
	cr_assert_eq(plan.argc, 3);
	cr_expect_str_eq(plan.argv[0], "key=/etc/k");
	cr_expect_str_eq(plan.argv[1], "word=w x");
	cr_expect_str_eq(plan.argv[2], "file=/etc/f");
	cr_expect_str_eq(plan.items[0], "kms");
	cr_expect_str_eq(plan.items[1], "prod");
	cr_expect_str_eq(plan.items[2], "swtpm");
}

Test(kms, opens_all_keys_or_none)
{
	struct kt_kms *kms = NULL;
	struct kt_error e;

	plan.open_fails = "old";
	plan.code = KT_E_TPM;
	cr_expect_eq(try_open(CONF, &fake_module, &kms, &e), -1);
	cr_expect_eq(e.code, KT_E_TPM);
	cr_expect_str_eq(e.msg, "/etc/kms.conf:4: fake: as planned");
	cr_expect_null(kms);
	cr_expect_eq(plan.opened, 2);
	cr_expect_eq(plan.closed, 2);
	plan.open_fails = NULL;
	plan.no_name = true;
	cr_expect_eq(try_open(CONF, &fake_module, &kms, &e), -1);
	cr_expect_eq(e.code, KT_E_INTERNAL);
	cr_expect_eq(plan.closed, plan.opened);
}

Test(kms, refuses_what_module_and_configuration_do_not_agree_on)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{CONF "nonsense = 1\n", "/etc/kms.conf:5: neither kms-shim nor module fake knows"},
		{CONF "old-key = new\n", "/etc/kms.conf:5: this key, with this epoch"},
		{CONF "old-key = old 0\n", "/etc/kms.conf:5: this key, with this epoch"},
	};
	static const struct kt_param keyless[] = {{"word", "a word", KT_PARAM_REQUIRED}, {0}};
	struct kt_module module = fake_module;
	struct kt_kms *kms = NULL;
	struct kt_error e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(try_open(cases[i].text, &fake_module, &kms, &e), -1);
		cr_expect_eq(e.code, KT_E_USAGE);
		cr_expect_eq(
			strncmp(e.msg, cases[i].message, strlen(cases[i].message)), 0, "%s", e.msg);
	}
	module.params = keyless;
	cr_expect_eq(try_open(CONF, &module, &kms, &e), -1);
	cr_expect_not_null(strstr(e.msg, "needs \"word"), "%s", e.msg);
	cr_expect_eq(try_open(CONF "word = x\n", &module, &kms, &e), -1);
	cr_expect_not_null(strstr(e.msg, "takes no key"), "%s", e.msg);
	module = fake_module;
	module.kms_decrypt = NULL;
	cr_expect_eq(try_open(CONF, &module, &kms, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_not_null(strstr(e.msg, "serves no keys"), "%s", e.msg);
}

Test(kms, every_exit_status_has_a_grpc_code)
{
	cr_expect_eq(kt_grpc_code_of(KT_E_NONE), KT_GRPC_OK);
	for (int code = KT_E_INTERNAL; code <= KT_E_EVIDENCE; code++) {
		cr_expect_neq(kt_grpc_code_of((enum kt_code)code), KT_GRPC_OK);
		cr_expect_str_neq(
			kt_grpc_code_name(kt_grpc_code_of((enum kt_code)code)), "UNKNOWN");
	}
	cr_expect_str_eq(kt_grpc_code_name(KT_GRPC_FAILED_PRECONDITION), "FAILED_PRECONDITION");
	cr_expect_str_eq(kt_grpc_code_name((enum kt_grpc_code)99), "UNKNOWN");
	cr_expect_eq(kt_grpc_code_of((enum kt_code)99), KT_GRPC_INTERNAL);
}
