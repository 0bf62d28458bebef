/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSS2 key files, DER. The draft has a grammar, its implementations have habits, and we read both:
 *
 * - parent: 0x81000001 comes as five octets with a leading zero, which DER asks for, or as four,
 *   a negative number (pcr-oracle). Both are the handle.
 * - emptyAuth: absent means FALSE, any octet but zero means TRUE. tpm2-tools before 5.8 writes the
 *   opposite of what holds, and no reader can tell. For sealed data with userWithAuth set the
 *   caller tries the empty auth value first, whatever is written here.
 * - type: tpm2_encodeobject writes the type of a loadable key for sealed data too. What the object
 *   is, its public area says.
 * - [6] and above are from a later version of the grammar, and are stepped over.
 * - policy: three ways to write PolicyPCR, two for PolicyCounterTimer, see tss2key-policy.c.
 * - the legacy form: type 2.23.133.10.2, other tags, and no parent means the owner hierarchy.
 *
 * All that is understood is understood exactly: elements in the order of the grammar, each at
 * most once, no octet left over anywhere. PEM is in tss2key-pem.c.
 */
#include "lib/tss2key.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/der.h"
#include "lib/json.h"
#include "lib/tpm-public.h"
#include "lib/tss2key-policy.h"

#define FIRST_UNKNOWN_TAG 6
#define LAST_TAG 30 /* the last whose identifier is one octet */

/* The elements of a file, before they are looked into. data NULL: absent. */
struct elements {
	struct kt_der type, empty_auth, policy, secret, auth_policy, description, rsa_parent;
	struct kt_der parent, public, private;
};

/* 2.23.133.10.1.3 to .5, and 2.23.133.10.2; the first two arcs share an octet pair. */
static const struct {
	uint8_t oid[6];
	size_t len;
	enum kt_tss2key_type type;
	bool legacy;
} types[] = {
	{{0x67, 0x81, 0x05, 0x0a, 0x01, 0x03}, 6, KT_TSS2KEY_LOADABLE, false},
	{{0x67, 0x81, 0x05, 0x0a, 0x01, 0x04}, 6, KT_TSS2KEY_IMPORTABLE, false},
	{{0x67, 0x81, 0x05, 0x0a, 0x01, 0x05}, 6, KT_TSS2KEY_SEALED, false},
	{{0x67, 0x81, 0x05, 0x0a, 0x02}, 5, KT_TSS2KEY_LOADABLE, true},
};

struct kt_tss2key *kt_tss2key_new(void)
{
	return calloc(1, sizeof(struct kt_tss2key));
}

static int read_type(const struct kt_der *oid, struct kt_tss2key *key, struct kt_error *e)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (oid->len != types[i].len || memcmp(oid->data, types[i].oid, oid->len) != 0)
			continue;
		key->type = types[i].type;
		key->legacy = types[i].legacy;
		return 0;
	}
	return kt_fail(e, KT_E_INPUT, "unknown type of TPM key");
}

static int read_optional(struct kt_der *in, unsigned n, unsigned identifier, const char *what,
	struct kt_der *ret_content, struct kt_error *e)
{
	if (!kt_der_next_is(in, KT_DER_EXPLICIT(n)))
		return 0;
	return kt_der_read_explicit(in, n, identifier, what, ret_content, e);
}

/* Tags go up, as in the grammar; what stands inside is not ours to judge. */
static int skip_unknown(struct kt_der *in, struct kt_error *e)
{
	struct kt_der ignored;

	for (unsigned n = FIRST_UNKNOWN_TAG; n <= LAST_TAG; n++)
		if (kt_der_next_is(in, KT_DER_EXPLICIT(n)) &&
			kt_der_read(in, KT_DER_EXPLICIT(n), "extension", &ignored, e) < 0)
			return -1;
	return 0;
}

