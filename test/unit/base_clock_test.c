/* Times as text, in zones with clock changes of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "zone.h"
#include "zone_rule.h"

#define SECOND INT64_C(1000000)

static void
utc_times_are_written_and_read_back(void **state)
{
	static const struct
	{
		TimeUs time;
		const char *expected;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{1, "1970-01-01T00:00:00.000001Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{-1000000, "1969-12-31T23:59:59Z"},
		{1795141807123456, "2026-11-20T02:30:07.123456Z"},
		{951782400000000, "2000-02-29T00:00:00Z"},
		{253402300799999999, "9999-12-31T23:59:59.999999Z"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char text[TIME_TEXT_SIZE];
		TimeUs time = TIME_NONE;

		assert_string_equal(time_format_utc(cases[i].time, text), cases[i].expected);
		assert_true(time_parse_utc(text, &time));
		assert_int_equal(time, cases[i].time);
	}
}

static void
other_forms_are_no_utc_times(void **state)
{
	static const char *const cases[] = {
		"",
		"2026-11-20",
		"2026-11-20T02:30:07",
		"2026-11-20 02:30:07Z",
		"2026-11-20T02:30Z",
		"2026-11-20T02:30:07z",
		"2026-11-20T02:30:07+00",
		"2026-11-20T02:30:07.1Z",
		"2026-11-20T02:30:07.000000Z",
		"2026-11-20T02:30:07Z ",
		"2026-02-29T02:30:07Z",
		"2026-13-01T02:30:07Z",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		TimeUs time = TIME_NONE;

		if (time_parse_utc(cases[i], &time))
			fail_msg("\"%s\" is taken for one", cases[i]);
	}
}

static void
postgres_times_start_in_2000(void **state)
{
	char text[TIME_TEXT_SIZE];

	(void) state;
	assert_string_equal(time_format_postgres(time_from_postgres(0), text), "2000-01-01 00:00:00+00");
	assert_string_equal(time_format_postgres(TIME_NONE, text), "unknown");
	assert_string_equal(time_format_utc(TIME_NONE, text), "unknown");
}

/* What a time means: UTC text, or a part of the error's message. */
static const struct ParseCase
{
	const char *text;
	const char *zone;
	const char *expected;
} parse_cases[] = {
	/* offsets and UTC */
	{"2026-11-20 02:30:07.123456+01", NULL, "2026-11-20T01:30:07.123456Z"},
	{"2026-11-20T02:30:07+01:00", NULL, "2026-11-20T01:30:07Z"},
	{"2026-11-20 02:30:07 +0530", NULL, "2026-11-19T21:00:07Z"},
	{"2026-11-20 02:30:07-03:30", NULL, "2026-11-20T06:00:07Z"},
	{"2026-11-20 02:30:07+00:53:28", NULL, "2026-11-20T01:36:39Z"},
	{"2026-11-20 02:30Z", NULL, "2026-11-20T02:30:00Z"},
	{"2026-11-20t02:30z", NULL, "2026-11-20T02:30:00Z"},
	{"2026-11-20 02:30:07 UTC", NULL, "2026-11-20T02:30:07Z"},
	{"2026-11-20 02:30:07 gmt", NULL, "2026-11-20T02:30:07Z"},
	{"2026-11-20 02:30:07.5+00", NULL, "2026-11-20T02:30:07.500000Z"},
	{"2024-02-29 00:00+00", NULL, "2024-02-29T00:00:00Z"},
	{"0001-01-01 00:00+00", NULL, "0001-01-01T00:00:00Z"},
	/* the zone behind the time wins over the given one */
	{"2026-11-20 02:30:07+01", "America/New_York", "2026-11-20T01:30:07Z"},
	{"2026-11-20 02:30:07", "America/New_York", "2026-11-20T07:30:07Z"},
	{"2026-11-20 02:30:07", "+05", "2026-11-19T21:30:07Z"},
	{"2026-11-20 02:30:07", "UTC", "2026-11-20T02:30:07Z"},
	{"2026-11-20 02:30:07", "local", "2026-11-19T17:30:07Z"}, /* main() sets TZ */
	/* zones with and without clock changes */
	{"2026-07-01 12:00 Europe/Berlin", NULL, "2026-07-01T10:00:00Z"},
	{"2026-12-01 12:00 Europe/Berlin", NULL, "2026-12-01T11:00:00Z"},
	{"2026-12-01 12:00 Asia/Kolkata", NULL, "2026-12-01T06:30:00Z"},
	{"2026-12-01 12:00 Africa/Casablanca", NULL, "2026-12-01T11:00:00Z"},
	{"2026-12-01 12:00 Etc/GMT+2", NULL, "2026-12-01T14:00:00Z"},
	{"2026-12-01 12:00 America/Argentina/Buenos_Aires", NULL, "2026-12-01T15:00:00Z"},
	{"1985-07-01 12:00 Europe/Berlin", NULL, "1985-07-01T10:00:00Z"},
	{"1880-07-01 12:00 Europe/Berlin", NULL, "1880-07-01T11:06:32Z"},
	/* after the last change that the file lists */
	{"2060-07-01 12:00 Europe/Berlin", NULL, "2060-07-01T10:00:00Z"},
	{"2060-12-01 12:00 Europe/Berlin", NULL, "2060-12-01T11:00:00Z"},
	{"2060-01-15 12:00 Australia/Lord_Howe", NULL, "2060-01-15T01:00:00Z"},
	{"2060-07-15 12:00 Australia/Lord_Howe", NULL, "2060-07-15T01:30:00Z"},
	/* the edges of the hours that a change skips or repeats */
	{"2026-03-29 01:59:59 Europe/Berlin", NULL, "2026-03-29T00:59:59Z"},
	{"2026-03-29 02:00 Europe/Berlin", NULL, "does not exist in time zone"},
	{"2026-03-29 02:59:59.999999 Europe/Berlin", NULL, "does not exist in time zone"},
	{"2026-03-29 03:00 Europe/Berlin", NULL, "2026-03-29T01:00:00Z"},
	{"2026-10-25 01:59:59 Europe/Berlin", NULL, "2026-10-24T23:59:59Z"},
	{"2026-10-25 02:00 Europe/Berlin", NULL, "occurs twice in time zone"},
	{"2026-10-25 02:59:59 Europe/Berlin", NULL, "occurs twice in time zone"},
	{"2026-10-25 03:00 Europe/Berlin", NULL, "2026-10-25T02:00:00Z"},
	{"2060-03-28 02:30 Europe/Berlin", NULL, "does not exist in time zone"},
	{"2060-10-31 02:30 Europe/Berlin", NULL, "occurs twice in time zone"},
	{"2026-10-04 02:15 Australia/Lord_Howe", NULL, "does not exist in time zone"},
	{"2026-04-05 01:45 Australia/Lord_Howe", NULL, "occurs twice in time zone"},
	{"2011-12-30 12:00 Pacific/Apia", NULL, "does not exist in time zone"},
	/* nothing is guessed */
	{"2026-11-20 02:30:07", NULL, "has no time zone"},
	{"2026-11-20 02:30:07   ", NULL, "has no time zone"},
	{"2026-11-20 02:30:07 CEST", NULL, "is an abbreviation"},
	{"2026-11-20 02:30:07 CET", NULL, "is an abbreviation"},
	{"2026-11-20 02:30:07 IST", NULL, "is an abbreviation"},
	{"2026-11-20 02:30:07 Europe/Berlni", NULL, "unknown time zone"},
	{"2026-11-20 02:30:07 Europe", NULL, "unknown time zone"},
	{"2026-11-20 02:30:07 UTC+2", NULL, "unknown time zone"},
	{"2026-11-20 02:30:07 tzdata.zi", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07 ../../../etc/localtime", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07 Europe/../Europe/Berlin", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07 right/Europe/Berlin", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07+16", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07+1", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07+01:60", NULL, "invalid time zone"},
	{"2026-11-20 02:30:07+01:00x", NULL, "invalid time zone"},
	{"2026-11-20", "UTC", "invalid time"},
	{"20 November 2026", "UTC", "invalid time"},
	{"now", "UTC", "invalid time"},
	{"", "UTC", "invalid time"},
	{"2026-11-20 2:30", "UTC", "invalid time"},
	{"2026-02-29 02:30", "UTC", "invalid time"},
	{"2026-04-31 02:30", "UTC", "invalid time"},
	{"2026-11-20 24:00", "UTC", "invalid time"},
	{"2026-11-20 02:60", "UTC", "invalid time"},
	{"2026-11-20 02:30:60", "UTC", "invalid time"},
	{"2026-11-20 02:30:07.", "UTC", "invalid time"},
	{"2026-11-20 02:30:07.1234567", "UTC", "invalid time"},
	{"26-11-20 02:30", "UTC", "invalid time"},
};

