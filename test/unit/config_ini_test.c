/* The settings file's syntax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "private.h"
#include "walship/base/buf.h"

/* Every entry as "section/key=value@line", one after the other; or the error's message. */
static void
describe(const char *text, Buf *into)
{
	AUTO(Ini) ini = NULL;
	AUTO(Error) error = ini_parse("w.conf", text, strlen(text), &ini);

	if (error != NULL)
	{
		assert_int_equal(error_kind(error), ERR_USAGE);
		buf_puts(into, error_message(error));
		return;
	}
	for (size_t i = 0; i < ini->n_entries; i++)
	{
		const IniEntry *entry = &ini->entries[i];

		if (entry->section >= 0)
			buf_printf(into, "%s:%s/", ini->sections[entry->section].kind,
			           ini->sections[entry->section].name);
		buf_printf(into, "%s=%s@%d ", entry->key, entry->value, entry->line);
	}
}

static void
lines_are_settings_sections_comments_or_errors(void **state)
{
	static const struct
	{
		const char *text;
		const char *expected;
	} cases[] = {
		{"", ""},
		{"\n\n  \t\n", ""},
		{"# c\n; c\n   # c", ""},
		{"a=b", "a=b@1 "},
		{"\xEF\xBB\xBF"
	     "a=b\r\nc=d\r\n",
	     "a=b@1 c=d@2 "},
		{"\xEF\xBB\xBF", ""},
		{"\xEF\xBB"
	     "a=b",
	     "w.conf:1: malformed name of a setting"},
		{"a=b\n", "a=b@1 "},
		{"\r\na = b\r\n", "a=b@2 "},
		{"  a \t=\t b c  \n", "a=b c@1 "},
		{"a=", "a=@1 "},
		{"a = b=c", "a=b=c@1 "},
		{"a = b#c", "a=b#c@1 "},
		{"a = b # c # d", "a=b@1 "},
		{"a = b ;c", "a=b@1 "},
		{"a = #c", "a=@1 "},
		{"a = 'b # c'", "a=b # c@1 "},
		{"a = \"b\" # c", "a=b@1 "},
		{"a = ' b '", "a= b @1 "},
		{"a = ''", "a=@1 "},
		{"a = \"it's\"", "a=it's@1 "},
		{"a = it's", "a=it's@1 "},
		{"a=1\n[cluster x]\na=2\n[ cluster \t y.z-1 ]\na=3\nb=4",
	     "a=1@1 cluster:x/a=2@3 cluster:y.z-1/a=3@5 cluster:y.z-1/b=4@6 "},
		{"a = 'b", "w.conf:1: malformed quotes"},
		{"a = '", "w.conf:1: malformed quotes"},
		{"a = 'b' c", "w.conf:1: malformed quotes"},
		{"\na b", "w.conf:2: neither a setting nor a section nor a comment"},
		{"= b", "w.conf:1: malformed name of a setting"},
		{"a b = c", "w.conf:1: malformed name of a setting"},
		{"[cluster x", "w.conf:1: section without \"]\" at the end of the line"},
		{"[", "w.conf:1: section without \"]\" at the end of the line"},
		{"[]", "w.conf:1: malformed section"},
		{"[cluster]", "w.conf:1: malformed section"},
		{"[cluster a b]", "w.conf:1: malformed section"},
		{"[cluster a/b]", "w.conf:1: malformed section"},
		{"[a]b]", "w.conf:1: malformed section"},
		{"a=1\n\na=2", "w.conf:3: setting \"a\" occurs twice, first in line 1"},
		{"[cluster x]\na=1\na=1", "w.conf:3: setting \"a\" occurs twice, first in line 2"},
		{"[cluster x]\n[cluster y]\n[cluster x]",
	     "w.conf:3: section [cluster x] occurs twice, first in line 1"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AUTO_BUF(found, 4096);

		describe(cases[i].text, &found);
		if (strcmp(found.data != NULL ? found.data : "", cases[i].expected) != 0)
			fail_msg("\"%s\": expected \"%s\", found \"%s\"", cases[i].text, cases[i].expected, found.data);
	}
}

static void
a_binary_file_is_refused(void **state)
{
	AUTO(Ini) ini = NULL;
	AUTO(Error) error = ini_parse("w.conf", "a=b\0c", 5, &ini);

	(void) state;
	assert_true(error_is(error, ERR_USAGE));
	assert_string_equal(error_message(error), "file \"w.conf\" is not a text file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_settings_sections_comments_or_errors),
		cmocka_unit_test(a_binary_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
