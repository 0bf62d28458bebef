/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of sealtool doctor. Each says what it found and what to do about it; none changes
 * anything.
 */
#include "sealtool/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/tpm-info.h"
#include "lib/tpm-key.h"
#include "lib/tpm-pcr.h"

#define DEVICE_PREFIX "device:"
#define FIRMWARE_PCRS 8 /* PCR 0 to 7 are the firmware's to extend */
#define MEMLOCK_WANTED ((rlim_t)8 << 20)

void report_add(struct report *report, const char *id, enum finding_status status,
	enum kt_code code, const char *action, const char *fmt, ...)
{
	struct finding *finding = &report->findings[report->count];
	va_list args;

	if (report->count == FINDINGS_MAX)
		return;
	*finding = (struct finding){.id = id, .status = status, .code = code, .action = action};
	va_start(args, fmt);
	vsnprintf(finding->detail, sizeof(finding->detail), fmt, args);
	va_end(args);
	report->count++;
}

static void ok(struct report *report, const char *id, const char *detail)
{
	report_add(report, id, FINDING_OK, KT_E_NONE, "", "%s", detail);
}

/* A question the TPM would not answer is itself a finding. */
static void unanswered(struct report *report, const char *id, const struct kt_error *e)
{
	report_add(report, id, FINDING_WARN, KT_E_NONE, "see whether firmware news speak of it",
		"%s", e->msg);
}

static const char *group_name(gid_t gid)
{
	const struct group *group = getgrgid(gid);

	return group != NULL ? group->gr_name : "?";
}

void check_device(struct report *report, const char *tcti)
{
	const char *env = secure_getenv("KUBETPM_TCTI");
	struct stat st;

	if (tcti == NULL)
		tcti = env != NULL && *env != '\0' ? env : KT_TPM_DEFAULT_TCTI;
	if (strncmp(tcti, DEVICE_PREFIX, strlen(DEVICE_PREFIX)) != 0) {
		report_add(report, "tpm-device", FINDING_OK, KT_E_NONE, "",
			"no device of this machine is used (%s)", tcti);
		return;
	}
	tcti += strlen(DEVICE_PREFIX);
	if (stat(tcti, &st) != 0)
		report_add(report, "tpm-device", FINDING_FAIL, KT_E_TPM,
			"turn the TPM on in the firmware's setup; in a container, pass the device "
			"in",
			"%s: %s", tcti, strerror(errno));
	else if (access(tcti, R_OK | W_OK) != 0)
		report_add(report, "tpm-device", FINDING_FAIL, KT_E_TPM,
			"add the user to the device's group (usermod -aG tss USER) and log in anew",
			"%s may not be opened: group %s, mode %04o", tcti, group_name(st.st_gid),
			st.st_mode & 07777U);
	else if (strstr(tcti, "tpmrm") == NULL)
		report_add(report, "tpm-device", FINDING_WARN, KT_E_NONE,
			"use device:/dev/tpmrm0, which has the kernel's resource manager",
			"%s has no resource manager: programs get in each other's way", tcti);
	else
		report_add(report, "tpm-device", FINDING_OK, KT_E_NONE, "", "%s, group %s", tcti,
			group_name(st.st_gid));
}

void check_memory(struct report *report)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return;
	if (geteuid() == 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= MEMLOCK_WANTED)
		ok(report, "locked-memory", "secrets can be locked into memory");
	else
		report_add(report, "locked-memory", FINDING_WARN, KT_E_NONE,
			"raise it: LimitMEMLOCK=8M in the unit, or ulimit -l",
			"only %llu bytes may be locked: large secrets will be refused",
			(unsigned long long)limit.rlim_cur);
}

/* Four ASCII characters in a number (Part 2, 6.13, TPM_PT_MANUFACTURER). */
static void unpack_text(UINT32 value, char ret_text[5])
{
	for (int i = 0; i < 4; i++) {
		char c = (char)(value >> (24 - 8 * i));

		ret_text[i] = c >= 0x20 && c < 0x7f ? c : ' ';
	}
	ret_text[4] = '\0';
	for (int i = 3; i >= 0 && ret_text[i] == ' '; i--)
		ret_text[i] = '\0';
}

