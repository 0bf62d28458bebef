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
	struct kt_host_base base; /* first: the table's ctx points to it */
	int64_t now;
	struct kt_credential credential; /* of all modules so far; owned */
	struct kt_offers offers;	 /* the same for images */
	bool cache_key_given;		 /* by the module that is being called */
	size_t offers_before;		 /* how many there were when it was called */
};

/* `now`: seconds since the epoch. Items are borrowed from the request. */
void kt_exec_host_init_exec(
	struct kt_exec_host *host, const struct kt_execcred *request, int64_t now);
void kt_exec_host_init_image(
	struct kt_exec_host *host, const struct kt_credprovider *request, int64_t now);
void kt_exec_host_fini(struct kt_exec_host *host);

bool kt_exec_host_is_image(const struct kt_exec_host *host);
/* Is there anything to answer with? */
bool kt_exec_host_has_answer(const struct kt_exec_host *host);

/*
 * Calls one module: open, credential, close. What it gave is merged: the first token and the first
 * certificate with key count, and the earliest end of what counts. A module that gave what has
 * expired has failed (KT_E_REFUSED), as has one that gave half a pair or what the request has no
 * use for. Unless KT_OK or KT_PASS, *ret_reason says why, prefixed with the module's name.
 */
enum kt_result kt_exec_host_call(struct kt_exec_host *host, const struct kt_module *module,
	int argc, const char *const argv[], struct kt_error *ret_reason);

/* The answer to the request, as it goes to stdout. */
KT_CHECKED int kt_exec_host_answer(
	const struct kt_exec_host *host, struct kt_secret **ret_answer, struct kt_error *e);

#endif
