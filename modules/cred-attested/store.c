/* SPDX-License-Identifier: Apache-2.0 */
#include "modules/cred-attested/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/seal.h"
#include "lib/slot-policy.h"
#include "lib/tpm-pcr.h"
#include "lib/uuid.h"

#define PURPOSE "node-key"
#define PATH_MAX_CHARS 4096

static int path_of(
	const char *folder, const char *name, char ret_path[PATH_MAX_CHARS], struct kt_error *e)
{
	int len = snprintf(ret_path, PATH_MAX_CHARS, "%s/%s", folder, name);

	return len > 0 && len < PATH_MAX_CHARS
		       ? 0
		       : kt_fail(e, KT_E_USAGE, "state=: the path is too long");
}

static int check_folder(const char *folder, struct kt_error *e)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return kt_fail_errno(e, KT_E_USAGE, "state=%s", folder);
	if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s: not a folder that only its owner can write ('chmod 700')", folder);
	return 0;
}

int store_lock(const char *folder, int *ret_fd, struct kt_error *e)
{
	char path[PATH_MAX_CHARS];
	int fd;

	if (check_folder(folder, e) < 0 || path_of(folder, "lock", path, e) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "%s", path);
	close(fd);
	return kt_lock_file(path, ret_fd, e);
}

/* What a new enrolment mends; a TPM that is busy is not. */
static bool is_lost(enum kt_code code)
{
	return code == KT_E_POLICY || code == KT_E_WRONG_TPM || code == KT_E_INPUT;
}

int store_open(const char *folder, const char *tcti, struct kt_client_cert *ret_cert,
	bool *ret_there, struct kt_error *ret_why, struct kt_error *e)
{
	const struct kt_seal_means means = {0};
	auto_secret struct kt_secret *pem = NULL;
	char path[PATH_MAX_CHARS];
	struct stat st;

	*ret_there = false;
	ret_why->code = KT_E_NONE;
	if (path_of(folder, "node.sealed", path, e) < 0)
		return -1;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : kt_fail_errno(e, KT_E_INTERNAL, "%s", path);
	if (kt_sealed_open(path, PURPOSE, tcti, &means, &pem, e) < 0 ||
		kt_client_cert_split(pem, ret_cert, e) < 0) {
		if (!is_lost(e->code))
			return -1;
		*ret_why = *e;
		return 0;
	}
	*ret_there = true;
	return 0;
}

static int seal(const char *path, struct kt_tpm *tpm, const struct kt_pcr_set *pcrs,
	const struct kt_secret *pem, struct kt_error *e)
{
	auto_sealed struct kt_sealed *sealed = kt_sealed_new();
	struct kt_slot_policy words = {.pcrs = *pcrs};
	struct kt_parent srk;

	if (sealed == NULL)
		return kt_fail_memory(e);
	snprintf(sealed->name, sizeof(sealed->name), "node certificate");
	snprintf(sealed->purpose, sizeof(sealed->purpose), PURPOSE);
	if (kt_srk_load(tpm, &srk, e) < 0 || kt_tpm_read_pcrs(tpm, &words.pcrs, e) < 0 ||
		kt_sealed_add_tpm(sealed, &srk.public, &words, e) < 0 ||
		kt_seal_encrypt(sealed, tpm, &srk, NULL, pem, e) < 0)
		return -1;
	return kt_seal_write(path, sealed, e);
}

int store_save(const char *folder, const char *tcti, const struct kt_pcr_set *pcrs,
	const struct kt_secret *pem, struct kt_error *e)
{
	auto_tpm struct kt_tpm *tpm = NULL;
	char path[PATH_MAX_CHARS];

	if (path_of(folder, "node.sealed", path, e) < 0 || kt_tpm_open(tcti, &tpm, e) < 0)
		return -1;
	return seal(path, tpm, pcrs, pem, e);
}
