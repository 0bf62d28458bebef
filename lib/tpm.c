/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to a TPM: transport, turn-taking on a bare software TPM, held-back signals,
 * retries, and the list of what has to be flushed.
 */
#include "lib/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include <tss2/tss2_tctildr.h>

#include "lib/tpm-internal.h"

/* Live at one time: a session, a parent, a signer's key and an object, at most. */
#define LIVE_MAX 8
#define RETRY_PATIENCE_MS 5000
#define OPEN_PATIENCE_MS 30000
#define PAUSE_MIN_MS 4
#define PAUSE_MAX_MS 250

struct kt_tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	int turn_fd; /* lock on the folder of a bare software TPM, or -1 */
	ESYS_TR live[LIVE_MAX];
	size_t live_count;
	sigset_t old_mask;
	bool signals_held;
};

static const int held_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void fill_held(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(held_signals) / sizeof(held_signals[0]); i++)
		sigaddset(set, held_signals[i]);
}

static int hold_signals(struct kt_tpm *tpm, struct kt_error *e)
{
	sigset_t set;

	fill_held(&set);
	if (sigprocmask(SIG_BLOCK, &set, &tpm->old_mask) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot block signals");
	tpm->signals_held = true;
	return 0;
}

int kt_tpm_check(struct kt_tpm *tpm, struct kt_error *e)
{
	sigset_t pending;

	(void)tpm;
	if (sigpending(&pending) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot look for signals");
	for (size_t i = 0; i < sizeof(held_signals) / sizeof(held_signals[0]); i++)
		if (sigismember(&pending, held_signals[i]) == 1)
			return kt_fail(
				e, KT_E_INTERNAL, "interrupted by %s", strsignal(held_signals[i]));
	return 0;
}

/* Sleeps between half of and the whole pause, so that many waiters do not move in step. Wakes early
 * when a held signal arrives. */
static unsigned pause_for(unsigned ms)
{
	struct timespec now, nap;
	unsigned actual;
	sigset_t set;

	clock_gettime(CLOCK_MONOTONIC, &now);
	actual = ms / 2 + (unsigned)(now.tv_nsec / 1000) % (ms / 2 + 1);
	nap = (struct timespec){
		.tv_sec = actual / 1000, .tv_nsec = (long)(actual % 1000) * 1000000};
	if (sigpending(&set) == 0)
		nanosleep(&nap, NULL);
	return actual;
}

static unsigned pause_after(unsigned tries)
{
	unsigned ms = PAUSE_MIN_MS << (tries < 6 ? tries : 6);

	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

bool kt_tpm_retry(struct kt_tpm *tpm, struct kt_tpm_retry *retry, TSS2_RC rc)
{
	struct kt_error ignored;

	if (!kt_rc_is_temporary(rc) || retry->waited_ms >= RETRY_PATIENCE_MS ||
		kt_tpm_check(tpm, &ignored) < 0)
		return false;
	retry->waited_ms += pause_for(pause_after(retry->tries++));
	return true;
}

ESYS_CONTEXT *kt_tpm_esys(struct kt_tpm *tpm)
{
	return tpm->esys;
}

int kt_tpm_track(struct kt_tpm *tpm, ESYS_TR handle, struct kt_error *e)
{
	if (tpm->live_count == LIVE_MAX) {
		Esys_FlushContext(tpm->esys, handle);
		return kt_fail(e, KT_E_INTERNAL, "too many TPM objects at one time");
	}
	tpm->live[tpm->live_count++] = handle;
	return 0;
}

void kt_tpm_forget(struct kt_tpm *tpm, ESYS_TR handle)
{
	for (size_t i = 0; i < tpm->live_count; i++)
		if (tpm->live[i] == handle) {
			tpm->live[i] = tpm->live[--tpm->live_count];
			return;
		}
}

void kt_tpm_flush(struct kt_tpm *tpm, ESYS_TR handle)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (handle == ESYS_TR_NONE)
		return;
	do
		rc = Esys_FlushContext(tpm->esys, handle);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc == TSS2_RC_SUCCESS)
		kt_tpm_forget(tpm, handle);
}

/* The folder of a software TPM's unix socket, if that is what `tcti` means: "swtpm:path=DIR/SOCK",
 * also behind "pcap:". */
static char *turn_folder(const char *tcti)
{
	const char *swtpm = strstr(tcti, "swtpm:path=");
	auto_free char *path = NULL;
	char *end;

	if (swtpm == NULL)
		return NULL;
	path = strdup(swtpm + strlen("swtpm:path="));
	if (path == NULL)
		return NULL;
	end = strchr(path, ',');
	if (end != NULL)
		*end = '\0';
	return strdup(dirname(path));
}

/* swtpm's socket has no resource manager, and tpm2-tss makes a connection a command: programs that
 * share it must take turns, or they would eat each other's three slots. */
static int take_turn(struct kt_tpm *tpm, const char *tcti, struct kt_error *e)
{
	auto_free char *folder = turn_folder(tcti);
	unsigned waited = 0;

	if (folder == NULL)
		return 0;
	tpm->turn_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tpm->turn_fd < 0)
		return kt_fail_errno(
			e, KT_E_TPM, "cannot open %s, the software TPM's folder", folder);
	for (unsigned tries = 0; flock(tpm->turn_fd, LOCK_EX | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return kt_fail_errno(e, KT_E_TPM, "cannot lock %s", folder);
		if (waited >= OPEN_PATIENCE_MS)
			return kt_fail(e, KT_E_BUSY,
				"another program has held the software TPM in %s for %d seconds",
				folder, OPEN_PATIENCE_MS / 1000);
		waited += pause_for(pause_after(tries < 3 ? tries : 3));
	}
	return 0;
}

/* tpm2-abrmd refuses connections beyond its limit; that passes. Nothing else does. */
static bool may_come_free(const char *tcti, TSS2_RC rc)
{
	return rc != TSS2_RC_SUCCESS && strncmp(tcti, "tabrmd", strlen("tabrmd")) == 0;
}

static int connect_tcti(struct kt_tpm *tpm, const char *tcti, struct kt_error *e)
{
	unsigned waited = 0;
	TSS2_RC rc;

	for (unsigned tries = 0;; tries++) {
		rc = Tss2_TctiLdr_Initialize(tcti, &tpm->tcti);
		if (!may_come_free(tcti, rc) || waited >= OPEN_PATIENCE_MS)
			break;
		waited += pause_for(pause_after(tries));
	}
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	kt_fail_tss(e, rc, tcti);
	e->code = KT_E_TPM;
	if (strncmp(tcti, "device", strlen("device")) == 0)
		return kt_hint(e, "is there a TPM, and may this user open it (group tss)? "
				  "'sealtool doctor' tells; without a TPM use swtpm and --tcti");
	return kt_hint(e, "is it running, and is --tcti (or KUBETPM_TCTI) right?");
}

static const char *choose_tcti(const char *tcti)
{
	if (tcti == NULL)
		tcti = secure_getenv("KUBETPM_TCTI");
	return tcti != NULL && *tcti != '\0' ? tcti : KT_TPM_DEFAULT_TCTI;
}

int kt_tpm_open(const char *tcti, struct kt_tpm **ret_tpm, struct kt_error *e)
{
	auto_tpm struct kt_tpm *tpm = calloc(1, sizeof(*tpm));
	TSS2_RC rc;

	if (tpm == NULL)
		return kt_fail_memory(e);
	tpm->turn_fd = -1;
	tcti = choose_tcti(tcti);
	if (take_turn(tpm, tcti, e) < 0 || connect_tcti(tpm, tcti, e) < 0 ||
		hold_signals(tpm, e) < 0)
		return -1;
	rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_Initialize");
	*ret_tpm = kt_take(tpm);
	return 0;
}

void kt_tpm_close(struct kt_tpm *tpm)
{
	if (tpm == NULL)
		return;
	if (tpm->esys != NULL) {
		for (size_t i = tpm->live_count; i-- > 0;)
			kt_tpm_flush(tpm, tpm->live[i]);
		Esys_Finalize(&tpm->esys);
	}
	if (tpm->tcti != NULL)
		Tss2_TctiLdr_Finalize(&tpm->tcti);
	if (tpm->turn_fd >= 0)
		close(tpm->turn_fd);
	if (tpm->signals_held)
		sigprocmask(SIG_SETMASK, &tpm->old_mask, NULL);
	free(tpm);
}
