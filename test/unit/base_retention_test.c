/* Retention lines: what is understood, its one form, and what is said of the rest. */
#include "scratch.h"
#include "walship/base/retention.h"

static void
test_one_form(void **state)
{
	static const struct
	{
		const char *text;
		const char *expected;
	} cases[] = {
		{"window 7d, within 30d, last 3, daily 7, weekly 4, monthly 12, yearly 3",
	     "window 7d, within 30d, last 3, daily 7, weekly 4, monthly 12, yearly 3"},
		{"yearly 3,monthly 12 ,  weekly\t4", "weekly 4, monthly 12, yearly 3"},
		{"window 168h", "window 7d"},
		{"window 36h", "window 36h"},
		{"within 90min", "within 90min"},
		{"window 1500ms", "window 1500ms"},
		{"last 10000", "last 10000"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *text = NULL;
		AUTO_FREE char *again = NULL;

		assert_ok(retention_canonical(cases[i].text, &text));
		assert_string_equal(text, cases[i].expected);
		assert_ok(retention_canonical(text, &again));
		assert_string_equal(again, text);
	}
}

static void
test_refusals(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
		const char *hint;
	} cases[] = {
		{"dayly 7", "unknown word \"dayly\"", "Did you mean \"daily\"?"},
		{"windows 7d", "unknown word \"windows\"", "Did you mean \"window\"?"},
		{"7 daily", "unknown word \"7\"", "Write some of"},
		{"", "a rule is missing", "Write some of"},
		{"last 3,", "a rule is missing", "Write some of"},
		{"last 3,, daily 7", "a rule is missing", "Write some of"},
		{"last", "\"last\" is not followed by a whole number", "Write some of"},
		{"last 0", "\"last\" is not followed by a whole number", "Write some of"},
		{"last -1", "\"last\" is not followed by a whole number", "Write some of"},
		{"last 3d", "\"last\" is not followed by a whole number", "Write some of"},
		{"last 10001", "\"last\" is not followed by a whole number", "Write some of"},
		{"last 3 4", "\"last\" is not followed by a whole number", "Write some of"},
		{"last 3 daily 7", "\"last\" is not followed by a whole number", "Write some of"},
		{"window 7", "\"window\" is not followed by a time", "Write some of"},
		{"window 0d", "\"window\" is not followed by a time", "Write some of"},
		{"window 7 d", "\"window\" is not followed by a time", "Write some of"},
		{"window 99999999d", "\"window\" is not followed by a time", "Write some of"},
		{"daily 7, daily 8", "\"daily\" is there twice", "Leave one of them out."},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		RetentionPolicy policy;
		Error *error = retention_parse(cases[i].text, &policy);

		assert_true(error_is(error, ERR_USAGE));
		if (strstr(error_message(error), cases[i].message) == NULL ||
		    strstr(error_get_hint(error), cases[i].hint) == NULL)
			fail_msg("\"%s\": \"%s\" \"%s\"", cases[i].text, error_message(error), error_get_hint(error));
		error_free(error);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_form),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
