/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server: a loop that owns the connections, and a worker that owns the core. */
#ifndef KT_KMS_SHIM_SERVE_H
#define KT_KMS_SHIM_SERVE_H

#include "kms-shim/conf.h"

#define KT_SERVE_CLIENTS_MAX 64

/* Serves conf->listen until SIGTERM or SIGINT; SIGHUP reads the configuration again.
 * `conf_path` is for messages. To be called before any
 * thread exists, after kt_harden(). 0 after an orderly end. */
KT_CHECKED int kt_serve(const char *conf_path, const struct kt_kms_conf *conf,
	const char *module_dir, struct kt_error *e);

#endif
