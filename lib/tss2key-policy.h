/* SPDX-License-Identifier: Apache-2.0 */
/* The `commandPolicy` octets of a TSS2 key file. Internal to tss2key. */
#ifndef KT_LIB_TSS2KEY_POLICY_H
#define KT_LIB_TSS2KEY_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/policy.h"

#define KT_TSS2KEY_COMMAND_MAX sizeof(struct kt_policy_step)

/* `name_alg` of the object says how long a digest without a size is. KT_E_INPUT. */
KT_CHECKED int kt_tss2key_decode_command(uint32_t code, const uint8_t *data, size_t len,
	TPMI_ALG_HASH name_alg, struct kt_policy_step *ret_step, struct kt_error *e);

/* The draft's form; `ret_data` has room for KT_TSS2KEY_COMMAND_MAX. KT_E_INTERNAL. */
KT_CHECKED int kt_tss2key_encode_command(
	const struct kt_policy_step *step, uint8_t *ret_data, size_t *ret_len, struct kt_error *e);

#endif
