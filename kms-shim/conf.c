/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of kms.conf, and reading one that nobody else can write. What is doubtful is refused
 * with its place, never guessed: a key that is not read, or read as another one, would be found out
 * by the Secrets that cannot be opened any more.
 */
#include "kms-shim/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "lib/io.h"
#include "lib/loader.h"

#define BLANKS " \t"
#define LINE_MAX_BYTES 4096
#define CLUSTER_MAX_BYTES 255
#define EPOCH_MAX_DIGITS 18
#define SOCKET_SCHEME "unix://"

static int set_text(char **place, const char *value, struct kt_error *e)
{
	*place = strdup(value);
	return *place != NULL ? 0 : kt_fail_memory(e);
}

static int check_module(const char *value, struct kt_error *e)
{
	if (!kt_module_name_is_valid(value))
		return kt_fail(e, KT_E_USAGE, "\"%.64s\" is no module name: [a-z0-9-] only", value);
	return 0;
}

/* It goes into key_id: two spellings of one name would be two names. */
static int check_cluster(const char *value, struct kt_error *e)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._:/@-");

	if (value[len] != '\0' || len > CLUSTER_MAX_BYTES)
		return kt_fail(e, KT_E_USAGE,
			"a cluster's name is 1 to %d of [A-Za-z0-9._:/@-], not \"%.64s\"",
			CLUSTER_MAX_BYTES, value);
	return 0;
}

static int check_epoch(const char *value, struct kt_error *e)
{
	size_t len = strspn(value, "0123456789");

	if (value[len] != '\0' || len > EPOCH_MAX_DIGITS || (value[0] == '0' && len > 1))
		return kt_fail(e, KT_E_USAGE,
			"an epoch is a number without leading zeros, not \"%.64s\"", value);
	return 0;
}