/* TPMKey ::= SEQUENCE { …, parent INTEGER, pubkey OCTET STRING, privkey OCTET STRING } */
static int read_elements(struct kt_der *in, struct elements *el, struct kt_error *e)
{
	if (read_optional(in, 0, KT_DER_BOOLEAN, "emptyAuth", &el->empty_auth, e) < 0 ||
		read_optional(in, 1, KT_DER_SEQUENCE, "policy", &el->policy, e) < 0 ||
		read_optional(in, 2, KT_DER_OCTET_STRING, "secret", &el->secret, e) < 0 ||
		read_optional(in, 3, KT_DER_SEQUENCE, "authPolicy", &el->auth_policy, e) < 0 ||
		read_optional(in, 4, KT_DER_UTF8_STRING, "description", &el->description, e) < 0 ||
		read_optional(in, 5, KT_DER_BOOLEAN, "rsaParent", &el->rsa_parent, e) < 0 ||
		skip_unknown(in, e) < 0)
		return -1;
	if (kt_der_read(in, KT_DER_INTEGER, "parent", &el->parent, e) < 0 ||
		kt_der_read(in, KT_DER_OCTET_STRING, "pubkey", &el->public, e) < 0)
		return -1;
	return kt_der_read(in, KT_DER_OCTET_STRING, "privkey", &el->private, e);
}

/* OldTPMKey: the same things under other tags. */
static int read_legacy_elements(struct kt_der *in, struct elements *el, struct kt_error *e)
{
	if (read_optional(in, 0, KT_DER_BOOLEAN, "emptyAuth", &el->empty_auth, e) < 0 ||
		read_optional(in, 1, KT_DER_INTEGER, "parent", &el->parent, e) < 0 ||
		kt_der_read_explicit(in, 2, KT_DER_OCTET_STRING, "pubkey", &el->public, e) < 0 ||
		read_optional(in, 3, KT_DER_SEQUENCE, "policy", &el->policy, e) < 0)
		return -1;
	return kt_der_read(in, KT_DER_OCTET_STRING, "privkey", &el->private, e);
}

static int read_boolean(
	const struct kt_der *content, const char *what, bool *ret_value, struct kt_error *e)
{
	if (content->data == NULL)
		return 0;
	if (content->len != 1)
		return kt_fail(e, KT_E_INPUT, "%s is no BOOLEAN", what);
	*ret_value = content->data[0] != 0;
	return 0;
}

/* Persistent handles, and the hierarchies that have a primary seed (Part 2, 7.4 and 7.5). */
static int read_parent(const struct kt_der *content, struct kt_tss2key *key, struct kt_error *e)
{
	uint32_t handle = TPM2_RH_OWNER;

	if (content->data != NULL && kt_der_uint32(content, "parent", &handle, e) < 0)
		return -1;
	if (handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT && handle != TPM2_RH_OWNER &&
		handle != TPM2_RH_ENDORSEMENT && handle != TPM2_RH_PLATFORM &&
		handle != TPM2_RH_NULL)
		return kt_fail(e, KT_E_INPUT,
			"parent 0x%08x is neither a persistent handle nor a hierarchy", handle);
	key->parent = handle;
	/* pcr-oracle writes it beside a persistent handle, where the draft forbids it. */
	if (handle >> TPM2_HR_SHIFT != TPM2_HT_PERMANENT)
		key->rsa_parent = false;
	return 0;
}

/* UTF-8 without control characters. */
static bool is_text(const struct kt_der *content)
{
	size_t at = 0, step;

	while (at < content->len) {
		step = kt_json_utf8_len(content->data + at, content->len - at);
		if (step == 0 || content->data[at] < 0x20 || content->data[at] == 0x7f)
			return false;
		at += step;
	}
	return true;
}

