/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timestamps and durations, as Go's time package reads them, since that is what reads ours: upper
 * case T and Z, no leap second 60, no leniency.
 */
#include "lib/rfc3339.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define FIRST_SECOND INT64_C(-62135596800)   /* 0001-01-01T00:00:00Z */
#define LAST_SECOND INT64_C(253402300799)    /* 9999-12-31T23:59:59Z */
#define LONGEST_DURATION INT64_C(9223372036) /* 2^63 nanoseconds: the longest that Go knows */

int kt_rfc3339_format(int64_t seconds, char ret_text[KT_RFC3339_SIZE], struct kt_error *e)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (seconds < FIRST_SECOND || seconds > LAST_SECOND || gmtime_r(&when, &tm) == NULL)
		return kt_fail(e, KT_E_INPUT, "time is not within the years 0001 to 9999");
	/* Modulo tells the compiler that the text has its length. */
	snprintf(ret_text, KT_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		(unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		(unsigned)tm.tm_sec % 100);
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes `digits` digits off *text. */
static bool take_number(const char **text, int digits, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit(**text))
			return false;
		value = value * 10 + (*(*text)++ - '0');
	}
	*ret_value = value;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

/* full-date "T" partial-time (RFC 3339, 5.6), without the fraction. */
static bool take_date_time(const char **text, struct tm *tm)
{
	return take_number(text, 4, &tm->tm_year) && take_char(text, '-') &&
	       take_number(text, 2, &tm->tm_mon) && take_char(text, '-') &&
	       take_number(text, 2, &tm->tm_mday) && take_char(text, 'T') &&
	       take_number(text, 2, &tm->tm_hour) && take_char(text, ':') &&
	       take_number(text, 2, &tm->tm_min) && take_char(text, ':') &&
	       take_number(text, 2, &tm->tm_sec);
}

static bool take_fraction(const char **text)
{
	if (!take_char(text, '.'))
		return true;
	if (!is_digit(**text))
		return false;
	while (is_digit(**text))
		(*text)++;
	return true;
}

/* time-offset, in seconds east of UTC. */
static bool take_offset(const char **text, int *ret_seconds)
{
	int sign = **text == '-' ? -1 : 1;
	int hours, minutes;

	if (take_char(text, 'Z')) {
		*ret_seconds = 0;
		return true;
	}
	if (!take_char(text, '+') && !take_char(text, '-'))
		return false;
	if (!take_number(text, 2, &hours) || !take_char(text, ':') ||
		!take_number(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool is_real_date(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (tm->tm_year % 4 == 0 && tm->tm_year % 100 != 0) || tm->tm_year % 400 == 0;

	if (tm->tm_mon < 1 || tm->tm_mon > 12)
		return false;
	return tm->tm_mday >= 1 &&
	       tm->tm_mday <= days[tm->tm_mon - 1] + (leap && tm->tm_mon == 2 ? 1 : 0);
}

int kt_rfc3339_parse(const char *text, int64_t *ret_seconds, struct kt_error *e)
{
	struct tm tm = {0};
	int64_t seconds;
	int offset;

	if (!take_date_time(&text, &tm) || !take_fraction(&text) || !take_offset(&text, &offset) ||
		*text != '\0')
		return kt_fail(
			e, KT_E_INPUT, "not an RFC 3339 timestamp (such as 2026-08-22T10:05:00Z)");
	if (!is_real_date(&tm) || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return kt_fail(e, KT_E_INPUT, "timestamp has a date or time that does not exist");
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = (int64_t)timegm(&tm) - offset;
	if (seconds < FIRST_SECOND || seconds > LAST_SECOND)
		return kt_fail(e, KT_E_INPUT, "time is not within the years 0001 to 9999");
	*ret_seconds = seconds;
	return 0;
}

static int64_t unit_seconds(char unit)
{
	return unit == 'h' ? 3600 : unit == 'm' ? 60 : unit == 's' ? 1 : 0;
}

/* Takes one "10m" off *text and adds it to *total. */
static bool take_component(const char **text, int64_t *total)
{
	int64_t value = 0;
	int64_t unit;

	if (!is_digit(**text))
		return false;
	while (is_digit(**text)) {
		value = value * 10 + (*(*text)++ - '0');
		if (value > LONGEST_DURATION)
			return false;
	}
	unit = unit_seconds(**text);
	if (unit == 0)
		return false;
	(*text)++;
	/* Below 2^34 times 2^12: no overflow. */
	*total += value * unit;
	return *total <= LONGEST_DURATION;
}

int kt_duration_parse(const char *text, int64_t *ret_seconds, struct kt_error *e)
{
	int64_t total = 0;

	/* Go reads a lone 0 without a unit. */
	if (text[0] == '0' && text[1] == '\0') {
		*ret_seconds = 0;
		return 0;
	}
	do
		if (!take_component(&text, &total))
			return kt_fail(e, KT_E_INPUT,
				"not a duration in whole seconds (such as 90s, 10m or 1h30m)");
	while (*text != '\0');
	*ret_seconds = total;
	return 0;
}
