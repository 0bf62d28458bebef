/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit-key.h"

#include <string.h>

#include "lib/audit-counter.h"
#include "lib/octets.h"

#define ARGUMENT_MAX 512 /* bytes of a policy step; eight digests are 256 */

/* Part 2, 8.3 TPMA_OBJECT */
#define FIXED_TPM (1u << 1)
#define FIXED_PARENT (1u << 4)
#define SENSITIVE_DATA_ORIGIN (1u << 5)
#define USER_WITH_AUTH (1u << 6)
#define ADMIN_WITH_POLICY (1u << 7)
#define ENCRYPTED_DUPLICATION (1u << 11)
#define RESTRICTED (1u << 16)
#define DECRYPT (1u << 17)
#define SIGN (1u << 18)
#define MUST_BE_SET (FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | ADMIN_WITH_POLICY | SIGN)
#define MUST_BE_CLEAR (USER_WITH_AUTH | ENCRYPTED_DUPLICATION | RESTRICTED | DECRYPT)

#define ALG_KEYEDHASH 0x0008u
#define ALG_HMAC 0x0005u
#define ALG_SHA256 0x000bu
#define ALG_NULL 0x0010u
#define ALG_ECDSA 0x0018u
#define ALG_ECC 0x0023u
#define CURVE_P256 0x0003u

#define CC_POLICY_SECRET 0x151u
#define CC_POLICY_AUTHORIZE 0x16au
#define CC_POLICY_COMMAND_CODE 0x16cu
#define CC_POLICY_OR 0x171u
#define CC_POLICY_PCR 0x17fu

static void clear_key(struct kt_audit_key *key)
{
	free(key->cluster);
	free(key->key_id);
}

int kt_audit_keyset_new(struct kt_audit_keyset **ret_set, struct kt_error *e)
{
	struct kt_audit_keyset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return kt_fail_memory(e);
	set->users = 1;
	*ret_set = set;
	return 0;
}

struct kt_audit_keyset *kt_audit_keyset_hold(struct kt_audit_keyset *set)
{
	atomic_fetch_add(&set->users, 1);
	return set;
}

