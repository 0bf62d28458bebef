/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM key files. There is one way to write a file, and only that is read: what differs was changed
 * by somebody.
 */
#include "lib/keyfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/approval.h"
#include "lib/audit-counter.h"
#include "lib/hex.h"
#include "lib/io.h"
#include "lib/tpm-key.h"
#include "lib/tpm-public.h"
#include "lib/uuid.h"

#define END_LINE "-----END TSS2 PRIVATE KEY-----\n"
#define SIGNER_LABEL "Policy-Signer"
#define TIER_LABEL "Audit-Tier"
#define CREATION_LABEL "Creation"
#define PCR_VALUE_DIGITS (2 * TPM2_SHA512_DIGEST_SIZE)
/* "+sha512:" for each bank, ",23=VALUE" for each PCR */
#define PCRS_TEXT_MAX                                                                              \
	((size_t)KT_PCR_BANKS_MAX * (8 + (size_t)KT_PCR_COUNT * (4 + PCR_VALUE_DIGITS)) + 1)

_Static_assert(KT_KEYFILE_UUID_SIZE == KT_UUID_SIZE, "a UUID fits");

struct kt_keyfile *kt_keyfile_new(void)
{
	return calloc(1, sizeof(struct kt_keyfile));
}

static int pcr_step(
	const struct kt_pcr_set *pcrs, struct kt_policy_step *ret_step, struct kt_error *e)
{
	ret_step->command = TPM2_CC_PolicyPCR;
	kt_pcr_to_tpml(pcrs, &ret_step->pcr.selection);
	return kt_pcr_digest(pcrs, KT_KEYFILE_ALG, &ret_step->pcr.digest, e);
}

/* One state is PolicyPCR alone; of several, each is a branch. */
static int or_step(
	const struct kt_keyfile *file, struct kt_policy_step *ret_step, struct kt_error *e)
{
	ret_step->command = TPM2_CC_PolicyOR;
	memset(&ret_step->branches, 0, sizeof(ret_step->branches));
	ret_step->branches.count = (UINT32)file->state_count;
	for (size_t i = 0; i < file->state_count; i++) {
		struct kt_policy branch = {.count = 1};

		if (pcr_step(&file->states[i], branch.steps, e) < 0 ||
			kt_policy_digest(
				KT_KEYFILE_ALG, &branch, &ret_step->branches.digests[i], e) < 0)
			return -1;
	}
	return 0;
}

static void signed_policy(const struct kt_keyfile *file, struct kt_policy *ret_policy)
{
	TPM2B_PUBLIC signer;

	kt_signer_public_of_point(file->signer, &signer);
	kt_approval_step(&signer, file->uuid, &ret_policy->steps[0]);
	ret_policy->count = 1;
}

int kt_keyfile_signer(const struct kt_keyfile *file, EVP_PKEY **ret_signer, struct kt_error *e)
{
	if (!file->is_signed)
		return kt_fail(e, KT_E_INPUT, "the key asks for nobody's approval");
	return kt_p256_from_point(file->signer, ret_signer, e);
}

int kt_keyfile_public(const struct kt_keyfile *file, EVP_PKEY **ret_key, struct kt_error *e)
{
	const TPMS_ECC_POINT *unique = &file->key_public.publicArea.unique.ecc;
	uint8_t point[2 * KT_P256_COORD_BYTES];

	if (file->type != KT_KEYFILE_P256)
		return kt_fail(e, KT_E_INPUT, "the key is not of type p256");
	memcpy(point, unique->x.buffer, KT_P256_COORD_BYTES);
	memcpy(point + KT_P256_COORD_BYTES, unique->y.buffer, KT_P256_COORD_BYTES);
	return kt_p256_from_point(point, ret_key, e);
}

int kt_keyfile_pepper_policy(const struct kt_keyfile *file, size_t state,
	struct kt_policy *ret_policy, struct kt_error *e)
{
	if (file->is_signed) {
		signed_policy(file, ret_policy);
		return 0;
	}
	ret_policy->count = 0;
	if (file->state_count == 0)
		return 0;
	if (pcr_step(&file->states[state], &ret_policy->steps[0], e) < 0)
		return -1;
	ret_policy->count = 1;
	if (file->state_count == 1)
		return 0;
	if (or_step(file, &ret_policy->steps[1], e) < 0)
		return -1;
	ret_policy->count = 2;
	return 0;
}

