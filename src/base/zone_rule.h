/*
 * The TZ string of POSIX, "CET-1CEST,M3.5.0,M10.5.0/3": what holds after the
 * last change listed in a tz file, and one form of the variable TZ.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum ZoneDayKind
{
	ZONE_DAY_MONTH_WEEK, /* Mm.w.d: weekday d of week w (5: the last) of month m */
	ZONE_DAY_NO_LEAP,    /* Jn: day 1..365, 29 February is never counted */
	ZONE_DAY_OF_YEAR,    /* n: day 0..365 */
} ZoneDayKind;

typedef struct ZoneDay
{
	ZoneDayKind kind;
	int month;
	int week;
	int day;
	int32_t time; /* seconds after that day's midnight; may be negative or beyond the day */
} ZoneDay;

typedef struct ZoneRule
{
	int32_t standard_offset; /* seconds east of UTC */
	int32_t summer_offset;
	bool has_summer;
	ZoneDay summer_begin;
	ZoneDay summer_end;
} ZoneRule;

bool zone_rule_parse(const char *text, ZoneRule *ret_rule);
int32_t zone_rule_offset(const ZoneRule *rule, int64_t moment);
