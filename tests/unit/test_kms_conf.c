/* SPDX-License-Identifier: Apache-2.0 */
/* kms.conf: every line, every mistake with its place, and files that somebody else could write. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "kms-shim/conf.h"
#include "lib/auto.h"

#define LEAST "cluster = prod\nkey = k1.key\n"

static int parse(const char *text, struct kt_kms_conf **ret_conf, struct kt_error *e)
{
	return kt_kms_conf_parse(text, strlen(text), "/etc/kubetpm/kms.conf", ret_conf, e);
}

Test(kms_conf, has_defaults)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	struct kt_error e;

	cr_assert_eq(parse(LEAST, &conf, &e), 0, "%s", e.msg);
	cr_expect_str_eq(conf->module, "kms-tpm");
	cr_expect_str_eq(conf->version, "v2");
	cr_expect_str_eq(conf->key.epoch, "0");
	cr_expect_str_eq(conf->dir, "/etc/kubetpm");
	cr_expect_eq(conf->socket_mode, 0600);
	cr_expect_eq(conf->metrics_mode, 0600);
	cr_expect_eq(conf->log_calls, KT_LOG_CALLS_DEFAULT);
	cr_expect_eq(conf->old_key_count + conf->allow_uid_count + conf->line_count, 0);
	cr_expect(conf->listen == NULL && conf->metrics == NULL && conf->textfile == NULL &&
		  conf->tcti == NULL && conf->socket_owner == NULL);
}

Test(kms_conf, reads_every_line)
{
	static const char text[] = "# the first line\n"
				   "module = kms-other\n"
				   "\tcluster=a/b:c@d.e_f-G \t# a comment\n"
				   "\n"
				   "key   =   /abs/k2.key#2\n"
				   "epoch = 3\n"
				   "old-key = k1.key 2\n"
				   "old-key = k0.key\t \n"
				   "listen = unix:///run/kms.sock\n"
				   "metrics = unix:///run/metrics.sock\n"
				   "textfile = out/kms.prom\n"
				   "version = v2beta1\n"
				   "tcti = device:/dev/tpmrm0\n"
				   "socket-mode = 0660\n"
				   "socket-owner = root\n"
				   "socket-group = kube apiserver\n"
				   "allow-uid = 0\n"
				   "allow-uid = 4294967294\n"
				   "policy-dir = a = b\n"
				   "recovery = rec.pub\n"
				   "metrics-mode = 0666\n"
				   "metrics-group = monitoring\n"
				   "log-calls = all";
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	struct kt_error e;

	cr_assert_eq(parse(text, &conf, &e), 0, "%s", e.msg);
	cr_expect_str_eq(conf->module, "kms-other");
	cr_expect_str_eq(conf->cluster, "a/b:c@d.e_f-G");
	cr_expect_str_eq(conf->key.key, "/abs/k2.key#2");
	cr_expect_str_eq(conf->key.epoch, "3");
	cr_expect_eq(conf->key.number, 5);
	cr_assert_eq(conf->old_key_count, 2);
	cr_expect_str_eq(conf->old_keys[0].key, "k1.key");
	cr_expect_str_eq(conf->old_keys[0].epoch, "2");
	cr_expect_str_eq(conf->old_keys[1].key, "k0.key");
	cr_expect_str_eq(conf->old_keys[1].epoch, "0");
	cr_expect_eq(conf->old_keys[1].number, 8);
	cr_expect_str_eq(conf->listen, "unix:///run/kms.sock");
	cr_expect_str_eq(conf->metrics, "unix:///run/metrics.sock");
	cr_expect_str_eq(conf->textfile, "/etc/kubetpm/out/kms.prom");
	cr_expect_str_eq(conf->version, "v2beta1");
	cr_expect_str_eq(conf->tcti, "device:/dev/tpmrm0");
	cr_expect_eq(conf->socket_mode, 0660);
	cr_expect_eq(conf->metrics_mode, 0666);
	cr_expect_str_eq(conf->metrics_group, "monitoring");
	cr_expect_eq(conf->log_calls, KT_LOG_CALLS_ALL);
	cr_expect_str_eq(conf->socket_group, "kube apiserver");
	cr_assert_eq(conf->allow_uid_count, 2);
	cr_expect_eq(conf->allow_uids[1], 4294967294u);
	cr_assert_eq(conf->line_count, 2);
	cr_expect_str_eq(conf->lines[0].name, "policy-dir");
	cr_expect_str_eq(conf->lines[0].value, "a = b");
	cr_expect_eq(conf->lines[1].number, 20);
}

Test(kms_conf, names_the_line_of_a_mistake)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{"nothing", "is not name = value"},
		{"= value", "is no name"},
		{"Key = x", "is no name"},
		{"two words = x", "is no name"},
		{"word =", "has no value"},
		{"word = # nothing", "has no value"},
		{"word = \"x\"", "is quoted"},
		{"word = 'x'", "is quoted"},
		{"word = x\\", "continuation"},
		{"word = x\\ \t", "continuation"},
		{"word = x\r", "control character 0x0d"},
		{"word = \x1b[2J", "control character 0x1b"},
		{"cluster = prod", "\"cluster\" is given twice"},
		{"key = k2.key", "\"key\" is given twice"},
		{"word = x\nword = y", "\"word\" is given twice"},
		{"socket-mode = 600\nsocket-mode = 600", "\"socket-mode\" is given twice"},
		{"old-key = a b", "an epoch is a number"},
		{"old-key = a 1 2", "an epoch is a number"},
		{"epoch = 01", "without leading zeros"},
		{"epoch = -1", "an epoch is a number"},
		{"epoch = 1000000000000000000", "an epoch is a number"},
		{"module = ../x", "is no module name"},
		{"listen = /run/kms.sock", "is not unix:///PATH"},
		{"listen = unix://run/kms.sock", "is not unix:///PATH"},
		{"listen = unix:///", "is not unix:///PATH"},
		{"listen = tcp://0.0.0.0:1", "is not unix:///PATH"},
		{"listen = unix:///@kms", "abstract"},
		{"metrics = metrics.sock", "is not unix:///PATH"},
		{"version = v1", "version is v2 or v2beta1"},
		{"socket-mode = 0x1ff", "not an octal mode"},
		{"metrics-mode = 0066", "keeps its owner out"},
		{"metrics-mode = 600\nmetrics-mode = 600", "\"metrics-mode\" is given twice"},
		{"log-calls = yes", "all, default or none"},
		{"log-calls = all\nlog-calls = default", "\"log-calls\" is given twice"},
		{"textfile = x.txt", "ends in .prom"},
		{"textfile = .prom", "ends in .prom"},
		{"socket-mode = 1777", "not an octal mode"},
		{"socket-mode = 0066", "keeps its owner out"},
		{"allow-uid = root", "not a user's number"},
		{"allow-uid = -1", "not a user's number"},
		{"allow-uid = 4294967295", "not a user's number"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_kms_conf *conf = NULL;
		char text[256], place[64];
		struct kt_error e = {0};
		unsigned line = strchr(cases[i].line, '\n') != NULL ? 4 : 3;

		snprintf(text, sizeof(text), "%s%s\n", LEAST, cases[i].line);
		snprintf(place, sizeof(place), "/etc/kubetpm/kms.conf:%u: ", line);
		cr_expect_eq(parse(text, &conf, &e), -1, "%s", cases[i].line);
		cr_expect_eq(e.code, KT_E_USAGE, "%s", cases[i].line);
		cr_expect_eq(strncmp(e.msg, place, strlen(place)), 0, "%s", e.msg);
		cr_expect_not_null(strstr(e.msg, cases[i].message), "%s: %s", cases[i].line, e.msg);
		cr_expect_null(conf);
	}
}

Test(kms_conf, a_cluster_name_has_one_spelling)
{
	static const char *const names[] = {"pr od", "prod\xc3\xa9", "prod;", "prod\\x"};
	struct kt_kms_conf *conf = NULL;
	char text[1024], longest[257];
	struct kt_error e;

	for (size_t i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "key = k\ncluster = %s\n", names[i]);
		cr_expect_eq(parse(text, &conf, &e), -1, "%s", names[i]);
	}
	memset(longest, 'c', 256);
	longest[256] = '\0';
	snprintf(text, sizeof(text), "key = k\ncluster = %s\n", longest);
	cr_expect_eq(parse(text, &conf, &e), -1);
	snprintf(text, sizeof(text), "key = k\ncluster = %s\n", longest + 1);
	cr_expect_eq(parse(text, &conf, &e), 0, "%s", e.msg);
	kt_kms_conf_free(conf);
}

Test(kms_conf, needs_a_cluster_and_a_key)
{
	struct kt_kms_conf *conf = NULL;
	struct kt_error e;

	cr_expect_eq(parse("key = k\n", &conf, &e), -1);
	cr_expect_not_null(strstr(e.msg, "cluster = "), "%s", e.msg);
	cr_expect_eq(parse("cluster = c\nold-key = k\n", &conf, &e), -1);
	cr_expect_not_null(strstr(e.msg, "key = "), "%s", e.msg);
	cr_expect_eq(parse("", &conf, &e), -1);
	cr_expect_eq(parse(LEAST "listen=unix:///a\nmetrics=unix:///a\n", &conf, &e), -1);
	cr_expect_not_null(strstr(e.msg, "one socket"), "%s", e.msg);
	cr_expect_eq(kt_kms_conf_parse("cluster = c\0key = k", 19, "x", &conf, &e), -1);
	cr_expect_str_eq(e.msg, "x: contains a NUL byte");
}

/* `count` lines of a form with a number in it, behind LEAST. */
static int parse_many(const char *form, unsigned count, struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	auto_free char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	cr_assert_not_null(file);
	fputs(LEAST, file);
	for (unsigned i = 0; i < count; i++)
		fprintf(file,
			strcmp(form, "old") == 0   ? "old-key = k%u\n"
			: strcmp(form, "uid") == 0 ? "allow-uid = %u\n"
						   : "x%u = y\n",
			i);
	cr_assert_eq(fclose(file), 0);
	return parse(text, &conf, e);
}