/* Last of all: what is counted is then used, but for PCRs that change meanwhile. */
static void counter_step(struct kt_policy_step *ret_step)
{
	ret_step->command = TPM2_CC_PolicySecret;
	ret_step->secret.hint = KT_COUNTER_INDEX;
	ret_step->secret.name.size = KT_AUDIT_NAME_BYTES;
	kt_audit_counter_name(ret_step->secret.name.name);
	ret_step->secret.ref.size = 0;
}

int kt_keyfile_key_policy(const struct kt_keyfile *file, size_t state, struct kt_policy *ret_policy,
	struct kt_error *e)
{
	struct kt_policy_step *last;

	if (kt_keyfile_pepper_policy(file, state, ret_policy, e) < 0)
		return -1;
	last = &ret_policy->steps[ret_policy->count++];
	last->command = TPM2_CC_PolicyCommandCode;
	last->command_code = file->type == KT_KEYFILE_HMAC ? TPM2_CC_HMAC : TPM2_CC_Sign;
	if (file->is_counted)
		counter_step(&ret_policy->steps[ret_policy->count++]);
	return 0;
}

void kt_keyfile_version(const struct kt_keyfile *file, char ret_version[KT_KEYFILE_VERSION_SIZE])
{
	const TPMU_PUBLIC_ID *unique = &file->key_public.publicArea.unique;

	kt_hex_encode(
		file->type == KT_KEYFILE_HMAC ? unique->keyedHash.buffer : unique->ecc.x.buffer,
		(KT_KEYFILE_VERSION_SIZE - 1) / 2, ret_version);
}

/* "sha256:7=HEX,11=HEX+sha384:…", what kt_pcr_parse() reads. */
static void format_pcrs(const struct kt_pcr_set *pcrs, char ret_text[PCRS_TEXT_MAX])
{
	char *out = ret_text, value[PCR_VALUE_DIGITS + 1];

	for (size_t b = 0; b < pcrs->count; b++) {
		const struct kt_pcr_bank *bank = &pcrs->banks[b];
		const char *separator = ":";

		out += snprintf(out, PCRS_TEXT_MAX - (size_t)(out - ret_text), "%s%s",
			b > 0 ? "+" : "", kt_pcr_bank_name(bank->alg));
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			if ((bank->selected >> i & 1) == 0)
				continue;
			kt_hex_encode(bank->value[i], kt_pcr_bank_size(bank->alg), value);
			out += snprintf(out, PCRS_TEXT_MAX - (size_t)(out - ret_text), "%s%u=%s",
				separator, i, value);
			separator = ",";
		}
	}
}

/* Takes "label: VALUE\n" off the text. */
static int read_line(const char **text, const char *end, const char *label, char *ret_value,
	size_t size, struct kt_error *e)
{
	size_t label_len = strlen(label), left = (size_t)(end - *text), len;
	const char *newline = memchr(*text, '\n', left);
	const char *value = *text + label_len + 2;

	if (newline == NULL || left < label_len + 3 || memcmp(*text, label, label_len) != 0 ||
		memcmp(*text + label_len, ": ", 2) != 0)
		return kt_fail(e, KT_E_INPUT, "no line '%s: …' where it has to be", label);
	len = newline < value ? 0 : (size_t)(newline - value);
	if (len == 0 || len >= size || memchr(value, '\0', len) != NULL)
		return kt_fail(e, KT_E_INPUT, "the line '%s:' is malformed", label);
	memcpy(ret_value, value, len);
	ret_value[len] = '\0';
	*text = newline + 1;
	return 0;
}

static int read_pcrs(const char *value, struct kt_pcr_set *ret_pcrs, struct kt_error *e)
{
	struct kt_pcr_set pcrs;

	if (kt_pcr_parse(value, &pcrs, e) < 0) {
		e->code = KT_E_INPUT;
		return kt_wrap(e, "PCRs");
	}
	if (!kt_pcr_is_complete(&pcrs))
		return kt_fail(e, KT_E_INPUT, "PCRs: a value is missing");
	*ret_pcrs = pcrs;
	return 0;
}

