/* SPDX-License-Identifier: Apache-2.0 */
/* First call of every main(). */
#ifndef KT_LIB_HARDEN_H
#define KT_LIB_HARDEN_H

#include "lib/error.h"

/* Opens missing descriptors 0 to 2 on /dev/null, for reading (a closed stdin is empty, writing to a
 * closed stdout fails), closes none; no core dumps, not dumpable, no new privileges, umask 077,
 * SIGPIPE and SIGXFSZ ignored. KT_E_INTERNAL. */
KT_CHECKED int kt_harden(struct kt_error *e);

#endif
