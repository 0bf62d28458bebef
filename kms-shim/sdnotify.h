/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) without libsystemd: one datagram. */
#ifndef KT_KMS_SHIM_SDNOTIFY_H
#define KT_KMS_SHIM_SDNOTIFY_H

/* Tells the service manager, if there is one, e.g. "READY=1\nSTATUS=...". Never fails: a manager
 * that does not listen must not stop the service. */
void kt_sdnotify(const char *state);

/* "RELOADING=1" with the time that sd_notify(3) asks for. */
void kt_sdnotify_reloading(void);

#endif
