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
	/* Is this registry of interest? Only then its password is decoded. */
	bool (*wants)(void *ctx, const char *pattern);
	/* All borrowed until the call returns. */
	int (*take)(void *ctx, const char *pattern, const char *username,
		const struct kt_secret *password, struct kt_error *e);
};

/* Visits the registries in the order of the file. KT_E_INPUT: malformed, or a registry that is
 * wanted has no user and password (a credential helper may have them; we do not run it). */
KT_CHECKED int kt_docker_config_visit(
	const struct kt_secret *text, const struct kt_docker_visitor *visitor, struct kt_error *e);

#endif
