/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to a TPM: transport, turn-taking on a bare software TPM, held-back signals,
 * retries, and the list of what has to be flushed.
 */
#include "lib/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include <tss2/tss2_tctildr.h>

#include "lib/secret.h"
#include "lib/tpm-internal.h"
#include "lib/tpm-meter.h"
#include "lib/tpm-signals.h"

/* Live at one time: a session, a parent, a signer's key and an object, at most. */
#define LIVE_MAX 8
#define RETRY_PATIENCE_MS 5000
#define TURN_PATIENCE_MS 30000
#define ABRMD_PATIENCE_MS 10000
#define PAUSE_MIN_MS 4
#define PAUSE_MAX_MS 250

struct kt_tpm {
	TSS2_TCTI_CONTEXT *tcti;
	struct kt_tpm_figures own_figures; /* where nobody else wants them */
	struct kt_tpm_meter meter;
	ESYS_CONTEXT *esys;
	int turn_fd; /* the folder of a bare software TPM, or -1 */
	bool has_turn;
	bool for_long;	     /* signals are the program's own */
	int64_t deadline_ms; /* CLOCK_MONOTONIC; 0: none */
	ESYS_TR live[LIVE_MAX];
	size_t live_count;
	bool holds_signals;
};

int kt_tpm_check(struct kt_tpm *tpm, struct kt_error *e)
{
	int noted = kt_signals_noted();

	(void)tpm;
	if (noted != 0)
		return kt_fail(e, KT_E_INTERNAL, "interrupted: %s", strsignal(noted));
	return 0;
}

/* Sleeps between half of and the whole pause, so that many waiters do not move in step. A signal
 * wakes it. */
static unsigned pause_for(unsigned ms)
{
	struct timespec now, nap;
	unsigned actual;

	clock_gettime(CLOCK_MONOTONIC, &now);
	actual = ms / 2 + (unsigned)(now.tv_nsec / 1000) % (ms / 2 + 1);
	nap = (struct timespec){
		.tv_sec = actual / 1000, .tv_nsec = (long)(actual % 1000) * 1000000};
	nanosleep(&nap, NULL);
	return actual;
}

