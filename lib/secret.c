/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret memory. The header and the bytes share one mapping of their own, so that nothing else lies
 * on the locked pages and wiping never touches a neighbour. Formatting and encoding are left to
 * those who know the bytes are safe to show.
 */
#include "lib/secret.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

#include "lib/io.h"

#define FREED_BYTE 0xa5

struct kt_secret {
	size_t mapped; /* length of the mapping */
	size_t capacity;
	size_t len;
	unsigned char bytes[];
};

static size_t round_to_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static int protect(void *pages, size_t size, struct kt_error *e)
{
	if (mlock(pages, size) != 0) {
		kt_fail_errno(
			e, KT_E_INTERNAL, "cannot lock %zu bytes of memory for a secret", size);
		return kt_hint(e, "raise LimitMEMLOCK= of the unit, or 'ulimit -l'");
	}
	if (madvise(pages, size, MADV_DONTDUMP) != 0)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot keep a secret out of core dumps");
	/* Linux 4.14; no program of ours forks, so an older kernel loses nothing. */
	if (madvise(pages, size, MADV_WIPEONFORK) != 0 && errno != EINVAL)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot keep a secret out of children");
	return 0;
}

static int new_secret(
	size_t capacity, bool locked, struct kt_secret **ret_secret, struct kt_error *e)
{
	struct kt_secret *secret;
	size_t mapped;

	if (capacity == 0 || capacity > KT_SECRET_MAX_BYTES)
		return kt_fail(e, KT_E_INTERNAL, "a secret of %zu bytes is not possible", capacity);
	mapped = round_to_pages(sizeof(*secret) + capacity);
	secret = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (secret == MAP_FAILED)
		return kt_fail_errno(e, KT_E_INTERNAL, "cannot map memory for a secret");
	if (locked && protect(secret, mapped, e) != 0) {
		munmap(secret, mapped);
		return -1;
	}
	secret->mapped = mapped;
	secret->capacity = capacity;
	secret->len = 0;
	*ret_secret = secret;
	return 0;
}

int kt_secret_new(size_t capacity, struct kt_secret **ret_secret, struct kt_error *e)
{
	return new_secret(capacity, true, ret_secret, e);
}

int kt_secret_new_unlocked(size_t capacity, struct kt_secret **ret_secret, struct kt_error *e)
{
	return new_secret(capacity, false, ret_secret, e);
}

int kt_secret_from(const void *bytes, size_t len, struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;

	if (kt_secret_new(len > 0 ? len : 1, &secret, e) != 0 ||
		kt_secret_append(secret, bytes, len, e) != 0)
		return -1;
	*ret_secret = kt_take(secret);
	return 0;
}

void kt_secret_free(struct kt_secret *secret)
{
	size_t mapped;

	if (secret == NULL)
		return;
	mapped = secret->mapped;
	explicit_bzero(secret, mapped);
	munmap(secret, mapped);
}

size_t kt_secret_len(const struct kt_secret *secret)
{
	return secret->len;
}

size_t kt_secret_capacity(const struct kt_secret *secret)
{
	return secret->capacity;
}

const void *kt_secret_bytes(const struct kt_secret *secret)
{
	return secret->bytes;
}

void *kt_secret_buffer(struct kt_secret *secret)
{
	return secret->bytes;
}

void kt_secret_set_len(struct kt_secret *secret, size_t len)
{
	assert(len <= secret->capacity);
	secret->len = len;
}

int kt_secret_append(struct kt_secret *secret, const void *bytes, size_t len, struct kt_error *e)
{
	if (len > secret->capacity - secret->len)
		return kt_fail(
			e, KT_E_INPUT, "secret data is longer than %zu bytes", secret->capacity);
	if (len > 0)
		memcpy(secret->bytes + secret->len, bytes, len);
	secret->len += len;
	return 0;
}

void kt_wipe_freed(bool on)
{
#ifdef KT_SANITIZED
	(void)on; /* the sanitizer's allocator has its own ways with freed memory */
#else
	int done = mallopt(M_PERTURB, on ? FREED_BYTE : 0);

	assert(done == 1);
	(void)done; /* for builds without assertions */
#endif
}

bool kt_secret_equal(const struct kt_secret *a, const struct kt_secret *b)
{
	return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Fills the rest of the buffer and then asks for one byte more, which must be end of file. */
static int read_rest(struct kt_secret *secret, int fd, const char *what, struct kt_error *e)
{
	for (;;) {
		size_t room = secret->capacity - secret->len;
		unsigned char extra;
		ssize_t n;

		if (room > 0)
			n = read(fd, secret->bytes + secret->len, room);
		else
			n = read(fd, &extra, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot read %s", what);
		if (n == 0)
			return 0;
		if (room == 0) {
			explicit_bzero(&extra, 1);
			return kt_fail(e, KT_E_INPUT, "%s is longer than %zu bytes", what,
				secret->capacity);
		}
		secret->len += (size_t)n;
	}
}

int kt_secret_read(struct kt_secret *secret, int fd, const char *what, struct kt_error *e)
{
	size_t before = secret->len;

	if (read_rest(secret, fd, what, e) == 0)
		return 0;
	explicit_bzero(secret->bytes + before, secret->capacity - before);
	secret->len = before;
	return -1;
}

#define READ_FIRST_BYTES 3072 /* with its header within one page */
#define READ_GROWTH 8

/* Moves what was read into a larger secret. */
static int grow(struct kt_secret **secret, size_t capacity, struct kt_error *e)
{
	struct kt_secret *larger;

	if (kt_secret_new(capacity, &larger, e) != 0)
		return -1;
	memcpy(larger->bytes, (*secret)->bytes, (*secret)->len);
	larger->len = (*secret)->len;
	kt_secret_free(*secret);
	*secret = larger;
	return 0;
}

int kt_secret_read_all(
	int fd, size_t max, const char *what, struct kt_secret **ret_secret, struct kt_error *e)
{
	auto_secret struct kt_secret *secret = NULL;
	size_t capacity = max < READ_FIRST_BYTES ? max + 1 : READ_FIRST_BYTES;

	if (kt_secret_new(capacity, &secret, e) != 0)
		return -1;
	for (;;) {
		ssize_t n = read(fd, secret->bytes + secret->len, secret->capacity - secret->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_fail_errno(e, KT_E_INTERNAL, "cannot read %s", what);
		if (n == 0)
			break;
		secret->len += (size_t)n;
		if (secret->len > max)
			return kt_fail(e, KT_E_INPUT, "%s is longer than %zu bytes", what, max);
		capacity = secret->capacity * READ_GROWTH;
		if (secret->len == secret->capacity &&
			grow(&secret, capacity <= max ? capacity : max + 1, e) != 0)
			return -1;
	}
	*ret_secret = kt_take(secret);
	return 0;
}

int kt_secret_write(const struct kt_secret *secret, int fd, const char *what, struct kt_error *e)
{
	return kt_write_all(fd, secret->bytes, secret->len, what, e);
}
