/* Sizes and durations as text. */
#include "walship/base/size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "walship/base/attributes.h"

typedef struct Unit
{
	const char *name;
	uint64_t factor;
} Unit;

#define KIB UINT64_C(1024)

static const Unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"kB", KIB},
	{"KiB", KIB},
	{"MB", KIB *KIB},
	{"MiB", KIB *KIB},
	{"GB", KIB *KIB *KIB},
	{"GiB", KIB *KIB *KIB},
	{"TB", KIB *KIB *KIB *KIB},
	{"TiB", KIB *KIB *KIB *KIB},
};

static const Unit duration_units[] = {
	{"", 1000},
	{"ms", 1},
	{"s", 1000},
	{"min", 60 * 1000},
	{"m", 60 * 1000},
	{"h", 3600 * 1000},
	{"d", 24 * 3600 * 1000},
};

/* Digits, blanks, a unit in any case; "most" bounds the product. */
static bool
parse_with_unit(const char *text, const Unit *units, size_t n_units, uint64_t most, uint64_t *ret_value)
{
	const char *cursor = text;
	uint64_t number = 0;

	if (!isdigit((unsigned char) *cursor))
		return false;
	for (; isdigit((unsigned char) *cursor); cursor++)
	{
		uint64_t digit = (uint64_t) (*cursor - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	while (*cursor == ' ')
		cursor++;

	for (size_t i = 0; i < n_units; i++)
	{
		if (strcasecmp(cursor, units[i].name) != 0)
			continue;
		if (number > most / units[i].factor)
			return false;
		*ret_value = number * units[i].factor;
		return true;
	}
	return false;
}

bool
size_parse(const char *text, uint64_t *ret_bytes)
{
	return parse_with_unit(text, size_units, lengthof(size_units), UINT64_MAX, ret_bytes);
}

const char *
size_format(uint64_t bytes, char text[SIZE_TEXT_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	uint64_t divisor = 1;
	uint64_t whole;
	uint64_t tenths;

	/* 1023.95 KiB would round to 1024.0: that is 1.0 MiB. */
	while (unit + 1 < lengthof(units) && bytes >= divisor * 1024 - divisor / 20)
	{
		divisor *= 1024;
		unit++;
	}
	if (unit == 0)
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 " B", bytes);
	else
	{
		whole = bytes / divisor;
		tenths = (bytes % divisor * 10 + divisor / 2) / divisor;
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 ".%" PRIu64 " %s", whole + tenths / 10, tenths % 10,
		                units[unit]);
	}
	return text;
}

bool
duration_parse(const char *text, int64_t *ret_ms)
{
	uint64_t ms;

	if (!parse_with_unit(text, duration_units, lengthof(duration_units), INT64_MAX, &ms))
		return false;
	*ret_ms = (int64_t) ms;
	return true;
}

const char *
duration_format(int64_t ms, char text[SIZE_TEXT_SIZE])
{
	int64_t seconds = ms / 1000;

	if (ms < 1000)
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRId64 " ms", ms);
	else if (seconds < 60)
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRId64 ".%" PRId64 " s", seconds, ms / 100 % 10);
	else if (seconds < 3600)
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
	else if (seconds < 24 * 3600)
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
		                seconds / 60 % 60);
	else
		(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", seconds / 86400,
		                seconds / 3600 % 24);
	return text;
}
