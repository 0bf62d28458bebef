/* SPDX-License-Identifier: Apache-2.0 */
/* Printing what a sealed file says of itself; for the verbs show and recipient list. No TPM. */
#ifndef KT_SEALTOOL_DESCRIBE_H
#define KT_SEALTOOL_DESCRIBE_H

#include "sealtool/sealtool.h"

/* Prints the file's facts, as JSON or as text. */
KT_CHECKED int describe_sealed(const struct kt_sealed *sealed, bool json, struct kt_error *e);

/* Fails with KT_E_INPUT if a slot's words do not agree with its digest. */
KT_CHECKED int check_words(const struct kt_sealed *sealed, struct kt_error *e);

#endif