void kt_audit_keyset_drop(struct kt_audit_keyset *set)
{
	if (set == NULL || atomic_fetch_sub(&set->users, 1) > 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		clear_key(&set->keys[i]);
	free(set);
}

static int copy_text(const struct kt_audit_text *text, char **ret_text, struct kt_error *e)
{
	auto_free char *copy = malloc(text->len + 1);
	size_t len;

	if (copy == NULL)
		return kt_fail_memory(e);
	len = kt_audit_unescape(text, copy);
	if (strlen(copy) != len)
		return kt_fail(e, KT_E_INPUT, "a name has a NUL");
	*ret_text = kt_take(copy);
	return 0;
}

static int copy_key(
	const struct kt_audit_key *from, struct kt_audit_key *ret_key, struct kt_error *e)
{
	struct kt_audit_key key = *from;

	key.cluster = strdup(from->cluster);
	key.key_id = strdup(from->key_id);
	if (key.cluster == NULL || key.key_id == NULL) {
		clear_key(&key);
		return kt_fail_memory(e);
	}
	*ret_key = key;
	return 0;
}

static int read_public(const struct kt_audit_record *record, uint8_t public[KT_AUDIT_PUBLIC_MAX],
	size_t *ret_len, struct kt_error *e)
{
	if (kt_audit_unhex(&record->key.public, public, KT_AUDIT_PUBLIC_MAX, ret_len) < 0)
		return kt_fail(e, KT_E_INPUT, "the key's public area has more than %d bytes",
			KT_AUDIT_PUBLIC_MAX);
	return 0;
}

static int key_of_line(
	const struct kt_audit_record *record, struct kt_audit_key *ret_key, struct kt_error *e)
{
	auto_free char *cluster = NULL, *key_id = NULL;
	uint8_t public[KT_AUDIT_PUBLIC_MAX];
	size_t len;

	if (read_public(record, public, &len, e) < 0 ||
		copy_text(&record->key.cluster, &cluster, e) < 0 ||
		copy_text(&record->key.key_id, &key_id, e) < 0)
		return -1;
	kt_audit_name(public, len, ret_key->name);
	ret_key->type = record->key.type;
	ret_key->cluster = kt_take(cluster);
	ret_key->key_id = kt_take(key_id);
	return 0;
}

int kt_audit_keyset_add(
	struct kt_audit_keyset **set, const struct kt_audit_record *record, struct kt_error *e)
{
	const struct kt_audit_keyset *old = *set;
	auto_keyset struct kt_audit_keyset *fresh = NULL;

	if (record->key.number != old->count)
		return kt_fail(e, KT_E_INPUT, "key %llu where key %zu has to be",
			(unsigned long long)record->key.number, old->count);
	fresh = calloc(1, sizeof(*fresh) + (old->count + 1) * sizeof(fresh->keys[0]));
	if (fresh == NULL)
		return kt_fail_memory(e);
	fresh->users = 1;
	for (; fresh->count < old->count; fresh->count++)
		if (copy_key(&old->keys[fresh->count], &fresh->keys[fresh->count], e) < 0)
			return -1;
	if (key_of_line(record, &fresh->keys[fresh->count], e) < 0)
		return -1;
	fresh->count++;
	kt_audit_keyset_drop(*set);
	*set = kt_take(fresh);
	return 0;
}

/* Part 2, 12.2.3.6 and 12.2.3.7: the scheme that goes with the type, the parameters' end and
 * `unique`. */
static bool scheme_fits(struct kt_octets *o, enum kt_audit_key_type type)
{
	size_t len;
	bool fits;

	if (type == KT_AUDIT_HMAC) {
		fits = kt_octets_number(o, 2) == ALG_HMAC && kt_octets_number(o, 2) == ALG_SHA256;
		(void)kt_octets_2b(o, &len);
		return fits && kt_octets_end(o);
	}
	fits = kt_octets_number(o, 2) == ALG_NULL && kt_octets_number(o, 2) == ALG_ECDSA &&
	       kt_octets_number(o, 2) == ALG_SHA256 && kt_octets_number(o, 2) == CURVE_P256 &&
	       kt_octets_number(o, 2) == ALG_NULL;
	(void)kt_octets_2b(o, &len);
	(void)kt_octets_2b(o, &len);
	return fits && kt_octets_end(o);
}

/* Attributes, scheme; and *ret_policy, borrowed from `public`. */
static int judge_public(const uint8_t *public, size_t len, enum kt_audit_key_type type,
	struct kt_attest_part *ret_policy, struct kt_error *e)
{
	struct kt_octets o = {public, len, false};
	uint64_t object = kt_octets_number(&o, 2), name_alg = kt_octets_number(&o, 2);
	uint64_t attributes = kt_octets_number(&o, 4);
	struct kt_attest_part policy;

	policy.data = kt_octets_2b(&o, &policy.len);
	if (object != (type == KT_AUDIT_HMAC ? ALG_KEYEDHASH : ALG_ECC) || name_alg != ALG_SHA256 ||
		policy.len != KT_SHA256_BYTES || !scheme_fits(&o, type))
		return kt_fail(e, KT_E_EVIDENCE, "not the kind of key that it is called");
	if ((attributes & MUST_BE_SET) != MUST_BE_SET || (attributes & MUST_BE_CLEAR) != 0)
		return kt_fail(e, KT_E_EVIDENCE,
			"its attributes (%08x) let it be copied, or be used without its policy",
			(unsigned)attributes);
	*ret_policy = policy;
	return 0;
}

/* policyDigest = H(old ‖ code ‖ argument); `old` NULL: zeros. */
static void update(uint8_t digest[KT_SHA256_BYTES], const uint8_t *old, uint32_t code,
	const void *argument, size_t len)
{
	static const uint8_t zeros[KT_SHA256_BYTES];
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, old != NULL ? old : zeros, KT_SHA256_BYTES);
	kt_sha256_add_u32(&hash, code);
	kt_sha256_add(&hash, argument, len);
	kt_sha256_finish(&hash, digest);
}

/* TPML_PCR_SELECTION and a digest: nothing else may be hidden in the argument. */
static bool is_pcr_argument(const uint8_t *argument, size_t len)
{
	struct kt_octets o = {argument, len, false};
	uint64_t count = kt_octets_number(&o, 4);

	for (uint64_t i = 0; i < count && !o.failed; i++) {
		(void)kt_octets_number(&o, 2);
		(void)kt_octets_take(&o, (size_t)kt_octets_number(&o, 1));
	}
	(void)kt_octets_take(&o, KT_SHA256_BYTES);
	return kt_octets_end(&o);
}

/* policyDigest = H(policyDigest ‖ policyRef): the second half of Part 3, 23.2.3. */
static void add_ref(uint8_t digest[KT_SHA256_BYTES], const uint8_t *ref, size_t len)
{
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, digest, KT_SHA256_BYTES);
	kt_sha256_add(&hash, ref, len);
	kt_sha256_finish(&hash, digest);
}

static bool is_counter(const uint8_t *argument, size_t len)
{
	uint8_t name[KT_AUDIT_NAME_BYTES];

	kt_audit_counter_name(name);
	return len == sizeof(name) && memcmp(argument, name, sizeof(name)) == 0;
}

/* Part 3, chapter 23. Each step is one of these, and is hashed as the TPM does it; from the digest
 * before the last alone it could not be told whether a PolicyAuthorize only looks like it. */
static bool run_step(
	uint8_t digest[KT_SHA256_BYTES], uint32_t code, const uint8_t *argument, size_t len)
{
	switch (code) {
	case CC_POLICY_PCR:
		update(digest, digest, code, argument, len);
		return is_pcr_argument(argument, len);
	case CC_POLICY_OR:
		update(digest, NULL, code, argument, len);
		return len % KT_SHA256_BYTES == 0 && len >= (size_t)2 * KT_SHA256_BYTES &&
		       len <= (size_t)8 * KT_SHA256_BYTES;
	case CC_POLICY_AUTHORIZE:
		if (len < KT_AUDIT_NAME_BYTES)
			return false;
		update(digest, NULL, code, argument, KT_AUDIT_NAME_BYTES);
		add_ref(digest, argument + KT_AUDIT_NAME_BYTES, len - KT_AUDIT_NAME_BYTES);
		return true;
	case CC_POLICY_SECRET:
		update(digest, digest, code, argument, len);
		add_ref(digest, argument, 0);
		return is_counter(argument, len);
	case CC_POLICY_COMMAND_CODE:
		update(digest, digest, code, argument, len);
		return len == 4;
	default:
		return false;
	}
}

