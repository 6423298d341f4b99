/* Names of tables to be counted. */
#include "scratch.h"
#include "walship/upkeep/drill.h"
#include "walship/upkeep/row_counting.h"

static void
test_names(void **state)
{
	static const struct
	{
		const char *names;
		const char *database;
		const char *schema;
		const char *table;
		int expected; /* index of the name; -1: does not match */
	} cases[] = {
		{"orders", "shop", "public", "orders", 0},
		{"orders", "shop", "public", "old_orders", -1},
		{"items,orders", "shop", "sales", "orders", 1},
		{"sales.orders", "shop", "sales", "orders", 0},
		{"sales.orders", "shop", "public", "orders", -1},
		{"shop.sales.orders", "shop", "sales", "orders", 0},
		{"op.sales.orders", "shop", "sales", "orders", -1},
		{"shop.orders", "shop", "public", "orders", -1},
		{"all", "shop", "public", "orders", 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_STRLIST names = {0};
		size_t index = 0;

		assert_ok(table_names_parse(cases[i].names, &names));
		assert_int_equal(
			table_names_match(&names, cases[i].database, cases[i].schema, cases[i].table, &index),
			cases[i].expected >= 0);
		if (cases[i].expected >= 0)
			assert_int_equal(index, cases[i].expected);
	}
}

static void
test_names_that_are_none(void **state)
{
	static const char *const cases[] = {"",        ",",       "orders,",  ",orders",   "a,,b",
	                                    ".orders", "public.", "my table", "\"Orders\""};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_STRLIST names = {0};
		AUTO(Error) error = table_names_parse(cases[i], &names);

		assert_true(error_is(error, ERR_USAGE));
	}
}

static void
test_tolerances(void **state)
{
	static const struct
	{
		const char *text;
		uint64_t counted;
		uint64_t least; /* that are allowed */
		uint64_t most;
	} cases[] = {
		{"0", 1000, 1000, 1000},   {"0%", 1000, 1000, 1000}, {"5", 1000, 995, 1005},
		{"5%", 1000, 950, 1050},   {"5%", 19, 19, 19},       {"0.25%", 1000, 998, 1002},
		{"2.5%", 1000, 975, 1025}, {"100%", 7, 0, 14},       {"10", 3, 0, 13},
		{"5%", 0, 0, 0},
	};
	static const char *const wrong[] = {"",        "%",      "-5",  "5 %", "101%",
	                                    "100.01%", "1.234%", "1.5", "5%%", "many"};
	DrillTolerance tolerance;

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		assert_ok(drill_tolerance_parse(cases[i].text, &tolerance));
		assert_true(drill_tolerance_allows(&tolerance, cases[i].counted, cases[i].least));
		assert_true(drill_tolerance_allows(&tolerance, cases[i].counted, cases[i].most));
		assert_false(drill_tolerance_allows(&tolerance, cases[i].counted, cases[i].most + 1));
		if (cases[i].least > 0)
			assert_false(drill_tolerance_allows(&tolerance, cases[i].counted, cases[i].least - 1));
	}
	for (size_t i = 0; i < lengthof(wrong); i++)
		assert_error(drill_tolerance_parse(wrong[i], &tolerance), ERR_USAGE, "is no tolerance");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tolerances),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