static void
times_are_read_exactly_or_refused(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(parse_cases); i++)
	{
		const struct ParseCase *row = &parse_cases[i];
		TimeUs time = TIME_NONE;
		AUTO(Error) error = time_parse(row->text, row->zone, &time);
		char text[TIME_TEXT_SIZE];
		const char *found = error != NULL ? error_message(error) : time_format_utc(time, text);

		if (strstr(found, row->expected) == NULL)
			fail_msg("\"%s\": expected \"%s\", found \"%s\"", row->text, row->expected, found);
		if (error != NULL)
		{
			assert_int_equal(error_kind(error), ERR_USAGE);
			assert_non_null(error_get_hint(error));
			assert_int_equal(time, TIME_NONE);
		}
	}
}

static void
a_repeated_time_is_refused_with_both_of_its_meanings(void **state)
{
	TimeUs time;
	AUTO(Error) error = time_parse("2026-10-25 02:30", "Europe/Berlin", &time);

	(void) state;
	assert_non_null(error);
	assert_non_null(strstr(error_get_hint(error), "\"2026-10-25 02:30:00+02\" for the first"));
	assert_non_null(strstr(error_get_hint(error), "\"2026-10-25 02:30:00+01\" for the second"));
}

static void
times_are_written_in_a_zone_with_its_offset(void **state)
{
	static const struct
	{
		const char *utc;
		const char *zone;
		const char *expected;
	} cases[] = {
		{"2026-11-20T02:30:07.123456Z", "Europe/Berlin", "2026-11-20 03:30:07.123456+01"},
		{"2026-07-20T02:30:07Z", "Europe/Berlin", "2026-07-20 04:30:07+02"},
		{"2026-03-29T00:59:59Z", "Europe/Berlin", "2026-03-29 01:59:59+01"},
		{"2026-03-29T01:00:00Z", "Europe/Berlin", "2026-03-29 03:00:00+02"},
		{"2026-07-20T02:30:07Z", "Asia/Kolkata", "2026-07-20 08:00:07+05:30"},
		{"2026-07-20T02:30:07Z", "America/St_Johns", "2026-07-20 00:00:07-02:30"},
		{"1880-07-01T11:06:32Z", "Europe/Berlin", "1880-07-01 12:00:00+00:53:28"},
		{"2026-07-20T02:30:07Z", "UTC", "2026-07-20 02:30:07+00"},
		{"2026-07-20T02:30:07Z", "-03", "2026-07-19 23:30:07-03"},
		{"2026-07-20T02:30:07Z", "local", "2026-07-20 11:30:07+09"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		TimeUs time = TIME_NONE;
		char text[TIME_TEXT_SIZE];
		AUTO(Error) error = NULL;

		assert_true(time_parse_utc(cases[i].utc, &time));
		error = time_format_zone(time, cases[i].zone, text);
		assert_null(error);
		assert_string_equal(text, cases[i].expected);
	}
}

/* libc is a second opinion: for every zone given here, every change of 150 years. */
static void
zones_agree_with_libc(void **state)
{
	static const char *const zones[] = {
		"Europe/Berlin",     "Europe/Dublin",    "America/New_York", "America/Nuuk", "Asia/Jerusalem",
		"Africa/Casablanca", "Antarctica/Troll", "Pacific/Apia",     "Asia/Gaza",    "Australia/Lord_Howe",
	};
	AUTO_FREE char *before = mem_strdup(getenv("TZ"));

	(void) state;
	for (size_t i = 0; i < lengthof(zones); i++)
	{
		AUTO(Zone) zone = NULL;
		AUTO(Error) error = zone_open(zones[i], &zone);

		assert_null(error);
		setenv("TZ", zones[i], 1);
		tzset();
		for (int64_t moment = -2208988800; moment < 2524608000 + 50 * 31556952; moment += 40009)
		{
			time_t time = moment;
			struct tm fields;

			assert_non_null(localtime_r(&time, &fields));
			if (zone_offset(zone, moment) != fields.tm_gmtoff)
				fail_msg("%s at %jd: %d, libc has %ld", zones[i], (intmax_t) moment,
				         (int) zone_offset(zone, moment), fields.tm_gmtoff);
		}
	}
	setenv("TZ", before, 1);
	tzset();
}

static void
rules_of_posix_are_understood(void **state)
{
	static const struct
	{
		const char *rule;
		const char *utc;
		int expected;
	} cases[] = {
		{"UTC0", "2026-07-01T00:00:00Z", 0},
		{"<+0330>-3:30", "2026-07-01T00:00:00Z", 12600},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59Z", 3600},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00Z", 7200},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59Z", 7200},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00Z", 3600},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00:00Z", 0},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3600},
		{"AAA0BBB,J60,J300", "2024-03-01T01:59:59Z", 0},
		{"AAA0BBB,J60,J300", "2024-03-01T02:00:00Z", 3600},
		{"AAA0BBB,J60,J300", "2026-03-01T02:00:00Z", 3600},
		{"AAA0BBB,60/0,300", "2024-03-01T00:00:00Z", 3600},
		{"AAA0BBB,60/0,300", "2026-03-01T23:59:59Z", 0},
		{"AAA0BBB,60/0,300", "2026-03-02T00:00:00Z", 3600},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(Zone) zone = NULL;
		AUTO(Error) error = zone_from_rule(cases[i].rule, &zone);
		TimeUs time = TIME_NONE;

		assert_null(error);
		assert_true(time_parse_utc(cases[i].utc, &time));
		if (zone_offset(zone, time / SECOND) != cases[i].expected)
			fail_msg("%s at %s: %d", cases[i].rule, cases[i].utc, (int) zone_offset(zone, time / SECOND));
	}
}

