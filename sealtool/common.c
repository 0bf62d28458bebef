/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs share: PINs and keys from the command line, secrets in and out, JSON out.
 */
#include "sealtool/sealtool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "lib/hex.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/pin.h"

#define SECURE_HEAP_BYTES 65536
#define SECURE_HEAP_UNIT 32

int parse_options(const struct kt_verb *verb, int argc, char *argv[], void *target,
	const struct common *common, int *ret_first, bool *ret_done, struct kt_error *e)
{
	if (kt_opt_parse(&verb->command, argc, argv, target, ret_first, ret_done, e) < 0)
		return -1;
	kt_log_init(PROGRAM, common->verbose);
	return 0;
}

int read_pin(
	const struct common *common, bool confirm, struct kt_secret **ret_pin, struct kt_error *e)
{
	if (common->pin && common->pin_file != NULL)
		return kt_fail(e, KT_E_USAGE, "--pin and --pin-file exclude each other");
	if (common->pin_file != NULL)
		return kt_pin_read_file(common->pin_file, KT_PIN_MAX_BYTES, ret_pin, e);
	if (common->pin)
		return kt_pin_prompt("PIN: ", confirm, KT_PIN_MAX_BYTES, ret_pin, e);
	*ret_pin = NULL;
	return 0;
}

int read_new_pin(const struct common *common, struct kt_secret **ret_pin, struct kt_error *e)
{
	if (common->new_pin && common->new_pin_file != NULL)
		return kt_fail(e, KT_E_USAGE, "--new-pin and --new-pin-file exclude each other");
	if (common->new_pin_file != NULL)
		return kt_pin_read_file(common->new_pin_file, KT_PIN_MAX_BYTES, ret_pin, e);
	if (common->new_pin)
		return kt_pin_prompt("new PIN: ", true, KT_PIN_MAX_BYTES, ret_pin, e);
	*ret_pin = NULL;
	return 0;
}

int read_auth(const char *path, struct kt_secret **ret_auth, struct kt_error *e)
{
	*ret_auth = NULL;
	return path != NULL ? kt_pin_read_file(path, KT_AUTH_MAX_BYTES, ret_auth, e) : 0;
}

int read_recovery_key(const struct common *common, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL, *passphrase = NULL;
	auto_fd int fd = open(common->key, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", common->key);
	/* OpenSSL copies private numbers on its ways: into locked memory where it means to, and
	 * into buffers that it does not wipe where it does not. This key is used once, so time is
	 * no matter. */
	kt_wipe_freed(true);
	if (CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_UNIT) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "no locked memory for a private key");
	if (kt_secret_read_all(fd, KT_KEY_FILE_MAX_BYTES, common->key, &text, e) < 0)
		return -1;
	if (common->passphrase_file != NULL && kt_pin_read_file(common->passphrase_file,
						       KT_PASSPHRASE_MAX_BYTES, &passphrase, e) < 0)
		return -1;
	if (kt_jwk_read_private(text, passphrase, ret_key, e) == 0)
		return 0;
	kt_wrap(e, "%s", common->key);
	if (e->code != KT_E_PIN || passphrase != NULL || !isatty(STDIN_FILENO))
		return -1;
	if (kt_pin_prompt("passphrase of the private key: ", false, KT_PASSPHRASE_MAX_BYTES,
		    &passphrase, e) < 0)
		return -1;
	if (kt_jwk_read_private(text, passphrase, ret_key, e) < 0)
		return kt_wrap(e, "%s", common->key);
	return 0;
}

int open_sealed(const struct kt_sealed *sealed, const struct common *common,
	const struct kt_secret *pin, struct kt_secret **ret_secret, struct kt_error *e)
{
	const struct kt_seal_means means = {.pin = pin, .policy_dir = common->policy_dir};
	auto_tpm struct kt_tpm *tpm = NULL;
	auto_pkey EVP_PKEY *key = NULL;
	struct kt_parent srk;

	if (common->key != NULL) {
		if (read_recovery_key(common, &key, e) < 0)
			return -1;
		return kt_seal_open_recovery(sealed, key, ret_secret, e);
	}
	if (kt_tpm_open(common->tcti, &tpm, e) < 0 || kt_srk_load(tpm, &srk, e) < 0)
		return -1;
	return kt_seal_open_tpm(sealed, tpm, &srk, &means, NULL, ret_secret, e);
}

