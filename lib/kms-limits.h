/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server's limits on what a KMS plugin gives it (k8s.io/apiserver,
 * storage/value/encrypt/envelope/kmsv2/envelope.go), and records within them. Pure; fuzzed.
 */
#ifndef KT_LIB_KMS_LIMITS_H
#define KT_LIB_KMS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kubetpm/module.h>

#include "lib/error.h"

#define KT_KMS_KEY_ID_MAX_BYTES 1023
#define KT_KMS_CIPHERTEXT_MAX_BYTES 1024
#define KT_KMS_ANNOTATIONS_MAX_BYTES 32768
#define KT_KMS_NAME_MAX_BYTES 254 /* an FQDN with its final dot */

/* A bare, fully qualified domain name, as k8s.io/apimachinery's IsFullyQualifiedDomainName() has
 * it: lower case, two labels or more, a final dot if it likes, no "/". */
bool kt_kms_annotation_name_is_valid(const char *name);

/* Every limit of the API server on a ciphertext and its annotations. `code` of the failure: whose
 * fault it is depends on where the record comes from. */
KT_CHECKED int kt_kms_record_check(
	const struct kt_kms_record *record, enum kt_code code, struct kt_error *e);

#endif