/* Socket names have no permissions in the abstract namespace, so there is none of it here. */
static int check_socket(const char *value, struct kt_error *e)
{
	const char *path = value + strlen(SOCKET_SCHEME);

	if (strncmp(value, SOCKET_SCHEME "/", strlen(SOCKET_SCHEME "/")) != 0 || path[1] == '\0')
		return kt_fail(e, KT_E_USAGE, "\"%.128s\" is not unix:///PATH", value);
	if (path[1] == '@')
		return kt_fail(e, KT_E_USAGE,
			"\"%.128s\": an abstract socket is open to everyone on this machine",
			value);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return kt_fail(e, KT_E_USAGE, "the path of a socket has at most %zu bytes",
			sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return 0;
}

/* k8s.io/apiserver, server/options/encryptionconfig/config.go: 1.27 and 1.28 know "v2beta1" alone,
 * later ones both. */
/* node_exporter's textfile collector reads no other names. */
static int check_textfile(const char *value, struct kt_error *e)
{
	size_t len = strlen(value);

	if (len <= strlen(".prom") || strcmp(value + len - strlen(".prom"), ".prom") != 0)
		return kt_fail(e, KT_E_USAGE,
			"a textfile's name ends in .prom, or node_exporter does not read it; not "
			"\"%.128s\"",
			value);
	return 0;
}

static int check_version(const char *value, struct kt_error *e)
{
	if (strcmp(value, "v2") != 0 && strcmp(value, "v2beta1") != 0)
		return kt_fail(e, KT_E_USAGE, "version is v2 or v2beta1, not \"%.64s\"", value);
	return 0;
}

/* Those whose value is one text. */
static const struct {
	const char *name;
	size_t offset;
	int (*check)(const char *value, struct kt_error *e);
} texts[] = {
	{"module", offsetof(struct kt_kms_conf, module), check_module},
	{"cluster", offsetof(struct kt_kms_conf, cluster), check_cluster},
	{"epoch", offsetof(struct kt_kms_conf, key.epoch), check_epoch},
	{"listen", offsetof(struct kt_kms_conf, listen), check_socket},
	{"metrics", offsetof(struct kt_kms_conf, metrics), check_socket},
	{"metrics-group", offsetof(struct kt_kms_conf, metrics_group), NULL},
	{"textfile", offsetof(struct kt_kms_conf, textfile), check_textfile},
	{"version", offsetof(struct kt_kms_conf, version), check_version},
	{"tcti", offsetof(struct kt_kms_conf, tcti), NULL},
	{"socket-owner", offsetof(struct kt_kms_conf, socket_owner), NULL},
	{"socket-group", offsetof(struct kt_kms_conf, socket_group), NULL},
};

static int fail_twice(const char *name, struct kt_error *e)
{
	return kt_fail(e, KT_E_USAGE, "\"%s\" is given twice", name);
}

static int take_key(struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	if (conf->key.key != NULL)
		return fail_twice("key", e);
	if (strpbrk(value, BLANKS) != NULL)
		return kt_fail(e, KT_E_USAGE, "key takes one word, without blanks");
	conf->key.number = number;
	return set_text(&conf->key.key, value, e);
}

/* KEY [EPOCH] */
static int take_old_key(struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	struct kt_kms_conf_key *key = &conf->old_keys[conf->old_key_count];
	char *epoch = value;
	char *name = strsep(&epoch, BLANKS);

	if (conf->old_key_count == KT_KMS_OLD_KEYS_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d old keys", KT_KMS_OLD_KEYS_MAX);
	conf->old_key_count++;
	key->number = number;
	epoch = epoch != NULL ? epoch + strspn(epoch, BLANKS) : NULL;
	if (epoch != NULL && check_epoch(epoch, e) < 0)
		return kt_hint(e, "old-key takes KEY [EPOCH], without blanks in them");
	if (set_text(&key->key, name, e) < 0)
		return -1;
	return set_text(&key->epoch, epoch != NULL ? epoch : "0", e);
}

static int parse_number(
	const char *text, int base, unsigned long max, unsigned long *ret_value, struct kt_error *e)
{
	const char *digits = base == 8 ? "01234567" : "0123456789";
	size_t len = strlen(text);

	if (len > 10 || strspn(text, digits) != len || strtoul(text, NULL, base) > max)
		return kt_fail(e, KT_E_USAGE, "\"%.64s\" is not %s", text,
			base == 8 ? "an octal mode up to 0777" : "a user's number");
	*ret_value = strtoul(text, NULL, base);
	return 0;
}

static int parse_mode(const char *name, const char *value, mode_t *place, struct kt_error *e)
{
	unsigned long mode;

	if (*place != 0)
		return fail_twice(name, e);
	if (parse_number(value, 8, 0777, &mode, e) < 0)
		return -1;
	if ((mode & 0600) != 0600)
		return kt_fail(
			e, KT_E_USAGE, "%s %s keeps its owner out; 0600 is the least", name, value);
	*place = (mode_t)mode;
	return 0;
}

static int take_mode(struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	(void)number;
	return parse_mode("socket-mode", value, &conf->socket_mode, e);
}

static int take_metrics_mode(
	struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	(void)number;
	return parse_mode("metrics-mode", value, &conf->metrics_mode, e);
}

static int take_log_calls(
	struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	static const char *const words[] = {
		[KT_LOG_CALLS_DEFAULT] = "default",
		[KT_LOG_CALLS_ALL] = "all",
		[KT_LOG_CALLS_NONE] = "none",
	};

	(void)number;
	if (conf->log_calls_given)
		return fail_twice("log-calls", e);
	conf->log_calls_given = true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(value, words[i]) == 0) {
			conf->log_calls = (enum kt_log_calls)i;
			return 0;
		}
	return kt_fail(e, KT_E_USAGE, "log-calls is all, default or none, not \"%.64s\"", value);
}

static int take_uid(struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e)
{
	unsigned long uid;

	(void)number;
	if (conf->allow_uid_count == KT_KMS_PEERS_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d allow-uid", KT_KMS_PEERS_MAX);
	/* (uid_t)-1 is nobody's (chown(2)). */
	if (parse_number(value, 10, (unsigned long)UINT32_MAX - 1, &uid, e) < 0)
		return -1;
	conf->allow_uids[conf->allow_uid_count++] = (uid_t)uid;
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct kt_kms_conf *conf, char *value, unsigned number, struct kt_error *e);
} others[] = {
	{"key", take_key},
	{"old-key", take_old_key},
	{"socket-mode", take_mode},
	{"metrics-mode", take_metrics_mode},
	{"log-calls", take_log_calls},
	{"allow-uid", take_uid},
};

/* What we do not know is the module's. */
static int take_line(struct kt_kms_conf *conf, const char *name, const char *value, unsigned number,
	struct kt_error *e)
{
	struct kt_kms_conf_line *line = &conf->lines[conf->line_count];

	for (size_t i = 0; i < conf->line_count; i++)
		if (strcmp(conf->lines[i].name, name) == 0)
			return fail_twice(name, e);
	if (conf->line_count == KT_KMS_MODULE_LINES_MAX)
		return kt_fail(e, KT_E_USAGE, "more than %d lines for the module",
			KT_KMS_MODULE_LINES_MAX);
	conf->line_count++;
	line->number = number;
	if (set_text(&line->name, name, e) < 0)
		return -1;
	return set_text(&line->value, value, e);
}

static int take_setting(struct kt_kms_conf *conf, const char *name, char *value, unsigned number,
	struct kt_error *e)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i].name, name) == 0)
			return others[i].take(conf, value, number, e);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		void *member = (char *)conf + texts[i].offset;
		char **place = member;

		if (strcmp(texts[i].name, name) != 0)
			continue;
		if (*place != NULL)
			return fail_twice(name, e);
		if (texts[i].check != NULL && texts[i].check(value, e) < 0)
			return -1;
		return set_text(place, value, e);
	}
	return take_line(conf, name, value, number, e);
}