static bool starts_with(const char *text, const char *end, const char *label)
{
	return strlen(label) < (size_t)(end - text) && memcmp(text, label, strlen(label)) == 0;
}

/* One line or more. */
static int read_states(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	auto_free char *pcrs = malloc(PCRS_TEXT_MAX);
	size_t count = 0;

	if (pcrs == NULL)
		return kt_fail_memory(e);
	do {
		if (count == KT_KEYFILE_STATES_MAX)
			return kt_fail(
				e, KT_E_INPUT, "more than %d lines 'PCRs:'", KT_KEYFILE_STATES_MAX);
		if (read_line(text, end, "PCRs", pcrs, PCRS_TEXT_MAX, e) < 0 ||
			read_pcrs(pcrs, &file->states[count], e) < 0)
			return -1;
		count++;
	} while (starts_with(*text, end, "PCRs"));
	file->state_count = count;
	return 0;
}

static int read_signer(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	auto_pkey EVP_PKEY *key = NULL;
	char point[2 * KT_SIGNER_POINT_BYTES + 1];

	if (read_line(text, end, SIGNER_LABEL, point, sizeof(point), e) < 0)
		return -1;
	if (kt_hex_decode(point, file->signer, sizeof(file->signer), e) < 0)
		return kt_wrap(e, SIGNER_LABEL);
	file->is_signed = true;
	/* A TPM would refuse it, but only when it is too late. */
	return kt_keyfile_signer(file, &key, e) < 0 ? kt_wrap(e, SIGNER_LABEL) : 0;
}

static int decode_some(
	const char *hex, void *ret_data, size_t max, UINT16 *ret_len, struct kt_error *e)
{
	size_t len = strlen(hex) / 2;

	if (len == 0 || len > max)
		return kt_fail(e, KT_E_INPUT, "the line '" CREATION_LABEL ":' is malformed");
	*ret_len = (UINT16)len;
	return kt_hex_decode(hex, ret_data, len, e);
}

static int read_creation(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	struct kt_tpm_creation *creation = &file->creation;
	char line[2 * (TPM2_SHA256_DIGEST_SIZE + sizeof(creation->ticket.digest.buffer)) + 2];
	char *space;

	if (!starts_with(*text, end, CREATION_LABEL))
		return 0;
	if (read_line(text, end, CREATION_LABEL, line, sizeof(line), e) < 0)
		return -1;
	space = strchr(line, ' ');
	if (space == NULL)
		return kt_fail(e, KT_E_INPUT, "the line '" CREATION_LABEL ":' is malformed");
	*space = '\0';
	creation->hash.size = TPM2_SHA256_DIGEST_SIZE;
	creation->ticket.tag = TPM2_ST_CREATION;
	creation->ticket.hierarchy = TPM2_RH_OWNER;
	if (kt_hex_decode(line, creation->hash.buffer, TPM2_SHA256_DIGEST_SIZE, e) < 0 ||
		decode_some(space + 1, creation->ticket.digest.buffer,
			sizeof(creation->ticket.digest.buffer), &creation->ticket.digest.size,
			e) < 0)
		return kt_wrap(e, CREATION_LABEL);
	file->has_creation = true;
	return 0;
}

/* There is one tier that needs a word. */
static int read_tier(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	char tier[2];

	if (!starts_with(*text, end, TIER_LABEL))
		return 0;
	if (read_line(text, end, TIER_LABEL, tier, sizeof(tier), e) < 0)
		return -1;
	if (strcmp(tier, "b") != 0)
		return kt_fail(e, KT_E_INPUT, "the line '" TIER_LABEL ":' is malformed");
	file->is_counted = true;
	return 0;
}

static int read_policy(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	if (starts_with(*text, end, SIGNER_LABEL))
		return read_signer(text, end, file, e);
	/* Whether a key may have none is seen when its block is read. */
	if (starts_with(*text, end, TIER_LABEL) || starts_with(*text, end, CREATION_LABEL) ||
		starts_with(*text, end, "-----BEGIN"))
		return 0;
	return read_states(text, end, file, e);
}

