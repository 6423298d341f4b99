/* Sizes and durations as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "walship/base/attributes.h"
#include "walship/base/size.h"

#define INVALID UINT64_MAX

static void
sizes_are_read_in_powers_of_1024(void **state)
{
	static const struct
	{
		const char *text;
		uint64_t expected;
	} cases[] = {
		{"0", 0},
		{"16777216", 16777216},
		{"16MB", 16777216},
		{"16 MiB", 16777216},
		{"16mb", 16777216},
		{"1kB", 1024},
		{"1KiB", 1024},
		{"7B", 7},
		{"1GB", UINT64_C(1) << 30},
		{"2TiB", UINT64_C(2) << 40},
		{"18446744073709551614", UINT64_MAX - 1},
		{"16777215TB", UINT64_C(16777215) << 40},
		{"16777216TB", INVALID},
		{"18446744073709551616", INVALID},
		{"", INVALID},
		{"MB", INVALID},
		{"-1MB", INVALID},
		{"+1", INVALID},
		{" 1", INVALID},
		{"1 ", 1},
		{"1.5GB", INVALID},
		{"1XB", INVALID},
		{"1MB ", INVALID},
		{"1M", INVALID},
		{"0x10", INVALID},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		uint64_t bytes = INVALID;
		bool valid = size_parse(cases[i].text, &bytes);

		if (valid != (cases[i].expected != INVALID) || bytes != cases[i].expected)
			fail_msg("\"%s\" is read as %ju", cases[i].text, (uintmax_t) bytes);
	}
}

static void
sizes_are_written_with_one_decimal(void **state)
{
	static const struct
	{
		uint64_t bytes;
		const char *expected;
	} cases[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{16777216, "16.0 MiB"},
		{UINT64_C(1288490189), "1.2 GiB"},
		{1024 * 1024 - 1, "1.0 MiB"},
		{1024 * 1024 - 60, "1023.9 KiB"},
		{UINT64_MAX, "16.0 EiB"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char text[SIZE_TEXT_SIZE];

		assert_string_equal(size_format(cases[i].bytes, text), cases[i].expected);
	}
}

static void
durations_are_read_with_their_unit(void **state)
{
	static const struct
	{
		const char *text;
		int64_t expected; /* -1: not one */
	} cases[] = {
		{"10", 10000},
		{"10s", 10000},
		{"500ms", 500},
		{"5min", 300000},
		{"5m", 300000},
		{"5 min", 300000},
		{"1h", 3600000},
		{"2d", 172800000},
		{"0", 0},
		{"9223372036854775807ms", INT64_MAX},
		{"9223372036854775808ms", -1},
		{"9223372036854775807s", -1},
		{"", -1},
		{"s", -1},
		{"-1s", -1},
		{"1mo", -1},
		{"1.5s", -1},
		{"1s 2ms", -1},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		int64_t ms = -1;
		bool valid = duration_parse(cases[i].text, &ms);

		if (valid != (cases[i].expected != -1) || ms != cases[i].expected)
			fail_msg("\"%s\" is read as %jd", cases[i].text, (intmax_t) ms);
	}
}

static void
durations_are_written_in_their_two_largest_units(void **state)
{
	static const struct
	{
		int64_t ms;
		const char *expected;
	} cases[] = {
		{0, "0 ms"},       {999, "999 ms"},        {1000, "1.0 s"},        {12345, "12.3 s"},
		{59999, "59.9 s"}, {252000, "4 min 12 s"}, {3600000, "1 h 0 min"}, {90061000, "1 d 1 h"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char text[SIZE_TEXT_SIZE];

		assert_string_equal(duration_format(cases[i].ms, text), cases[i].expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_in_powers_of_1024),
		cmocka_unit_test(sizes_are_written_with_one_decimal),
		cmocka_unit_test(durations_are_read_with_their_unit),
		cmocka_unit_test(durations_are_written_in_their_two_largest_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
