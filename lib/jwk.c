/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P-256 keys in and out of JWK and PEM. Points are checked by OpenSSL when a key is made from them,
 * so an invalid-curve point never reaches a key agreement.
 */
#include "lib/jwk.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "lib/b64.h"

#define UNCOMPRESSED_POINT 0x04
#define POINT_BYTES (1 + 2 * KT_P256_COORD_BYTES)

KT_AUTO(bio, BIO *, BIO_free_all)
#define auto_bio __attribute__((cleanup(kt_auto_bio)))
KT_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
#define auto_pkey_ctx __attribute__((cleanup(kt_auto_pkey_ctx)))
KT_AUTO(param_bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
#define auto_param_bld __attribute__((cleanup(kt_auto_param_bld)))
KT_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)
#define auto_params __attribute__((cleanup(kt_auto_params)))
KT_AUTO(clear_bn, BIGNUM *, BN_clear_free)
#define auto_clear_bn __attribute__((cleanup(kt_auto_clear_bn)))

static int check_curve(EVP_PKEY *key, struct kt_error *e)
{
	char group[32];

	if (!EVP_PKEY_is_a(key, "EC") ||
		EVP_PKEY_get_utf8_string_param(
			key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) != 1 ||
		strcmp(group, SN_X9_62_prime256v1) != 0)
		return kt_fail(e, KT_E_INPUT,
			"not a P-256 key; make one with 'openssl genpkey -algorithm EC -pkeyopt "
			"ec_paramgen_curve:P-256'");
	/* A file may have the point compressed; we ask for it as it is in a JWK. */
	if (EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		    OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1)
		return kt_fail_ssl(e, KT_E_INPUT, "not a valid P-256 key");
	return 0;
}

/* `d` may be NULL for a public key. */
static int from_parts(
	const uint8_t point[POINT_BYTES], const BIGNUM *d, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_param_bld OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	auto_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	auto_pkey EVP_PKEY *key = NULL;
	int selection = d != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;

	if (bld == NULL || ctx == NULL)
		return kt_fail_memory(e);
	if (OSSL_PARAM_BLD_push_utf8_string(
		    bld, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(
			bld, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES) != 1 ||
		(d != NULL && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) != 1))
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot assemble a P-256 key");
	auto_params OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);

	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot assemble a P-256 key");
	if (EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		return kt_fail_ssl(e, KT_E_INPUT, "not a valid P-256 key");
	auto_pkey_ctx EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (check == NULL)
		return kt_fail_memory(e);
	if (EVP_PKEY_public_check(check) != 1 || (d != NULL && EVP_PKEY_pairwise_check(check) != 1))
		return kt_fail_ssl(e, KT_E_INPUT, "not a valid P-256 key");
	*ret_key = kt_take(key);
	return 0;
}

int kt_p256_from_point(
	const uint8_t xy[2 * KT_P256_COORD_BYTES], EVP_PKEY **ret_key, struct kt_error *e)
{
	uint8_t point[POINT_BYTES] = {UNCOMPRESSED_POINT};

	memcpy(point + 1, xy, 2 * KT_P256_COORD_BYTES);
	return from_parts(point, NULL, ret_key, e);
}

int kt_p256_point(const EVP_PKEY *key, uint8_t ret_xy[2 * KT_P256_COORD_BYTES], struct kt_error *e)
{
	uint8_t point[POINT_BYTES];
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(
		    key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1 ||
		len != sizeof(point) || point[0] != UNCOMPRESSED_POINT)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot read a key's public point");
	memcpy(ret_xy, point + 1, 2 * KT_P256_COORD_BYTES);
	return 0;
}

static int read_coordinate(
	struct json_object *jwk, const char *name, uint8_t *ret_coord, struct kt_error *e)
{
	auto_free uint8_t *data = NULL;
	size_t len;

	if (kt_json_get_b64url(jwk, name, KT_P256_COORD_BYTES, &data, &len, e) < 0)
		return -1;
	if (len != KT_P256_COORD_BYTES) {
		OPENSSL_cleanse(data, len);
		return kt_fail(e, KT_E_INPUT, "JWK member \"%s\" is not 32 bytes", name);
	}
	memcpy(ret_coord, data, len);
	OPENSSL_cleanse(data, len);
	return 0;
}

