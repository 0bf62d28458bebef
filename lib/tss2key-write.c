/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files, DER, as the draft has them. emptyAuth is always written, because a reader exists
 * that mistakes its absence (tpm2-openssl before 1.3.0); description and rsaParent only where they
 * say something, because readers exist that refuse them. Written from the end: see der.h.
 */
#include "lib/tss2key.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/der.h"
#include "lib/tpm-public.h"
#include "lib/tss2key-policy.h"

static void write_boolean(struct kt_derw *w, unsigned n, bool value)
{
	size_t mark = kt_derw_mark(w);
	uint8_t octet = value ? 0xff : 0x00;

	kt_derw_element(w, KT_DER_BOOLEAN, &octet, 1);
	kt_derw_header(w, KT_DER_EXPLICIT(n), mark);
}

static void write_text(struct kt_derw *w, unsigned n, const char *text)
{
	size_t mark = kt_derw_mark(w);

	kt_derw_element(w, KT_DER_UTF8_STRING, text, strlen(text));
	kt_derw_header(w, KT_DER_EXPLICIT(n), mark);
}

/* OCTET STRING around a TPM2B. */
static int write_2b(
	struct kt_derw *w, UINT16 size, const BYTE *buffer, size_t max, struct kt_error *e)
{
	uint8_t prefix[2] = {(uint8_t)(size >> 8), (uint8_t)size};
	size_t mark = kt_derw_mark(w);

	if (size == 0 || size > max)
		return kt_fail(e, KT_E_INTERNAL, "buffer of %u bytes in a TSS2 key", size);
	kt_derw_bytes(w, buffer, size);
	kt_derw_bytes(w, prefix, sizeof(prefix));
	kt_derw_header(w, KT_DER_OCTET_STRING, mark);
	return 0;
}

static int write_step(struct kt_derw *w, const struct kt_policy_step *step, struct kt_error *e)
{
	uint8_t data[KT_TSS2KEY_COMMAND_MAX];
	size_t len, all = kt_derw_mark(w), inner = all;

	if (kt_tss2key_encode_command(step, data, &len, e) < 0)
		return -1;
	kt_derw_element(w, KT_DER_OCTET_STRING, data, len);
	kt_derw_header(w, KT_DER_EXPLICIT(1), inner);
	inner = kt_derw_mark(w);
	kt_derw_uint32(w, step->command);
	kt_derw_header(w, KT_DER_EXPLICIT(0), inner);
	kt_derw_header(w, KT_DER_SEQUENCE, all);
	return 0;
}

/* [n] SEQUENCE OF TPMPolicy */
static int write_policy(
	struct kt_derw *w, unsigned n, const struct kt_policy *policy, struct kt_error *e)
{
	size_t mark = kt_derw_mark(w);

	if (policy->count > KT_POLICY_STEPS_MAX)
		return kt_fail(
			e, KT_E_INTERNAL, "policy of %zu steps in a TSS2 key", policy->count);
	for (size_t i = policy->count; i > 0; i--)
		if (write_step(w, &policy->steps[i - 1], e) < 0)
			return -1;
	kt_derw_header(w, KT_DER_SEQUENCE, mark);
	kt_derw_header(w, KT_DER_EXPLICIT(n), mark);
	return 0;
}

static int write_auth_policies(struct kt_derw *w, const struct kt_tss2key *key, struct kt_error *e)
{
	size_t all = kt_derw_mark(w);

	if (key->auth_policy_count > KT_TSS2KEY_AUTH_POLICIES_MAX)
		return kt_fail(e, KT_E_INTERNAL, "%zu signed policies", key->auth_policy_count);
	for (size_t i = key->auth_policy_count; i > 0; i--) {
		const struct kt_tss2key_auth_policy *one = &key->auth_policies[i - 1];
		size_t mark = kt_derw_mark(w);

		if (write_policy(w, 1, &one->policy, e) < 0)
			return -1;
		if (one->name[0] != '\0')
			write_text(w, 0, one->name);
		kt_derw_header(w, KT_DER_SEQUENCE, mark);
	}
	kt_derw_header(w, KT_DER_SEQUENCE, all);
	kt_derw_header(w, KT_DER_EXPLICIT(3), all);
	return 0;
}

static void write_type(struct kt_derw *w, enum kt_tss2key_type type)
{
	uint8_t oid[] = {0x67, 0x81, 0x05, 0x0a, 0x01, (uint8_t)type}; /* 2.23.133.10.1.type */

	kt_derw_element(w, KT_DER_OID, oid, sizeof(oid));
}

/* parent, pubkey, privkey */
static int write_object(struct kt_derw *w, const struct kt_tss2key *key, struct kt_error *e)
{
	uint8_t public[sizeof(TPM2B_PUBLIC)];
	size_t public_len;

	if (write_2b(w, key->private.size, key->private.buffer, sizeof(key->private.buffer), e) <
			0 ||
		kt_public_marshal(&key->public, public, &public_len, e) < 0)
		return -1;
	kt_derw_element(w, KT_DER_OCTET_STRING, public, public_len);
	kt_derw_uint32(w, key->parent);
	return 0;
}

static int write_key(struct kt_derw *w, const struct kt_tss2key *key, struct kt_error *e)
{
	size_t mark;

	if (write_object(w, key, e) < 0)
		return -1;
	/* The draft forbids rsaParent beside a persistent handle. */
	if (key->rsa_parent && key->parent >> TPM2_HR_SHIFT == TPM2_HT_PERMANENT)
		write_boolean(w, 5, true);
	if (key->description[0] != '\0')
		write_text(w, 4, key->description);
	if (key->auth_policy_count > 0 && write_auth_policies(w, key, e) < 0)
		return -1;
	mark = kt_derw_mark(w);
	if (key->has_secret) {
		if (write_2b(w, key->secret.size, key->secret.secret, sizeof(key->secret.secret),
			    e) < 0)
			return -1;
		kt_derw_header(w, KT_DER_EXPLICIT(2), mark);
	}
	if (key->has_policy && write_policy(w, 1, &key->policy, e) < 0)
		return -1;
	write_boolean(w, 0, key->empty_auth);
	write_type(w, key->type);
	kt_derw_header(w, KT_DER_SEQUENCE, 0);
	return 0;
}

int kt_tss2key_to_der(
	const struct kt_tss2key *key, uint8_t **ret_der, size_t *ret_len, struct kt_error *e)
{
	auto_free uint8_t *buffer = malloc(KT_TSS2KEY_MAX_BYTES);
	struct kt_derw w;

	if (buffer == NULL)
		return kt_fail_memory(e);
	if (key->legacy)
		return kt_fail(e, KT_E_INTERNAL, "the legacy form of TSS2 keys is only read");
	kt_derw_init(&w, buffer, KT_TSS2KEY_MAX_BYTES);
	if (write_key(&w, key, e) < 0)
		return -1;
	if (w.failed)
		return kt_fail(
			e, KT_E_INTERNAL, "TSS2 key of more than %d bytes", KT_TSS2KEY_MAX_BYTES);
	memmove(buffer, buffer + w.start, kt_derw_mark(&w));
	*ret_len = kt_derw_mark(&w);
	*ret_der = kt_take(buffer);
	return 0;
}