/* Cuts off a comment, which starts the line or follows a blank, and blanks at both ends. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, BLANKS);
	for (char *p = text; *p != '\0'; p++)
		if (*p == '#' && (p == text || strchr(BLANKS, p[-1]) != NULL)) {
			*p = '\0';
			break;
		}
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

static int check_line(const char *line, struct kt_error *e)
{
	if (strlen(line) > LINE_MAX_BYTES)
		return kt_fail(e, KT_E_USAGE, "line of more than %d bytes", LINE_MAX_BYTES);
	for (const char *p = line; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return kt_fail(e, KT_E_USAGE, "control character 0x%02x", (unsigned)*p);
	return 0;
}

static int check_value(const char *name, const char *value, struct kt_error *e)
{
	if (*value == '\0')
		return kt_fail(e, KT_E_USAGE, "\"%.64s\" has no value", name);
	if (*value == '"' || *value == '\'')
		return kt_fail(
			e, KT_E_USAGE, "the value of \"%.64s\" is quoted; leave that out", name);
	if (value[strlen(value) - 1] == '\\')
		return kt_fail(e, KT_E_USAGE, "continuation lines are not supported");
	return 0;
}

static int parse_line(struct kt_kms_conf *conf, char *line, unsigned number, struct kt_error *e)
{
	char *value, *name;
	size_t len;

	if (check_line(line, e) < 0)
		return -1;
	line = trim(line);
	if (*line == '\0')
		return 0;
	value = line;
	name = strsep(&value, "=");
	if (value == NULL)
		return kt_fail(e, KT_E_USAGE, "\"%.64s\" is not name = value", line);
	name = trim(name);
	value = trim(value);
	len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	if (len == 0 || name[len] != '\0')
		return kt_fail(e, KT_E_USAGE, "\"%.64s\" is no name: [a-z0-9-] only", name);
	if (check_value(name, value, e) < 0)
		return -1;
	return take_setting(conf, name, value, number, e);
}

static int set_default(char **place, const char *value, struct kt_error *e)
{
	return *place != NULL ? 0 : set_text(place, value, e);
}

static int complete(struct kt_kms_conf *conf, struct kt_error *e)
{
	auto_free char *textfile = NULL;

	if (conf->cluster == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: no \"cluster = NAME\" in it", conf->path);
	if (conf->key.key == NULL)
		return kt_fail(e, KT_E_USAGE, "%s: no \"key = FILE\" in it", conf->path);
	if (set_default(&conf->module, "kms-tpm", e) < 0 ||
		set_default(&conf->key.epoch, "0", e) < 0 ||
		set_default(&conf->version, "v2", e) < 0)
		return -1;
	if (conf->listen != NULL && conf->metrics != NULL &&
		strcmp(conf->listen, conf->metrics) == 0)
		return kt_fail(e, KT_E_USAGE, "%s: listen and metrics are one socket", conf->path);
	if (conf->socket_mode == 0)
		conf->socket_mode = 0600;
	if (conf->metrics_mode == 0)
		conf->metrics_mode = 0600;
	if (conf->textfile == NULL)
		return 0;
	if (kt_kms_conf_join(conf->dir, conf->textfile, &textfile, e) < 0)
		return -1;
	free(conf->textfile);
	conf->textfile = kt_take(textfile);
	return 0;
}

int kt_kms_conf_join(const char *dir, const char *name, char **ret_path, struct kt_error *e)
{
	size_t len = name[0] != '/' ? strlen(dir) : 0;
	bool divide = len > 0 && dir[len - 1] != '/';
	char *path = NULL;

	if (asprintf(&path, "%.*s%s%s", (int)len, dir, divide ? "/" : "", name) < 0)
		return kt_fail_memory(e);
	*ret_path = path;
	return 0;
}

/* The folder part of a path; "." if it has none. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int kt_kms_conf_parse(const char *text, size_t len, const char *path, struct kt_kms_conf **ret_conf,
	struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = calloc(1, sizeof(*conf));
	auto_free char *copy = NULL;
	unsigned number = 0;
	char *rest, *line;

	if (conf == NULL)
		return kt_fail_memory(e);
	if (len > KT_KMS_CONF_MAX_BYTES)
		return kt_fail(
			e, KT_E_USAGE, "%s: longer than %d bytes", path, KT_KMS_CONF_MAX_BYTES);
	if (memchr(text, '\0', len) != NULL)
		return kt_fail(e, KT_E_USAGE, "%s: contains a NUL byte", path);
	copy = strndup(text, len);
	conf->path = strdup(path);
	conf->dir = folder_of(path);
	if (copy == NULL || conf->path == NULL || conf->dir == NULL)
		return kt_fail_memory(e);
	rest = copy;
	while ((line = strsep(&rest, "\n")) != NULL) {
		number++;
		if (parse_line(conf, line, number, e) < 0)
			return kt_wrap(e, "%s:%u", path, number);
	}
	if (complete(conf, e) < 0)
		return -1;
	*ret_conf = kt_take(conf);
	return 0;
}

/* The folder's real name and the file's own: what is relative stays where it is if the program's
 * working directory does not. */