static int read_head(
	const char **text, const char *end, struct kt_keyfile *file, struct kt_error *e)
{
	char name[KT_NAME_TEXT_MAX];

	if (read_line(text, end, "Parent-Name", name, sizeof(name), e) < 0 ||
		kt_name_parse(name, &file->parent, e) < 0 ||
		read_line(text, end, "Key-UUID", file->uuid, sizeof(file->uuid), e) < 0)
		return -1;
	if (!kt_uuid_is_valid(file->uuid))
		return kt_fail(e, KT_E_INPUT, "the line 'Key-UUID:' has no UUID");
	if (read_policy(text, end, file, e) < 0 || read_tier(text, end, file, e) < 0)
		return -1;
	return read_creation(text, end, file, e);
}

/* Takes one PEM block off the text. */
static int read_block(
	const char **text, const char *end, struct kt_tss2key *ret_key, struct kt_error *e)
{
	size_t left = (size_t)(end - *text), len;
	const char *stop = memmem(*text, left, END_LINE, strlen(END_LINE));

	if (stop == NULL)
		return kt_fail(e, KT_E_INPUT, "a PEM block 'TSS2 PRIVATE KEY' is missing");
	len = (size_t)(stop - *text) + strlen(END_LINE);
	if (kt_tss2key_from_file((const uint8_t *)*text, len, ret_key, e) < 0)
		return -1;
	*text += len;
	return 0;
}

static bool is_unique(const TPM2B_PUBLIC *public)
{
	const TPMU_PUBLIC_ID *unique = &public->publicArea.unique;
	const size_t size = kt_hash_size(KT_KEYFILE_ALG);

	if (public->publicArea.type == TPM2_ALG_ECC)
		return unique->ecc.x.size == KT_P256_COORD_BYTES &&
		       unique->ecc.y.size == KT_P256_COORD_BYTES;
	return unique->keyedHash.size == size;
}

/* What each object must be; `policy` follows from the file's words. */
static int check_object(const TPM2B_PUBLIC *public, TPMI_ALG_PUBLIC type, TPMA_OBJECT attributes,
	const struct kt_policy *policy, struct kt_error *e)
{
	const TPMT_PUBLIC *area = &public->publicArea;
	TPM2B_DIGEST expected;

	if (area->type != type || area->nameAlg != KT_KEYFILE_ALG ||
		area->objectAttributes != attributes || !is_unique(public))
		return kt_fail(e, KT_E_INPUT, "not the kind of object, or not its attributes");
	if (kt_policy_digest(KT_KEYFILE_ALG, policy, &expected, e) < 0)
		return -1;
	if (area->authPolicy.size != expected.size ||
		memcmp(area->authPolicy.buffer, expected.buffer, expected.size) != 0)
		return kt_fail(e, KT_E_INPUT,
			"the object's policy is not the one that the lines before it mean: the "
			"file "
			"was changed");
	return 0;
}

static bool is_for_hmac(const TPM2B_PUBLIC *public)
{
	const TPMT_KEYEDHASH_SCHEME *scheme = &public->publicArea.parameters.keyedHashDetail.scheme;

	return scheme->scheme == TPM2_ALG_HMAC && scheme->details.hmac.hashAlg == TPM2_ALG_SHA256;
}

static bool is_for_ecdsa(const TPM2B_PUBLIC *public)
{
	const TPMS_ECC_PARMS *parms = &public->publicArea.parameters.eccDetail;

	return parms->curveID == TPM2_ECC_NIST_P256 && parms->scheme.scheme == TPM2_ALG_ECDSA &&
	       parms->scheme.details.ecdsa.hashAlg == TPM2_ALG_SHA256 &&
	       parms->symmetric.algorithm == TPM2_ALG_NULL && parms->kdf.scheme == TPM2_ALG_NULL;
}

