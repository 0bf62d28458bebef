/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files that carry PCR values from one machine, or one time, to another. */
#include "lib/pcr-file.h"

#include "lib/io.h"

int kt_pcr_file_parse(const char *text, size_t len, struct kt_pcr_set *ret_pcrs, struct kt_error *e)
{
	auto_json struct json_object *file = NULL;
	struct json_object *pcrs;

	if (kt_json_parse(text, len, &file, e) < 0 ||
		kt_json_get_object(file, "pcrs", &pcrs, e) < 0)
		return -1;
	return kt_pcr_from_json(pcrs, ret_pcrs, e);
}

int kt_pcr_file_read(const char *path, struct kt_pcr_set *ret_pcrs, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (kt_read_file(path, KT_PCR_FILE_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	if (kt_pcr_file_parse((const char *)text, len, ret_pcrs, e) < 0)
		return kt_wrap(e, "%s", path);
	return 0;
}
