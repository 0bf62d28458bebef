/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens: are the bytes one, and, if it is a JWT, when does it end. Pure. */
#ifndef KT_CRED_SEALED_TOKEN_H
#define KT_CRED_SEALED_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

/* Length of the token in `secret`, without the one newline that may end it. KT_E_INPUT if it is
 * empty, or has a byte that an HTTP header could not carry in a token. */
KT_CHECKED int kt_token_check(const struct kt_secret *secret, size_t *ret_len, struct kt_error *e);

/* `exp` of a JWT (RFC 7519, 4.1.4) in seconds since the epoch; 0 if it is none, has none, or one
 * that no clock will reach. One before the epoch is told as its first second. KT_E_INPUT if these
 * are the claims of a JWT that we cannot read: it must not be given out as if it had no end. The
 * signature is not looked at: this says when to ask anew, not whether to trust. */
KT_CHECKED int kt_token_expiry(
	const char *token, size_t len, int64_t *ret_expiry, struct kt_error *e);

#endif
