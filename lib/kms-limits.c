/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server's limits (k8s.io/apiserver, envelope/kmsv2/envelope.go): it takes an answer that
 * breaks one for a failure of the provider, and would stop writing. Better said here, with a
 * reason.
 */
#include "lib/kms-limits.h"

#include <string.h>

#define NAME_MAX_BYTES 253 /* RFC 1123 subdomain, without the final dot */
#define LABEL_MAX_BYTES 63

static bool is_edge(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool label_is_valid(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX_BYTES || !is_edge(label[0]) || !is_edge(label[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_edge(label[i]) && label[i] != '-')
			return false;
	return true;
}

bool kt_kms_annotation_name_is_valid(const char *name)
{
	size_t len = strnlen(name, KT_KMS_NAME_MAX_BYTES + 1), labels = 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (size_t at = 0; at <= len; labels++) {
		const char *dot = memchr(name + at, '.', len - at);
		size_t label = dot != NULL ? (size_t)(dot - name) - at : len - at;

		if (!label_is_valid(name + at, label))
			return false;
		at += label + 1;
	}
	return labels >= 2;
}

static int check_annotation(const struct kt_kms_record *record, size_t index, enum kt_code code,
	size_t *total, struct kt_error *e)
{
	const struct kt_kms_annotation *annotation = &record->annotations[index];

	if (annotation->name == NULL || !kt_kms_annotation_name_is_valid(annotation->name))
		return kt_fail(e, code,
			"annotation \"%.64s\" is not named by a fully qualified domain name",
			annotation->name != NULL ? annotation->name : "");
	for (size_t i = 0; i < index; i++)
		if (strcmp(record->annotations[i].name, annotation->name) == 0)
			return kt_fail(e, code, "annotation \"%s\" occurs twice", annotation->name);
	if (annotation->value.data == NULL && annotation->value.len > 0)
		return kt_fail(e, code, "annotation \"%s\" has no value", annotation->name);
	if (annotation->value.len > KT_KMS_ANNOTATIONS_MAX_BYTES - *total ||
		strlen(annotation->name) >
			KT_KMS_ANNOTATIONS_MAX_BYTES - *total - annotation->value.len)
		return kt_fail(e, code, "the annotations have more than %d bytes",
			KT_KMS_ANNOTATIONS_MAX_BYTES);
	*total += strlen(annotation->name) + annotation->value.len;
	return 0;
}

int kt_kms_record_check(const struct kt_kms_record *record, enum kt_code code, struct kt_error *e)
{
	size_t total = 0;

	if (record->ciphertext.data == NULL || record->ciphertext.len == 0)
		return kt_fail(e, code, "the ciphertext is empty");
	if (record->ciphertext.len > KT_KMS_CIPHERTEXT_MAX_BYTES)
		return kt_fail(e, code, "the ciphertext has %zu bytes, more than %d",
			record->ciphertext.len, KT_KMS_CIPHERTEXT_MAX_BYTES);
	if (record->annotation_count > KT_KMS_ANNOTATIONS_MAX)
		return kt_fail(e, code, "there are %zu annotations, more than %d",
			record->annotation_count, KT_KMS_ANNOTATIONS_MAX);
	for (size_t i = 0; i < record->annotation_count; i++)
		if (check_annotation(record, i, code, &total, e) < 0)
			return -1;
	return 0;
}
