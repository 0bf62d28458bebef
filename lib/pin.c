/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a line of secret text, straight into locked memory.
 */
#include "lib/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#include "lib/io.h"

/* Takes off one newline; what remains must be one line of text. */
static int finish_line(struct kt_secret *line, size_t max, const char *what, struct kt_error *e)
{
	const char *bytes = kt_secret_bytes(line);
	size_t len = kt_secret_len(line);

	if (len > 0 && bytes[len - 1] == '\n') {
		len--;
		if (len > 0 && bytes[len - 1] == '\r')
			len--;
	}
	if (len == 0)
		return kt_fail(e, KT_E_INPUT, "%s: empty", what);
	if (len > max)
		return kt_fail(e, KT_E_INPUT, "%s: more than %zu bytes", what, max);
	if (memchr(bytes, '\0', len) != NULL || memchr(bytes, '\n', len) != NULL)
		return kt_fail(e, KT_E_INPUT, "%s: not one line of text", what);
	kt_secret_set_len(line, len);
	return 0;
}

int kt_pin_read_file(const char *path, size_t max, struct kt_secret **ret_pin, struct kt_error *e)
{
	auto_secret struct kt_secret *line = NULL;
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
	if (fstat(fd, &st) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "%s", path);
	if (S_ISREG(st.st_mode) && st.st_uid != 0 && st.st_uid != geteuid())
		return kt_fail(e, KT_E_REFUSED,
			"%s belongs to user %u, and not to root or the user who runs this", path,
			st.st_uid);
	if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return kt_fail(e, KT_E_REFUSED,
			"%s: others can read or write it; 'chmod 600' it, and think again whether "
			"it is still secret",
			path);
	if (kt_secret_read_all(fd, KT_PIN_FILE_MAX_BYTES, path, &line, e) < 0 ||
		finish_line(line, max, path, e) < 0)
		return -1;
	*ret_pin = kt_take(line);
	return 0;
}

static volatile sig_atomic_t caught_signal;

static void catch_signal(int number)
{
	caught_signal = number;
}

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define ENDING_COUNT (sizeof(ending_signals) / sizeof(ending_signals[0]))

/* A line, byte by byte, so that nothing is read ahead into an ordinary buffer. */
static int read_tty_line(int fd, struct kt_secret *line, struct kt_error *e)
{
	char c = '\0';

	while (c != '\n') {
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR && caught_signal == 0)
			continue;
		if (caught_signal != 0)
			return kt_fail(e, KT_E_INTERNAL, "interrupted");
		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot read the terminal");
		if (n == 0)
			break;
		if (kt_secret_append(line, &c, 1, e) < 0)
			return -1;
	}
	return 0;
}

static int ask_quietly(int fd, const char *prompt, struct kt_secret *line, struct kt_error *e)
{
	struct termios old, quiet;
	int status;

	if (tcgetattr(fd, &old) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot set up the terminal");
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot set up the terminal");
	status = kt_write_all(fd, prompt, strlen(prompt), "terminal", e);
	if (status == 0)
		status = read_tty_line(fd, line, e);
	if (tcsetattr(fd, TCSAFLUSH, &old) != 0 && status == 0)
		status = kt_fail_errno(e, KT_E_INTERNAL, "cannot restore the terminal");
	if (status == 0)
		status = kt_write_all(fd, "\n", 1, "terminal", e);
	return status;
}

static int ask(
	int fd, const char *prompt, size_t max, struct kt_secret **ret_line, struct kt_error *e)
{
	auto_secret struct kt_secret *line = NULL;
	struct sigaction old[ENDING_COUNT], action = {.sa_handler = catch_signal};
	int status;

	if (kt_secret_new(KT_PIN_FILE_MAX_BYTES, &line, e) < 0)
		return -1;
	caught_signal = 0;
	for (size_t i = 0; i < ENDING_COUNT; i++)
		sigaction(ending_signals[i], &action, &old[i]);
	status = ask_quietly(fd, prompt, line, e);
	for (size_t i = 0; i < ENDING_COUNT; i++)
		sigaction(ending_signals[i], &old[i], NULL);
	if (caught_signal != 0)
		raise(caught_signal);
	if (status < 0 || finish_line(line, max, "PIN", e) < 0)
		return -1;
	*ret_line = kt_take(line);
	return 0;
}

int kt_pin_prompt(const char *prompt, bool confirm, size_t max, struct kt_secret **ret_pin,
	struct kt_error *e)
{
	auto_secret struct kt_secret *pin = NULL, *again = NULL;
	auto_fd int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return kt_fail_errno(
			e, KT_E_USAGE, "cannot ask for a PIN without a terminal; use --pin-file");
	if (ask(fd, prompt, max, &pin, e) < 0)
		return -1;
	if (confirm && ask(fd, "once more: ", max, &again, e) < 0)
		return -1;
	if (confirm && !kt_secret_equal(pin, again))
		return kt_fail(e, KT_E_INPUT, "the two differ");
	*ret_pin = kt_take(pin);
	return 0;
}
