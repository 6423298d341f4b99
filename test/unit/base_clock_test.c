/* Times as text, in zones with clock changes of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "scratch.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "zone.h"

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
		{-62135596800000000, "0001-01-01T00:00:00Z"},
		{-2203891200000001, "1900-02-28T23:59:59.999999Z"},
		{-2203891200000000, "1900-03-01T00:00:00Z"},
		{951868800000000, "2000-03-01T00:00:00Z"},
		{4107542399000000, "2100-02-28T23:59:59Z"},
		{4107542400000000, "2100-03-01T00:00:00Z"},
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

/* libc is a second opinion; it is right as long as TZ counts no leap seconds. */
static void
the_calendar_agrees_with_libc(void **state)
{
	(void) state;
	for (int64_t seconds = -62135596800; seconds < 253402300800; seconds += 86400 * 13 + 3607)
	{
		time_t time = seconds;
		struct tm fields;
		char expected[TIME_TEXT_SIZE];
		char text[TIME_TEXT_SIZE];
		TimeUs back = TIME_NONE;

		assert_non_null(gmtime_r(&time, &fields));
		assert_true(snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ",
		                     fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday, fields.tm_hour,
		                     fields.tm_min, fields.tm_sec) > 0);
		assert_string_equal(time_format_utc(seconds * SECOND, text), expected);
		assert_true(time_parse_utc(text, &back));
		assert_int_equal(back, seconds * SECOND);
	}
}

static void
times_of_damaged_records_have_a_text_too(void **state)
{
	char text[TIME_TEXT_SIZE];

	(void) state;
	assert_string_equal(time_format_utc(INT64_MAX, text), "294247-01-10T04:00:54.775807Z");
	assert_string_equal(time_format_utc(INT64_MIN + 1, text), "-290308-12-21T19:59:05.224193Z");
	assert_string_equal(time_format_compact(1795141807999999, text), "20261120T023007Z");
	assert_string_equal(time_format_compact(-1, text), "19691231T235959Z");
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

static void
a_span_to_the_second_never_says_more_than_there_is(void **state)
{
	static const struct
	{
		TimeUs from, to;
		const char *from_text, *to_text;
	} cases[] = {
		{500000, 9500000, "1970-01-01 00:00:01+00", "1970-01-01 00:00:09+00"},
		{0, 0, "1970-01-01 00:00:00+00", "1970-01-01 00:00:00+00"},
		{600000, 1700000, "1970-01-01 00:00:01+00", "1970-01-01 00:00:01+00"},
		{600000, 900000, "1970-01-01 00:00:00.600000+00", "1970-01-01 00:00:00.900000+00"},
		{-1400000, -1, "1969-12-31 23:59:59+00", "1969-12-31 23:59:59+00"},
		{600000, TIME_NONE, "1970-01-01 00:00:01+00", "unknown"},
		{INT64_MAX, INT64_MAX, "294247-01-10 04:00:54.775807+00", "294247-01-10 04:00:54.775807+00"},
	};
	char from[TIME_TEXT_SIZE];
	char to[TIME_TEXT_SIZE];

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		time_format_span(cases[i].from, cases[i].to, from, to);
		assert_string_equal(from, cases[i].from_text);
		assert_string_equal(to, cases[i].to_text);
	}
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

/* The offset at that moment of "local" when TZ is this; or the error. */
static Error *
local_offset(const char *variable, const char *utc, int32_t *ret_offset)
{
	AUTO_FREE char *before = mem_strdup(getenv("TZ"));
	AUTO(Zone) zone = NULL;
	TimeUs time = TIME_NONE;
	Error *error;

	assert_true(time_parse_utc(utc, &time));
	setenv("TZ", variable, 1);
	error = zone_open("local", &zone);
	if (error == NULL)
		*ret_offset = zone_offset(zone, time / SECOND);
	assert_string_equal(getenv("TZ"), variable);
	setenv("TZ", before, 1);
	return error;
}

static void
local_is_what_the_variable_TZ_says(void **state)
{
	static const struct
	{
		const char *variable;
		const char *utc;
		int32_t expected;
	} cases[] = {
		{"Asia/Kolkata", "2026-07-01T00:00:00Z", 19800},
		{":Asia/Kolkata", "2026-07-01T00:00:00Z", 19800},
		{"/usr/share/zoneinfo/Asia/Kolkata", "2026-07-01T00:00:00Z", 19800},
		{":/usr/share/zoneinfo/Asia/Kolkata", "2026-07-01T00:00:00Z", 19800},
		{"", "2026-07-01T00:00:00Z", 0},
		/* rules of POSIX */
		{"UTC0", "2026-07-01T00:00:00Z", 0},
		{"UTC+2", "2026-07-01T00:00:00Z", -7200},
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
		int32_t offset = -1;
		AUTO(Error) error = local_offset(cases[i].variable, cases[i].utc, &offset);

		if (error != NULL || offset != cases[i].expected)
			fail_msg("%s at %s: %d, %s", cases[i].variable, cases[i].utc, (int) offset,
			         error == NULL ? "no error" : error_message(error));
	}
}

/* Whatever the file system says of such a path: a mistyped zone is a mistake of the caller's. */
static void
a_zone_of_which_there_is_no_file_is_a_mistake(void **state)
{
	AUTO_FREE char *long_name = mem_alloc(400);
	const char *const cases[] = {"CET/x",
	                             "Europe",
	                             "Europe/",
	                             "Europe/Berlin/Mitte",
	                             "/no/such",
	                             "/etc/passwd/x",
	                             "/usr/share/zoneinfo",
	                             long_name};

	(void) state;
	memset(long_name, 'A', 399);
	long_name[399] = '\0';
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		int32_t offset;
		AUTO(Error) error = local_offset(cases[i], "2026-07-01T00:00:00Z", &offset);

		if (!error_is(error, ERR_USAGE))
			fail_msg("%s: %s", cases[i], error == NULL ? "no error" : error_message(error));
	}
}

