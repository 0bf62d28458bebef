/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an in-place change. The lock is taken before the file is read and held until it is
 * replaced, so that of two changes at a time neither is lost.
 */
#include "sealtool/change.h"

#include <unistd.h>

#include "lib/io.h"

static int open_tpm(struct change *change, const struct common *common, struct kt_error *e)
{
	if (common->no_tpm && common->key == NULL)
		return kt_fail(e, KT_E_USAGE, "--no-tpm needs --key to open the file with");
	if (common->no_tpm)
		return 0;
	if (kt_tpm_open(common->tcti, &change->tpm, e) < 0 ||
		kt_srk_load(change->tpm, &change->srk, e) < 0) {
		if (common->key != NULL)
			kt_hint(e, "where there is no TPM, say so with --no-tpm: then all TPM "
				   "slots are "
				   "other machines'");
		return -1;
	}
	return 0;
}

static int open_secret(struct change *change, const struct common *common, struct kt_error *e)
{
	const struct kt_seal_means means = {.pin = change->pin, .policy_dir = common->policy_dir};
	auto_pkey EVP_PKEY *key = NULL;
	size_t slot;

	if (common->key != NULL) {
		change->opened_by = OPENED_BY_RECOVERY_KEY;
		if (read_recovery_key(common, &key, e) < 0)
			return -1;
		return kt_seal_open_recovery(change->sealed, key, &change->secret, e);
	}
	if (kt_seal_open_tpm(change->sealed, change->tpm, &change->srk, &means, &slot,
		    &change->secret, e) < 0)
		return -1;
	change->opened_by = (long)slot;
	change->pin_proven = change->sealed->recipients[slot].words.pin;
	return 0;
}

int change_begin(
	struct change *change, const char *path, const struct common *common, struct kt_error *e)
{
	*change = (struct change){.path = path, .lock_fd = -1};
	if (kt_lock_file(path, &change->lock_fd, e) < 0 ||
		kt_seal_read(path, &change->sealed, e) < 0 ||
		read_pin(common, false, &change->pin, e) < 0 ||
		read_new_pin(common, &change->new_pin, e) < 0)
		return -1;
	if (open_tpm(change, common, e) < 0 || open_secret(change, common, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}

const struct kt_parent *change_srk(const struct change *change)
{
	return change->tpm != NULL ? &change->srk : NULL;
}

static bool has_local_pin_slot(const struct change *change)
{
	for (size_t i = 0; i < change->sealed->count; i++) {
		const struct kt_recipient *recipient = &change->sealed->recipients[i];

		if (recipient->kind == KT_RECIPIENT_TPM2 && recipient->words.pin &&
			kt_seal_is_local(recipient, change_srk(change)))
			return true;
	}
	return false;
}

/* Which PIN this machine's slots get. A wrong one would be set without a word if it were not
 * proven. */
static int choose_pin(
	const struct change *change, const struct kt_secret **ret_pin, struct kt_error *e)
{
	if (change->new_pin != NULL && !has_local_pin_slot(change))
		return kt_fail(e, KT_E_USAGE,
			"no slot of this machine has a PIN to be set anew; 'sealtool recipient add "
			"--new-pin' makes one that has, and then 'recipient remove' takes the "
			"other away");
	*ret_pin = change->new_pin != NULL ? change->new_pin : change->pin;
	if (change->new_pin == NULL && !change->pin_proven && has_local_pin_slot(change))
		return kt_fail(e, KT_E_PIN,
			"a slot of this machine has a PIN, and the file was opened without it: set "
			"it "
			"anew with --new-pin or --new-pin-file");
	return 0;
}

int change_commit(struct change *change, struct kt_error *e)
{
	const struct kt_secret *pin = NULL;

	if (choose_pin(change, &pin, e) < 0 ||
		kt_seal_encrypt(change->sealed, change->tpm, change_srk(change), pin,
			change->secret, e) < 0)
		return kt_wrap(e, "%s", change->path);
	/* A signal that came meanwhile takes its course here, before the file is touched. */
	kt_tpm_close(kt_take(change->tpm));
	return kt_seal_write(change->path, change->sealed, e);
}

void change_fini(struct change *change)
{
	kt_tpm_close(change->tpm);
	kt_secret_free(change->secret);
	kt_secret_free(change->pin);
	kt_secret_free(change->new_pin);
	kt_sealed_free(change->sealed);
	if (change->lock_fd >= 0)
		close(change->lock_fd);
}
