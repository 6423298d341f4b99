/* The TZ string of POSIX (the environment variables chapter of its base definitions; RFC 8536, 3.3.1). */
#include "zone_rule.h"

#include <ctype.h>
#include <time.h>

#include "walship/base/attributes.h"

#define SECONDS_PER_DAY     86400
#define DEFAULT_CHANGE_TIME (2 * 3600)

/* Digits of a number in range; moves the cursor past them. */
static bool
parse_number(const char **cursor, int lowest, int highest, int *ret_number)
{
	int number = 0;

	if (!isdigit((unsigned char) **cursor))
		return false;
	for (; isdigit((unsigned char) **cursor) && number <= highest; (*cursor)++)
		number = number * 10 + (**cursor - '0');
	if (number < lowest || number > highest)
		return false;
	*ret_number = number;
	return true;
}

/* "[+-]hh[:mm[:ss]]"; RFC 8536 widens the hours to 167. */
static bool
parse_hms(const char **cursor, int32_t *ret_seconds)
{
	int sign = **cursor == '-' ? -1 : 1;
	int hours;
	int minutes = 0;
	int seconds = 0;

	if (**cursor == '-' || **cursor == '+')
		(*cursor)++;
	if (!parse_number(cursor, 0, 167, &hours))
		return false;
	if (**cursor == ':')
	{
		(*cursor)++;
		if (!parse_number(cursor, 0, 59, &minutes))
			return false;
		if (**cursor == ':')
		{
			(*cursor)++;
			if (!parse_number(cursor, 0, 59, &seconds))
				return false;
		}
	}
	*ret_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
	return true;
}

/* "CET" or "<+0330>" */
static bool
skip_abbreviation(const char **cursor)
{
	const char *begin = *cursor;

	if (**cursor == '<')
	{
		for ((*cursor)++; isalnum((unsigned char) **cursor) || **cursor == '+' || **cursor == '-';)
			(*cursor)++;
		return *(*cursor)++ == '>';
	}
	while (isalpha((unsigned char) **cursor))
		(*cursor)++;
	return *cursor - begin >= 3;
}

static bool
parse_day(const char **cursor, ZoneDay *ret_day)
{
	ZoneDay day = {.kind = ZONE_DAY_OF_YEAR, .time = DEFAULT_CHANGE_TIME};

	if (*(*cursor)++ != ',')
		return false;
	if (**cursor == 'M')
	{
		day.kind = ZONE_DAY_MONTH_WEEK;
		(*cursor)++;
		if (!parse_number(cursor, 1, 12, &day.month) || *(*cursor)++ != '.' ||
		    !parse_number(cursor, 1, 5, &day.week) || *(*cursor)++ != '.' ||
		    !parse_number(cursor, 0, 6, &day.day))
			return false;
	}
	else
	{
		if (**cursor == 'J')
		{
			day.kind = ZONE_DAY_NO_LEAP;
			(*cursor)++;
		}
		if (!parse_number(cursor, day.kind == ZONE_DAY_NO_LEAP ? 1 : 0, 365, &day.day))
			return false;
	}
	if (**cursor == '/')
	{
		(*cursor)++;
		if (!parse_hms(cursor, &day.time))
			return false;
	}
	*ret_day = day;
	return true;
}

bool
zone_rule_parse(const char *text, ZoneRule *ret_rule)
{
	ZoneRule rule = {0};
	const char *cursor = text;
	int32_t west;

	/* POSIX counts offsets to the west. */
	if (!skip_abbreviation(&cursor) || !parse_hms(&cursor, &west))
		return false;
	rule.standard_offset = -west;

	if (*cursor != '\0')
	{
		rule.has_summer = true;
		if (!skip_abbreviation(&cursor))
			return false;
		rule.summer_offset = rule.standard_offset + 3600;
		if (*cursor != ',')
		{
			if (!parse_hms(&cursor, &west))
				return false;
			rule.summer_offset = -west;
		}
		if (!parse_day(&cursor, &rule.summer_begin) || !parse_day(&cursor, &rule.summer_end))
			return false;
	}
	if (*cursor != '\0')
		return false;
	*ret_rule = rule;
	return true;
}

static bool
is_leap_year(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Midnight of that day of that year, read as UTC; fields out of range carry over. */
static int64_t
midnight(int year, int month, int day)
{
	struct tm fields = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

	return timegm(&fields);
}

static int64_t
month_week_midnight(const ZoneDay *day, int year)
{
	int64_t first = midnight(year, day->month, 1);
	int64_t next_month = midnight(year, day->month + 1, 1);
	int first_weekday = (int) (((first / SECONDS_PER_DAY + 4) % 7 + 7) % 7); /* 1970-01-01: Thursday */
	int64_t result =
		first + ((day->day - first_weekday + 7) % 7 + 7 * (day->week - 1)) * (int64_t) SECONDS_PER_DAY;

	return result < next_month ? result : result - 7 * SECONDS_PER_DAY;
}

/* When the clocks change in that year, in the local time before the change. */
static int64_t
change_local(const ZoneDay *day, int year)
{
	int day_number = day->day;

	if (day->kind == ZONE_DAY_MONTH_WEEK)
		return month_week_midnight(day, year) + day->time;
	if (day->kind == ZONE_DAY_NO_LEAP)
		day_number += is_leap_year(year) && day->day > 59 ? 0 : -1;
	return midnight(year, 1, 1) + (int64_t) day_number * SECONDS_PER_DAY + day->time;
}

int32_t
zone_rule_offset(const ZoneRule *rule, int64_t moment)
{
	time_t local = moment + rule->standard_offset;
	struct tm fields;
	int64_t begin;
	int64_t end;
	bool summer;

	if (!rule->has_summer || gmtime_r(&local, &fields) == NULL)
		return rule->standard_offset;
	begin = change_local(&rule->summer_begin, fields.tm_year + 1900) - rule->standard_offset;
	end = change_local(&rule->summer_end, fields.tm_year + 1900) - rule->summer_offset;

	/* In the south summer spans the new year. */
	if (begin < end)
		summer = moment >= begin && moment < end;
	else
		summer = moment >= begin || moment < end;
	return summer ? rule->summer_offset : rule->standard_offset;
}
