/* SPDX-License-Identifier: Apache-2.0 */
/* PINs, passphrases and authorisation values from files and terminals. */
#ifndef KT_LIB_PIN_H
#define KT_LIB_PIN_H

#include "lib/secret.h"

/* A PIN becomes an object's authValue as it is, so that other TPM tools can use it too: at most a
 * SHA-256 digest's size. */
#define KT_PIN_MAX_BYTES 32
#define KT_PASSPHRASE_MAX_BYTES 1024
#define KT_AUTH_MAX_BYTES 64 /* of an authorisation value: a SHA-512 digest's size */
#define KT_PIN_FILE_MAX_BYTES 2048

/* The first line of `path` (1 to `max` bytes, no NUL, nothing behind its newline). KT_E_USAGE if it
 * cannot be opened, KT_E_REFUSED if it is a regular file that others own, can read or write,
 * KT_E_INPUT for its content. */
KT_CHECKED int kt_pin_read_file(
	const char *path, size_t max, struct kt_secret **ret_pin, struct kt_error *e);

/* Asks on the terminal with echo off (twice and compared, if `confirm`). KT_E_USAGE without a
 * terminal, KT_E_INPUT if empty or different. A signal to end restores the terminal first. */
KT_CHECKED int kt_pin_prompt(const char *prompt, bool confirm, size_t max,
	struct kt_secret **ret_pin, struct kt_error *e);

#endif
