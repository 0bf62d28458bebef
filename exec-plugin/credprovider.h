/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's image credential providers, credentialprovider.kubelet.k8s.io/v1, v1beta1 and
 * v1alpha1: CredentialProviderRequest in, CredentialProviderResponse of the same version out. The
 * kubelet decodes the answer strictly. Pure.
 */
#ifndef KT_EXEC_PLUGIN_CREDPROVIDER_H
#define KT_EXEC_PLUGIN_CREDPROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/secret.h"

#define KT_CREDPROVIDER_MAX_BYTES ((size_t)1 << 20)
#define KT_OFFERS_MAX 64
#define KT_CACHE_DEFAULT_SECONDS 600
#define KT_CACHE_MAX_SECONDS 315360000 /* ten years; Go's durations end at 292 */

/* Strings are borrowed from `root`. A service account's token is wiped as soon as it is read. */
struct kt_credprovider {
	struct json_object *root;
	const char *api_version;
	const char *image;
	const char *annotations; /* serviceAccountAnnotations as JSON text, or NULL */
};

/* KT_E_INPUT: malformed, or of an apiVersion that we do not speak. */
KT_CHECKED int kt_credprovider_parse(
	const struct kt_secret *text, struct kt_credprovider *ret_request, struct kt_error *e);
void kt_credprovider_fini(struct kt_credprovider *request);

/* From the widest to the narrowest: which further images the kubelet may use an answer for. */
enum kt_cache_key { KT_CACHE_UNSET = 0, KT_CACHE_GLOBAL, KT_CACHE_REGISTRY, KT_CACHE_IMAGE };

struct kt_offer {
	char *pattern;
	struct kt_secret *username, *password;
};

/* What the modules offered for the image. Zero-initialise. */
struct kt_offers {
	size_t count;
	struct kt_offer offers[KT_OFFERS_MAX];
	enum kt_cache_key cache_key; /* the narrowest that was given */
	bool has_cache_seconds;
	int64_t cache_seconds; /* the shortest that was given */
};

/* Copies `pattern` and `username`, takes `password` in any case. The first offer of a pattern
 * counts: a doubled member would make the kubelet refuse the answer. KT_E_INPUT for too many. */
KT_CHECKED int kt_offers_add(struct kt_offers *offers, const char *pattern, const char *username,
	struct kt_secret *password, struct kt_error *e);
/* `key_type` may be NULL. KT_E_INPUT for an unknown type, or a time out of range. */
KT_CHECKED int kt_offers_cache(
	struct kt_offers *offers, const char *key_type, int64_t seconds, struct kt_error *e);
/* At least as narrow as this from now on. */
void kt_offers_narrow(struct kt_offers *offers, enum kt_cache_key key);
/* Forgets those behind the first `count`. */
void kt_offers_truncate(struct kt_offers *offers, size_t count);
void kt_offers_fini(struct kt_offers *offers);

/* One CredentialProviderResponse and a newline. Without offers it says so, and must not be cached:
 * a repaired profile then counts at once. KT_E_INPUT if the bytes are not UTF-8. */
KT_CHECKED int kt_credprovider_write(const char *api_version, const struct kt_offers *offers,
	struct kt_secret **ret_answer, struct kt_error *e);

#endif
