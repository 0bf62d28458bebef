/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves one page over HTTP/1 on a unix socket: a few connections at a time, each for one request
 * and some seconds. Never blocks; called by the loop's thread.
 */
#ifndef KT_KMS_SHIM_EXPORTER_H
#define KT_KMS_SHIM_EXPORTER_H

#include "kms-shim/listener.h"

#define KT_EXPORTER_CLIENTS_MAX 8
#define KT_EXPORTER_PATIENCE_US 5000000

struct kt_exporter;

/* Makes the page: *ret_page is owned by the exporter. -1 if there is no memory. */
typedef int kt_exporter_page(void *ctx, char **ret_page, size_t *ret_len);

/* Listens. As kt_listener_open(); a socket of systemd's is taken if its path is the url's. */
KT_CHECKED int kt_exporter_new(const struct kt_listener_options *options, kt_exporter_page *page,
	void *ctx, struct kt_exporter **ret_exporter, struct kt_error *e);
/* NULL is fine. */
void kt_exporter_free(struct kt_exporter *exporter);

/* Readable when kt_exporter_run() has something to do. */
int kt_exporter_fd(const struct kt_exporter *exporter);
void kt_exporter_run(struct kt_exporter *exporter, int64_t now_us);

/* Closes who took too long. True if somebody is still connected: call again within a second. */
bool kt_exporter_tick(struct kt_exporter *exporter, int64_t now_us);

#endif
