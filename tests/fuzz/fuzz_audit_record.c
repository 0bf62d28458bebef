/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the audit log: what is accepted is, to the byte, what we would have written. */
#include <assert.h>
#include <string.h>

#include "lib/audit-record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char line[KT_AUDIT_LINE_MAX];
	struct kt_audit_record record;
	struct kt_error e;
	size_t len;

	if (kt_audit_record_parse((const char *)data, size, &record, &e) != 0) {
		assert(e.code == KT_E_INPUT);
		return 0;
	}
	assert(kt_audit_record_format(&record, line, &len, &e) == 0);
	assert(len == size && memcmp(line, data, size) == 0);
	return 0;
}
