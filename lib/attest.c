/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest.h"

#include <string.h>

#include "lib/ecdsa.h"
#include "lib/jwk.h"
#include "lib/octets.h"

#define MAGIC 0xff544347u
/* fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign */
#define AK_ATTRIBUTES 0x00050472u

#define PUBLIC_MAX_BYTES 96
#define SELECTIONS_MAX 16 /* HASH_COUNT is less everywhere */

_Static_assert(KT_AUDIT_POINT_BYTES == 2 * KT_P256_COORD_BYTES, "a point is x and y");
_Static_assert(KT_AUDIT_POINT_BYTES == KT_ECDSA_BYTES, "a signature is r and s");

static struct kt_attest_part take_part(struct kt_octets *o)
{
	struct kt_attest_part part;

	part.data = kt_octets_2b(o, &part.len);
	return part;
}

static bool take_flag(struct kt_octets *o)
{
	uint64_t value = kt_octets_number(o, 1);

	/* TPMI_YES_NO */
	if (value > 1)
		o->failed = true;
	return value == 1;
}

/* TPML_PCR_SELECTION (Part 2, 10.9.7). */
static struct kt_attest_part take_selection(struct kt_octets *o)
{
	struct kt_attest_part part = {.data = o->next};
	uint64_t count = kt_octets_number(o, 4);

	if (count > SELECTIONS_MAX)
		o->failed = true;
	for (uint64_t i = 0; i < count && !o->failed; i++) {
		(void)kt_octets_number(o, 2);
		(void)kt_octets_take(o, (size_t)kt_octets_number(o, 1));
	}
	part.len = o->failed ? 0 : (size_t)(o->next - part.data);
	return part;
}

int kt_attest_parse(const uint8_t *data, size_t len, enum kt_attest_type type,
	struct kt_attest *ret_attest, struct kt_error *e)
{
	struct kt_octets o = {data, len, false};
	struct kt_attest a = {.type = type};
	bool fits = kt_octets_number(&o, 4) == MAGIC;

	fits = kt_octets_number(&o, 2) == (uint64_t)type && fits;
	a.signer = take_part(&o);
	a.extra = take_part(&o);
	a.counts.clock = kt_octets_number(&o, 8);
	a.counts.reset = kt_octets_number(&o, 4);
	a.counts.restart = kt_octets_number(&o, 4);
	a.safe = take_flag(&o);
	(void)kt_octets_number(&o, 8); /* firmwareVersion */
	if (type == KT_ATTEST_COMMAND_AUDIT) {
		a.counts.counter = kt_octets_number(&o, 8);
		a.digest_alg = (uint16_t)kt_octets_number(&o, 2);
		a.digest = take_part(&o);
		a.command_digest = take_part(&o);
	} else if (type == KT_ATTEST_SESSION_AUDIT) {
		(void)take_flag(&o); /* exclusiveSession: others use the TPM, too */
		a.digest = take_part(&o);
	} else if (type == KT_ATTEST_QUOTE) {
		a.selection = take_selection(&o);
		a.digest = take_part(&o);
	} else {
		a.name = take_part(&o);
		(void)take_part(&o); /* creationHash */
	}
	if (!fits || !kt_octets_end(&o) || a.counts.clock > INT64_MAX ||
		a.counts.counter > INT64_MAX)
		return kt_fail(e, KT_E_INPUT, "not a TPMS_ATTEST of type 0x%04x", (unsigned)type);
	*ret_attest = a;
	return 0;
}

bool kt_attest_part_is(const struct kt_attest_part *part, const void *data, size_t len)
{
	return part->len == len && (len == 0 || memcmp(part->data, data, len) == 0);
}

static void put(uint8_t **out, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*(*out)++ = (uint8_t)(value >> (8 * (len - 1 - i)));
}

