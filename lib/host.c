/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that modules call back through. A module is not trusted to call it sensibly: NULL
 * arguments, unknown items and codes outside the frozen list are answered, not followed.
 */
#include "lib/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/secret.h"

static const char *get_item(void *ctx, enum kt_item item)
{
	const struct kt_host_base *base = ctx;

	if ((unsigned)item >= KT_HOST_ITEMS_MAX)
		return NULL;
	return base->items[item];
}

KT_PRINTF(3, 4)
static void log_line(void *ctx, enum kt_log_level level, const char *fmt, ...)
{
	const struct kt_host_base *base = ctx;
	char text[sizeof(base->failure.msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (level == KT_LOG_WARN)
		kt_warn("%s: %s", base->module, text);
	else
		kt_debug("%s: %s", base->module, text);
}

KT_PRINTF(3, 4)
static void fail(void *ctx, enum kt_code code, const char *fmt, ...)
{
	struct kt_host_base *base = ctx;
	char text[sizeof(base->failure.msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (code <= KT_E_NONE || code > KT_E_EVIDENCE)
		code = KT_E_INTERNAL;
	base->failed = true;
	kt_fail(&base->failure, code, "%s", text);
}

static struct kt_secret *secret_new(void *ctx, size_t capacity)
{
	struct kt_secret *secret = NULL;
	struct kt_error e;

	(void)ctx;
	if (kt_secret_new(capacity, &secret, &e) < 0) {
		kt_debug("%s", e.msg);
		return NULL;
	}
	return secret;
}

static int secret_append(void *ctx, struct kt_secret *secret, const void *bytes, size_t len)
{
	struct kt_error e;

	(void)ctx;
	if (secret == NULL)
		return -1;
	return kt_secret_append(secret, bytes, len, &e);
}

static void secret_free(void *ctx, struct kt_secret *secret)
{
	(void)ctx;
	kt_secret_free(secret);
}

static void count(void *ctx, enum kt_counter counter, uint64_t n)
{
	struct kt_host_base *base = ctx;

	if ((unsigned)counter < KT_HOST_COUNTERS_MAX)
		base->counts[counter] += n;
}

void kt_host_init(struct kt_host_base *base)
{
	*base = (struct kt_host_base){
		.table =
			{
				.size = sizeof(base->table),
				.ctx = base,
				.get_item = get_item,
				.log = log_line,
				.fail = fail,
				.secret_new = secret_new,
				.secret_append = secret_append,
				.secret_free = secret_free,
				.count = count,
			},
		.module = "module",
	};
}

void kt_host_enter(struct kt_host_base *base, const char *module)
{
	base->module = module;
	base->failed = false;
}

int kt_host_failure(const struct kt_host_base *base, enum kt_result result, struct kt_error *e)
{
	if (base->failed)
		return kt_fail(e, base->failure.code, "%s: %s", base->module, base->failure.msg);
	switch (result) {
	case KT_DENIED:
		return kt_fail(e, KT_E_REFUSED, "%s: denied, without a reason", base->module);
	case KT_UNAVAIL:
		return kt_fail(e, KT_E_NETWORK, "%s: unavailable, without a reason", base->module);
	default:
		return kt_fail(e, KT_E_INTERNAL, "%s: failed (result %d), without a reason",
			base->module, (int)result);
	}
}
