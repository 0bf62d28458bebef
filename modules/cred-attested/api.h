/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to an API server: JSON over HTTPS, with libcurl. */
#ifndef KT_CRED_ATTESTED_API_H
#define KT_CRED_ATTESTED_API_H

#include "lib/json.h"
#include "lib/secret.h"

#define API_BODY_MAX_BYTES (1 << 20)

/* Where, and as whom: with the token, or with certificate and key (PEM). Borrowed; NULL: not
 * given. */
struct api_place {
	const char *server; /* https://... */
	const char *ca;	    /* PEM */
	const char *proxy;
	const struct kt_secret *token, *certificate, *key;
};

struct api;

/* Until `deadline` (CLOCK_MONOTONIC, ms) requests are repeated when the server is not to be reached
 * or overloaded. KT_E_USAGE if there is no TLS in the place. */
KT_CHECKED int api_open(
	const struct api_place *place, int64_t deadline, struct api **ret_api, struct kt_error *e);
void api_close(struct api *api);

/* What the server answered to GET, or with a body to POST. KT_E_NETWORK: no answer, or one that is
 * no success; the message has the server's own. */
KT_CHECKED int api_call(struct api *api, const char *path, const char *body,
	struct json_object **ret_answer, struct kt_error *e);

/* POST to `path` of what is called `name` there. An answer that was lost is no loss: if it is there
 * already, *ret_answer is that, and whether it is ours is for the caller to see. */
KT_CHECKED int api_create(struct api *api, const char *path, const char *name, const char *body,
	struct json_object **ret_answer, struct kt_error *e);

/* Waits for so long, or until the deadline, which is KT_E_NETWORK. */
KT_CHECKED int api_wait(const struct api *api, int64_t ms, struct kt_error *e);

int64_t api_now_ms(void);

#endif
