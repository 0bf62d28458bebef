/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm-bare KEY CALLS: the TPM commands of one record, PolicyPCR, PolicyCommandCode and HMAC, as
 * bare as libtss2-sys sends them: session and key are kept, nothing is checked that the library
 * does not check. What kms-shim takes longer than this is its own. Prints the median, in
 * microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tss2/tss2_sys.h>

#include "lib/keyfile.h"
#include "lib/tpm-hmac.h"
#include "lib/tpm-internal.h"

#define WARM_UP 20

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void check(TSS2_RC rc, const char *what)
{
	if (rc == TSS2_RC_SUCCESS)
		return;
	fprintf(stderr, "tpm-bare: %s: 0x%08x\n", what, rc);
	exit(1);
}

static void check_ours(int status, const struct kt_error *e)
{
	if (status == 0)
		return;
	fprintf(stderr, "tpm-bare: %s\n", e->msg);
	exit(1);
}

static double use(
	TSS2_SYS_CONTEXT *sys, TPM2_HANDLE session, TPM2_HANDLE key, const struct kt_policy *policy)
{
	const TSS2L_SYS_AUTH_COMMAND auth = {.count = 1,
		.auths = {{.sessionHandle = session,
			.nonce.size = 16,
			.sessionAttributes = TPMA_SESSION_CONTINUESESSION}}};
	TSS2L_SYS_AUTH_RESPONSE answer = {0};
	TPM2B_MAX_BUFFER input = {.size = KT_HMAC_BYTES};
	TPM2B_DIGEST output = {0};
	double begun = now_us();

	check(Tss2_Sys_PolicyPCR(sys, session, NULL, &policy->steps[0].pcr.digest,
		      &policy->steps[0].pcr.selection, NULL),
		"PolicyPCR");
	check(Tss2_Sys_PolicyCommandCode(sys, session, NULL, TPM2_CC_HMAC, NULL),
		"PolicyCommandCode");
	check(Tss2_Sys_HMAC(sys, key, &auth, &input, TPM2_ALG_NULL, &output, &answer), "HMAC");
	return now_us() - begun;
}

int main(int argc, char *argv[])
{
	const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
	struct kt_policy policy = {0};
	struct kt_keyfile *file;
	struct kt_tpm *tpm;
	struct kt_parent srk;
	struct kt_error e;
	ESYS_TR session, key;
	TPM2_HANDLE session_handle, key_handle;
	TSS2_SYS_CONTEXT *sys;
	size_t count;
	double *times;

	if (argc != 3)
		return 2;
	count = (size_t)strtoul(argv[2], NULL, 10);
	times = calloc(count, sizeof(*times));
	check_ours(times != NULL ? 0 : kt_fail_memory(&e), &e);
	check_ours(kt_keyfile_read(argv[1], &file, &e), &e);
	check_ours(kt_keyfile_key_policy(file, 0, &policy, &e), &e);
	check_ours(kt_tpm_open(NULL, &tpm, &e), &e);
	check_ours(kt_srk_load(tpm, &srk, &e), &e);
	check_ours(kt_child_load(tpm, &srk, &file->key_public, &file->key_private, &key, &e), &e);
	check(Esys_StartAuthSession(kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		      ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256,
		      &session),
		"StartAuthSession");
	check_ours(kt_tpm_track(tpm, session, &e), &e);
	check(Esys_GetSysContext(kt_tpm_esys(tpm), &sys), "GetSysContext");
	check(Esys_TR_GetTpmHandle(kt_tpm_esys(tpm), session, &session_handle), "session");
	check(Esys_TR_GetTpmHandle(kt_tpm_esys(tpm), key, &key_handle), "key");
	for (size_t i = 0; i < WARM_UP; i++)
		(void)use(sys, session_handle, key_handle, &policy);
	for (size_t i = 0; i < count; i++)
		times[i] = use(sys, session_handle, key_handle, &policy);
	qsort(times, count, sizeof(*times), compare);
	printf("%.1f\n", times[count / 2]);
	kt_tpm_close(tpm);
	free(file);
	free(times);
	return 0;
}