static void
malformed_rules_are_refused(void **state)
{
	static const char *const rules[] = {
		"",
		"CET",
		"1",
		"CE-1",
		"<CET-1",
		"CET-1CEST",
		"CET-1CEST,",
		"CET-1CEST,M3.5.0",
		"CET-1CEST,M13.5.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,J0,J3",
		"CET-1CEST,366,3",
		"CET-168",
		"CET-1x",
		"CET-1CEST,M3.5.0,M10.5.0/3x",
		"CET-99999999999",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rules); i++)
	{
		ZoneRule rule;

		if (zone_rule_parse(rules[i], &rule))
			fail_msg("\"%s\" is accepted", rules[i]);
	}
}

/* A file of version 2 with one change, at moment 1000 from UTC to +1 h, and then a rule. */
static size_t
make_zone_file(uint8_t *file)
{
	static const char footer[] = "\nAAA-2\n";
	uint8_t *next = file;

	memset(file, 0, 256);
	memcpy(next, "TZif2", 5); /* the block of version 1 is empty but for one type */
	next[39] = 1;
	next += 44 + 6;
	memcpy(next, "TZif2", 5);
	next[35] = 1;
	next[39] = 2;
	next[43] = 4;
	next += 44;
	next[6] = 1000 >> 8;
	next[7] = 1000 & 255;
	next[8] = 1;
	next += 9;
	next[6 + 2] = 3600 >> 8;
	next[6 + 3] = 3600 & 255;
	next += 2 * 6 + 4;
	memcpy(next, footer, sizeof(footer) - 1);
	return (size_t) (next - file) + sizeof(footer) - 1;
}

