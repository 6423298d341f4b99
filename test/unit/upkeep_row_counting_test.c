/* Names of tables to be counted. */
#include "scratch.h"
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
