/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec-plugin: what kubectl, client-go and the kubelet start to get a credential. Options, the
 * arrangement of descriptors, which of the two protocols it is, and printing the answer, once. The
 * TPM is the modules' business: nothing of its stack is linked here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec-plugin/credprovider.h"
#include "exec-plugin/deadline.h"
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

/* The real standard output, once it has been moved. */
static int answer_fd = -1;
static bool finished;

/* exit(0) in a module must not look like success without an answer. */
static void refuse_early_end(void)
{
	if (finished)
		return;
	kt_warn("a module ended the program");
	_exit(KT_E_INTERNAL);
}

/* A child of a module's would keep the client waiting for the end of our output. */
static void leave_to_parent(void)
{
	finished = true;
	if (answer_fd >= 0)
		close(answer_fd);
}

static int guard_against_modules(struct kt_error *e)
{
	if (atexit(refuse_early_end) != 0 || pthread_atfork(NULL, NULL, leave_to_parent) != 0)
		return kt_fail_memory(e);
	return 0;
}

/* From here on descriptor 1 is standard error: what a module prints becomes a line in a log, and
 * only we can write to the real one. */
static int take_stdout(struct kt_error *e)
{
	answer_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (answer_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	return 0;
}

static int close_stdin(struct kt_error *e)
{
	auto_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "/dev/null");
	return 0;
}

static int64_t seconds_now(void)
{
	return (int64_t)time(NULL);
}

static int run_profile(const struct options *options, struct kt_exec_host *host, struct kt_error *e)
{
	const char *name = options->profile != NULL ? options->profile : "default";
	const char *dir = options->profile_dir != NULL ? options->profile_dir : KT_PROFILEDIR;
	const char *tcti = options->tcti != NULL ? options->tcti : secure_getenv("KUBETPM_TCTI");
	auto_profile struct kt_profile *profile = NULL;
	auto_free char *profile_dir = NULL;
	auto_free char *module_dir = NULL;
	auto_free char *path = NULL;
	auto_stack struct kt_stack *stack = NULL;
	auto_secret struct kt_secret *answer = NULL;

	host->base.items[KT_ITEM_PROFILE] = name;
	host->base.items[KT_ITEM_TCTI] = tcti != NULL && *tcti != '\0' ? tcti : NULL;
	if (kt_profile_read(dir, name, &profile, &profile_dir, e) < 0 ||
		kt_module_dir(options->module_dir, &module_dir, e) < 0)
		return -1;
	if (asprintf(&path, "%s/%s", profile_dir, name) < 0) {
		path = NULL;
		return kt_fail_memory(e);
	}
	if (kt_stack_load(profile, path, profile_dir, module_dir, &stack, e) < 0 ||
		kt_stack_open(stack, host, e) < 0)
		return -1;
	if (kt_stack_run(stack, host, e) < 0 || kt_exec_host_answer(host, &answer, e) < 0)
		return kt_wrap(e, "profile %s", name);
	return kt_secret_write(answer, answer_fd, "standard output", e);
}

static int answer_exec(const struct options *options, const char *info, struct kt_error *e)
{
	struct kt_execcred request = {0};
	struct kt_exec_host host;
	int result = 0;

	if (kt_execcred_parse(info, strlen(info), &request, e) < 0)
		return kt_wrap(e, "KUBERNETES_EXEC_INFO");
	kt_exec_host_init_exec(&host, &request, seconds_now);
	kt_deadline_for_answer(request.interactive);
	if (!request.interactive)
		result = close_stdin(e);
	if (result == 0)
		result = run_profile(options, &host, e);
	kt_exec_host_fini(&host);
	kt_execcred_fini(&request);
	return result;
}

/* The text of the request, which may hold a service account's token, is gone when this returns. */
static int read_image_request(struct kt_credprovider *ret_request, struct kt_error *e)
{
	static const char nothing[] = "nothing to answer: KUBERNETES_EXEC_INFO is not set and "
				      "standard input is";
	static const char who[] = "kubectl or the kubelet starts this program, see --help";
	auto_secret struct kt_secret *text = NULL;

	if (isatty(STDIN_FILENO))
		return kt_fail(e, KT_E_USAGE, "%s a terminal; %s", nothing, who);
	kt_deadline_for_request();
	if (kt_secret_read_all(
		    STDIN_FILENO, KT_CREDPROVIDER_MAX_BYTES, "standard input", &text, e) < 0)
		return -1;
	kt_deadline_for_answer(false);
	if (kt_secret_len(text) == 0)
		return kt_fail(e, KT_E_USAGE, "%s empty; %s", nothing, who);
	if (kt_credprovider_parse(text, ret_request, e) < 0)
		return kt_wrap(e, "standard input");
	return 0;
}

static int answer_image(const struct options *options, struct kt_error *e)
{
	struct kt_credprovider request = {0};
	struct kt_exec_host host;
	int result;

	if (read_image_request(&request, e) < 0)
		return -1;
	kt_exec_host_init_image(&host, &request, seconds_now);
	result = close_stdin(e);
	if (result == 0)
		result = run_profile(options, &host, e);
	kt_exec_host_fini(&host);
	kt_credprovider_fini(&request);
	return result;
}

static int is_module_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static int print_module(const char *dir, const char *name, struct kt_error *e)
{
	struct kt_module module;

	if (kt_module_load(dir, name, &module, e) < 0)
		return -1;
	if (dprintf(answer_fd, "%s: %s\n", module.name,
		    module.summary != NULL ? module.summary : "no summary") < 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	for (const struct kt_param *p = module.params; p != NULL && p->key != NULL; p++)
		if (dprintf(answer_fd, "    %s=  %s%s\n", p->key,
			    p->meaning != NULL ? p->meaning : "",
			    (p->flags & KT_PARAM_REQUIRED) != 0 ? " (required)" : "") < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "standard output");
	return 0;
}

/* A bad one does not hide the others, but decides the exit status. */
static int list_modules(const char *option, struct kt_error *e)
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
		if (print_module(dir, entries[i]->d_name, &failure) < 0) {
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
	bool done = false;
	int first;

	if (kt_opt_parse(&command, argc, argv, &options, &first, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	kt_log_init("exec-plugin", options.verbose);
	if (guard_against_modules(e) < 0 || take_stdout(e) < 0 || kt_deadline_init(e) < 0)
		return -1;
	if (options.modules)
		return list_modules(options.module_dir, e);
	if (info != NULL)
		return answer_exec(&options, info, e);
	return answer_image(&options, e);
}

int main(int argc, char *argv[])
{
	struct kt_error e = {0};
	int result;

	kt_log_init("exec-plugin", false);
	result = kt_harden(&e) < 0 ? -1 : run(argc, argv, &e);
	finished = true;
	return result < 0 ? kt_report(&e) : 0;
}