/* Its TPMT_PUBLIC (Part 2, 12.2.4), which has only the point to vary. */
static size_t put_public(
	const uint8_t point[KT_AUDIT_POINT_BYTES], uint8_t ret_public[PUBLIC_MAX_BYTES])
{
	const size_t half = KT_P256_COORD_BYTES;
	uint8_t *out = ret_public;

	put(&out, 0x0023, 2); /* TPM_ALG_ECC */
	put(&out, 0x000b, 2); /* nameAlg SHA-256 */
	put(&out, AK_ATTRIBUTES, 4);
	put(&out, 0, 2);      /* no policy */
	put(&out, 0x0010, 2); /* symmetric: NULL */
	put(&out, 0x0018, 2); /* ECDSA */
	put(&out, 0x000b, 2); /* with SHA-256 */
	put(&out, 0x0003, 2); /* TPM_ECC_NIST_P256 */
	put(&out, 0x0010, 2); /* KDF: NULL */
	for (size_t i = 0; i < 2; i++) {
		put(&out, half, 2);
		memcpy(out, point + i * half, half);
		out += half;
	}
	return (size_t)(out - ret_public);
}

static void name_key(struct kt_ak *ak)
{
	uint8_t public[PUBLIC_MAX_BYTES];

	kt_audit_name(public, put_public(ak->point, public), ak->name);
	kt_audit_endorsement_name(ak->name, ak->qualified_name);
}

int kt_ak_from_point(
	const uint8_t point[KT_AUDIT_POINT_BYTES], struct kt_ak *ret_ak, struct kt_error *e)
{
	struct kt_ak ak;

	if (kt_p256_from_point(point, &ak.key, e) < 0)
		return -1;
	memcpy(ak.point, point, sizeof(ak.point));
	name_key(&ak);
	*ret_ak = ak;
	return 0;
}

int kt_ak_from_public(const uint8_t *public, size_t len, struct kt_ak *ret_ak, struct kt_error *e)
{
	uint8_t expected[PUBLIC_MAX_BYTES], point[KT_AUDIT_POINT_BYTES] = {0};
	struct kt_octets o = {public, len, false};
	size_t area_len, expected_len = put_public(point, expected);
	const uint8_t *area = kt_octets_2b(&o, &area_len);

	if (kt_octets_end(&o) && area_len == expected_len) {
		/* x and y stand at the end, each behind its size. */
		memcpy(point, area + area_len - 2 * KT_P256_COORD_BYTES - 2, KT_P256_COORD_BYTES);
		memcpy(point + KT_P256_COORD_BYTES, area + area_len - KT_P256_COORD_BYTES,
			KT_P256_COORD_BYTES);
		put_public(point, expected);
		if (memcmp(area, expected, expected_len) == 0)
			return kt_ak_from_point(point, ret_ak, e);
	}
	return kt_fail(e, KT_E_INPUT,
		"not an attestation key of the template: ECC P-256, restricted, sign, fixedTPM, "
		"fixedParent, sensitiveDataOrigin, ECDSA with SHA-256");
}

int kt_ak_read(const void *text, size_t len, struct kt_ak *ret_ak, struct kt_error *e)
{
	auto_pkey EVP_PKEY *key = NULL;
	uint8_t point[KT_AUDIT_POINT_BYTES];

	if (kt_jwk_read_public(text, len, &key, e) < 0 || kt_p256_point(key, point, e) < 0)
		return -1;
	return kt_ak_from_point(point, ret_ak, e);
}

void kt_ak_clear(struct kt_ak *ak)
{
	EVP_PKEY_free(ak->key);
	ak->key = NULL;
}

bool kt_ak_signed(const struct kt_ak *ak, const void *data, size_t len,
	const uint8_t signature[KT_AUDIT_POINT_BYTES])
{
	uint8_t digest[KT_SHA256_BYTES];
	struct kt_sha256 hash;

	kt_sha256_start(&hash);
	kt_sha256_add(&hash, data, len);
	kt_sha256_finish(&hash, digest);
	return kt_ecdsa_verify(ak->key, digest, signature);
}