static int take_key(struct kt_keyfile *file, const struct kt_tss2key *key, struct kt_error *e)
{
	const TPMI_ALG_PUBLIC type = key->public.publicArea.type;
	struct kt_policy policy = {0};

	file->type = type == TPM2_ALG_ECC ? KT_KEYFILE_P256 : KT_KEYFILE_HMAC;
	if (file->type == KT_KEYFILE_HMAC ? file->state_count == 0 && !file->is_signed
					  : file->is_signed)
		return kt_fail(e, KT_E_INPUT, "the key: not with this kind of policy");
	if (kt_keyfile_key_policy(file, 0, &policy, e) < 0 ||
		check_object(&key->public,
			file->type == KT_KEYFILE_P256 ? TPM2_ALG_ECC : TPM2_ALG_KEYEDHASH,
			KT_KEYFILE_KEY_ATTRIBUTES, &policy, e) < 0)
		return kt_wrap(e, "the key");
	if (file->type == KT_KEYFILE_HMAC ? !is_for_hmac(&key->public)
					  : !is_for_ecdsa(&key->public))
		return kt_fail(e, KT_E_INPUT,
			"the key: not for HMAC-SHA256, nor for ECDSA with "
			"SHA-256");
	file->key_public = key->public;
	file->key_private = key->private;
	return 0;
}

static int take_pepper(struct kt_keyfile *file, const struct kt_tss2key *key, struct kt_error *e)
{
	const TPMA_OBJECT attributes =
		TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
	struct kt_policy policy = {0};

	if (kt_keyfile_pepper_policy(file, 0, &policy, e) < 0 ||
		check_object(&key->public, TPM2_ALG_KEYEDHASH, attributes, &policy, e) < 0)
		return kt_wrap(e, "the pepper");
	if (!kt_public_is_sealed_data(&key->public))
		return kt_fail(e, KT_E_INPUT, "the pepper: not sealed data");
	file->pepper_public = key->public;
	file->pepper_private = key->private;
	return 0;
}

static int parse(const char *text, size_t len, struct kt_keyfile *file, struct kt_error *e)
{
	auto_free struct kt_tss2key *key = kt_tss2key_new(), *pepper = kt_tss2key_new();
	const char *end = text + len;

	if (key == NULL || pepper == NULL)
		return kt_fail_memory(e);
	if (len > KT_KEYFILE_MAX_BYTES)
		return kt_fail(e, KT_E_INPUT, "more than %d bytes", KT_KEYFILE_MAX_BYTES);
	if (read_head(&text, end, file, e) < 0 || read_block(&text, end, key, e) < 0 ||
		take_key(file, key, e) < 0)
		return -1;
	if (file->type == KT_KEYFILE_HMAC &&
		(read_block(&text, end, pepper, e) < 0 || take_pepper(file, pepper, e) < 0))
		return -1;
	if (text != end)
		return kt_fail(e, KT_E_INPUT, "something follows the last PEM block");
	return 0;
}

/* To the byte what we write: then there is nothing in the file that nobody looked at. */
static int check_form(
	const struct kt_keyfile *file, const char *text, size_t len, struct kt_error *e)
{
	auto_free char *again = NULL;

	if (kt_keyfile_format(file, &again, e) < 0)
		return -1;
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return kt_fail(
			e, KT_E_INPUT, "not in the form that we write: the file was changed");
	return 0;
}

int kt_keyfile_parse(const char *text, size_t len, struct kt_keyfile **ret_file, struct kt_error *e)
{
	auto_free struct kt_keyfile *file = kt_keyfile_new();

	if (file == NULL)
		return kt_fail_memory(e);
	if (parse(text, len, file, e) < 0 || check_form(file, text, len, e) < 0) {
		/* What cannot be written or computed here, somebody else wrote. */
		if (e->code != KT_E_INTERNAL)
			e->code = KT_E_INPUT;
		return kt_wrap(e, "TPM key file");
	}
	*ret_file = kt_take(file);
	return 0;
}

