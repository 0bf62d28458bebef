/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state folder: the node's key and certificate in one sealed file, bound to this TPM and to the
 * PCRs as they were, and a lock for those who would all enrol at once.
 */
#ifndef KT_CRED_ATTESTED_STORE_H
#define KT_CRED_ATTESTED_STORE_H

#include "lib/client-cert.h"
#include "lib/pcr.h"

/* *ret_fd, to be closed by the caller, holds the lock. KT_E_REFUSED if others can write the folder,
 * KT_E_BUSY. */
KT_CHECKED int store_lock(const char *folder, int *ret_fd, struct kt_error *e);

/* *ret_there: is there one that opens in this machine's present state? If not, and there is a file,
 * *ret_why says why; enrolling anew helps. An error if the TPM cannot be asked. */
KT_CHECKED int store_open(const char *folder, const char *tcti, struct kt_client_cert *ret_cert,
	bool *ret_there, struct kt_error *ret_why, struct kt_error *e);

KT_CHECKED int store_save(const char *folder, const char *tcti, const struct kt_pcr_set *pcrs,
	const struct kt_secret *pem, struct kt_error *e);

#endif
