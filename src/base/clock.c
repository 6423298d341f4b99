/* Time: the clock, and times as text. */
#include "walship/base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "walship/base/mem.h"
#include "zone.h"

#define US_PER_SECOND INT64_C(1000000)

static const char *const time_form =
	"Write it like \"2026-11-20 02:30:07.123456+01\", where the seconds may be "
	"left out and a full name such as Europe/Berlin may take the offset's place.";

TimeUs
clock_now(void)
{
	struct timespec now;
	int result = clock_gettime(CLOCK_REALTIME, &now);

	assert(result == 0);
	(void) result;
	return now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t
clock_monotonic_ms(void)
{
	struct timespec now;
	int result = clock_gettime(CLOCK_MONOTONIC, &now);

	assert(result == 0);
	(void) result;
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Date and time of day, by the Gregorian calendar also before there was one. */
typedef struct Civil
{
	int64_t year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
} Civil;

#define SECONDS_PER_DAY    INT64_C(86400)
#define DAYS_PER_400_YEARS INT64_C(146097)
#define DAYS_BEFORE_1970   INT64_C(719468) /* since 1 March of the year 0 */

/*
 * The calendar is counted here, not by timegm() and gmtime_r(): under a TZ of "right/" glibc's would be wrong by
 * the leap seconds, and they read TZ, which the main thread changes for its questions to libc (zone.c).
 * Years begin in March, so that 29 February is the last day of one; five months from March on have 153 days
 * (https://howardhinnant.github.io/date_algorithms.html).
 */
static int64_t
days_of_date(int64_t year, int month, int day)
{
	int64_t begun = year - (month <= 2);
	int64_t cycle = begun / 400 - (begun % 400 < 0);
	int64_t year_of_cycle = begun - cycle * 400;
	int day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

	return cycle * DAYS_PER_400_YEARS + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 +
	       day_of_year - DAYS_BEFORE_1970;
}

static Civil
civil_of(int64_t seconds)
{
	int64_t day = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
	int second = (int) (seconds - day * SECONDS_PER_DAY);
	int64_t since = day + DAYS_BEFORE_1970;
	int64_t cycle = since / DAYS_PER_400_YEARS - (since % DAYS_PER_400_YEARS < 0);
	int64_t rest = since - cycle * DAYS_PER_400_YEARS;
	/* without the leap days, of which one is left out per century but not per cycle */
	int64_t year_of_cycle = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
	int day_of_year = (int) (rest - (year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100));
	int month_of_year = (5 * day_of_year + 2) / 153; /* March is 0 */
	int month = month_of_year < 10 ? month_of_year + 3 : month_of_year - 9;

	return (Civil){
		.year = cycle * 400 + year_of_cycle + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * month_of_year + 2) / 5 + 1,
		.hour = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
	};
}

static int64_t
seconds_of(TimeUs time)
{
	return time / US_PER_SECOND - (time % US_PER_SECOND < 0);
}

/* Date and time of day at that offset; returns the length. */
static int
format_local(TimeUs time, int32_t offset, char separator, char text[TIME_TEXT_SIZE])
{
	Civil local = civil_of(seconds_of(time) + offset);
	int fraction = (int) ((time % US_PER_SECOND + US_PER_SECOND) % US_PER_SECOND);
	int length = snprintf(text, TIME_TEXT_SIZE, "%04" PRId64 "-%02d-%02d%c%02d:%02d:%02d", local.year,
	                      local.month, local.day, separator, local.hour, local.minute, local.second);

	if (fraction != 0)
		length += snprintf(text + length, (size_t) (TIME_TEXT_SIZE - length), ".%06d", fraction);
	return length;
}

const char *
time_format_compact(TimeUs time, char text[TIME_TEXT_SIZE])
{
	Civil utc = civil_of(seconds_of(time));

	(void) snprintf(text, TIME_TEXT_SIZE, "%04" PRId64 "%02d%02dT%02d%02d%02dZ", utc.year, utc.month, utc.day,
	                utc.hour, utc.minute, utc.second);
	return text;
}

const char *
time_format_utc(TimeUs time, char text[TIME_TEXT_SIZE])
{
	int length;

	if (time == TIME_NONE)
		(void) snprintf(text, TIME_TEXT_SIZE, "unknown");
	else
	{
		length = format_local(time, 0, 'T', text);
		(void) snprintf(text + length, (size_t) (TIME_TEXT_SIZE - length), "Z");
	}
	return text;
}

/* The offset as PostgreSQL writes it: "+01", "+05:30", "-00:44:30". */
static const char *
format_with_offset(TimeUs time, int32_t offset, char text[TIME_TEXT_SIZE])
{
	int magnitude = abs(offset);
	int length;

	if (time == TIME_NONE)
	{
		(void) snprintf(text, TIME_TEXT_SIZE, "unknown");
		return text;
	}
	length = format_local(time, offset, ' ', text);
	length += snprintf(text + length, (size_t) (TIME_TEXT_SIZE - length), "%c%02d", offset < 0 ? '-' : '+',
	                   magnitude / 3600);
	if (magnitude % 3600 != 0)
		length += snprintf(text + length, (size_t) (TIME_TEXT_SIZE - length), ":%02d", magnitude / 60 % 60);
	if (magnitude % 60 != 0)
		(void) snprintf(text + length, (size_t) (TIME_TEXT_SIZE - length), ":%02d", magnitude % 60);
	return text;
}

const char *
time_format_postgres(TimeUs time, char text[TIME_TEXT_SIZE])
{
	return format_with_offset(time, 0, text);
}

static TimeUs
to_second(TimeUs time, bool up)
{
	const TimeUs second = 1000000;
	TimeUs past = (time % second + second) % second;

	/* Damaged records have times at the ends of what there is. */
	if (time == TIME_NONE || time < INT64_MIN + second || time > INT64_MAX - second)
		return time;
	return time - past + (up && past > 0 ? second : 0);
}

const char *
time_format_second(TimeUs time, bool begins, char text[TIME_TEXT_SIZE])
{
	return time_format_postgres(to_second(time, begins), text);
}

void
time_format_span(TimeUs from, TimeUs to, char from_text[TIME_TEXT_SIZE], char to_text[TIME_TEXT_SIZE])
{
	bool whole = to == TIME_NONE || to_second(from, true) <= to_second(to, false);

	(void) time_format_postgres(whole ? to_second(from, true) : from, from_text);
	(void) time_format_postgres(whole ? to_second(to, false) : to, to_text);
}

Error *
time_format_zone(TimeUs time, const char *zone_name, char text[TIME_TEXT_SIZE])
{
	AUTO(Zone) zone = NULL;

	TRY(zone_open(zone_name, &zone));
	(void) format_with_offset(time, zone_offset(zone, seconds_of(time)), text);
	return NULL;
}

/* Exactly so many digits, which must be a number in range. */
static bool
take_number(const char **cursor, int digits, int lowest, int highest, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < digits; i++, (*cursor)++)
	{
		if (!isdigit((unsigned char) **cursor))
			return false;
		number = number * 10 + (**cursor - '0');
	}
	*ret_number = number;
	return number >= lowest && number <= highest;
}