static int make_absolute(const char *path, char **ret_path, struct kt_error *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *folder = folder_of(path);
	auto_free char *real = folder != NULL ? realpath(folder, NULL) : NULL;

	if (folder == NULL)
		return kt_fail_memory(e);
	if (real == NULL)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	return kt_kms_conf_join(real, slash != NULL ? slash + 1 : path, ret_path, e);
}

int kt_kms_conf_read(const char *path, struct kt_kms_conf **ret_conf, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	auto_free char *absolute = NULL;
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	if (kt_check_trusted(fd, path, e) < 0 || make_absolute(path, &absolute, e) < 0)
		return -1;
	if (kt_read_all(fd, KT_KMS_CONF_MAX_BYTES, path, &text, &len, e) < 0) {
		if (e->code == KT_E_INPUT)
			e->code = KT_E_USAGE;
		return -1;
	}
	return kt_kms_conf_parse((const char *)text, len, absolute, ret_conf, e);
}

int kt_kms_conf_set_tcti(struct kt_kms_conf *conf, const char *tcti, struct kt_error *e)
{
	auto_free char *copy = NULL;

	if (tcti == NULL)
		return 0;
	if (set_text(&copy, tcti, e) < 0)
		return -1;
	free(conf->tcti);
	conf->tcti = kt_take(copy);
	conf->tcti_given = true;
	return 0;
}

/* A module is never unloaded; another cluster's name is another name for every key, so that nothing
 * old could be opened; and the API server takes a new version for a fault
 * (k8s.io/apiserver, server/options/encryptionconfig/config.go). */
static int check_follows(
	const struct kt_kms_conf *old, const struct kt_kms_conf *conf, struct kt_error *e)
{
	const char *name = NULL;

	if (strcmp(old->module, conf->module) != 0)
		name = "module";
	else if (strcmp(old->cluster, conf->cluster) != 0)
		name = "cluster";
	else if (strcmp(old->version, conf->version) != 0)
		name = "version";
	if (name == NULL)
		return 0;
	return kt_fail(e, KT_E_USAGE, "%s: \"%s\" cannot change while the program runs; restart it",
		conf->path, name);
}

int kt_kms_conf_reread(
	const struct kt_kms_conf *old, struct kt_kms_conf **ret_conf, struct kt_error *e)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;

	if (kt_kms_conf_read(old->path, &conf, e) < 0 || check_follows(old, conf, e) < 0)
		return -1;
	if (old->tcti_given && kt_kms_conf_set_tcti(conf, old->tcti, e) < 0)
		return -1;
	*ret_conf = kt_take(conf);
	return 0;
}

void kt_kms_conf_free(struct kt_kms_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		void *member = (char *)conf + texts[i].offset;
		char **place = member;

		free(*place);
	}
	free(conf->path);
	free(conf->dir);
	free(conf->key.key);
	for (size_t i = 0; i < conf->old_key_count; i++) {
		free(conf->old_keys[i].key);
		free(conf->old_keys[i].epoch);
	}
	for (size_t i = 0; i < conf->line_count; i++) {
		free(conf->lines[i].name);
		free(conf->lines[i].value);
	}
	free(conf);
}
