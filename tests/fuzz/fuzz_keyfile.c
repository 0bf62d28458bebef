/* SPDX-License-Identifier: Apache-2.0 */
/* TPM key files: what is accepted is, to the byte, what we would have written. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyfile.h"
#include "lib/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free struct kt_keyfile *file = NULL;
	auto_free char *text = NULL;
	struct kt_error e;

	if (kt_keyfile_parse((const char *)data, size, &file, &e) != 0) {
		assert(e.code == KT_E_INPUT);
		assert(file == NULL);
		return 0;
	}
	assert(kt_uuid_is_valid(file->uuid));
	assert(file->state_count <= KT_KEYFILE_STATES_MAX);
	if (file->type == KT_KEYFILE_HMAC)
		assert(file->is_signed == (file->state_count == 0));
	else
		assert(!file->is_signed);
	for (size_t i = 0; i < file->state_count; i++)
		assert(kt_pcr_is_complete(&file->states[i]));
	assert(kt_keyfile_format(file, &text, &e) == 0);
	assert(strlen(text) == size && memcmp(text, data, size) == 0);
	return 0;
}