/* Is step `i` PolicyCommandCode of the command that is audited? */
static bool allows_only(const struct kt_audit_record *record, size_t i)
{
	const uint32_t wanted =
		record->key.type == KT_AUDIT_HMAC ? KT_AUDIT_CC_HMAC : KT_AUDIT_CC_SIGN;
	uint8_t argument[4];
	size_t len;

	return record->key.steps[i].code == CC_POLICY_COMMAND_CODE &&
	       kt_audit_unhex(&record->key.steps[i].argument, argument, sizeof(argument), &len) ==
		       0 &&
	       kt_octets_number(&(struct kt_octets){argument, len, false}, 4) == wanted;
}

/* What the policy must end with. */
static int judge_end(
	const struct kt_audit_record *record, enum kt_audit_tier tier, struct kt_error *e)
{
	size_t last = record->key.step_count - 1;

	if (tier == KT_AUDIT_TIER_B) {
		if (last == 0 || record->key.steps[last].code != CC_POLICY_SECRET)
			return kt_fail(e, KT_E_EVIDENCE,
				"its policy does not end with the use counter: its uses are not "
				"counted");
		last--;
	}
	if (!allows_only(record, last))
		return kt_fail(e, KT_E_EVIDENCE,
			"its policy does not end with the one command that is audited");
	return 0;
}

static int judge_policy(const struct kt_audit_record *record, const struct kt_attest_part *policy,
	enum kt_audit_tier tier, struct kt_error *e)
{
	uint8_t digest[KT_SHA256_BYTES] = {0}, argument[ARGUMENT_MAX];
	size_t len = 0;

	for (size_t i = 0; i < record->key.step_count; i++)
		if (kt_audit_unhex(
			    &record->key.steps[i].argument, argument, sizeof(argument), &len) < 0 ||
			!run_step(digest, record->key.steps[i].code, argument, len))
			return kt_fail(
				e, KT_E_EVIDENCE, "step %zu of its policy is none we know", i + 1);
	if (!kt_attest_part_is(policy, digest, sizeof(digest)))
		return kt_fail(e, KT_E_EVIDENCE, "its policy is not the one that is shown");
	return judge_end(record, tier, e);
}

static enum kt_audit_key_fault judge_attest(const struct kt_audit_record *record,
	const struct kt_ak *ak, const uint8_t *public, size_t public_len, struct kt_error *e)
{
	uint8_t data[KT_ATTEST_MAX_BYTES], name[KT_AUDIT_NAME_BYTES], extra[KT_SHA256_BYTES];
	struct kt_audit_key key = {0};
	struct kt_attest attest;
	size_t len;

	if (kt_audit_unhex(&record->key.attest, data, sizeof(data), &len) < 0) {
		kt_fail(e, KT_E_INPUT, "its attestation is too long");
		return KT_AUDIT_KEY_BAD;
	}
	if (kt_attest_parse(data, len, KT_ATTEST_CREATION, &attest, e) < 0)
		return KT_AUDIT_KEY_BAD;
	if (!kt_attest_part_is(&attest.signer, ak->qualified_name, sizeof(ak->qualified_name))) {
		kt_fail(e, KT_E_EVIDENCE, "attested by another TPM");
		return KT_AUDIT_KEY_OTHER_TPM;
	}
	if (key_of_line(record, &key, e) < 0)
		return KT_AUDIT_KEY_BAD;
	kt_audit_qualify_key(key.cluster, key.key_id, extra);
	clear_key(&key);
	kt_audit_name(public, public_len, name);
	if (!kt_ak_signed(ak, data, len, record->key.signature) ||
		!kt_attest_part_is(&attest.name, name, sizeof(name)) ||
		!kt_attest_part_is(&attest.extra, extra, sizeof(extra))) {
		kt_fail(e, KT_E_EVIDENCE,
			"its attestation does not verify, or is for another key, cluster or "
			"key_id");
		return KT_AUDIT_KEY_BAD;
	}
	return KT_AUDIT_KEY_GOOD;
}

enum kt_audit_key_fault kt_audit_key_judge(const struct kt_audit_record *record,
	const struct kt_ak *ak, enum kt_audit_tier tier, struct kt_error *e)
{
	uint8_t public[KT_AUDIT_PUBLIC_MAX];
	struct kt_attest_part policy;
	size_t len;

	if (read_public(record, public, &len, e) < 0 ||
		judge_public(public, len, record->key.type, &policy, e) < 0 ||
		judge_policy(record, &policy, tier, e) < 0)
		return KT_AUDIT_KEY_BAD;
	return judge_attest(record, ak, public, len, e);
}
