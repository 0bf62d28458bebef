/* SPDX-License-Identifier: Apache-2.0 */
/* Secret memory: bounds, and that the pages are what secret.h says they are. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include "lib/secret.h"

static struct kt_secret *secret_of(const char *text)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_from(text, strlen(text), &secret, &e), 0);
	return secret;
}

static void expect_bytes(const struct kt_secret *secret, const char *text)
{
	cr_expect_eq(kt_secret_len(secret), strlen(text));
	cr_expect_arr_eq(kt_secret_bytes(secret), text, strlen(text));
}

/* A pipe that gives `text` and then end of file. */
static int pipe_with(const char *text)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	return fds[0];
}

Test(secret, starts_empty_and_holds_what_is_appended)
{
	auto_secret struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_new(8, &secret, &e), 0);
	cr_assert_eq(kt_secret_len(secret), 0);
	cr_assert_eq(kt_secret_capacity(secret), 8);
	cr_assert_eq(kt_secret_append(secret, "abc", 3, &e), 0);
	cr_assert_eq(kt_secret_append(secret, NULL, 0, &e), 0);
	cr_assert_eq(kt_secret_append(secret, "defgh", 5, &e), 0);
	expect_bytes(secret, "abcdefgh");
}

Test(secret, refuses_what_does_not_fit_and_keeps_what_is_there)
{
	auto_secret struct kt_secret *secret = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_new(4, &secret, &e), 0);
	cr_assert_eq(kt_secret_append(secret, "abc", 3, &e), 0);
	cr_assert_eq(kt_secret_append(secret, "de", 2, &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_eq(kt_secret_append(secret, "de", SIZE_MAX, &e), -1);
	cr_assert_eq(kt_secret_append(secret, "de", SIZE_MAX - 2, &e), -1);
	expect_bytes(secret, "abc");
}

Test(secret, refuses_impossible_capacities)
{
	static const size_t capacities[] = {0, KT_SECRET_MAX_BYTES + 1, SIZE_MAX};

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct kt_secret *secret = NULL;
		struct kt_error e = {0};

		cr_expect_eq(kt_secret_new(capacities[i], &secret, &e), -1);
		cr_expect_eq(e.code, KT_E_INTERNAL);
		cr_expect_null(secret);
	}
}

Test(secret, can_be_of_no_bytes_and_freeing_null_is_fine)
{
	auto_secret struct kt_secret *secret = secret_of("");

	cr_assert_eq(kt_secret_len(secret), 0);
	cr_assert_eq(kt_secret_capacity(secret), 1);
	kt_secret_free(NULL);
}

Test(secret, equal_means_same_length_and_bytes)
{
	auto_secret struct kt_secret *a = secret_of("token");
	auto_secret struct kt_secret *b = secret_of("token");
	auto_secret struct kt_secret *c = secret_of("tokem");
	auto_secret struct kt_secret *d = secret_of("toke");
	auto_secret struct kt_secret *none = secret_of("");
	auto_secret struct kt_secret *nothing = secret_of("");

	cr_expect(kt_secret_equal(a, b));
	cr_expect_not(kt_secret_equal(a, c));
	cr_expect_not(kt_secret_equal(a, d));
	cr_expect_not(kt_secret_equal(a, none));
	cr_expect(kt_secret_equal(none, nothing));
}

Test(secret, a_decoder_may_write_the_buffer)
{
	auto_secret struct kt_secret *secret = NULL;
	struct kt_error e;

	cr_assert_eq(kt_secret_new(5, &secret, &e), 0);
	memcpy(kt_secret_buffer(secret), "12345", 5);
	kt_secret_set_len(secret, 5);
	expect_bytes(secret, "12345");
	kt_secret_set_len(secret, 2);
	expect_bytes(secret, "12");
}

Test(secret, reads_until_end_of_file_when_it_fits_exactly)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_fd int fd = pipe_with("6789");
	struct kt_error e;

	cr_assert_eq(kt_secret_new(9, &secret, &e), 0);
	cr_assert_eq(kt_secret_append(secret, "12345", 5, &e), 0);
	cr_assert_eq(kt_secret_read(secret, fd, "stdin", &e), 0);
	expect_bytes(secret, "123456789");
}

Test(secret, reading_one_byte_too_many_fails_and_leaves_nothing)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_fd int fd = pipe_with("67890");
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_new(9, &secret, &e), 0);
	cr_assert_eq(kt_secret_append(secret, "12345", 5, &e), 0);
	cr_assert_eq(kt_secret_read(secret, fd, "stdin", &e), -1);
	cr_assert_eq(e.code, KT_E_INPUT);
	cr_assert_str_eq(e.msg, "stdin is longer than 9 bytes");
	expect_bytes(secret, "12345");
	cr_assert_arr_eq((const char *)kt_secret_bytes(secret) + 5, "\0\0\0\0", 4);
}

