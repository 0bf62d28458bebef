/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM key files: an HMAC key of this TPM and its pepper, both bound to PCR values, or a P-256 key
 * that signs, as text.
 *
 *	Parent-Name: 000b…			(Name of the storage key, hex)
 *	Key-UUID: 5b2c…				(names the key for ever)
 *	PCRs: sha256:7=HEX,11=HEX		(what all is bound to; a line a state, up to 8; a
 *						P-256 key may have none)
 * or	Policy-Signer: HEX			(who approves states: P-256 point, x and y; HMAC)
 *	Audit-Tier: b				(each use is counted, for logs of that tier; else a)
 *	Creation: HEX HEX			(creationHash and ticket, with which the TPM proves
 *						where the key came from; older files do not have it)
 *	-----BEGIN TSS2 PRIVATE KEY-----	(the key: loadable, HMAC-SHA256 or ECDSA P-256)
 *	-----BEGIN TSS2 PRIVATE KEY-----	(an HMAC key's pepper: sealed data, 32 bytes)
 *
 * Nothing in it is secret. Other tools skip the lines and read the first block. Reading is strict,
 * and believes no words: the policies are recomputed from the PCRs, or from signer and UUID, and
 * compared with what the two objects say. Pure; fuzzed.
 */
#ifndef KT_LIB_KEYFILE_H
#define KT_LIB_KEYFILE_H

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/pcr.h"
#include "lib/policy-signer.h"
#include "lib/policy.h"
#include "lib/tpm-child.h"
#include "lib/tss2key.h"

#define KT_KEYFILE_MAX_BYTES 65536
#define KT_KEYFILE_UUID_SIZE 37	   /* with NUL */
#define KT_KEYFILE_VERSION_SIZE 33 /* with NUL */
#define KT_KEYFILE_PEPPER_BYTES 32
#define KT_KEYFILE_STATES_MAX 8 /* branches of a PolicyOR */

/* Hash of both objects' Names and policies. */
#define KT_KEYFILE_ALG TPM2_ALG_SHA256

enum kt_keyfile_type { KT_KEYFILE_HMAC, KT_KEYFILE_P256 };

struct kt_keyfile {
	enum kt_keyfile_type type;
	TPM2B_NAME parent;
	char uuid[KT_KEYFILE_UUID_SIZE];
	bool is_signed; /* states are approved by `signer`; none here */
	uint8_t signer[KT_SIGNER_POINT_BYTES];
	size_t state_count; /* else 1 or more, of a P-256 key 0 or more; any of them will do */
	struct kt_pcr_set states[KT_KEYFILE_STATES_MAX]; /* complete */
	bool is_counted; /* its policy asks for the use counter of audit logs of tier B */
	bool has_creation;
	struct kt_tpm_creation creation;	/* of the key */
	TPM2B_PUBLIC key_public, pepper_public; /* pepper: of an HMAC key only */
	TPM2B_PRIVATE key_private, pepper_private;
};

/* Attributes of the key: fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, noDA, sign;
 * userWithAuth clear, so that the policy is the only way to use it. */
#define KT_KEYFILE_KEY_ATTRIBUTES                                                                  \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
		TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT)

/* What the pepper takes to open in state number `state`: PolicyPCR and, if there are several
 * states, PolicyOR; and the key: the same, and then PolicyCommandCode(TPM2_CC_HMAC, or
 * TPM2_CC_Sign), and PolicySecret on the use counter if uses are counted. The digest is the same
 * for each state. If states are approved, it is PolicyAuthorize instead, with the UUID for its
 * reference, and kt_approval_apply() makes it one that can be run; `state` does not matter.
 * KT_E_INTERNAL if a PCR has no value. */
KT_CHECKED int kt_keyfile_pepper_policy(const struct kt_keyfile *file, size_t state,
	struct kt_policy *ret_policy, struct kt_error *e);
KT_CHECKED int kt_keyfile_key_policy(const struct kt_keyfile *file, size_t state,
	struct kt_policy *ret_policy, struct kt_error *e);

/* *ret_file is owned by the caller. KT_E_INPUT. */
KT_CHECKED int kt_keyfile_parse(
	const char *text, size_t len, struct kt_keyfile **ret_file, struct kt_error *e);

/* Reads a file; the error names it. KT_E_REFUSED unless it is root's or ours and nobody else can
 * write it: who can replace the key file can replace the key. */
KT_CHECKED int kt_keyfile_read(const char *path, struct kt_keyfile **ret_file, struct kt_error *e);

/* NUL-terminated, owned by the caller. */
KT_CHECKED int kt_keyfile_format(
	const struct kt_keyfile *file, char **ret_text, struct kt_error *e);

/* Which key it is, beside the UUID: a hash of an HMAC key's material that the TPM makes (the public
 * area's `unique`), of a P-256 key the half of x, so that a UUID copied to another key does not
 * give it the same key_id. */
void kt_keyfile_version(const struct kt_keyfile *file, char ret_version[KT_KEYFILE_VERSION_SIZE]);

/* The key that approves states, to be freed by the caller. KT_E_INPUT if there is none, or the
 * point is not on the curve. */
KT_CHECKED int kt_keyfile_signer(
	const struct kt_keyfile *file, EVP_PKEY **ret_signer, struct kt_error *e);

/* A P-256 key's public half, to be freed by the caller. KT_E_INPUT if it is another type. */
KT_CHECKED int kt_keyfile_public(
	const struct kt_keyfile *file, EVP_PKEY **ret_key, struct kt_error *e);

/* Zeroed, or NULL if out of memory; plain values, free() it. */
struct kt_keyfile *kt_keyfile_new(void);

#endif
