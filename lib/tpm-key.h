/* SPDX-License-Identifier: Apache-2.0 */
/* Parent keys: the persistent storage root key, and primaries that foreign key files ask for. */
#ifndef KT_LIB_TPM_KEY_H
#define KT_LIB_TPM_KEY_H

#include <tss2/tss2_esys.h>

#include "lib/secret.h"
#include "lib/tpm-public.h"
#include "lib/tpm.h"

#define KT_SRK_HANDLE ((TPM2_HANDLE)0x81000001)

/* A parent key in the TPM. A plain value; the handle lives as long as the connection. */
struct kt_parent {
	ESYS_TR handle;
	TPM2B_PUBLIC public;
	TPM2B_NAME name; /* computed from `public`, which is the one sessions get salted to */
};

/*
 * The persistent key at `handle` (one TPM command). KT_E_NOT_PROVISIONED if there is none,
 * KT_E_REFUSED if what the TPM says of it does not fit together. tpm2-tss before 4 takes public
 * area and Name from the response unchecked: a bus interposer could show a public key of its own
 * under the right Name, so the Name is recomputed here.
 */
KT_CHECKED int kt_parent_load(
	struct kt_tpm *tpm, TPM2_HANDLE handle, struct kt_parent *ret_parent, struct kt_error *e);

/* The storage root key, checked to be a storage key. */
KT_CHECKED int kt_srk_load(struct kt_tpm *tpm, struct kt_parent *ret_parent, struct kt_error *e);

/* Fails with KT_E_WRONG_TPM unless `parent` has the Name that is expected. */
KT_CHECKED int kt_parent_check_name(
	const struct kt_parent *parent, const TPM2B_NAME *expected, struct kt_error *e);

/* A transient primary in `hierarchy` (ESYS_TR_RH_OWNER, …); release it with kt_parent_release().
 * `auth`: the hierarchy's, or NULL if empty. KT_E_PIN if it is wrong. */
KT_CHECKED int kt_primary_create(struct kt_tpm *tpm, ESYS_TR hierarchy,
	const struct kt_secret *auth, const TPM2B_PUBLIC *template, struct kt_parent *ret_parent,
	struct kt_error *e);
void kt_parent_release(struct kt_tpm *tpm, struct kt_parent *parent);

/* The storage root key, made and made persistent if it is not there. *ret_made tells which. */
KT_CHECKED int kt_srk_provision(struct kt_tpm *tpm, const struct kt_secret *owner_auth,
	struct kt_parent *ret_parent, bool *ret_made, struct kt_error *e);

/* Makes a primary persistent at `handle`. `salt`: a storage key whose Name is known, for the
 * session. KT_E_PIN if the owner's authorisation value is wrong. */
KT_CHECKED int kt_parent_persist(struct kt_tpm *tpm, const struct kt_parent *salt,
	const struct kt_secret *owner_auth, const struct kt_parent *primary, TPM2_HANDLE handle,
	struct kt_error *e);

/* A session for one command that asks for a hierarchy's (or other permanent entity's)
 * authorisation: salted, so that the value does not cross the bus; ESYS_TR_PASSWORD if the value is
 * empty (NULL). kt_auth_end() gets what the command returned. */
KT_CHECKED int kt_auth_start(struct kt_tpm *tpm, const struct kt_parent *salt, ESYS_TR entity,
	const struct kt_secret *auth, ESYS_TR *ret_session, struct kt_error *e);
void kt_auth_end(struct kt_tpm *tpm, ESYS_TR session, TSS2_RC rc);
/* Why a command with such a session failed; KT_E_PIN with a hint if it was the value. */
int kt_fail_auth(struct kt_error *e, TSS2_RC rc, const char *command);

/* Gives ESYS the authorisation value of a handle. `auth` NULL: empty. KT_E_INPUT if longer than a
 * digest. */
KT_CHECKED int kt_tpm_set_auth(
	struct kt_tpm *tpm, ESYS_TR handle, const struct kt_secret *auth, struct kt_error *e);

#endif
