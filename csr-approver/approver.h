/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of csr-approver share. */
#ifndef KT_CSR_APPROVER_APPROVER_H
#define KT_CSR_APPROVER_APPROVER_H

#include "lib/error.h"
#include "lib/opt.h"

#define PROGRAM "csr-approver"

struct verb {
	struct kt_command command;
	int (*run)(int argc, char *argv[], struct kt_error *e);
};

extern const struct verb verb_review, verb_inventory;

#endif