static void
a_zone_file_is_refused_at_every_length_but_its_own(void **state)
{
	uint8_t file[256];
	size_t size = make_zone_file(file);

	(void) state;
	for (size_t length = 0; length <= size; length++)
	{
		/* a copy of exactly that size, so that the sanitizer sees a read beyond it */
		AUTO_FREE uint8_t *copy = mem_alloc(length + (length == 0));
		AUTO(Zone) zone = NULL;
		AUTO(Error) error = NULL;

		memcpy(copy, file, length);
		error = zone_from_file("test", copy, length, &zone);
		if (length < size)
			assert_true(error_is(error, ERR_CORRUPT));
		else
		{
			assert_null(error);
			assert_int_equal(zone_offset(zone, 999), 0);
			assert_int_equal(zone_offset(zone, 1000), 7200); /* the rule holds from the last change on */
		}
	}
}

static void
a_zone_file_with_any_byte_changed_does_no_harm(void **state)
{
	uint8_t file[256];
	size_t size = make_zone_file(file);

	(void) state;
	for (size_t i = 0; i < size; i++)
	{
		for (int value = 0; value < 256; value++)
		{
			AUTO_FREE uint8_t *copy = mem_alloc(size);
			AUTO(Zone) zone = NULL;
			AUTO(Error) error = NULL;
			int64_t moments[2];

			memcpy(copy, file, size);
			copy[i] = (uint8_t) value;
			error = zone_from_file("test", copy, size, &zone);
			if (error == NULL)
				(void) zone_moments(zone, 1000, moments);
		}
	}
}

static void
the_clock_runs(void **state)
{
	int64_t start = clock_monotonic_ms();

	(void) state;
	assert_true(clock_now() > INT64_C(1700000000) * SECOND);
	assert_true(clock_monotonic_ms() >= start);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utc_times_are_written_and_read_back),
		cmocka_unit_test(other_forms_are_no_utc_times),
		cmocka_unit_test(postgres_times_start_in_2000),
		cmocka_unit_test(times_are_read_exactly_or_refused),
		cmocka_unit_test(a_repeated_time_is_refused_with_both_of_its_meanings),
		cmocka_unit_test(times_are_written_in_a_zone_with_its_offset),
		cmocka_unit_test(zones_agree_with_libc),
		cmocka_unit_test(rules_of_posix_are_understood),
		cmocka_unit_test(malformed_rules_are_refused),
		cmocka_unit_test(a_zone_file_is_refused_at_every_length_but_its_own),
		cmocka_unit_test(a_zone_file_with_any_byte_changed_does_no_harm),
		cmocka_unit_test(the_clock_runs),
	};

	setenv("TZ", "Asia/Tokyo", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
