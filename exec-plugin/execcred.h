/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ExecCredential, client.authentication.k8s.io/v1 and v1beta1: what a client hands over in
 * KUBERNETES_EXEC_INFO, and the answer. The two versions differ in nothing but their name, which is
 * echoed. Pure.
 */
#ifndef KT_EXEC_PLUGIN_EXECCRED_H
#define KT_EXEC_PLUGIN_EXECCRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kubetpm/module.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/secret.h"

#define KT_EXECCRED_MAX_BYTES ((size_t)1 << 20)
/* Least life of an answer: an expirationTimestamp that has passed when the client reads it makes
 * client-go run the plugin again and close live connections. */
#define KT_EXECCRED_MIN_SECONDS 60

/* NULL: the request has none. Strings are borrowed from `root` unless said otherwise. */
struct kt_execcred {
	struct json_object *root;
	const char *api_version;
	bool interactive;
	const char *server;
	const char *tls_server_name;
	bool insecure_skip_tls_verify;
	char *ca_data; /* decoded: PEM; owned */
	const char *proxy_url;
	const char *config; /* JSON text */
};

/* KT_E_INPUT: malformed, or of an apiVersion that we do not speak. Fields that we do not know are
 * ignored, `spec` may be empty or missing. */
KT_CHECKED int kt_execcred_parse(
	const char *text, size_t len, struct kt_execcred *ret_request, struct kt_error *e);
void kt_execcred_fini(struct kt_execcred *request);

/*
 * One ExecCredential and a newline. `credential` has a token, or certificate and key, or all; its
 * not_after is raised to KT_EXECCRED_MIN_SECONDS after `now`. KT_E_INPUT if one of the pair is
 * missing, or if the bytes are not UTF-8.
 */
KT_CHECKED int kt_execcred_write(const char *api_version, const struct kt_credential *credential,
	int64_t now, struct kt_secret **ret_answer, struct kt_error *e);

#endif