static unsigned pause_after(unsigned tries)
{
	unsigned ms = PAUSE_MIN_MS << (tries < 6 ? tries : 6);

	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

void kt_tpm_set_deadline(struct kt_tpm *tpm, int64_t deadline_ms)
{
	tpm->deadline_ms = deadline_ms;
}

static bool is_late(const struct kt_tpm *tpm)
{
	struct timespec now;

	if (tpm->deadline_ms == 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 >= tpm->deadline_ms;
}

static bool wait_and_retry(struct kt_tpm *tpm, struct kt_tpm_retry *retry, TSS2_RC rc)
{
	if (!kt_rc_is_temporary(rc) || retry->waited_ms >= RETRY_PATIENCE_MS)
		return false;
	retry->waited_ms += pause_for(pause_after(retry->tries++));
	tpm->meter.figures->retries++;
	return true;
}

bool kt_tpm_retry(struct kt_tpm *tpm, struct kt_tpm_retry *retry, TSS2_RC rc)
{
	return kt_signals_noted() == 0 && !is_late(tpm) && wait_and_retry(tpm, retry, rc);
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

/* ESYS frees command buffers, authorisation values and session keys without wiping them. */
void kt_tpm_flush(struct kt_tpm *tpm, ESYS_TR handle)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	if (handle == ESYS_TR_NONE)
		return;
	kt_wipe_freed(true);
	do /* also when a signal waits: it waits for this */
		rc = Esys_FlushContext(tpm->esys, handle);
	while (wait_and_retry(tpm, &retry, rc));
	kt_wipe_freed(false);
	if (rc == TSS2_RC_SUCCESS)
		kt_tpm_forget(tpm, handle);
}

/* The folder of a software TPM's unix socket, if that is what `tcti` means: "swtpm:path=DIR/SOCK",
 * also as "libtss2-tcti-swtpm.so.0:path=…" or behind "pcap:". */
static char *turn_folder(const char *tcti)
{
	const char *swtpm = strstr(tcti, "swtpm");
	const char *start = swtpm != NULL ? strstr(swtpm, "path=") : NULL;
	auto_free char *path = NULL;

	if (start == NULL)
		return NULL;
	start += strlen("path=");
	path = strndup(start, strcspn(start, ","));
	return path != NULL ? strdup(dirname(path)) : NULL;
}

/* swtpm's socket has no resource manager, and tpm2-tss makes a connection a command: programs that
 * share it must take turns, or they would eat each other's three slots. */
int kt_tpm_resume(struct kt_tpm *tpm, struct kt_error *e)
{
	unsigned waited = 0;

	if (tpm->turn_fd < 0 || tpm->has_turn)
		return 0;
	for (unsigned tries = 0; flock(tpm->turn_fd, LOCK_EX | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return kt_fail_errno(e, KT_E_TPM, "cannot lock the software TPM's folder");
		if (waited >= TURN_PATIENCE_MS || is_late(tpm))
			return kt_fail(e, KT_E_BUSY,
				"another program has held the software TPM for %u ms", waited);
		waited += pause_for(pause_after(tries < 3 ? tries : 3));
	}
	tpm->has_turn = true;
	return 0;
}

/* Whoever waits is woken by nothing: it tries again within milliseconds. */
void kt_tpm_pause(struct kt_tpm *tpm)
{
	if (tpm->has_turn && flock(tpm->turn_fd, LOCK_UN) == 0)
		tpm->has_turn = false;
}

static int take_turn(struct kt_tpm *tpm, const char *tcti, struct kt_error *e)
{
	auto_free char *folder = turn_folder(tcti);

	if (folder == NULL)
		return 0;
	tpm->turn_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tpm->turn_fd < 0)
		return kt_fail_errno(
			e, KT_E_TPM, "cannot open %s, the software TPM's folder", folder);
	return kt_tpm_resume(tpm, e) < 0 ? kt_wrap(e, "%s", folder) : 0;
}

static bool is_abrmd(const char *tcti)
{
	return strncmp(tcti, "tabrmd", strlen("tabrmd")) == 0;
}

/* Runs the TCTI's start. tpm2-abrmd's has GLib print several lines for each refusal, whatever
 * anybody sets; we have one of our own. */
static TSS2_RC start_tcti(struct kt_tpm *tpm, const char *tcti)
{
	auto_fd int saved = -1, null = -1;
	TSS2_RC rc;

	if (is_abrmd(tcti)) {
		saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (saved >= 0 && null >= 0 && dup2(null, STDERR_FILENO) < 0)
			return TSS2_TCTI_RC_IO_ERROR;
	}
	rc = Tss2_TctiLdr_Initialize(tcti, &tpm->tcti);
	if (saved >= 0 && dup2(saved, STDERR_FILENO) < 0)
		return TSS2_TCTI_RC_IO_ERROR;
	return rc;
}

static int connect_tcti(struct kt_tpm *tpm, const char *tcti, struct kt_error *e)
{
	unsigned waited = 0;
	TSS2_RC rc;

	for (unsigned tries = 0;; tries++) {
		rc = start_tcti(tpm, tcti);
		/* tpm2-abrmd refuses connections beyond its limit; that passes. Nothing else does.
		 */
		if (rc == TSS2_RC_SUCCESS || !is_abrmd(tcti) || tpm->for_long ||
			waited >= ABRMD_PATIENCE_MS)
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

/* The loader takes a path to any shared object for a TCTI's name, and the environment can give one.
 * Names only: "swtpm", "libtss2-tcti-swtpm.so.0". A TCTI that takes another one as its
 * configuration is looked into. */
static int check_tcti(const char *tcti, struct kt_error *e)
{
	size_t len = strcspn(tcti, ":");

	if (memchr(tcti, '/', len) != NULL)
		return kt_fail(e, KT_E_USAGE,
			"TCTI \"%.100s\": a name is wanted before the colon, such as device, swtpm "
			"or "
			"tabrmd, and no path",
			tcti);
	if (tcti[len] == ':' && len == strlen("pcap") && memcmp(tcti, "pcap", len) == 0)
		return check_tcti(tcti + len + 1, e);
	return 0;
}

static const char *choose_tcti(const char *tcti)
{
	if (tcti == NULL)
		tcti = secure_getenv("KUBETPM_TCTI");
	return tcti != NULL && *tcti != '\0' ? tcti : KT_TPM_DEFAULT_TCTI;
}

static int open_tpm(const char *tcti, bool for_long, struct kt_tpm_figures *figures,
	struct kt_tpm **ret_tpm, struct kt_error *e)
{
	auto_tpm struct kt_tpm *tpm = calloc(1, sizeof(*tpm));
	TSS2_RC rc;

	if (tpm == NULL)
		return kt_fail_memory(e);
	tpm->turn_fd = -1;
	tpm->for_long = for_long;
	tcti = choose_tcti(tcti);
	if (check_tcti(tcti, e) < 0)
		return -1;
	if (take_turn(tpm, tcti, e) < 0 || connect_tcti(tpm, tcti, e) < 0)
		return -1;
	if (!for_long && kt_signals_hold(e) < 0)
		return -1;
	tpm->holds_signals = !for_long;
	rc = Esys_Initialize(&tpm->esys,
		kt_tpm_meter_init(
			&tpm->meter, tpm->tcti, figures != NULL ? figures : &tpm->own_figures),
		NULL);
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "Esys_Initialize");
	*ret_tpm = kt_take(tpm);
	return 0;
}

int kt_tpm_open(const char *tcti, struct kt_tpm **ret_tpm, struct kt_error *e)
{
	return open_tpm(tcti, false, NULL, ret_tpm, e);
}

int kt_tpm_open_for_long(const char *tcti, struct kt_tpm_figures *figures, struct kt_tpm **ret_tpm,
	struct kt_error *e)
{
	return open_tpm(tcti, true, figures, ret_tpm, e);
}

void kt_tpm_close(struct kt_tpm *tpm)
{
	if (tpm == NULL)
		return;
	if (tpm->esys != NULL) {
		for (size_t i = tpm->live_count; i-- > 0;)
			kt_tpm_flush(tpm, tpm->live[i]);
		kt_wipe_freed(true);
		Esys_Finalize(&tpm->esys);
		kt_wipe_freed(false);
	}
	if (tpm->tcti != NULL)
		Tss2_TctiLdr_Finalize(&tpm->tcti);
	if (tpm->turn_fd >= 0)
		close(tpm->turn_fd);
	if (tpm->holds_signals)
		kt_signals_release();
	free(tpm);
}
