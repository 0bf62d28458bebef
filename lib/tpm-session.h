/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorisation sessions (Part 1, 19.6): each is salted to a parent key whose Name the caller has
 * checked, and encrypts parameters with AES-128-CFB.
 */
#ifndef KT_LIB_TPM_SESSION_H
#define KT_LIB_TPM_SESSION_H

#include "lib/tpm-key.h"

enum kt_session_kind {
	KT_SESSION_HMAC = TPM2_SE_HMAC,
	KT_SESSION_POLICY = TPM2_SE_POLICY,
};

/* Which parameter the next command encrypts. */
enum kt_session_use {
	KT_SESSION_AUTH_ONLY = 0,
	KT_SESSION_DECRYPT = TPMA_SESSION_DECRYPT, /* the command's first parameter */
	KT_SESSION_ENCRYPT = TPMA_SESSION_ENCRYPT, /* the response's first parameter */
};

/* One TPM command. `alg`: the session's hash. Ends by itself with the command that uses it
 * successfully (continueSession is clear); kt_session_end() otherwise. */
KT_CHECKED int kt_session_start(struct kt_tpm *tpm, const struct kt_parent *salt,
	enum kt_session_kind kind, enum kt_session_use use, TPMI_ALG_HASH alg, ESYS_TR *ret_session,
	struct kt_error *e);

/* After the command that used it returned `rc`. */
void kt_session_end(struct kt_tpm *tpm, ESYS_TR session, TSS2_RC rc);

#endif
