/*
 * Time.  A TimeUs is microseconds since 1970-01-01 00:00 UTC; PostgreSQL's
 * TimestampTz counts from 2000-01-01 (PostgreSQL: datatype/timestamp.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"

typedef int64_t TimeUs;

#define TIME_NONE         INT64_MIN /* "no time is known" */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)
#define TIME_TEXT_SIZE    48

TimeUs clock_now(void);
int64_t clock_monotonic_ms(void);

static inline TimeUs
time_from_postgres(int64_t timestamptz)
{
	return timestamptz + POSTGRES_EPOCH_US;
}

/* RFC 3339 in UTC, "2026-11-20T02:30:07.123456Z"; no fraction when it is zero. */
const char *time_format_utc(TimeUs time, char text[TIME_TEXT_SIZE]);

/* ISO 8601's basic form in UTC, for names and signatures: "20261120T023007Z"; fractions are cut. */
const char *time_format_compact(TimeUs time, char text[TIME_TEXT_SIZE]);

/* For PostgreSQL and people: "2026-11-20 02:30:07.123456+00". */
const char *time_format_postgres(TimeUs time, char text[TIME_TEXT_SIZE]);

/* The same to the second: of what begins then rounded up, of what ends then down, so that what is said can be had. */
const char *time_format_second(TimeUs time, bool begins, char text[TIME_TEXT_SIZE]);

/* Both ends of a span so, or, where no whole second lies between them, as they are. */
void time_format_span(TimeUs from, TimeUs to, char from_text[TIME_TEXT_SIZE], char to_text[TIME_TEXT_SIZE]);

#define AGE_TEXT_SIZE 32

/* "just now", "40 s ago", "5 h ago", "in 3 min": the larger unit alone. */
const char *age_format(TimeUs time, TimeUs now, char text[AGE_TEXT_SIZE]);

/* In the given zone (a name of the tz database or "local"): "2026-11-20 03:30:07.123456+01".  Main thread only. */
Error *time_format_zone(TimeUs time, const char *zone, char text[TIME_TEXT_SIZE]) MUST_CHECK;

/*
 * "2026-11-20 02:30:07[.123456][+01|+01:00|Z|UTC| Europe/Berlin]", with 'T' or a
 * blank between date and time; seconds may be left out.  Without a zone, "zone"
 * decides; when that is NULL too it is an error, for a guess would restore to
 * the wrong hour.  A local time that a clock change skips or repeats is an error.
 * Main thread only: libc, which knows the zones, has one at a time per process.
 */
Error *time_parse(const char *text, const char *zone, TimeUs *ret_time) MUST_CHECK;

/* As servers send it, in any thread: the zone is an offset, "Z", or left out and UTC; no name. */
bool time_parse_iso(const char *text, TimeUs *ret_time);

/* Only the form that time_format_utc() makes. */
bool time_parse_utc(const char *text, TimeUs *ret_time);

/*
 * What the clocks of a zone show at that time: seconds since 1970, read as if they were UTC.  Main thread only,
 * as time_format_zone().
 */
Error *time_local(TimeUs time, const char *zone, int64_t *ret_local) MUST_CHECK;

/* The date of such seconds, by the Gregorian calendar. */
void time_date(int64_t local, int64_t *ret_year, int *ret_month, int *ret_day);
