/* Lines that are added to a settings file: everything else stays, byte for byte, and reads back as it was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "private.h"
#include "walship/config/settings_file.h"

typedef struct FileRow
{
	const char *name;
	const char *cluster;
	const char *text;
	const char *expected;
} FileRow;

static const SettingLine two[] = {{"store", "s3://b/p"}, {"jobs", "2"}};

#define ADDED "store = s3://b/p\njobs = 2\n"

static const FileRow rows[] = {
	{"a new file", NULL, "", ADDED},
	{"a file of comments", NULL, "# settings\n#store = x\n", "# settings\n#store = x\n" ADDED},
	{"behind the last setting", NULL, "retention = last 3\n\n# the end\n",
     "retention = last 3\n" ADDED "\n# the end\n"},
	{"the last line has no end", NULL, "retention = last 3", "retention = last 3\n" ADDED},
	{"above the sections", NULL, "retention = last 3\n\n[cluster a]\nport = 1\n",
     "retention = last 3\n" ADDED "\n[cluster a]\nport = 1\n"},
	{"there are sections only", NULL, "[cluster a]\nport = 1\n", ADDED "[cluster a]\nport = 1\n"},
	{"a new section of a new file", "b", "", "[cluster b]\n" ADDED},
	{"a new section", "b", "retention = last 3\n", "retention = last 3\n\n[cluster b]\n" ADDED},
	{"a section that is there", "a", "x = 1\n [ cluster  a ] # note\ny = 2\n\n[cluster b]\nz = 3\n",
     "x = 1\n [ cluster  a ] # note\ny = 2\n" ADDED "\n[cluster b]\nz = 3\n"},
	{"an empty section", "a", "[cluster a]\n[cluster b]\n", "[cluster a]\n" ADDED "[cluster b]\n"},
	{"a section whose name begins alike", "a", "[cluster ab]\ny = 2\n",
     "[cluster ab]\ny = 2\n\n[cluster a]\n" ADDED},
	{"a store of that name is no cluster", "a", "[store a]\ny = 2\n",
     "[store a]\ny = 2\n\n[cluster a]\n" ADDED},
};

static void
test_lines_are_added_and_nothing_else_changes(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(into, 65536);
		AUTO(Error) error =
			settings_file_add(rows[i].text, strlen(rows[i].text), rows[i].cluster, two, lengthof(two), &into);

		if (error != NULL)
			fail_msg("%s: %s", rows[i].name, error_message(error));
		if (strcmp(into.data, rows[i].expected) != 0)
			fail_msg("%s: got\n%s", rows[i].name, into.data);
	}
}

static void
test_every_value_reads_back_as_it_was(void **state)
{
	static const char *const values[] = {"plain",    "two words", "a #b",      "a#b",       "#begins",
	                                     "'quoted'", "it's",      "say \"x\"", " blanks ",  "",
	                                     ";",        "a ; b 'c'", "x = y",     "[section]", "host='/a b'"};

	(void) state;
	for (size_t i = 0; i < lengthof(values); i++)
	{
		SettingLine line = {"name", values[i]};
		AUTO_BUF(into, 65536);
		AUTO(Ini) ini = NULL;
		AUTO(Error) error = settings_file_add("", 0, NULL, &line, 1, &into);

		assert_null(error);
		error = ini_parse("w.conf", into.data, into.size, &ini);
		assert_null(error);
		assert_int_equal(ini->n_entries, 1);
		assert_string_equal(ini->entries[0].value, values[i]);
	}
}

static void
test_what_the_syntax_cannot_hold_is_refused(void **state)
{
	static const char *const values[] = {"two\nlines", "'a' \"b\"", "a 'b' \"c\" # d"};

	(void) state;
	for (size_t i = 0; i < lengthof(values); i++)
	{
		SettingLine line = {"name", values[i]};
		AUTO_BUF(into, 65536);
		AUTO(Error) error = settings_file_add("", 0, NULL, &line, 1, &into);

		assert_true(error_is(error, ERR_USAGE));
		assert_non_null(strstr(error_message(error), "\"name\""));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_added_and_nothing_else_changes),
		cmocka_unit_test(test_every_value_reads_back_as_it_was),
		cmocka_unit_test(test_what_the_syntax_cannot_hold_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