static void check_maker(struct report *report, struct kt_tpm *tpm)
{
	UINT32 maker, high, low, revision;
	struct kt_error e;
	char text[5];

	if (kt_tpm_property(tpm, TPM2_PT_MANUFACTURER, &maker, &e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_FIRMWARE_VERSION_1, &high, &e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_FIRMWARE_VERSION_2, &low, &e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_REVISION, &revision, &e) < 0) {
		unanswered(report, "tpm-manufacturer", &e);
		return;
	}
	unpack_text(maker, text);
	report_add(report, "tpm-manufacturer", FINDING_OK, KT_E_NONE, "",
		"manufacturer %s, firmware %u.%u.%u.%u, specification revision %u.%02u", text,
		high >> 16, high & 0xffff, low >> 16, low & 0xffff, revision / 100, revision % 100);
}

static bool ever_extended(const struct kt_pcr_bank *bank)
{
	for (unsigned i = 0; i < FIRMWARE_PCRS; i++)
		for (size_t k = 0; k < kt_pcr_bank_size(bank->alg); k++)
			if ((bank->known >> i & 1) != 0 && bank->value[i][k] != 0)
				return true;
	return false;
}

static void check_bank(struct report *report, struct kt_tpm *tpm, const struct kt_pcr_set *active,
	TPMI_ALG_HASH alg, const char *id)
{
	struct kt_pcr_set one = {.count = 1};
	struct kt_error e;

	for (size_t b = 0; b < active->count; b++) {
		if (active->banks[b].alg != alg)
			continue;
		one.banks[0] = active->banks[b];
		if (kt_tpm_read_pcrs(tpm, &one, &e) < 0)
			unanswered(report, id, &e);
		else if (ever_extended(&one.banks[0]))
			ok(report, id, "active, and the firmware extends it");
		else
			report_add(report, id, FINDING_WARN, KT_E_NONE,
				"do not bind to it; look in the firmware's setup, or use another "
				"bank",
				"active, but PCR 0 to 7 are zero: the firmware never extended it");
		return;
	}
	report_add(report, id, alg == TPM2_ALG_SHA256 ? FINDING_WARN : FINDING_OK, KT_E_NONE,
		alg == TPM2_ALG_SHA256 ? "turn the SHA-256 bank on in the firmware's setup" : "",
		"not active");
}

static void check_banks(struct report *report, struct kt_tpm *tpm)
{
	static const struct {
		TPMI_ALG_HASH alg;
		const char *id;
	} banks[] = {
		{TPM2_ALG_SHA1, "pcr-bank-sha1"},
		{TPM2_ALG_SHA256, "pcr-bank-sha256"},
		{TPM2_ALG_SHA384, "pcr-bank-sha384"},
		{TPM2_ALG_SHA512, "pcr-bank-sha512"},
	};
	struct kt_pcr_set active;
	struct kt_error e;

	if (kt_tpm_pcr_banks(tpm, &active, &e) < 0) {
		unanswered(report, "pcr-banks", &e);
		return;
	}
	for (size_t i = 0; i < sizeof(banks) / sizeof(banks[0]); i++)
		check_bank(report, tpm, &active, banks[i].alg, banks[i].id);
}

static void check_storage_key(struct report *report, struct kt_tpm *tpm)
{
	char name[KT_NAME_TEXT_MAX];
	struct kt_parent srk;
	struct kt_error e;

	if (kt_srk_load(tpm, &srk, &e) < 0) {
		report_add(report, "storage-key", FINDING_FAIL, e.code,
			e.code == KT_E_NOT_PROVISIONED ? "run 'sealtool init'"
			: e.code == KT_E_BUSY	       ? "see transient-slots and session-slots"
						       : "move the other key away",
			"%s", e.msg);
		return;
	}
	kt_name_format(&srk.name, name);
	report_add(report, "storage-key", FINDING_OK, KT_E_NONE, "", "0x%08x, Name %s",
		KT_SRK_HANDLE, name);
}

