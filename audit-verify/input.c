/* SPDX-License-Identifier: Apache-2.0 */
#include "audit-verify/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#define GZ_BUFFER (256 << 10)

struct kt_input {
	char *path;
	gzFile file; /* reads what is not gzip as it is */
	uint64_t size;
};

uint64_t kt_input_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

void kt_input_close(struct kt_input *input)
{
	if (input == NULL)
		return;
	if (input->file != NULL)
		(void)gzclose_r(input->file);
	free(input->path);
	free(input);
}

static int open_fd(const char *path, int *ret_fd, struct kt_error *e)
{
	struct stat st;
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return kt_fail_errno(e, KT_E_USAGE, "cannot open %s", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return kt_fail(e, KT_E_REFUSED, "%s is a folder", path);
	}
	*ret_fd = fd;
	return 0;
}

int kt_input_open(const char *path, struct kt_input **ret_input, struct kt_error *e)
{
	auto_input struct kt_input *input = calloc(1, sizeof(*input));
	int fd = -1;

	if (input == NULL)
		return kt_fail_memory(e);
	input->path = strdup(path);
	if (input->path == NULL)
		return kt_fail_memory(e);
	input->size = kt_input_size(path);
	if (open_fd(path, &fd, e) < 0)
		return -1;
	input->file = gzdopen(fd, "rb");
	if (input->file == NULL) {
		close(fd);
		return kt_fail_memory(e);
	}
	if (gzbuffer(input->file, GZ_BUFFER) != 0)
		return kt_fail_memory(e);
	*ret_input = kt_take(input);
	return 0;
}

int kt_input_read(
	struct kt_input *input, char *ret_data, size_t size, size_t *ret_len, struct kt_error *e)
{
	int n = gzread(input->file, ret_data, (unsigned)size), error = Z_OK;
	const char *text = gzerror(input->file, &error);

	if (n < 0 && error == Z_ERRNO)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot read %s", input->path);
	/* A gzip file that is cut off gives what it has, and then says so. */
	if (n < 0 || (n == 0 && error != Z_OK && error != Z_STREAM_END))
		return kt_fail(e, KT_E_INPUT, "%s: damaged gzip data: %s", input->path, text);
	*ret_len = (size_t)n;
	return 0;
}

void kt_input_progress(const struct kt_input *input, uint64_t *ret_done, uint64_t *ret_all)
{
	z_off_t at = gzoffset(input->file);

	*ret_done = at > 0 ? (uint64_t)at : 0;
	*ret_all = input->size;
}
