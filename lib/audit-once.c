/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-once.h"

#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/tpm-sign.h"

/* Until kms-shim, which looks about once in five seconds, has repeated what another one left. */
#define WAIT_TRIES 100
#define WAIT_PAUSE_NS 100000000

static int settle(struct kt_audit_once *once, const struct kt_audit_place *place,
	enum kt_audit_verdict *ret_verdict, struct kt_error *e)
{
	if (kt_audit_lock(once->audit, 0, e) < 0 || kt_tpm_open(place->tcti, &once->tpm, e) < 0 ||
		kt_srk_load(once->tpm, &once->srk, e) < 0 ||
		kt_audit_attach(once->audit, once->tpm, ++once->connections, e) < 0)
		return -1;
	return kt_audit_settle(once->audit, once->tpm, &once->srk, ret_verdict, e);
}

static void let_go(struct kt_audit_once *once)
{
	kt_tpm_close(once->tpm);
	once->tpm = NULL;
	kt_audit_unlock(once->audit);
}

/* Log and TPM are ours on success. */
static int wait_until_settled(struct kt_audit_once *once, const struct kt_audit_place *place,
	enum kt_audit_patience patience, struct kt_error *e)
{
	const struct timespec pause = {.tv_nsec = WAIT_PAUSE_NS};
	enum kt_audit_verdict verdict;

	for (int i = 0; i < WAIT_TRIES; i++) {
		if (settle(once, place, &verdict, e) < 0)
			return -1;
		if (verdict == KT_AUDIT_SETTLED)
			return 0;
		if (patience == KT_AUDIT_ABANDON)
			return kt_audit_abandon(once->audit, once->tpm, &once->srk, e);
		let_go(once);
		nanosleep(&pause, NULL);
	}
	return kt_fail(e, KT_E_BUSY,
		"an operation of kms-shim was cut off, and only kms-shim can repeat it: start it, "
		"or "
		"give the operation up with 'sealtool audit checkpoint --abandon', which leaves a "
		"window that audit-verify shows");
}

int kt_audit_once_begin(const struct kt_audit_place *place, enum kt_audit_patience patience,
	struct kt_audit_once *ret_once, struct kt_error *e)
{
	struct kt_audit_once once = {0};

	if (kt_audit_open(place->path, place->endorsement_auth, &once.audit, e) < 0)
		return -1;
	if (wait_until_settled(&once, place, patience, e) < 0) {
		kt_audit_once_end(&once);
		return -1;
	}
	*ret_once = once;
	return 0;
}

int kt_audit_once_checkpoint(struct kt_audit_once *once, const char *nonce, struct kt_error *e)
{
	return kt_audit_checkpoint(once->audit, once->tpm, &once->srk, nonce, e);
}

void kt_audit_once_end(struct kt_audit_once *once)
{
	const char *warning = once->audit != NULL ? kt_audit_next_warning(once->audit) : NULL;

	if (warning != NULL)
		kt_warn("%s", warning);
	kt_tpm_close(once->tpm);
	once->tpm = NULL;
	/* Closing the file lets go of the lock. */
	kt_audit_close(once->audit);
	once->audit = NULL;
}

static int sign(struct kt_audit_once *once, const struct kt_audit_signer *signer,
	const uint8_t digest[KT_SHA256_BYTES], uint8_t ret_signature[KT_AUDIT_POINT_BYTES],
	struct kt_error *e)
{
	struct kt_tpm_audit_session *session = kt_audit_session(once->audit);

	if (session != NULL)
		return kt_tpm_sign_in_session(once->tpm, signer->handle, signer->entrant.policy,
			session, digest, ret_signature, e);
	return kt_tpm_sign(once->tpm, &once->srk, signer->handle, signer->entrant.policy, digest,
		ret_signature, e);
}

int kt_audit_once_sign(struct kt_audit_once *once, const struct kt_audit_signer *signer,
	const uint8_t *tbs, size_t len, uint8_t ret_signature[KT_AUDIT_POINT_BYTES],
	struct kt_error *e)
{
	uint8_t digest[KT_SHA256_BYTES], signature[KT_AUDIT_POINT_BYTES];
	enum kt_audit_verdict verdict;
	struct kt_error later;
	uint64_t number;

	if (kt_audit_enter(once->audit, once->tpm, &once->srk, signer->handle, &signer->entrant,
		    &number, e) < 0 ||
		kt_audit_intend_sign(once->audit, number, tbs, len, digest, e) < 0)
		return -1;
	if (sign(once, signer, digest, signature, e) < 0) {
		/* Now, or by whoever comes next. */
		if (kt_audit_settle(once->audit, once->tpm, &once->srk, &verdict, &later) < 0)
			kt_debug("%s", later.msg);
		return -1;
	}
	if (kt_audit_sign_result(once->audit, signature, e) < 0)
		return -1;
	memcpy(ret_signature, signature, sizeof(signature));
	return 0;
}