/* A string for people, that can be shown as it is. */
static int read_text(const struct kt_der *content, const char *what, char *ret_text, size_t size,
	struct kt_error *e)
{
	if (content->data == NULL)
		return 0;
	if (content->len >= size)
		return kt_fail(e, KT_E_INPUT, "%s has more than %zu bytes", what, size - 1);
	if (!is_text(content))
		return kt_fail(e, KT_E_INPUT, "%s is not printable UTF-8", what);
	memcpy(ret_text, content->data, content->len);
	ret_text[content->len] = '\0';
	return 0;
}

/* A whole TPM2B of at least one octet. */
static int read_2b(const struct kt_der *content, const char *what, UINT16 *ret_size,
	BYTE *ret_buffer, size_t max, struct kt_error *e)
{
	size_t size;

	if (content->len < 3 || content->len > 2 + max)
		return kt_fail(e, KT_E_INPUT, "%s cannot have %zu bytes", what, content->len);
	size = (size_t)(content->data[0] << 8 | content->data[1]);
	if (size != content->len - 2)
		return kt_fail(e, KT_E_INPUT, "size prefix of %s is wrong", what);
	memcpy(ret_buffer, content->data + 2, size);
	*ret_size = (UINT16)size;
	return 0;
}

/* TPMPolicy ::= SEQUENCE { commandCode [0] INTEGER, commandPolicy [1] OCTET STRING } */
static int read_step(struct kt_der *in, TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step,
	struct kt_error *e)
{
	struct kt_der sequence, code, octets;
	uint32_t command;

	if (kt_der_read(in, KT_DER_SEQUENCE, "policy command", &sequence, e) < 0 ||
		kt_der_read_explicit(&sequence, 0, KT_DER_INTEGER, "commandCode", &code, e) < 0 ||
		kt_der_read_explicit(
			&sequence, 1, KT_DER_OCTET_STRING, "commandPolicy", &octets, e) < 0 ||
		kt_der_end(&sequence, "policy command", e) < 0 ||
		kt_der_uint32(&code, "commandCode", &command, e) < 0)
		return -1;
	return kt_tss2key_decode_command(command, octets.data, octets.len, name_alg, ret_step, e);
}

/* SEQUENCE OF TPMPolicy */
static int read_policy(
	struct kt_der in, TPMI_ALG_HASH name_alg, struct kt_policy *ret_policy, struct kt_error *e)
{
	size_t count = 0;

	while (in.len > 0) {
		if (count == KT_POLICY_STEPS_MAX)
			return kt_fail(e, KT_E_INPUT, "policy has more than %d commands",
				KT_POLICY_STEPS_MAX);
		if (read_step(&in, name_alg, &ret_policy->steps[count], e) < 0)
			return -1;
		count++;
	}
	ret_policy->count = count;
	return 0;
}

static bool is_signed(const struct kt_policy *policy)
{
	const struct kt_policy_step *last = policy->steps;

	if (policy->count == 0)
		return false;
	last += policy->count - 1;
	return last->command == TPM2_CC_PolicyAuthorize &&
	       last->authorize.signature.sigAlg != TPM2_ALG_NULL;
}

/* TPMAuthPolicy ::= SEQUENCE { name [0] UTF8String OPTIONAL, policy [1] SEQUENCE OF TPMPolicy } */
static int read_auth_policy(struct kt_der *in, TPMI_ALG_HASH name_alg,
	struct kt_tss2key_auth_policy *ret_policy, struct kt_error *e)
{
	struct kt_der sequence, name = {0}, steps;

	if (kt_der_read(in, KT_DER_SEQUENCE, "signed policy", &sequence, e) < 0 ||
		read_optional(&sequence, 0, KT_DER_UTF8_STRING, "name", &name, e) < 0 ||
		kt_der_read_explicit(&sequence, 1, KT_DER_SEQUENCE, "signed policy", &steps, e) <
			0 ||
		kt_der_end(&sequence, "signed policy", e) < 0 ||
		read_text(&name, "name of a signed policy", ret_policy->name,
			sizeof(ret_policy->name), e) < 0 ||
		read_policy(steps, name_alg, &ret_policy->policy, e) < 0)
		return -1;
	if (!is_signed(&ret_policy->policy))
		return kt_fail(e, KT_E_INPUT, "signed policy does not end in a signature");
	return 0;
}

