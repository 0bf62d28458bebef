/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM's key derivation functions (Part 1, 11.4.10): KDFa, which is SP800-108 in counter mode
 * with HMAC, and KDFe, which is the one-step KDF of SP800-56A with a hash. Pure (OpenSSL).
 */
#ifndef KT_LIB_TPM_KDF_H
#define KT_LIB_TPM_KDF_H

#include <stddef.h>
#include <stdint.h>

#include <tss2/tss2_tpm2_types.h>

#include "lib/error.h"
#include "lib/tpm-public.h"

/* KDFa(alg, key, label, context, 8 * len). The output is secret: `ret_key` has room for `len` bytes
 * in memory that the caller wipes. KT_E_INTERNAL. */
KT_CHECKED int kt_kdfa(TPMI_ALG_HASH alg, struct kt_span key, const char *label,
	struct kt_span context, uint8_t *ret_key, size_t len, struct kt_error *e);

/* KDFe(alg, z, label, party_u, party_v, 8 * len); the x coordinates have the curve's size. The rest
 * as for kt_kdfa(). */
KT_CHECKED int kt_kdfe(TPMI_ALG_HASH alg, struct kt_span z, const char *label,
	struct kt_span party_u, struct kt_span party_v, uint8_t *ret_key, size_t len,
	struct kt_error *e);

#endif
