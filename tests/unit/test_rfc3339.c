/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps and durations. */
#include <string.h>

#include <criterion/criterion.h>

#include "lib/rfc3339.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct moment {
	const char *text;
	int64_t seconds;
};

Test(rfc3339, writes_and_reads_back)
{
	static const struct moment moments[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59Z", -1},
		{"2000-02-29T12:00:00Z", 951825600},
		{"2026-08-22T10:05:00Z", 1787393100},
		{"2038-01-19T03:14:08Z", INT64_C(2147483648)},
		{"0001-01-01T00:00:00Z", INT64_C(-62135596800)},
		{"9999-12-31T23:59:59Z", INT64_C(253402300799)},
	};

	for (size_t i = 0; i < COUNT(moments); i++) {
		char text[KT_RFC3339_SIZE];
		int64_t seconds;
		struct kt_error e;

		cr_assert_eq(kt_rfc3339_format(moments[i].seconds, text, &e), 0);
		cr_expect_str_eq(text, moments[i].text);
		cr_assert_eq(kt_rfc3339_parse(moments[i].text, &seconds, &e), 0);
		cr_expect_eq(seconds, moments[i].seconds, "%s", moments[i].text);
	}
}

Test(rfc3339, does_not_write_years_of_other_lengths)
{
	static const int64_t bad[] = {
		INT64_C(-62135596801), INT64_C(253402300800), INT64_MIN, INT64_MAX};

	for (size_t i = 0; i < COUNT(bad); i++) {
		char text[KT_RFC3339_SIZE] = "untouched";
		struct kt_error e = {0};

		cr_expect_eq(kt_rfc3339_format(bad[i], text, &e), -1);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_str_eq(text, "untouched");
	}
}

Test(rfc3339, reads_offsets_and_drops_fractions)
{
	static const struct moment moments[] = {
		{"1970-01-01T01:00:00+01:00", 0},
		{"1969-12-31T18:30:00-05:30", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"1970-01-01T00:00:00.999999999Z", 0},
		{"1970-01-01T00:00:01.5+00:00", 1},
		{"1970-01-01T23:59:00+23:59", 0},
		{"1996-12-19T16:39:57-08:00", 851042397}, /* RFC 3339, section 5.8 */
		{"1937-01-01T12:00:27.87+00:20", -1041337173},
	};

	for (size_t i = 0; i < COUNT(moments); i++) {
		int64_t seconds;
		struct kt_error e;

		cr_assert_eq(
			kt_rfc3339_parse(moments[i].text, &seconds, &e), 0, "%s", moments[i].text);
		cr_expect_eq(seconds, moments[i].seconds, "%s", moments[i].text);
	}
}

Test(rfc3339, refuses_what_go_would_refuse)
{
	static const char *const bad[] = {"", "Z", "2026-08-22", "2026-08-22T10:05:00",
		"2026-08-22T10:05Z", "2026-08-22 10:05:00Z", "2026-08-22t10:05:00z",
		"2026-08-22T10:05:00Z ", " 2026-08-22T10:05:00Z", "2026-08-22T10:05:00ZZ",
		"2026-8-22T10:05:00Z", "26-08-22T10:05:00Z", "02026-08-22T10:05:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
		"2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+",
		"2026-01-01T00:00:00+01:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01", "-026-01-01T00:00:00Z", "2026-01-01T-1:00:00Z",
		"2026-01-01T00:00:+1Z", "9223372036854775807"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		int64_t seconds = 42;
		struct kt_error e = {0};

		cr_expect_eq(kt_rfc3339_parse(bad[i], &seconds, &e), -1, "accepted \"%s\"", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_eq(seconds, 42);
	}
}

Test(duration, reads_go_durations_in_whole_seconds)
{
	static const struct moment durations[] = {
		{"0", 0},
		{"0s", 0},
		{"90s", 90},
		{"10m", 600},
		{"1h30m", 5400},
		{"1h1m1s", 3661},
		{"1s1h", 3601},
		{"007s", 7},
		{"9223372036s", INT64_C(9223372036)},
	};

	for (size_t i = 0; i < COUNT(durations); i++) {
		int64_t seconds;
		struct kt_error e;

		cr_assert_eq(kt_duration_parse(durations[i].text, &seconds, &e), 0, "%s",
			durations[i].text);
		cr_expect_eq(seconds, durations[i].seconds, "%s", durations[i].text);
	}
}

Test(duration, refuses_everything_else)
{
	static const char *const bad[] = {"", "s", "10", "00", "-10s", "+10s", "1.5h", "10ms",
		"10us", "10ns", "1d", "10 m", " 10m", "10m ", "10m5", "10S", "h1", "9223372037s",
		"2562048h", "9223372036s1s", "99999999999999999999999999h", "1hh"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		int64_t seconds = 42;
		struct kt_error e = {0};

		cr_expect_eq(
			kt_duration_parse(bad[i], &seconds, &e), -1, "accepted \"%s\"", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_eq(seconds, 42);
	}
}
