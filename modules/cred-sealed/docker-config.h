/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker's config.json, the part that matters: "auths", registry by registry. Read as the kubelet
 * reads it (kubernetes/kubernetes, pkg/credentialprovider, config.go and keyring.go). Pure.
 */
#ifndef KT_CRED_SEALED_DOCKER_CONFIG_H
#define KT_CRED_SEALED_DOCKER_CONFIG_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/secret.h"

/* The pattern that a registry's key stands for, owned by the caller: without scheme, without a /v1
 * or /v2 before the path, without a lone slash. "https://index.docker.io/v1/" is "index.docker.io".
 */
KT_CHECKED int kt_docker_pattern(const char *key, char **ret_pattern, struct kt_error *e);

struct kt_docker_visitor {
	void *ctx;
	/* Is this registry of interest? 1 or 0, or -1 if its name is no pattern: then it is left
	 * out. `number` is its place in the file, from 1: a name that is no pattern may be a secret
	 * (https://user:password@host). Only where it is wanted its password is decoded. */
	int (*wants)(void *ctx, size_t number, const char *pattern);
	/* All borrowed until the call returns. */
	int (*take)(void *ctx, const char *pattern, const char *username,
		const struct kt_secret *password, struct kt_error *e);
};

/* Visits the registries in the order of the file. KT_E_INPUT: malformed, or a registry that is
 * wanted has no user and password (a credential helper may have them; we do not run it), or an
 * empty one. A message names a registry by its place, and by its host only if that was wanted. */
KT_CHECKED int kt_docker_config_visit(
	const struct kt_secret *text, const struct kt_docker_visitor *visitor, struct kt_error *e);

/* User and password are text: they go into JSON. */
bool kt_docker_is_utf8(const void *bytes, size_t len);

#endif
