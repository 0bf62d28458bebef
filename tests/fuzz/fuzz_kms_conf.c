/* SPDX-License-Identifier: Apache-2.0 */
/* kms.conf: what is accepted is within its limits, and means the same when it is written again. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kms-shim/conf.h"
#include "lib/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(FILE *file, const char *name, const char *value)
{
	if (value != NULL)
		fprintf(file, "%s = %s\n", name, value);
}

static char *write_plainly(const struct kt_kms_conf *conf)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert(file != NULL);
	put(file, "module", conf->module);
	put(file, "cluster", conf->cluster);
	put(file, "key", conf->key.key);
	put(file, "epoch", conf->key.epoch);
	for (size_t i = 0; i < conf->old_key_count; i++)
		fprintf(file, "old-key = %s %s\n", conf->old_keys[i].key, conf->old_keys[i].epoch);
	put(file, "listen", conf->listen);
	put(file, "metrics", conf->metrics);
	put(file, "textfile", conf->textfile);
	put(file, "version", conf->version);
	put(file, "tcti", conf->tcti);
	fprintf(file, "socket-mode = %o\n", (unsigned)conf->socket_mode);
	fprintf(file, "metrics-mode = %o\n", (unsigned)conf->metrics_mode);
	put(file, "metrics-group", conf->metrics_group);
	fprintf(file, "log-calls = %s\n",
		conf->log_calls == KT_LOG_CALLS_ALL    ? "all"
		: conf->log_calls == KT_LOG_CALLS_NONE ? "none"
						       : "default");
	put(file, "socket-owner", conf->socket_owner);
	put(file, "socket-group", conf->socket_group);
	for (size_t i = 0; i < conf->allow_uid_count; i++)
		fprintf(file, "allow-uid = %u\n", (unsigned)conf->allow_uids[i]);
	for (size_t i = 0; i < conf->line_count; i++)
		put(file, conf->lines[i].name, conf->lines[i].value);
	assert(fclose(file) == 0);
	return text;
}

static void check_limits(const struct kt_kms_conf *conf)
{
	assert(kt_module_name_is_valid(conf->module));
	assert(conf->cluster[0] != '\0' && conf->key.key[0] != '\0');
	assert(conf->old_key_count <= KT_KMS_OLD_KEYS_MAX);
	assert(conf->allow_uid_count <= KT_KMS_PEERS_MAX);
	assert(conf->line_count <= KT_KMS_MODULE_LINES_MAX);
	assert((conf->metrics_mode & 0600) == 0600 && (conf->metrics_mode & ~0777u) == 0);
	assert((conf->socket_mode & 0600) == 0600 && (conf->socket_mode & ~0777u) == 0);
	assert(conf->listen == NULL || strncmp(conf->listen, "unix:///", 8) == 0);
	assert(conf->textfile == NULL || conf->textfile[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_kms_conf struct kt_kms_conf *conf = NULL;
	auto_kms_conf struct kt_kms_conf *again = NULL;
	auto_free char *text = NULL;
	auto_free char *second = NULL;
	struct kt_error e;

	if (kt_kms_conf_parse((const char *)data, size, "/etc/kms.conf", &conf, &e) < 0) {
		assert(e.code == KT_E_USAGE && conf == NULL);
		return 0;
	}
	check_limits(conf);
	text = write_plainly(conf);
	/* Defaults written out may make it longer than a file may be. */
	if (strlen(text) > KT_KMS_CONF_MAX_BYTES)
		return 0;
	assert(kt_kms_conf_parse(text, strlen(text), "/etc/kms.conf", &again, &e) == 0);
	second = write_plainly(again);
	assert(strcmp(text, second) == 0);
	return 0;
}
