/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms-shim: Kubernetes' key management service over a key that stays where it is. This file only
 * reads the command line and chooses the transport.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "kms-shim/check.h"
#include "kms-shim/conf.h"
#include "kms-shim/kms.h"
#include "kms-shim/serve.h"
#include "kms-shim/stdio.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/harden.h"
#include "lib/loader.h"
#include "lib/log.h"
#include "lib/opt.h"

#define PROGRAM "kms-shim"

struct options {
	const char *config;
	const char *module_dir;
	const char *tcti;
	bool use_stdio;
	bool verbose;
};

static const struct kt_opt opts[] = {
	{"config", 'c', "FILE", "the configuration, kms.conf (required)", KT_OPT_TEXT,
		offsetof(struct options, config)},
	{"stdio", 0, NULL, "answer JSON requests on standard input, one a line; open no socket",
		KT_OPT_FLAG, offsetof(struct options, use_stdio)},
	{"module-dir", 0, "DIR", "folder of modules (default: " KT_MODULEDIR ")", KT_OPT_TEXT,
		offsetof(struct options, module_dir)},
	{"tcti", 'T', "CONFIG",
		"how to reach the TPM (default: the configuration, $KUBETPM_TCTI, or "
		"device:/dev/tpmrm0)",
		KT_OPT_TEXT, offsetof(struct options, tcti)},
	{"verbose", 'v', NULL, "say on standard error what is done", KT_OPT_FLAG,
		offsetof(struct options, verbose)},
	{0},
};

static const struct kt_command command = {
	.program = PROGRAM,
	.summary = "encrypt Kubernetes Secrets with a key that stays in the TPM; '" PROGRAM
		   " check' asks one that runs",
	.opts = opts,
};

struct check_options {
	const char *config;
	const char *timeout;
	bool status_only;
	bool json;
	bool verbose;
};

static const struct kt_opt check_opts[] = {
	{"config", 'c', "FILE", "the configuration, which names the socket (required)", KT_OPT_TEXT,
		offsetof(struct check_options, config)},
	{"timeout", 0, "SECONDS", "how long all of it may take (default 5)", KT_OPT_TEXT,
		offsetof(struct check_options, timeout)},
	{"status-only", 0, NULL, "ask for Status, and encrypt nothing", KT_OPT_FLAG,
		offsetof(struct check_options, status_only)},
	{"json", 'j', NULL, "print JSON for machines", KT_OPT_FLAG,
		offsetof(struct check_options, json)},
	{"verbose", 'v', NULL, "say on standard error what is done", KT_OPT_FLAG,
		offsetof(struct check_options, verbose)},
	{0},
};

static const struct kt_command check_command = {
	.program = PROGRAM,
	.verb = "check",
	.summary = "ask the running kms-shim what an API server asks",
	.opts = check_opts,
};

static int parse_timeout(const char *text, int64_t *ret_us, struct kt_error *e)
{
	char *end;
	long seconds = text != NULL ? strtol(text, &end, 10) : 5;

	if (text != NULL &&
		(text[0] < '0' || text[0] > '9' || *end != '\0' || seconds < 1 || seconds > 3600))
		return kt_fail(e, KT_E_USAGE, "--timeout: 1 to 3600 seconds, not '%s'", text);
	*ret_us = (int64_t)seconds * 1000000;
	return 0;
}

static int run_check(int argc, char *argv[], struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	struct check_options options = {0};
	struct kt_check_options how = {0};
	bool done = false;
	int first;

	if (kt_opt_parse(&check_command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init(PROGRAM, options.verbose);
	if (options.config == NULL)
		return kt_fail(
			e, KT_E_USAGE, "no --config FILE given; try '" PROGRAM " check --help'");
	how.status_only = options.status_only;
	how.json = options.json;
	if (parse_timeout(options.timeout, &how.timeout_us, e) < 0 ||
		kt_kms_conf_read(options.config, &conf, e) < 0)
		return -1;
	return kt_check(conf, &how, e);
}

/* From here on a module that reads or writes standard descriptors finds nothing, and our log. */
static int take_streams(int *ret_in, int *ret_out, struct kt_error *e)
{
	auto_fd int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	auto_fd int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (in < 0 || out < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "standard input and output");
	*ret_in = in;
	*ret_out = out;
	in = out = -1;
	return 0;
}

/* Between requests only: a module that holds the TPM is never left in the middle of a command, and
 * closes it before the signal takes its course. */
static int take_signals(int *ret_fd, struct kt_error *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot hold signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "signalfd");
	*ret_fd = fd;
	return 0;
}

static void die_of(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	if (signal(number, SIG_DFL) != SIG_ERR && raise(number) == 0)
		sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int run_stdio(struct kt_kms_conf **conf, const char *module_dir, struct kt_error *e)
{
	auto_kms struct kt_kms *kms = NULL;
	auto_fd int in = -1;
	auto_fd int out = -1;
	auto_fd int signals = -1;
	int number = 0;

	if (take_streams(&in, &out, e) < 0 || take_signals(&signals, e) < 0 ||
		kt_kms_open(*conf, module_dir, &kms, e) < 0 ||
		kt_stdio_serve(&kms, conf, in, out, signals, &number, e) < 0)
		return -1;
	kt_kms_close(kt_take(kms));
	if (number != 0)
		die_of(number);
	return 0;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	auto_free char *module_dir = NULL;
	struct options options = {0};
	bool done = false;
	int first;

	if (argc > 1 && strcmp(argv[1], check_command.verb) == 0)
		return run_check(argc - 1, argv + 1, e);
	if (kt_opt_parse(&command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init(PROGRAM, options.verbose);
	if (options.config == NULL)
		return kt_fail(e, KT_E_USAGE, "no --config FILE given; try '" PROGRAM " --help'");
	if (kt_kms_conf_read(options.config, &conf, e) < 0 ||
		kt_kms_conf_set_tcti(conf, options.tcti, e) < 0 ||
		kt_module_dir(options.module_dir, &module_dir, e) < 0)
		return -1;
	if (options.use_stdio)
		return run_stdio(&conf, module_dir, e);
	if (conf->listen == NULL)
		return kt_fail(e, KT_E_USAGE,
			"%s: no \"listen = unix:///PATH\" in it, and --stdio is not given",
			conf->path);
	return kt_serve(conf->path, conf, module_dir, e);
}

int main(int argc, char *argv[])
{
	struct kt_error e = {0};

	kt_log_init(PROGRAM, false);
	if (kt_harden(&e) < 0 || run(argc, argv, &e) < 0)
		return kt_report(&e);
	return 0;
}