int kt_keyfile_read(const char *path, struct kt_keyfile **ret_file, struct kt_error *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	auto_free uint8_t *text = NULL;
	size_t len;

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
	if (kt_check_trusted(fd, path, e) < 0 ||
		kt_read_all(fd, KT_KEYFILE_MAX_BYTES, path, &text, &len, e) < 0)
		return -1;
	if (kt_keyfile_parse((const char *)text, len, ret_file, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}

static int block_to_pem(enum kt_tss2key_type type, const TPM2B_PUBLIC *public,
	const TPM2B_PRIVATE *private, const struct kt_policy *policy, char **ret_pem,
	struct kt_error *e)
{
	auto_free struct kt_tss2key *key = kt_tss2key_new();

	if (key == NULL)
		return kt_fail_memory(e);
	key->type = type;
	key->empty_auth = true;
	key->has_policy = true;
	key->policy = *policy;
	key->parent = KT_SRK_HANDLE;
	key->public = *public;
	key->private = *private;
	return kt_tss2key_to_pem(key, ret_pem, e);
}

static int format_signer(const struct kt_keyfile *file, char **ret_text, struct kt_error *e)
{
	char point[2 * KT_SIGNER_POINT_BYTES + 1];

	kt_hex_encode(file->signer, sizeof(file->signer), point);
	if (asprintf(ret_text, SIGNER_LABEL ": %s\n", point) >= 0)
		return 0;
	*ret_text = NULL;
	return kt_fail_memory(e);
}

/* "PCRs: …\n" for each state. */
static int format_states(const struct kt_keyfile *file, char **ret_text, struct kt_error *e)
{
	static const char label[] = "PCRs: ";
	const size_t line_max = sizeof(label) + PCRS_TEXT_MAX;
	char *text = malloc(file->state_count * line_max + 1), *out = text;

	if (text == NULL)
		return kt_fail_memory(e);
	for (size_t i = 0; i < file->state_count; i++) {
		memcpy(out, label, sizeof(label) - 1);
		out += sizeof(label) - 1;
		format_pcrs(&file->states[i], out);
		out += strlen(out);
		*out++ = '\n';
	}
	*out = '\0';
	*ret_text = text;
	return 0;
}

/* Empty if nothing is known of its creation. */
static int format_creation(const struct kt_keyfile *file, char **ret_text, struct kt_error *e)
{
	const struct kt_tpm_creation *creation = &file->creation;
	char hash[2 * TPM2_SHA256_DIGEST_SIZE + 1];
	char ticket[2 * sizeof(creation->ticket.digest.buffer) + 1];
	int len;

	kt_hex_encode(creation->hash.buffer, TPM2_SHA256_DIGEST_SIZE, hash);
	kt_hex_encode(creation->ticket.digest.buffer, creation->ticket.digest.size, ticket);
	len = file->has_creation ? asprintf(ret_text, CREATION_LABEL ": %s %s\n", hash, ticket)
				 : asprintf(ret_text, "%s", "");
	if (len >= 0)
		return 0;
	*ret_text = NULL;
	return kt_fail_memory(e);
}

/* The PEM blocks, one after the other. */
static int format_blocks(
	const struct kt_keyfile *file, char **ret_key, char **ret_pepper, struct kt_error *e)
{
	struct kt_policy key_policy = {0}, pepper_policy = {0};

	if (kt_keyfile_key_policy(file, 0, &key_policy, e) < 0 ||
		block_to_pem(KT_TSS2KEY_LOADABLE, &file->key_public, &file->key_private,
			&key_policy, ret_key, e) < 0)
		return -1;
	if (file->type == KT_KEYFILE_P256)
		return 0;
	if (kt_keyfile_pepper_policy(file, 0, &pepper_policy, e) < 0)
		return -1;
	return block_to_pem(KT_TSS2KEY_SEALED, &file->pepper_public, &file->pepper_private,
		&pepper_policy, ret_pepper, e);
}

int kt_keyfile_format(const struct kt_keyfile *file, char **ret_text, struct kt_error *e)
{
	auto_free char *states = NULL, *creation = NULL, *key = NULL, *pepper = NULL;
	char name[KT_NAME_TEXT_MAX];
	char *text;

	if (format_blocks(file, &key, &pepper, e) < 0 || format_creation(file, &creation, e) < 0 ||
		(file->is_signed ? format_signer : format_states)(file, &states, e) < 0)
		return -1;
	kt_name_format(&file->parent, name);
	if (asprintf(&text, "Parent-Name: %s\nKey-UUID: %s\n%s%s%s%s%s", name, file->uuid, states,
		    file->is_counted ? TIER_LABEL ": b\n" : "", creation, key,
		    pepper != NULL ? pepper : "") < 0)
		return kt_fail_memory(e);
	*ret_text = text;
	return 0;
}