static int read_auth_policies(struct kt_der in, struct kt_tss2key *key, struct kt_error *e)
{
	TPMI_ALG_HASH name_alg = key->public.publicArea.nameAlg;

	while (in.len > 0) {
		if (key->auth_policy_count == KT_TSS2KEY_AUTH_POLICIES_MAX)
			return kt_fail(e, KT_E_INPUT, "more than %d signed policies",
				KT_TSS2KEY_AUTH_POLICIES_MAX);
		if (read_auth_policy(
			    &in, name_alg, &key->auth_policies[key->auth_policy_count], e) < 0)
			return -1;
		key->auth_policy_count++;
	}
	return 0;
}

static int interpret(const struct elements *el, struct kt_tss2key *key, struct kt_error *e)
{
	if (read_boolean(&el->empty_auth, "emptyAuth", &key->empty_auth, e) < 0 ||
		read_boolean(&el->rsa_parent, "rsaParent", &key->rsa_parent, e) < 0 ||
		read_parent(&el->parent, key, e) < 0 ||
		read_text(&el->description, "description", key->description,
			sizeof(key->description), e) < 0 ||
		kt_public_unmarshal(el->public.data, el->public.len, &key->public, e) < 0 ||
		read_2b(&el->private, "privkey", &key->private.size, key->private.buffer,
			sizeof(key->private.buffer), e) < 0 ||
		read_policy(el->policy, key->public.publicArea.nameAlg, &key->policy, e) < 0 ||
		read_auth_policies(el->auth_policy, key, e) < 0)
		return -1;
	key->has_policy = el->policy.data != NULL; /* none of its commands: satisfied at once */
	key->has_secret = el->secret.data != NULL;
	if (key->has_secret && read_2b(&el->secret, "secret", &key->secret.size, key->secret.secret,
				       sizeof(key->secret.secret), e) < 0)
		return -1;
	if (key->type == KT_TSS2KEY_IMPORTABLE && !key->has_secret)
		return kt_fail(e, KT_E_INPUT, "importable key without its secret");
	if (key->type == KT_TSS2KEY_LOADABLE && key->has_secret)
		return kt_fail(e, KT_E_INPUT, "loadable key with a secret for import");
	return 0;
}

static int decode(struct kt_der in, struct kt_tss2key *key, struct kt_error *e)
{
	struct elements el = {0};
	struct kt_der sequence;

	if (in.len > KT_TSS2KEY_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %d bytes", KT_TSS2KEY_MAX_BYTES);
	if (kt_der_read(&in, KT_DER_SEQUENCE, "TPMKey", &sequence, e) < 0 ||
		kt_der_end(&in, "the file", e) < 0 ||
		kt_der_read(&sequence, KT_DER_OID, "type", &el.type, e) < 0 ||
		read_type(&el.type, key, e) < 0)
		return -1;
	if (key->legacy) {
		if (read_legacy_elements(&sequence, &el, e) < 0)
			return -1;
	} else if (read_elements(&sequence, &el, e) < 0) {
		return -1;
	}
	if (kt_der_end(&sequence, "TPMKey", e) < 0)
		return -1;
	return interpret(&el, key, e);
}

int kt_tss2key_from_der(
	const uint8_t *der, size_t len, struct kt_tss2key *ret_key, struct kt_error *e)
{
	auto_free struct kt_tss2key *key = kt_tss2key_new();

	if (key == NULL)
		return kt_fail_memory(e);
	if (decode((struct kt_der){der, len}, key, e) < 0)
		return kt_wrap(e, "TSS2 key");
	*ret_key = *key;
	return 0;
}