Test(kms_conf, counts)
{
	static const struct {
		const char *form;
		unsigned max;
	} cases[] = {{"old", KT_KMS_OLD_KEYS_MAX}, {"uid", KT_KMS_PEERS_MAX},
		{"line", KT_KMS_MODULE_LINES_MAX}};
	struct kt_error e;

	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(parse_many(cases[i].form, cases[i].max, &e), 0, "%s", e.msg);
		cr_expect_eq(parse_many(cases[i].form, cases[i].max + 1, &e), -1);
		cr_expect_not_null(strstr(e.msg, "more than"), "%s", e.msg);
	}
}

Test(kms_conf, a_socket_path_fits_its_address)
{
	struct kt_kms_conf *conf = NULL;
	char text[512], path[120];
	struct kt_error e;

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	snprintf(text, sizeof(text), LEAST "listen = unix://%s\n", path);
	cr_expect_eq(parse(text, &conf, &e), -1);
	path[107] = '\0';
	snprintf(text, sizeof(text), LEAST "listen = unix://%s\n", path);
	cr_expect_eq(parse(text, &conf, &e), 0, "%s", e.msg);
	kt_kms_conf_free(conf);
}

static char folder[] = "/tmp/kt-conf.XXXXXX";

static void write_conf(const char *text, mode_t mode)
{
	auto_fd int fd = open("kms.conf", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
}

static void make_folder(void)
{
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
	cr_expect_eq(unlink("kms.conf"), 0);
	cr_expect_eq(chdir("/"), 0);
	cr_expect_eq(rmdir(folder), 0);
}

Test(kms_conf, reads_files_that_only_we_can_write, .init = make_folder, .fini = remove_folder)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	char expected[PATH_MAX];
	struct kt_error e;

	write_conf(LEAST, 0640);
	cr_assert_eq(kt_kms_conf_read("kms.conf", &conf, &e), 0, "%s", e.msg);
	snprintf(expected, sizeof(expected), "%s/kms.conf", folder);
	cr_expect_str_eq(conf->path, expected);
	cr_expect_str_eq(conf->dir, folder);
	kt_kms_conf_free(kt_take(conf));
	write_conf(LEAST, 0620);
	cr_expect_eq(kt_kms_conf_read("kms.conf", &conf, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
	cr_expect_eq(kt_kms_conf_read("none.conf", &conf, &e), -1);
	cr_expect_eq(e.code, KT_E_USAGE);
	cr_expect_eq(kt_kms_conf_read(".", &conf, &e), -1);
	cr_expect_eq(e.code, KT_E_REFUSED);
}

Test(kms_conf, reading_again_keeps_what_cannot_change, .init = make_folder, .fini = remove_folder)
{
	static const char *const changes[] = {LEAST "module = x\n", LEAST "version = v2beta1\n",
		"cluster = test\nkey = k1.key\n"};
	auto_kms_conf struct kt_kms_conf *conf = NULL, *again = NULL;
	struct kt_error e;

	write_conf(LEAST, 0600);
	cr_assert_eq(kt_kms_conf_read("kms.conf", &conf, &e), 0, "%s", e.msg);
	cr_assert_eq(kt_kms_conf_set_tcti(conf, "given", &e), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		write_conf(changes[i], 0600);
		cr_expect_eq(kt_kms_conf_reread(conf, &again, &e), -1, "%s", changes[i]);
		cr_expect_eq(e.code, KT_E_USAGE);
		cr_expect_not_null(strstr(e.msg, "restart"), "%s", e.msg);
	}
	write_conf("cluster = prod\nkey = k2\nold-key = k1.key\ntcti = other\nlisten = unix:///a\n",
		0600);
	cr_assert_eq(kt_kms_conf_reread(conf, &again, &e), 0, "%s", e.msg);
	cr_expect_str_eq(again->key.key, "k2");
	cr_expect_str_eq(again->tcti, "given");
	cr_expect_str_eq(again->listen, "unix:///a");
}