int read_stdin_secret(struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;

	if (isatty(STDIN_FILENO))
		kt_warn("reading the secret from the terminal, where it shows; end with Ctrl-D");
	if (kt_secret_read_all(
		    STDIN_FILENO, KT_SEALED_SECRET_MAX_BYTES, "standard input", &secret, e) < 0)
		return -1;
	if (kt_secret_len(secret) == 0)
		return kt_fail(e, KT_E_INPUT,
			"standard input is empty: give the secret there, as in 'sealtool seal … < "
			"FILE'");
	*ret_secret = kt_take(secret);
	return 0;
}

bool is_stdout(const struct common *common)
{
	return common->output == NULL || strcmp(common->output, "-") == 0 ||
	       strcmp(common->output, "/dev/stdout") == 0;
}

int check_secret_output(const struct common *common, struct kt_error *e)
{
	if (is_stdout(common) && !common->force && isatty(STDOUT_FILENO))
		return kt_fail(e, KT_E_REFUSED,
			"standard output is a terminal: redirect it, use -o FILE, or insist with "
			"--force");
	return 0;
}

int write_secret(const struct common *common, const struct kt_secret *secret, struct kt_error *e)
{
	if (!is_stdout(common))
		return kt_replace_file(
			common->output, kt_secret_bytes(secret), kt_secret_len(secret), 0600, e);
	return kt_secret_write(secret, STDOUT_FILENO, "standard output", e);
}

int write_sealed(const struct common *common, const struct kt_sealed *sealed, struct kt_error *e)
{
	auto_secret struct kt_secret *text = NULL;

	if (!is_stdout(common))
		return kt_seal_write(common->output, sealed, e);
	if (kt_sealed_serialize(sealed, &text, e) < 0)
		return -1;
	return kt_secret_write(text, STDOUT_FILENO, "standard output", e);
}

int write_stdout(const void *data, size_t len, struct kt_error *e)
{
	return kt_write_all(STDOUT_FILENO, data, len, "standard output", e);
}

int parse_slot(const char *text, long *ret_slot, struct kt_error *e)
{
	char *end;
	long slot;

	errno = 0;
	slot = strtol(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || slot < 0 ||
		slot >= KT_SEALED_RECIPIENTS_MAX)
		return kt_fail(e, KT_E_USAGE, "--slot: not a slot's number: '%s'", text);
	*ret_slot = slot;
	return 0;
}

void print_pcrs(const struct kt_pcr_set *pcrs)
{
	char hex[2 * TPM2_SHA512_DIGEST_SIZE + 1];

	for (size_t b = 0; b < pcrs->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			const uint8_t *value = kt_pcr_value(pcrs, pcrs->banks[b].alg, i);

			if (value == NULL)
				continue;
			kt_hex_encode(value, kt_pcr_bank_size(pcrs->banks[b].alg), hex);
			printf("PCR:        %s:%u %s\n", kt_pcr_bank_name(pcrs->banks[b].alg), i,
				hex);
		}
}

static void warn_one(void *ctx, const char *id, const char *sentence)
{
	(void)ctx;
	kt_warn("policy: %s [%s]", sentence, id);
}

void warn_about_pcrs(const struct kt_pcr_set *pcrs)
{
	(void)kt_pcr_lint(pcrs, warn_one, NULL);
}

int start_json(struct kt_jsonw *w, struct kt_secret **ret_text, struct kt_error *e)
{
	struct kt_secret *text;

	if (kt_secret_new_unlocked(JSON_DOCUMENT_MAX, &text, e) < 0)
		return -1;
	kt_jsonw_init(w, text);
	*ret_text = text;
	return 0;
}

int finish_json(struct kt_jsonw *w, struct kt_secret *text, struct kt_error *e)
{
	if (kt_jsonw_end(w, e) < 0 || kt_secret_append(text, "\n", 1, e) < 0)
		return -1;
	return kt_secret_write(text, STDOUT_FILENO, "standard output", e);
}
