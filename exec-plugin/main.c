/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec-plugin: what kubectl, client-go and the kubelet start to get a credential. Options, the
 * arrangement of descriptors, which of the two protocols it is, and printing the answer, once. The
 * TPM is the modules' business: nothing of its stack is linked here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec-plugin/credprovider.h"
#include "exec-plugin/execcred.h"
#include "exec-plugin/host.h"
#include "exec-plugin/profile.h"
#include "exec-plugin/stack.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/harden.h"
#include "lib/io.h"
#include "lib/loader.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/secret.h"

/* The kubelet gives up after 60 s, client-go never, and holds all its requests meanwhile. */
#define DEADLINE_SECONDS 50
#define DEADLINE_GRACE_SECONDS 5

struct options {
	const char *profile;
	const char *profile_dir;
	const char *module_dir;
	const char *tcti;
	bool verbose;
	bool modules;
};

static const struct kt_opt opts[] = {
	{"profile", 'p', "NAME", "which profile (default: default)", KT_OPT_TEXT,
		offsetof(struct options, profile)},
	{"profile-dir", 0, "DIR", "folder of profiles (default: " KT_PROFILEDIR ")", KT_OPT_TEXT,
		offsetof(struct options, profile_dir)},
	{"module-dir", 0, "DIR", "folder of modules (default: " KT_MODULEDIR ")", KT_OPT_TEXT,
		offsetof(struct options, module_dir)},
	{"tcti", 'T', "CONFIG",
		"how to reach the TPM (default: $KUBETPM_TCTI, or device:/dev/tpmrm0)", KT_OPT_TEXT,
		offsetof(struct options, tcti)},
	{"modules", 0, NULL, "list the modules and their arguments", KT_OPT_FLAG,
		offsetof(struct options, modules)},
	{"verbose", 'v', NULL, "say on standard error what is done", KT_OPT_FLAG,
		offsetof(struct options, verbose)},
	{0},
};

static const struct kt_command command = {
	.program = "exec-plugin",
	.summary = "answer a Kubernetes client's request for a credential",
	.opts = opts,
};

static void on_end(int number)
{
	(void)number;
	_exit(KT_E_TPM);
}

/* The first time, end as if told to: a module that holds the TPM holds SIGTERM back, and cleans up
 * first. The second time, there is nothing left to wait for. */
static void on_deadline(int number)
{
	static const char message[] = "exec-plugin: no answer in time; giving up\n";
	static volatile sig_atomic_t again;
	struct sigaction action = {.sa_handler = on_end};
	ssize_t ignored;

	if (again)
		_exit(KT_E_TPM);
	again = 1;
	ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
	(void)ignored;
	alarm(DEADLINE_GRACE_SECONDS);
	if (sigaction(SIGTERM, &action, NULL) < 0 || kill(getpid(), SIGTERM) < 0)
		_exit(KT_E_TPM);
	(void)number;
}

static int set_deadline(struct kt_error *e)
{
	struct sigaction action = {.sa_handler = on_deadline, .sa_flags = SA_RESTART};

	if (sigaction(SIGALRM, &action, NULL) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "sigaction");
	alarm(DEADLINE_SECONDS);
	return 0;
}

/* From here on descriptor 1 is standard error: what a module prints becomes a line in a log, and
 * only we can write to the real one. */
static int take_stdout(int *ret_fd, struct kt_error *e)
{
	auto_fd int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int close_stdin(struct kt_error *e)
{
	auto_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "/dev/null");
	return 0;
}

static int run_profile(
	const struct options *options, struct kt_exec_host *host, int out, struct kt_error *e)
{
	const char *name = options->profile != NULL ? options->profile : "default";
	const char *dir = options->profile_dir != NULL ? options->profile_dir : KT_PROFILEDIR;
	const char *tcti = options->tcti != NULL ? options->tcti : secure_getenv("KUBETPM_TCTI");
	auto_profile struct kt_profile *profile = NULL;
	auto_stack struct kt_stack *stack = NULL;
	auto_secret struct kt_secret *answer = NULL;
	auto_free char *profile_dir = NULL;
	auto_free char *module_dir = NULL;
	auto_free char *path = NULL;

	host->base.items[KT_ITEM_PROFILE] = name;
	host->base.items[KT_ITEM_TCTI] = tcti != NULL && *tcti != '\0' ? tcti : NULL;
	if (kt_profile_read(dir, name, &profile, &profile_dir, e) < 0 ||
		kt_module_dir(options->module_dir, &module_dir, e) < 0)
		return -1;
	if (asprintf(&path, "%s/%s", profile_dir, name) < 0) {
		path = NULL;
		return kt_fail_memory(e);
	}
	if (kt_stack_load(profile, path, profile_dir, module_dir, &stack, e) < 0)
		return -1;
	if (kt_stack_run(stack, host, e) < 0 || kt_exec_host_answer(host, &answer, e) < 0)
		return kt_wrap(e, "profile %s", name);
	return kt_secret_write(answer, out, "standard output", e);
}

