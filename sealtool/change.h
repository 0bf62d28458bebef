/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a sealed file in place: the file is locked, read and opened; the verb changes the list
 * of recipients; then all slots are made anew under a new content key, and the file is replaced.
 */
#ifndef KT_SEALTOOL_CHANGE_H
#define KT_SEALTOOL_CHANGE_H

#include "sealtool/sealtool.h"

#define OPENED_BY_RECOVERY_KEY (-1)

struct change {
	const char *path;	   /* borrowed */
	int lock_fd;		   /* -1: none */
	struct kt_sealed *sealed;  /* owned */
	struct kt_secret *pin;	   /* that it was opened with; owned, may be NULL */
	struct kt_secret *new_pin; /* owned, may be NULL */
	struct kt_secret *secret;  /* owned */
	struct kt_tpm *tpm;	   /* owned; NULL with --no-tpm */
	struct kt_parent srk;	   /* valid with tpm */
	long opened_by;		   /* slot, or OPENED_BY_RECOVERY_KEY */
	bool pin_proven;	   /* the slot that opened has a PIN */
};

/* Locks, reads and opens `path`; change_fini() must follow in any case. */
KT_CHECKED int change_begin(
	struct change *change, const char *path, const struct common *common, struct kt_error *e);

/* Makes all slots anew and replaces the file. A slot of this machine that has a PIN keeps it only
 * if opening the file has proven it; otherwise --new-pin must say which one it gets: KT_E_PIN. */
KT_CHECKED int change_commit(struct change *change, struct kt_error *e);

void change_fini(struct change *change);

/* This machine's storage root key, or NULL with --no-tpm. */
const struct kt_parent *change_srk(const struct change *change);

#endif