static bool
take_char(const char **cursor, char wanted)
{
	if (**cursor != wanted)
		return false;
	(*cursor)++;
	return true;
}

/* ".123456", one to six digits */
static bool
take_fraction(const char **cursor, int *ret_us)
{
	int us = 0;
	int digits = 0;

	for (; isdigit((unsigned char) **cursor); (*cursor)++, digits++)
	{
		if (digits == 6)
			return false;
		us = us * 10 + (**cursor - '0');
	}
	if (digits == 0)
		return false;
	for (; digits < 6; digits++)
		us *= 10;
	*ret_us = us;
	return true;
}

/* Date and time of day, as if they were UTC; moves the cursor behind them. */
static bool
take_date_time(const char **cursor, int64_t *ret_seconds, int *ret_us)
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second = 0;
	int us = 0;

	if (!take_number(cursor, 4, 1, 9999, &year) || !take_char(cursor, '-') ||
	    !take_number(cursor, 2, 1, 12, &month) || !take_char(cursor, '-') ||
	    !take_number(cursor, 2, 1, 31, &day))
		return false;
	if (!take_char(cursor, 'T') && !take_char(cursor, 't') && !take_char(cursor, ' '))
		return false;
	if (!take_number(cursor, 2, 0, 23, &hour) || !take_char(cursor, ':') ||
	    !take_number(cursor, 2, 0, 59, &minute))
		return false;
	if (take_char(cursor, ':'))
	{
		if (!take_number(cursor, 2, 0, 59, &second))
			return false;
		if (take_char(cursor, '.') && !take_fraction(cursor, &us))
			return false;
	}

	*ret_seconds = days_of_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
	*ret_us = us;
	return civil_of(*ret_seconds).day == day; /* 30 February is counted as 1 or 2 March */
}

