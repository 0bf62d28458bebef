/* SPDX-License-Identifier: Apache-2.0 */
#include "modules/kms-tpm/states.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define REREAD_EVERY_MS 1000
#define WARNINGS_MAX 8 /* files in the folder that were told of */

struct kms_tpm_states {
	const struct kt_keyfile *file; /* borrowed */
	char *folder;		       /* NULL: the states are the file's */
	EVP_PKEY *signer;
	struct kt_approvals approvals;
	struct kt_approval chosen; /* of the approvals, a copy */
	bool has_chosen;
	size_t state; /* of the file */
	int64_t read_ms;
	struct timespec changed; /* the folder, when it was read */
	struct kt_error warnings[WARNINGS_MAX];
	size_t warning_count, told;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The folder is read again and again: what is wrong with a file is said once. */
static void warn_once(void *ctx, const struct kt_error *e)
{
	struct kms_tpm_states *states = ctx;

	for (size_t i = 0; i < states->warning_count; i++)
		if (strcmp(states->warnings[i].msg, e->msg) == 0)
			return;
	if (states->warning_count < WARNINGS_MAX)
		states->warnings[states->warning_count++] = *e;
}

const char *kms_tpm_states_next_warning(struct kms_tpm_states *states)
{
	if (states->told == states->warning_count)
		return NULL;
	return states->warnings[states->told++].msg;
}

static struct timespec changed_at(const char *folder)
{
	struct stat st;

	return stat(folder, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static int read_folder(struct kms_tpm_states *states, struct kt_error *e)
{
	states->changed = changed_at(states->folder);
	states->read_ms = now_ms();
	return kt_approvals_read(states->folder, states->file->uuid, states->signer, warn_once,
		states, &states->approvals, e);
}

KT_AUTO(states, struct kms_tpm_states *, kms_tpm_states_free)
#define auto_states __attribute__((cleanup(kt_auto_states)))

int kms_tpm_states_new(const struct kt_keyfile *file, const char *policy_dir,
	struct kms_tpm_states **ret_states, struct kt_error *e)
{
	auto_states struct kms_tpm_states *states = calloc(1, sizeof(*states));

	if (states == NULL)
		return kt_fail_memory(e);
	states->file = file;
	if (file->is_signed) {
		if (policy_dir == NULL)
			return kt_fail(e, KT_E_USAGE,
				"the key works in states that its operator approves; say where the "
				"approvals are: policy-dir = DIR");
		states->folder = strdup(policy_dir);
		if (states->folder == NULL)
			return kt_fail_memory(e);
		if (kt_keyfile_signer(file, &states->signer, e) < 0 || read_folder(states, e) < 0)
			return -1;
	}
	*ret_states = kt_take(states);
	return 0;
}

void kms_tpm_states_free(struct kms_tpm_states *states)
{
	if (states == NULL)
		return;
	kt_approvals_fini(&states->approvals);
	EVP_PKEY_free(states->signer);
	free(states->folder);
	free(states);
}

bool kms_tpm_states_have_changed(const struct kms_tpm_states *states)
{
	struct timespec changed;

	if (states->folder == NULL)
		return false;
	changed = changed_at(states->folder);
	return changed.tv_sec != states->changed.tv_sec ||
	       changed.tv_nsec != states->changed.tv_nsec;
}

bool kms_tpm_states_reread(struct kms_tpm_states *states)
{
	struct kt_error e;

	/* A file that is written in place does not change the folder. */
	if (states->folder == NULL || (!kms_tpm_states_have_changed(states) &&
					      now_ms() - states->read_ms < REREAD_EVERY_MS))
		return false;
	if (read_folder(states, &e) == 0)
		return true;
	warn_once(states, &e);
	return false;
}

int kms_tpm_states_selection(
	const struct kms_tpm_states *states, struct kt_pcr_set *ret_selection, struct kt_error *e)
{
	struct kt_pcr_set selection = {0};

	if (states->folder != NULL)
		return kt_approvals_selection(&states->approvals, ret_selection, e);
	for (size_t i = 0; i < states->file->state_count; i++)
		if (kt_pcr_add_all(&selection, &states->file->states[i], e) < 0)
			return -1;
	*ret_selection = selection;
	return 0;
}

static bool choose_approval(
	struct kms_tpm_states *states, const struct kt_pcr_set *present, bool *ret_changed)
{
	const struct kt_approval *found = kt_approvals_find(&states->approvals, present);
	const struct kt_approval *next =
		found != NULL ? found : kt_approvals_nearest(&states->approvals, present);

	*ret_changed = next == NULL ? states->has_chosen
				    : !states->has_chosen ||
					      memcmp(next->signature, states->chosen.signature,
						      sizeof(next->signature)) != 0;
	states->has_chosen = next != NULL;
	if (next != NULL)
		states->chosen = *next;
	return found != NULL;
}

bool kms_tpm_states_choose(
	struct kms_tpm_states *states, const struct kt_pcr_set *present, bool *ret_changed)
{
	const struct kt_keyfile *file = states->file;
	char text[256];

	*ret_changed = false;
	if (states->folder != NULL)
		return choose_approval(states, present, ret_changed);
	/* Beginning with the one that was found last. */
	for (size_t i = 0; i < file->state_count; i++) {
		size_t state = (states->state + i) % file->state_count;

		if (kt_pcr_describe_difference(&file->states[state], present, text, sizeof(text)) >
			0)
			continue;
		*ret_changed = i > 0;
		states->state = state;
		return true;
	}
	return false;
}

const struct kt_pcr_set *kms_tpm_states_pcrs(const struct kms_tpm_states *states)
{
	if (states->folder == NULL)
		return &states->file->states[states->state];
	return states->has_chosen ? &states->chosen.pcrs : NULL;
}

static int approve(
	const struct kms_tpm_states *states, struct kt_policy *policy, struct kt_error *e)
{
	if (states->folder == NULL)
		return 0;
	if (!states->has_chosen)
		return kt_fail(e, KT_E_POLICY, "policy not satisfied: nothing is approved");
	return kt_approval_apply(&states->chosen, policy, e);
}

int kms_tpm_states_key_policy(
	const struct kms_tpm_states *states, struct kt_policy *ret_policy, struct kt_error *e)
{
	struct kt_policy policy = {0};

	if (kt_keyfile_key_policy(states->file, states->state, &policy, e) < 0 ||
		approve(states, &policy, e) < 0)
		return -1;
	*ret_policy = policy;
	return 0;
}

int kms_tpm_states_pepper_policy(
	const struct kms_tpm_states *states, struct kt_policy *ret_policy, struct kt_error *e)
{
	struct kt_policy policy = {0};

	if (kt_keyfile_pepper_policy(states->file, states->state, &policy, e) < 0 ||
		approve(states, &policy, e) < 0)
		return -1;
	*ret_policy = policy;
	return 0;
}

size_t kms_tpm_states_count(const struct kms_tpm_states *states)
{
	return states->folder != NULL ? states->approvals.count : states->file->state_count;
}

const char *kms_tpm_states_folder(const struct kms_tpm_states *states)
{
	return states->folder;
}
