/* SPDX-License-Identifier: Apache-2.0 */
/* The approvals that a folder holds for one key. */
#ifndef KT_LIB_APPROVALS_H
#define KT_LIB_APPROVALS_H

#include "lib/approval.h"

#define KT_APPROVALS_MAX 64	    /* for one key */
#define KT_APPROVALS_FILES_MAX 1024 /* that are looked at */

struct kt_approvals {
	size_t count;
	struct kt_approval *list; /* owned */
};

/* Empties. */
void kt_approvals_fini(struct kt_approvals *approvals);

/* One file. KT_E_USAGE if it cannot be opened, KT_E_REFUSED, KT_E_INPUT; the message names it. */
KT_CHECKED int kt_approval_read(
	const char *path, struct kt_approval *ret_approval, struct kt_error *e);

/* Reads DIR/NAME.json in the order of their names, and keeps those for `key` that `signer` signed.
 * What is for another key or by another signer is passed over; `bad` is told of what is no approval
 * or does not verify: that is passed over too. KT_E_USAGE if the folder cannot be read; *approvals
 * is replaced on success only. */
KT_CHECKED int kt_approvals_read(const char *dir, const char key[KT_UUID_SIZE], EVP_PKEY *signer,
	void (*bad)(void *ctx, const struct kt_error *e), void *ctx, struct kt_approvals *approvals,
	struct kt_error *e);

/* The approval whose state the PCRs are in, or NULL. `present` has all PCRs of all approvals. */
const struct kt_approval *kt_approvals_find(
	const struct kt_approvals *approvals, const struct kt_pcr_set *present);

/* The one with the fewest PCRs that differ, or NULL if there is none. */
const struct kt_approval *kt_approvals_nearest(
	const struct kt_approvals *approvals, const struct kt_pcr_set *present);

/* All PCRs that they speak of, without values. */
KT_CHECKED int kt_approvals_selection(
	const struct kt_approvals *approvals, struct kt_pcr_set *ret_selection, struct kt_error *e);

#endif