static int read_point(struct json_object *jwk, uint8_t ret_point[POINT_BYTES], struct kt_error *e)
{
	const char *kty, *crv;

	if (kt_json_get_string(jwk, "kty", 16, &kty, e) < 0)
		return kt_wrap(e, "JWK");
	if (strcmp(kty, "EC") != 0)
		return kt_fail(e, KT_E_INPUT, "JWK is not an EC key; only P-256 is supported");
	if (kt_json_get_string(jwk, "crv", 16, &crv, e) < 0)
		return kt_wrap(e, "JWK");
	if (strcmp(crv, "P-256") != 0)
		return kt_fail(e, KT_E_INPUT, "JWK is not on P-256, the only supported curve");
	ret_point[0] = UNCOMPRESSED_POINT;
	if (read_coordinate(jwk, "x", ret_point + 1, e) < 0)
		return -1;
	return read_coordinate(jwk, "y", ret_point + 1 + KT_P256_COORD_BYTES, e);
}

int kt_jwk_from_json(struct json_object *jwk, EVP_PKEY **ret_key, struct kt_error *e)
{
	uint8_t point[POINT_BYTES];

	if (json_object_object_get_ex(jwk, "d", NULL))
		return kt_fail(e, KT_E_REFUSED,
			"this JWK is a private key: give the public one, and keep this off the "
			"machine");
	if (read_point(jwk, point, e) < 0)
		return -1;
	return from_parts(point, NULL, ret_key, e);
}

/* A private JWK, and (RFC 7518, 6.2.2) "d" beside the public members. */
static int private_from_json(struct json_object *jwk, EVP_PKEY **ret_key, struct kt_error *e)
{
	uint8_t point[POINT_BYTES], d[KT_P256_COORD_BYTES];

	if (read_point(jwk, point, e) < 0)
		return -1;
	if (read_coordinate(jwk, "d", d, e) < 0)
		return kt_wrap(e, "not a private JWK");
	auto_clear_bn BIGNUM *bn = BN_secure_new();

	if (bn == NULL || BN_bin2bn(d, sizeof(d), bn) == NULL) {
		OPENSSL_cleanse(d, sizeof(d));
		return kt_fail_memory(e);
	}
	OPENSSL_cleanse(d, sizeof(d));
	return from_parts(point, bn, ret_key, e);
}

static bool looks_like_json(const void *data, size_t len)
{
	const char *text = data;

	while (len > 0 && (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n')) {
		text++;
		len--;
	}
	return len > 0 && *text == '{';
}

static int no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)ctx = true;
	return -1;
}

static int read_public_pem(const uint8_t *data, size_t len, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_bio BIO *bio = BIO_new_mem_buf(data, (int)len);
	bool asked = false;

	if (bio == NULL)
		return kt_fail_memory(e);
	auto_pkey EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, &asked);

	if (key == NULL && memmem(data, len, "PRIVATE KEY-----", 16) != NULL)
		return kt_fail(e, KT_E_REFUSED,
			"this is a private key: give the public one ('openssl pkey -in KEY "
			"-pubout'), "
			"and keep this off the machine");
	if (key == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "neither a PEM public key nor a JWK");
	if (check_curve(key, e) < 0)
		return -1;
	*ret_key = kt_take(key);
	return 0;
}

int kt_jwk_read_public(const uint8_t *data, size_t len, EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_json struct json_object *jwk = NULL;

	if (len > KT_KEY_FILE_MAX_BYTES)
		return kt_fail(
			e, KT_E_INPUT, "key file of more than %d bytes", KT_KEY_FILE_MAX_BYTES);
	if (!looks_like_json(data, len))
		return read_public_pem(data, len, ret_key, e);
	if (kt_json_parse((const char *)data, len, &jwk, e) < 0)
		return -1;
	return kt_jwk_from_json(jwk, ret_key, e);
}

struct passphrase {
	const struct kt_secret *secret; /* or NULL */
	bool asked;
};

