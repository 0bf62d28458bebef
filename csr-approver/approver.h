/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of csr-approver share. */
#ifndef KT_CSR_APPROVER_APPROVER_H
#define KT_CSR_APPROVER_APPROVER_H

#include "lib/verb.h"

#define PROGRAM "csr-approver"

extern const struct kt_verb verb_review, verb_inventory;

#endif
