/* SPDX-License-Identifier: Apache-2.0 */
/* Records as the API server will have them. Pure; fuzzed. */
#ifndef KT_KMS_SHIM_RECORD_H
#define KT_KMS_SHIM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kubetpm/module.h>

#include "kms-shim/kms.h"
#include "lib/error.h"

#define KT_KMS_NAME_MAX_BYTES 254 /* an FQDN with its final dot */

/* A bare, fully qualified domain name, as k8s.io/apimachinery's IsFullyQualifiedDomainName() has
 * it: lower case, two labels or more, a final dot if it likes, no "/". */
bool kt_kms_annotation_name_is_valid(const char *name);

/* Every limit of the API server on a ciphertext and its annotations. `code` of the failure: whose
 * fault it is depends on where the record comes from. */
KT_CHECKED int kt_kms_record_check(
	const struct kt_kms_record *record, enum kt_code code, struct kt_error *e);

#endif
