/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core over a pipe: one JSON request a line in, one JSON reply a line out. The members are
 *those of the KMS v2 messages in proto3's JSON mapping, and `method`:
 *
 *	{"method":"Encrypt","uid":"u1","plaintext":"..."}
 *	{"ciphertext":"...","keyId":"...","annotations":{"...":"..."}}
 *	{"error":{"code":"FAILED_PRECONDITION","message":"..."}}
 *
 * Requests and replies lie in locked memory; json-c's copy of a request is wiped.
 */
#ifndef KT_KMS_SHIM_STDIO_H
#define KT_KMS_SHIM_STDIO_H

#include "kms-shim/conf.h"
#include "kms-shim/kms.h"
#include "lib/error.h"
#include "lib/secret.h"

#define KT_STDIO_LINE_MAX_BYTES 131072 /* of a request, without its newline */
#define KT_STDIO_REPLY_MAX_BYTES 131072

/* Answers one request, in any case with one reply and its newline, appended to `reply`, which is
 * empty and has room for KT_STDIO_REPLY_MAX_BYTES. KT_E_INTERNAL only if not even an error can be
 * written. */
KT_CHECKED int kt_stdio_answer(struct kt_kms *kms, const struct kt_secret *line,
	struct kt_secret *reply, struct kt_error *e);

/*
 * Answers what `in` gives on `out` until end of file. `signals` is a signalfd(2), or -1: SIGHUP
 * exchanges *kms and *conf (kt_kms_reload(); a failure is a warning and changes nothing); any other
 * signal ends it, and is *ret_signal, else 0. KT_E_INTERNAL if reading or writing fails.
 */
KT_CHECKED int kt_stdio_serve(struct kt_kms **kms, struct kt_kms_conf **conf, int in, int out,
	int signals, int *ret_signal, struct kt_error *e);

#endif