static void check_authorisations(struct report *report, struct kt_tpm *tpm)
{
	UINT32 permanent;
	struct kt_error e;

	if (kt_tpm_property(tpm, TPM2_PT_PERMANENT, &permanent, &e) < 0) {
		unanswered(report, "owner-auth", &e);
		return;
	}
	if ((permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0)
		report_add(report, "owner-auth", FINDING_OK, KT_E_NONE,
			"give it to 'sealtool init' with --owner-auth-file", "set");
	else
		ok(report, "owner-auth", "empty");
	if ((permanent & TPMA_PERMANENT_LOCKOUTAUTHSET) != 0)
		ok(report, "lockout-auth", "set");
	else
		report_add(report, "lockout-auth", FINDING_WARN, KT_E_NONE,
			"set it with 'tpm2_changeauth -c lockout file:LOCKOUT-AUTH', and keep it "
			"off "
			"this machine",
			"empty: whoever reaches the TPM can clear it, or reset the count of wrong "
			"PINs");
}

static void check_lockout(struct report *report, struct kt_tpm *tpm)
{
	UINT32 permanent, tries, interval;
	struct kt_error e;

	if (kt_tpm_property(tpm, TPM2_PT_PERMANENT, &permanent, &e) < 0 ||
		kt_tpm_tries_left(tpm, &tries, &interval, &e) < 0) {
		unanswered(report, "lockout", &e);
		return;
	}
	if ((permanent & TPMA_PERMANENT_INLOCKOUT) != 0)
		report_add(report, "lockout", FINDING_FAIL, KT_E_LOCKOUT,
			"wait, or 'tpm2_dictionarylockout --clear-lockout "
			"--auth=file:LOCKOUT-AUTH' (a "
			"wrong one locks that out too)",
			"the TPM is locked out: no PIN works; one try is forgiven every %u seconds",
			interval);
	else
		report_add(report, "lockout", tries > 1 ? FINDING_OK : FINDING_WARN, KT_E_NONE,
			tries > 1 ? "" : "find out who tries PINs",
			"%u wrong PINs are left to lockout; one is forgiven every %u seconds",
			tries, interval);
}

static void check_command(
	struct report *report, struct kt_tpm *tpm, const char *id, TPM2_CC command, const char *use)
{
	struct kt_error e;
	bool has;

	if (kt_tpm_has_command(tpm, command, &has, &e) < 0)
		unanswered(report, id, &e);
	else if (has)
		report_add(report, id, FINDING_OK, KT_E_NONE, "", "present");
	else
		report_add(report, id, FINDING_WARN, KT_E_NONE, "plan without it",
			"this TPM lacks it: %s", use);
}

static void check_commands(struct report *report, struct kt_tpm *tpm)
{
	struct kt_error e;
	bool has;

	check_command(report, tpm, "command-hmac", TPM2_CC_HMAC, "no KMS key can live in it");
	check_command(report, tpm, "command-audit", TPM2_CC_SetCommandCodeAuditStatus,
		"no tamper-evident audit by command");
	check_command(report, tpm, "command-encryptdecrypt2", TPM2_CC_EncryptDecrypt2,
		"no symmetric encryption in the TPM; kubetpm does without");
	check_command(report, tpm, "command-createloaded", TPM2_CC_CreateLoaded,
		"keys take one command more; kubetpm does without");
	if (kt_tpm_has_aes_cfb(tpm, &has, &e) < 0)
		unanswered(report, "session-encryption", &e);
	else if (has)
		ok(report, "session-encryption", "AES-128-CFB");
	else
		report_add(report, "session-encryption", FINDING_FAIL, KT_E_TPM,
			"update the TPM's firmware",
			"no AES-128-CFB: secrets could not cross the bus encrypted");
}

static void check_room(struct report *report, struct kt_tpm *tpm)
{
	UINT32 objects, sessions;
	struct kt_error e;

	if (kt_tpm_property(tpm, TPM2_PT_HR_TRANSIENT_AVAIL, &objects, &e) < 0 ||
		kt_tpm_property(tpm, TPM2_PT_HR_LOADED_AVAIL, &sessions, &e) < 0) {
		unanswered(report, "transient-slots", &e);
		return;
	}
	report_add(report, "transient-slots", objects > 0 ? FINDING_OK : FINDING_FAIL, KT_E_BUSY,
		objects > 0 ? ""
			    : "free some with 'tpm2_flushcontext -t', or use a resource manager",
		"%u free", objects);
	report_add(report, "session-slots", sessions > 0 ? FINDING_OK : FINDING_FAIL, KT_E_BUSY,
		sessions > 0 ? ""
			     : "free some with 'tpm2_flushcontext -l', or use a resource manager",
		"%u free", sessions);
}

void check_tpm(struct report *report, struct kt_tpm *tpm)
{
	check_maker(report, tpm);
	check_banks(report, tpm);
	check_storage_key(report, tpm);
	check_authorisations(report, tpm);
	check_lockout(report, tpm);
	check_commands(report, tpm);
	check_room(report, tpm);
}
