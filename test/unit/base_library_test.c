/* Loading shared libraries at the moment of need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "walship/base/library.h"

#define C_LIBRARY "libc.so.6"

typedef size_t (*LengthFunction)(const char *text);

static Error *
load(const char *soname, const char *name, LengthFunction *ret_function)
{
	LibrarySymbol symbols[] = {{"strcmp", &(LengthFunction){NULL}}, {name, ret_function}};
	LibraryTable table = {soname, "Install it.", symbols, lengthof(symbols)};

	return library_load(&table);
}

static void
a_function_of_a_library_can_be_called(void **state)
{
	LengthFunction length = NULL;

	(void) state;
	assert_null(load(C_LIBRARY, "strlen", &length));
	assert_non_null(length);
	assert_int_equal(length("four"), 4);
}

static void
what_cannot_be_loaded_is_named_with_the_remedy(void **state)
{
	static const struct
	{
		const char *soname;
		const char *function;
		const char *message;
		const char *hint;
	} cases[] = {
		{"libwalship-nowhere.so.9", "strlen",
	     "could not load library \"libwalship-nowhere.so.9\": ", "Install it."},
		{C_LIBRARY, "walship_nowhere", "library \"libc.so.6\" has no function walship_nowhere(): ", "older"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		LengthFunction length = NULL;
		AUTO(Error) error = load(cases[i].soname, cases[i].function, &length);

		assert_true(error_is(error, ERR_SYSTEM));
		assert_memory_equal(error_message(error), cases[i].message, strlen(cases[i].message));
		assert_non_null(strstr(error_get_hint(error), cases[i].hint));
		assert_null(length);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_of_a_library_can_be_called),
		cmocka_unit_test(what_cannot_be_loaded_is_named_with_the_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
