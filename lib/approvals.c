/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/approvals.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/io.h"
#include "lib/policy-signer.h"

#define SUFFIX ".json"

void kt_approvals_fini(struct kt_approvals *approvals)
{
	free(approvals->list);
	*approvals = (struct kt_approvals){0};
}

typedef int read_fn(
	const char *path, size_t max, uint8_t **ret_data, size_t *ret_len, struct kt_error *e);

static int read_approval(
	const char *path, read_fn *read, struct kt_approval *ret_approval, struct kt_error *e)
{
	auto_free uint8_t *text = NULL;
	size_t len;

	if (read(path, KT_APPROVAL_MAX_BYTES, &text, &len, e) < 0)
		return -1;
	return kt_approval_parse((const char *)text, len, ret_approval, e) < 0
		       ? kt_wrap(e, "%s", path)
		       : 0;
}

int kt_approval_read(const char *path, struct kt_approval *ret_approval, struct kt_error *e)
{
	return read_approval(path, kt_read_file, ret_approval, e);
}

static int is_approval_name(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(SUFFIX) &&
	       strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* What is looked for. */
struct search {
	const char *dir, *key;
	EVP_PKEY *signer;
	TPM2B_NAME name; /* of the signer */
	struct kt_approvals found;
};

static void free_search(struct search *search)
{
	kt_approvals_fini(&search->found);
}

/* Fails for what is to be told of. */
static int look_at(struct search *search, const char *file, struct kt_error *e)
{
	auto_free struct kt_approval *approval = malloc(sizeof(*approval));
	auto_free char *path = NULL;
	struct kt_approval *list = search->found.list;

	if (approval == NULL)
		return kt_fail_memory(e);
	if (asprintf(&path, "%s/%s", search->dir, file) < 0) {
		path = NULL;
		return kt_fail_memory(e);
	}
	/* Its signature is what counts; but a pipe in its place must not hold us up. */
	if (read_approval(path, kt_read_trusted_file, approval, e) < 0)
		return -1;
	if (strcmp(approval->key, search->key) != 0 ||
		!kt_name_equal(&approval->signer, &search->name))
		return 0;
	if (kt_approval_verify(approval, search->signer, e) < 0)
		return kt_wrap(e, "%s", path);
	if (search->found.count == KT_APPROVALS_MAX)
		return kt_fail(e, KT_E_USAGE,
			"%s: more than %d approvals for one key, this one "
			"is left out",
			path, KT_APPROVALS_MAX);
	list = realloc(list, (search->found.count + 1) * sizeof(*list));
	if (list == NULL)
		return kt_fail_memory(e);
	list[search->found.count++] = *approval;
	search->found.list = list;
	return 0;
}

int kt_approvals_read(const char *dir, const char key[KT_UUID_SIZE], EVP_PKEY *signer,
	void (*bad)(void *ctx, const struct kt_error *e), void *ctx, struct kt_approvals *approvals,
	struct kt_error *e)
{
	__attribute__((cleanup(free_search))) struct search search = {
		.dir = dir, .key = key, .signer = signer};
	struct dirent **entries = NULL;
	struct kt_error why;
	TPM2B_PUBLIC public;
	int count;

	if (kt_signer_public(signer, &public, e) < 0 ||
		kt_public_name(&public, &search.name, e) < 0)
		return -1;
	count = scandir(dir, &entries, is_approval_name, alphasort);
	if (count < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot read the folder %s", dir);
	for (int i = 0; i < count; i++) {
		if (i < KT_APPROVALS_FILES_MAX && look_at(&search, entries[i]->d_name, &why) < 0)
			bad(ctx, &why);
		free(entries[i]);
	}
	free(entries);
	kt_approvals_fini(approvals);
	*approvals = search.found;
	search.found = (struct kt_approvals){0};
	return 0;
}

static size_t differences(const struct kt_approval *approval, const struct kt_pcr_set *present)
{
	char text[64];

	return kt_pcr_describe_difference(&approval->pcrs, present, text, sizeof(text));
}

const struct kt_approval *kt_approvals_nearest(
	const struct kt_approvals *approvals, const struct kt_pcr_set *present)
{
	const struct kt_approval *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < approvals->count; i++) {
		size_t n = differences(&approvals->list[i], present);

		if (n < least) {
			nearest = &approvals->list[i];
			least = n;
		}
	}
	return nearest;
}

const struct kt_approval *kt_approvals_find(
	const struct kt_approvals *approvals, const struct kt_pcr_set *present)
{
	const struct kt_approval *nearest = kt_approvals_nearest(approvals, present);

	return nearest != NULL && differences(nearest, present) == 0 ? nearest : NULL;
}

int kt_approvals_selection(
	const struct kt_approvals *approvals, struct kt_pcr_set *ret_selection, struct kt_error *e)
{
	struct kt_pcr_set selection = {0};

	for (size_t a = 0; a < approvals->count; a++)
		if (kt_pcr_add_all(&selection, &approvals->list[a].pcrs, e) < 0)
			return -1;
	*ret_selection = selection;
	return 0;
}