static int give_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	struct passphrase *p = ctx;

	(void)rwflag;
	p->asked = true;
	if (p->secret == NULL || kt_secret_len(p->secret) > (size_t)size)
		return -1;
	memcpy(buf, kt_secret_bytes(p->secret), kt_secret_len(p->secret));
	return (int)kt_secret_len(p->secret);
}

static int read_private_pem(const struct kt_secret *text, const struct kt_secret *passphrase,
	EVP_PKEY **ret_key, struct kt_error *e)
{
	struct passphrase p = {.secret = passphrase};
	auto_bio BIO *bio = BIO_new_mem_buf(kt_secret_bytes(text), (int)kt_secret_len(text));

	if (bio == NULL)
		return kt_fail_memory(e);
	auto_pkey EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &p);

	if (key == NULL && memmem(kt_secret_bytes(text), kt_secret_len(text), "BEGIN PUBLIC KEY",
				   strlen("BEGIN PUBLIC KEY")) != NULL)
		return kt_fail(e, KT_E_INPUT, "this is the public key: give the private one");
	if (key == NULL && p.asked && passphrase == NULL)
		return kt_fail(e, KT_E_PIN,
			"the private key is protected by a passphrase; give it with "
			"--passphrase-file");
	if (key == NULL && p.asked)
		return kt_fail_ssl(e, KT_E_PIN, "wrong passphrase for the private key");
	if (key == NULL)
		return kt_fail_ssl(e, KT_E_INPUT, "neither a PEM private key nor a JWK");
	if (check_curve(key, e) < 0)
		return -1;
	*ret_key = kt_take(key);
	return 0;
}

int kt_jwk_read_private(const struct kt_secret *text, const struct kt_secret *passphrase,
	EVP_PKEY **ret_key, struct kt_error *e)
{
	auto_json_wipe struct json_object *jwk = NULL;

	if (!looks_like_json(kt_secret_bytes(text), kt_secret_len(text)))
		return read_private_pem(text, passphrase, ret_key, e);
	if (kt_json_parse_secret(text, &jwk, e) < 0)
		return -1;
	return private_from_json(jwk, ret_key, e);
}

/* x and y as base64url text. */
static int encode_point(const EVP_PKEY *key, char **ret_x, char **ret_y, struct kt_error *e)
{
	uint8_t xy[2 * KT_P256_COORD_BYTES];
	auto_free char *x = NULL;

	if (kt_p256_point(key, xy, e) < 0 || kt_b64url_encode(xy, KT_P256_COORD_BYTES, &x, e) < 0 ||
		kt_b64url_encode(xy + KT_P256_COORD_BYTES, KT_P256_COORD_BYTES, ret_y, e) < 0)
		return -1;
	*ret_x = kt_take(x);
	return 0;
}

int kt_jwk_write(const EVP_PKEY *key, struct kt_jsonw *w, struct kt_error *e)
{
	auto_free char *x = NULL, *y = NULL;

	if (encode_point(key, &x, &y, e) < 0)
		return -1;
	kt_jsonw_begin_object(w);
	kt_jsonw_member(w, "kty", "EC");
	kt_jsonw_member(w, "crv", "P-256");
	kt_jsonw_member(w, "x", x);
	kt_jsonw_member(w, "y", y);
	kt_jsonw_end_object(w);
	return 0;
}

int kt_jwk_thumbprint(
	const EVP_PKEY *key, char ret_text[KT_JWK_THUMBPRINT_SIZE], struct kt_error *e)
{
	auto_free char *x = NULL, *y = NULL, *encoded = NULL;
	uint8_t digest[32];
	char canonical[256];
	int len;

	if (encode_point(key, &x, &y, e) < 0)
		return -1;
	/* RFC 7638, 3.3: members in lexicographic order, no white space. */
	len = snprintf(canonical, sizeof(canonical),
		"{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
	if (len < 0 || (size_t)len >= sizeof(canonical) ||
		EVP_Digest(canonical, (size_t)len, digest, NULL, EVP_sha256(), NULL) != 1)
		return kt_fail_ssl(e, KT_E_INTERNAL, "cannot compute a key's thumbprint");
	if (kt_b64url_encode(digest, sizeof(digest), &encoded, e) < 0)
		return -1;
	memcpy(ret_text, encoded, KT_JWK_THUMBPRINT_SIZE);
	return 0;
}