/* The one moment at which the zone's clocks show this time. */
static Error *
resolve_local(const char *text, const char *zone_name, int64_t local, int64_t *ret_moment)
{
	AUTO(Zone) zone = NULL;
	int64_t moments[2];
	char first[TIME_TEXT_SIZE];
	char second[TIME_TEXT_SIZE];
	int count;

	TRY(zone_open(zone_name, &zone));
	count = zone_moments(zone, local, moments);
	if (count == 0)
		return error_hint(
			error_new(ERR_USAGE, "time \"%s\" does not exist in time zone \"%s\"", text, zone_name),
			"The clocks were put forward across it; write the time with a numeric offset, "
			"such as +00.");
	if (count == 2)
		return error_hint(
			error_new(ERR_USAGE, "time \"%s\" occurs twice in time zone \"%s\"", text, zone_name),
			"The clocks were put back; write \"%s\" for the first or \"%s\" for the second.",
			format_with_offset(moments[0] * US_PER_SECOND, (int32_t) (local - moments[0]), first),
			format_with_offset(moments[1] * US_PER_SECOND, (int32_t) (local - moments[1]), second));
	*ret_moment = moments[0];
	return NULL;
}

Error *
time_parse(const char *text, const char *zone, TimeUs *ret_time)
{
	const char *cursor = text;
	int64_t seconds;
	int us;

	if (!take_date_time(&cursor, &seconds, &us))
		return error_hint(error_new(ERR_USAGE, "invalid time \"%s\"", text), "%s", time_form);
	while (*cursor == ' ')
		cursor++;
	if (*cursor != '\0')
		zone = cursor;
	if (zone == NULL)
		return error_hint(error_new(ERR_USAGE, "time \"%s\" has no time zone", text),
		                  "Add a numeric offset, as in \"%s+00\", or a zone's full name; or name the zone "
		                  "of such times in the setting \"timezone\".",
		                  text);
	TRY(resolve_local(text, zone, seconds, &seconds));
	*ret_time = seconds * US_PER_SECOND + us;
	return NULL;
}

bool
time_parse_iso(const char *text, TimeUs *ret_time)
{
	const char *cursor = text;
	int64_t seconds;
	int32_t offset = 0;
	int us;

	if (!take_date_time(&cursor, &seconds, &us) || (*cursor != '\0' && !zone_parse_fixed(cursor, &offset)))
		return false;
	*ret_time = (seconds - offset) * US_PER_SECOND + us;
	return true;
}

bool
time_parse_utc(const char *text, TimeUs *ret_time)
{
	const char *cursor = text;
	char back[TIME_TEXT_SIZE];
	int64_t seconds;
	TimeUs time;
	int us;

	if (!take_date_time(&cursor, &seconds, &us))
		return false;
	time = seconds * US_PER_SECOND + us;
	if (strcmp(time_format_utc(time, back), text) != 0)
		return false;
	*ret_time = time;
	return true;
}

Error *
time_local(TimeUs time, const char *zone_name, int64_t *ret_local)
{
	AUTO(Zone) zone = NULL;
	int64_t seconds = seconds_of(time);

	TRY(zone_open(zone_name, &zone));
	*ret_local = seconds + zone_offset(zone, seconds);
	return NULL;
}

void
time_date(int64_t local, int64_t *ret_year, int *ret_month, int *ret_day)
{
	Civil date = civil_of(local);

	*ret_year = date.year;
	*ret_month = date.month;
	*ret_day = date.day;
}

const char *
age_format(TimeUs time, TimeUs now, char text[AGE_TEXT_SIZE])
{
	static const struct
	{
		int64_t seconds;
		const char *name;
	} units[] = {{24 * 3600, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	int64_t seconds = (now - time) / 1000000;
	int64_t distance = seconds < 0 ? -seconds : seconds;
	size_t unit = 0;

	/* "47 h" says more than "1 d". */
	while (unit + 1 < lengthof(units) && distance < 2 * units[unit].seconds)
		unit++;
	if (distance == 0)
		(void) snprintf(text, AGE_TEXT_SIZE, "just now");
	else
		(void) snprintf(text, AGE_TEXT_SIZE, "%s%" PRId64 " %s%s", seconds < 0 ? "in " : "",
		                distance / units[unit].seconds, units[unit].name, seconds < 0 ? "" : " ago");
	return text;
}