static int answer_exec(const struct options *options, const char *info, int out, struct kt_error *e)
{
	struct kt_execcred request = {0};
	struct kt_exec_host host;
	int result = 0;

	if (kt_execcred_parse(info, strlen(info), &request, e) < 0)
		return kt_wrap(e, "KUBERNETES_EXEC_INFO");
	kt_exec_host_init_exec(&host, &request, (int64_t)time(NULL));
	if (!request.interactive)
		result = close_stdin(e);
	if (result == 0 && !request.interactive)
		result = set_deadline(e);
	if (result == 0)
		result = run_profile(options, &host, out, e);
	kt_exec_host_fini(&host);
	kt_execcred_fini(&request);
	return result;
}

static int answer_image(const struct options *options, int out, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_credprovider request = {0};
	struct kt_exec_host host;
	int result;

	if (isatty(STDIN_FILENO))
		return kt_fail(e, KT_E_USAGE,
			"nothing to answer: KUBERNETES_EXEC_INFO is not set and standard input is "
			"a "
			"terminal; kubectl or the kubelet starts this program, see --help");
	if (set_deadline(e) < 0 || kt_secret_read_all(STDIN_FILENO, KT_CREDPROVIDER_MAX_BYTES,
					   "standard input", &text, e) < 0)
		return -1;
	if (kt_secret_len(text) == 0)
		return kt_fail(e, KT_E_USAGE,
			"nothing to answer: KUBERNETES_EXEC_INFO is not set and standard input is "
			"empty; kubectl or the kubelet starts this program, see --help");
	if (kt_credprovider_parse(text, &request, e) < 0)
		return kt_wrap(e, "standard input");
	kt_exec_host_init_image(&host, &request, (int64_t)time(NULL));
	result = close_stdin(e);
	if (result == 0)
		result = run_profile(options, &host, out, e);
	kt_exec_host_fini(&host);
	kt_credprovider_fini(&request);
	return result;
}

static int is_module_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static int print_module(const char *dir, const char *name, int out, struct kt_error *e)
{
	struct kt_module module;

	if (kt_module_load(dir, name, &module, e) < 0)
		return -1;
	if (dprintf(out, "%s: %s\n", module.name,
		    module.summary != NULL ? module.summary : "no summary") < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	for (const struct kt_param *p = module.params; p != NULL && p->key != NULL; p++)
		if (dprintf(out, "    %s=  %s%s\n", p->key, p->meaning != NULL ? p->meaning : "",
			    (p->flags & KT_PARAM_REQUIRED) != 0 ? " (required)" : "") < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	return 0;
}

/* A bad one does not hide the others, but decides the exit status. */
static int list_modules(const char *option, int out, struct kt_error *e)
{
	auto_free char *dir = NULL;
	struct dirent **entries = NULL;
	int result = 0, count;

	if (kt_module_dir(option, &dir, e) < 0)
		return -1;
	count = scandir(dir, &entries, is_module_file, alphasort);
	if (count < 0)
		return kt_fail_errno(e, KT_E_USAGE, "folder of modules %s", dir);
	for (int i = 0; i < count; i++) {
		struct kt_error failure;

		entries[i]->d_name[strlen(entries[i]->d_name) - 3] = '\0';
		if (print_module(dir, entries[i]->d_name, out, &failure) < 0) {
			if (result < 0)
				kt_warn("%s", failure.msg);
			else
				*e = failure;
			result = -1;
		}
		free(entries[i]);
	}
	free(entries);
	return result;
}

static int run(int argc, char *argv[], struct kt_error *e)
{
	struct options options = {0};
	const char *info = secure_getenv("KUBERNETES_EXEC_INFO");
	auto_fd int out = -1;
	bool done = false;
	int first;

	if (kt_opt_parse(&command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init("exec-plugin", options.verbose);
	if (take_stdout(&out, e) < 0)
		return -1;
	if (options.modules)
		return list_modules(options.module_dir, out, e);
	if (info != NULL)
		return answer_exec(&options, info, out, e);
	return answer_image(&options, out, e);
}

int main(int argc, char *argv[])
{
	struct kt_error e = {0};

	kt_log_init("exec-plugin", false);
	if (kt_harden(&e) < 0 || run(argc, argv, &e) < 0)
		return kt_report(&e);
	return 0;
}