Test(secret, a_failing_read_is_an_internal_error)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_fd int folder = open("/", O_RDONLY | O_DIRECTORY);
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_new(9, &secret, &e), 0);
	cr_assert_eq(kt_secret_read(secret, folder, "/", &e), -1);
	cr_assert_eq(e.code, KT_E_INTERNAL);
	cr_assert_eq(kt_secret_read(secret, -1, "nothing", &e), -1);
	cr_assert_str_eq(e.msg, "cannot read nothing: Bad file descriptor");
}

Test(secret, writes_all_and_says_when_it_cannot)
{
	auto_secret struct kt_secret *secret = secret_of("payload");
	auto_fd int full = open("/dev/full", O_WRONLY);
	struct kt_error e = {0};
	char text[16] = "";
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(kt_secret_write(secret, fds[1], "stdout", &e), 0);
	cr_assert_eq(read(fds[0], text, sizeof(text)), 7);
	cr_assert_str_eq(text, "payload");
	cr_assert_eq(kt_secret_write(secret, full, "stdout", &e), -1);
	cr_assert_eq(e.code, KT_E_INTERNAL);
	cr_assert_str_eq(e.msg, "cannot write stdout: No space left on device");
}

/* The VmFlags line of the mapping that holds `address`, from /proc/self/smaps. */
static void find_flags(const void *address, char *ret_flags, size_t size)
{
	auto_file FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false;

	cr_assert_not_null(smaps);
	ret_flags[0] = '\0';
	while (fgets(line, sizeof(line), smaps) != NULL) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(ret_flags, size, "%s", line + 8);
	}
}

Test(secret, pages_are_kept_out_of_dumps_and_children)
{
	auto_secret struct kt_secret *secret = secret_of("in its own pages");
	char flags[512];

	find_flags(kt_secret_bytes(secret), flags, sizeof(flags));
	cr_expect(strstr(flags, " dd ") != NULL, "not MADV_DONTDUMP: %s", flags);
	cr_expect(strstr(flags, " wf ") != NULL, "not MADV_WIPEONFORK: %s", flags);
#ifndef KT_SANITIZED /* which makes mlock() do nothing */
	cr_expect(strstr(flags, " lo ") != NULL, "not locked: %s", flags);
#endif
}

Test(secret, a_child_sees_zeros)
{
	auto_secret struct kt_secret *secret = secret_of("for the parent only");
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(memcmp(kt_secret_bytes(secret), "\0\0\0\0", 4) == 0 ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	expect_bytes(secret, "for the parent only");
}

#ifndef KT_SANITIZED
/* Returns 0 if memory that must not be locked is refused as it should. */
static int try_without_memlock(void)
{
	static const struct rlimit none = {0, 0};
	struct kt_secret *secret = NULL;
	struct kt_error e = {0};

	/* Root may lock whatever the limit is. */
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 2;
	if (kt_secret_new(1, &secret, &e) == 0 || secret != NULL || e.code != KT_E_INTERNAL)
		return 1;
	return strstr(e.msg, "LimitMEMLOCK") != NULL ? 0 : 1;
}

Test(secret, memory_that_cannot_be_locked_is_an_error_with_a_hint)
{
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(try_without_memlock());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}
#endif

/* What a pipe of `len` bytes reads as, with limit `max`; KT_E_NONE if it is all there. */
static enum kt_code read_piped(size_t len, size_t max)
{
	auto_secret struct kt_secret *secret = NULL;
	auto_free char *bytes = malloc(len + 1);
	FILE *file = tmpfile();
	struct kt_error e = {0};
	int status;

	memset(bytes, 'x', len);
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	cr_assert_eq(fflush(file), 0);
	rewind(file);
	status = kt_secret_read_all(fileno(file), max, "a file", &secret, &e);
	fclose(file);
	if (status < 0)
		return e.code;
	cr_assert_eq(kt_secret_len(secret), len);
	cr_assert_eq(memcmp(kt_secret_bytes(secret), bytes, len), 0);
	return KT_E_NONE;
}

Test(secret, reading_all_grows_to_its_limit_and_not_beyond)
{
	static const size_t sizes[] = {0, 1, 3071, 3072, 3073, 24576, 24577, 100000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cr_expect_eq(read_piped(sizes[i], 100000), KT_E_NONE, "%zu", sizes[i]);
		cr_expect_eq(read_piped(sizes[i], sizes[i]), KT_E_NONE, "%zu", sizes[i]);
		cr_expect_eq(read_piped(sizes[i] + 1, sizes[i]), KT_E_INPUT, "%zu", sizes[i]);
	}
}

Test(secret, unlocked_text_is_like_any_other)
{
	auto_secret struct kt_secret *text = NULL;
	struct kt_error e = {0};

	cr_assert_eq(kt_secret_new_unlocked(8, &text, &e), 0);
	cr_assert_eq(kt_secret_append(text, "12345678", 8, &e), 0);
	cr_assert_eq(kt_secret_append(text, "9", 1, &e), -1);
	cr_assert_eq(kt_secret_len(text), 8);
}
