/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of profiles, and reading one from a folder that nobody else can write. What the
 * arguments mean is for the modules to say; here only their form is checked.
 */
#include "exec-plugin/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "lib/loader.h"

static const struct {
	const char *word;
	enum kt_control control;
} controls[] = {
	{"required", KT_CONTROL_REQUIRED},
	{"requisite", KT_CONTROL_REQUISITE},
	{"sufficient", KT_CONTROL_SUFFICIENT},
	{"optional", KT_CONTROL_OPTIONAL},
};

/* The next word of a line, NUL-terminated in place; NULL at the end or at a comment. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");
	char *end = word + strcspn(word, " \t");

	if (*word == '\0' || *word == '#')
		return NULL;
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

static int parse_control(const char *word, enum kt_control *ret_control, struct kt_error *e)
{
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		if (strcmp(word, controls[i].word) != 0)
			continue;
		*ret_control = controls[i].control;
		return 0;
	}
	return kt_fail(e, KT_E_USAGE,
		"unknown control \"%.64s\" (required, requisite, sufficient or optional)", word);
}

static int add_argument(struct kt_rule *rule, const char *word, struct kt_error *e)
{
	size_t key = strcspn(word, "=");

	if (key == 0 || word[key] == '\0' ||
		strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != key)
		return kt_fail(e, KT_E_USAGE, "argument \"%.64s\" is not key=value", word);
	if (word[key + 1] == '\0')
		return kt_fail(e, KT_E_USAGE, "argument \"%.64s\" has no value", word);
	if (word[key + 1] == '"' || word[key + 1] == '\'')
		return kt_fail(e, KT_E_USAGE, "argument \"%.64s\": values are not quoted", word);
	if (word[strlen(word) - 1] == '\\')
		return kt_fail(e, KT_E_USAGE,
			"argument \"%.64s\" ends with a backslash, which quotes nothing", word);
	for (int i = 0; i < rule->argc; i++)
		if (strncmp(rule->argv[i], word, key + 1) == 0)
			return kt_fail(e, KT_E_USAGE, "argument \"%.*s\" is given twice",
				(int)(key < 64 ? key : 64), word);
	if (rule->argc == KT_RULE_ARGS_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d arguments", KT_RULE_ARGS_MAX);
	rule->argv[rule->argc++] = word;
	return 0;
}

static int parse_rule(const char *control, char *rest, struct kt_rule *rule, struct kt_error *e)
{
	char *word;

	if (parse_control(control, &rule->control, e) < 0)
		return -1;
	rule->module = next_word(&rest);
	if (rule->module == NULL)
		return kt_fail(e, KT_E_USAGE, "no module after \"%s\"", control);
	if (!kt_module_name_is_valid(rule->module))
		return kt_fail(
			e, KT_E_USAGE, "\"%.64s\" is no module name: [a-z0-9-] only", rule->module);
	while ((word = next_word(&rest)) != NULL)
		if (add_argument(rule, word, e) < 0)
			return -1;
	return 0;
}

static int check_line(const char *line, struct kt_error *e)
{
	size_t len = strlen(line);

	if (len > KT_PROFILE_LINE_MAX_BYTES)
		return kt_fail(
			e, KT_E_USAGE, "line of more than %d bytes", KT_PROFILE_LINE_MAX_BYTES);
	for (const char *p = line; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return kt_fail(e, KT_E_USAGE, "control character 0x%02x", (unsigned)*p);
	/* Blanks behind it do not show, and would make it mean something else. */
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (len > 0 && line[len - 1] == '\\')
		return kt_fail(e, KT_E_USAGE, "continuation lines are not supported");
	return 0;
}

static int parse_line(struct kt_profile *profile, char *line, unsigned number, struct kt_error *e)
{
	struct kt_rule *rule = &profile->rules[profile->count];
	char *control;

	if (check_line(line, e) < 0)
		return -1;
	control = next_word(&line);
	if (control == NULL)
		return 0;
	if (profile->count == KT_PROFILE_RULES_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d rules", KT_PROFILE_RULES_MAX);
	if (parse_rule(control, line, rule, e) < 0)
		return -1;
	rule->line = number;
	profile->count++;
	return 0;
}

int kt_profile_parse(const char *text, size_t len, const char *path,
	struct kt_profile **ret_profile, struct kt_error *e)
{
	auto_profile struct kt_profile *profile = calloc(1, sizeof(*profile));
	unsigned number = 0;
	char *rest, *line;

	if (profile == NULL)
		return kt_fail_memory(e);
	if (memchr(text, '\0', len) != NULL)
		return kt_fail(e, KT_E_USAGE, "%s: contains a NUL byte", path);
	profile->text = strndup(text, len);
	if (profile->text == NULL)
		return kt_fail_memory(e);
	rest = profile->text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		number++;
		if (parse_line(profile, line, number, e) < 0)
			return kt_wrap(e, "%s:%u", path, number);
	}
	if (profile->count == 0)
		return kt_fail(e, KT_E_USAGE, "%s: no rule in it", path);
	*ret_profile = kt_take(profile);
	return 0;
}

void kt_profile_free(struct kt_profile *profile)
{
	if (profile == NULL)
		return;
	free(profile->text);
	free(profile);
}

bool kt_profile_name_is_valid(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return len > 0 && len <= KT_PROFILE_NAME_MAX && name[len] == '\0' && name[0] != '.';
}

/* Where the open folder is: asking for its name again could find another. */
static int folder_path(int fd, const char *dir, char **ret_path, struct kt_error *e)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	*ret_path = realpath(proc, NULL);
	if (*ret_path == NULL)
		return kt_fail_errno(e, KT_E_USAGE, "folder of profiles %s", dir);
	return 0;
}

static int read_file(int dir_fd, const char *dir, const char *name, const char *path,
	struct kt_profile **ret_profile, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	auto_fd int fd = -1;
	size_t len = 0;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return kt_fail(e, KT_E_USAGE, "no profile %s in %s", name, dir);
	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	if (kt_check_trusted(fd, path, e) < 0)
		return -1;
	if (kt_read_all(fd, KT_PROFILE_MAX_BYTES, path, &text, &len, e) < 0) {
		if (e->code == KT_E_INPUT)
			e->code = KT_E_USAGE;
		return -1;
	}
	return kt_profile_parse((const char *)text, len, path, ret_profile, e);
}

int kt_profile_read(const char *dir, const char *name, struct kt_profile **ret_profile,
	char **ret_dir, struct kt_error *e)
{
	auto_profile struct kt_profile *profile = NULL;
	auto_free char *absolute = NULL;
	auto_free char *path = NULL;
	auto_fd int fd = -1;

	if (!kt_profile_name_is_valid(name))
		return kt_fail(e, KT_E_USAGE,
			"\"%.64s\" is no profile name: a bare file name of [A-Za-z0-9._-]", name);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "folder of profiles %s", dir);
	if (kt_check_folder(fd, "profiles", dir, e) < 0 || folder_path(fd, dir, &absolute, e) < 0)
		return -1;
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return kt_fail_memory(e);
	}
	if (read_file(fd, dir, name, path, &profile, e) < 0)
		return -1;
	*ret_profile = kt_take(profile);
	*ret_dir = kt_take(absolute);
	return 0;
}