/* libc takes all of these for UTC, or a part of them for the whole. */
static void
what_libc_would_misunderstand_in_TZ_is_refused(void **state)
{
	static const char *const cases[] = {
		"Europe/Berlni",
		"Berlin",
		"right/Europe/Berlin",
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
		"CET-1CEST,M3.5.0,M10.5.0/168",
		"CET-99999999999",
		"/usr/share/zoneinfo/Europe",
		"/usr/share/zoneinfo/tzdata.zi",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		int32_t offset;
		AUTO(Error) error = local_offset(cases[i], "2026-07-01T00:00:00Z", &offset);

		if (error == NULL)
			fail_msg("\"%s\" is accepted", cases[i]);
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
	next[43] = 4;
	next += 44;
	memcpy(next + 6, "AAA", 4);
	next += 6 + 4;
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
	next += 2 * 6;
	memcpy(next, "AAA", 4);
	next += 4;
	memcpy(next, footer, sizeof(footer) - 1);
	return (size_t) (next - file) + sizeof(footer) - 1;
}

static void
a_zone_file_is_refused_at_every_length_but_its_own(void **state)
{
	uint8_t file[256];
	size_t size = make_zone_file(file);
	char *directory = scratch_make();
	AUTO_FREE char *path = mem_printf("%s/zone", directory);

	(void) state;
	for (size_t length = 0; length <= size; length++)
	{
		int32_t before = -1;
		int32_t after = -1;
		AUTO(Error) error = file_replace(path, file, length, 0600);
		AUTO(Error) first = local_offset(path, "1970-01-01T00:16:39Z", &before);
		AUTO(Error) second = local_offset(path, "1970-01-01T00:16:40Z", &after);

		assert_null(error);
		if (length < size)
			assert_true(error_is(first, ERR_CORRUPT) && error_is(second, ERR_CORRUPT));
		else
		{
			assert_null(first);
			assert_int_equal(before, 0);
			assert_int_equal(after, 7200); /* the rule holds from the last change on */
		}
	}
	scratch_remove(directory);
}

/* The files below "right/" give the same names other moments: by 27 seconds, since 2017. */
static void
leap_seconds_do_not_count(void **state)
{
	const char *path = "/usr/share/zoneinfo/right/Europe/Berlin";
	AUTO_FREE char *before = mem_strdup(getenv("TZ"));
	TimeUs time = TIME_NONE;
	char text[TIME_TEXT_SIZE];
	AUTO(Error) error = NULL;
	int32_t offset;

	(void) state;
	if (access(path, R_OK) != 0)
		skip();
	error = local_offset(path, "2026-07-01T00:00:00Z", &offset);
	assert_true(error_is(error, ERR_CORRUPT));
	assert_non_null(strstr(error_message(error), "counts leap seconds"));

	/* Neither where libc would look names up nor the process's own zone has an effect on others. */
	setenv("TZDIR", "/usr/share/zoneinfo/right", 1);
	for (int i = 0; i < 2; i++)
	{
		const char *zone = i == 0 ? "Europe/Berlin" : "local";
		AUTO(Error) parsing = NULL;
		AUTO(Error) formatting = NULL;

		setenv("TZ", i == 0 ? path : "Europe/Berlin", 1);
		tzset();
		parsing = time_parse("2026-07-01 12:00:00", zone, &time);
		assert_null(parsing);
		assert_string_equal(time_format_utc(time, text), "2026-07-01T10:00:00Z");
		formatting = time_format_zone(time, zone, text);
		assert_null(formatting);
		assert_string_equal(text, "2026-07-01 12:00:00+02");
	}
	unsetenv("TZDIR");
	setenv("TZ", before, 1);
	tzset();
}

static void
asking_leaves_the_process_its_zone(void **state)
{
	AUTO_FREE char *before = mem_strdup(getenv("TZ"));
	const time_t moment = 1795141807;
	char text[TIME_TEXT_SIZE];
	struct tm fields;
	AUTO(Error) error = NULL;

	(void) state;
	error = time_format_zone(0, "Europe/Berlin", text);
	assert_null(error);
	assert_string_equal(getenv("TZ"), before);
	assert_non_null(localtime_r(&moment, &fields));
	assert_int_equal(fields.tm_gmtoff, 9 * 3600);

	unsetenv("TZ");
	error = time_format_zone(0, "Europe/Berlin", text);
	assert_null(error);
	assert_null(getenv("TZ"));
	setenv("TZ", before, 1);
	tzset();
}

static void
times_of_servers_have_no_zone_by_name(void **state)
{
	static const struct
	{
		const char *text;
		const char *expected; /* NULL: refused */
	} cases[] = {
		{"2026-11-20T02:30:07.000Z", "2026-11-20T02:30:07Z"},
		{"2026-11-20T02:30:07", "2026-11-20T02:30:07Z"},
		{"2026-11-20T02:30:07.25+01:00", "2026-11-20T01:30:07.250000Z"},
		{"2026-11-20T02:30:07 Europe/Berlin", NULL},
		{"2026-11-20T02:30:07Europe/Berlin", NULL},
		{"2026-11-20T02:30:07local", NULL},
		{"2026-11-20", NULL},
		{"", NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		TimeUs time = TIME_NONE;
		char text[TIME_TEXT_SIZE];

		if (time_parse_iso(cases[i].text, &time) != (cases[i].expected != NULL))
			fail_msg("\"%s\" is%s taken for one", cases[i].text, cases[i].expected == NULL ? "" : " not");
		if (cases[i].expected != NULL)
			assert_string_equal(time_format_utc(time, text), cases[i].expected);
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
		cmocka_unit_test(the_calendar_agrees_with_libc),
		cmocka_unit_test(times_of_damaged_records_have_a_text_too),
		cmocka_unit_test(postgres_times_start_in_2000),
		cmocka_unit_test(a_span_to_the_second_never_says_more_than_there_is),
		cmocka_unit_test(times_are_read_exactly_or_refused),
		cmocka_unit_test(a_repeated_time_is_refused_with_both_of_its_meanings),
		cmocka_unit_test(times_are_written_in_a_zone_with_its_offset),
		cmocka_unit_test(local_is_what_the_variable_TZ_says),
		cmocka_unit_test(what_libc_would_misunderstand_in_TZ_is_refused),
		cmocka_unit_test(a_zone_of_which_there_is_no_file_is_a_mistake),
		cmocka_unit_test(leap_seconds_do_not_count),
		cmocka_unit_test(asking_leaves_the_process_its_zone),
		cmocka_unit_test(times_of_servers_have_no_zone_by_name),
		cmocka_unit_test(a_zone_file_is_refused_at_every_length_but_its_own),
		cmocka_unit_test(the_clock_runs),
	};

	setenv("TZ", "Asia/Tokyo", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
