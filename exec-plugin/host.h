/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec-plugin as host of cred-* modules: the request as items, and what the modules give, gathered
 * into one answer.
 */
#ifndef KT_EXEC_PLUGIN_HOST_H
#define KT_EXEC_PLUGIN_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "exec-plugin/credprovider.h"
#include "exec-plugin/execcred.h"
#include "lib/error.h"
#include "lib/host.h"

struct kt_exec_host {
	struct kt_host_base base;	 /* first: the table's ctx points to it */
	int64_t (*now)(void);		 /* seconds since the epoch */
	struct kt_credential credential; /* of all modules so far; owned */
	struct kt_offers offers;	 /* the same for images */
	bool path_decides;		 /* other images of the registry may get another answer */
	bool cache_key_given;		 /* by the module that is being called */
};

/* `now`: the clock; modules take their time. Items are borrowed from the request. */
void kt_exec_host_init_exec(
	struct kt_exec_host *host, const struct kt_execcred *request, int64_t (*now)(void));
void kt_exec_host_init_image(
	struct kt_exec_host *host, const struct kt_credprovider *request, int64_t (*now)(void));
void kt_exec_host_fini(struct kt_exec_host *host);

bool kt_exec_host_is_image(const struct kt_exec_host *host);
/* Is there anything to answer with? */
bool kt_exec_host_has_answer(const struct kt_exec_host *host);

/* Opens one module, if it can be. Whatever the result, *ret_state goes to kt_exec_host_close().
 * Unless KT_OK or KT_PASS, *ret_reason says why, prefixed with the module's name. */
enum kt_result kt_exec_host_open(struct kt_exec_host *host, const struct kt_module *module,
	int argc, const char *const argv[], void **ret_state, struct kt_error *ret_reason);

/*
 * Asks an open module. What it gave is merged: the first token and the first certificate with key
 * count, and the earliest end of what counts. A module has failed that gave what has expired
 * (KT_E_REFUSED), what cannot be a credential (KT_E_INPUT), half a pair, or what the request has no
 * use for. Of a module that did not answer KT_OK nothing stays. Reasons as above.
 */
enum kt_result kt_exec_host_call(struct kt_exec_host *host, const struct kt_module *module,
	void *state, struct kt_error *ret_reason);

void kt_exec_host_close(const struct kt_module *module, void *state);

/* The answer to the request, as it goes to stdout. */
KT_CHECKED int kt_exec_host_answer(
	const struct kt_exec_host *host, struct kt_secret **ret_answer, struct kt_error *e);

#endif
