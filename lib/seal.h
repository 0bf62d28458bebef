/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing and opening: joins the sealed file (sealed.h) with this machine's TPM and with recovery
 * keys.
 */
#ifndef KT_LIB_SEAL_H
#define KT_LIB_SEAL_H

#include "lib/sealed.h"
#include "lib/tpm-key.h"
#include "lib/tpm.h"

/* Purposes that our programs ask for. A file of another purpose is refused. */
#define KT_PURPOSE_EXEC "exec-credential"
#define KT_PURPOSE_IMAGE "image-credential"

/* What opening may take besides the TPM; borrowed, each may be NULL. */
struct kt_seal_means {
	const struct kt_secret *pin;
	const char *policy_dir; /* folder of approvals (lib/approvals.h) */
};

/* Reads and parses `path`; the error names it. */
KT_CHECKED int kt_seal_read(const char *path, struct kt_sealed **ret_sealed, struct kt_error *e);

/* Replaces `path` atomically by the file's text. */
KT_CHECKED int kt_seal_write(const char *path, const struct kt_sealed *sealed, struct kt_error *e);

/*
 * Makes a new content key, every recipient's slot from what the recipient lists, and the ciphertext
 * of `secret` (1 to KT_SEALED_SECRET_MAX_BYTES bytes). A TPM recipient is this machine's if its
 * Name is that of `srk`; `tpm` and `srk` may be NULL when none is meant to be. Every slot of this
 * machine with a PIN gets `pin`: the caller knows that it is the right one, or is meant to be a new
 * one. KT_E_PIN if it is needed and NULL, KT_E_REFUSED if another machine's slot has a PIN, or
 * words do not agree with their digest. Two TPM commands a slot of this machine.
 */
KT_CHECKED int kt_seal_encrypt(struct kt_sealed *sealed, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_secret *pin, const struct kt_secret *secret,
	struct kt_error *e);

/*
 * Opens with this machine's TPM: the first slot that opens wins; *ret_slot (may be NULL) tells
 * which. A PIN is tried on one slot only, since wrong ones are counted. Six TPM commands, a seventh
 * for a PIN, another for an imported slot, six for an approval. KT_E_POLICY (the message tells
 * which PCR differs), KT_E_PIN (and how many tries are left), KT_E_LOCKOUT, KT_E_WRONG_TPM (no slot
 * for this machine), KT_E_NOT_PROVISIONED, KT_E_INPUT ...
 */
KT_CHECKED int kt_seal_open_tpm(const struct kt_sealed *sealed, struct kt_tpm *tpm,
	const struct kt_parent *srk, const struct kt_seal_means *means, size_t *ret_slot,
	struct kt_secret **ret_secret, struct kt_error *e);

/* Does a slot belong to the machine with this storage root key (which may be NULL)? */
bool kt_seal_is_local(const struct kt_recipient *recipient, const struct kt_parent *srk);

/* Opens with a recovery key. KT_E_INPUT if there is no slot for it, or it does not open. */
KT_CHECKED int kt_seal_open_recovery(const struct kt_sealed *sealed, EVP_PKEY *key,
	struct kt_secret **ret_secret, struct kt_error *e);

/* All of it for a program that needs one secret: reads `path`, which must be root's or ours
 * and not writable by others, insists on `purpose`, opens with the
 * TPM at `tcti` (see kt_tpm_open), and lets go of the TPM. */
KT_CHECKED int kt_sealed_open(const char *path, const char *purpose, const char *tcti,
	const struct kt_seal_means *means, struct kt_secret **ret_secret, struct kt_error *e);

#endif
