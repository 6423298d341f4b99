/* Strings: lists, numbers, near names, quoting that a real shell undoes. */
#include "walship/base/strs.h"

#include "scratch.h"

static void
the_nearest_name_is_named_only_when_it_is_near(void **state)
{
	static const char *const names[] = {"store", "state_dir", "system", "s3_region", "jobs", "timezone"};
	static const struct
	{
		const char *word;
		const char *expected;
	} rows[] = {
		{"store", "store"},
		{"stroe", "store"},
		{"stor", "store"},
		{"stores", "store"},
		{"job", "jobs"},
		{"time_zone", "timezone"},
		{"statedir", "state_dir"},
		{"s3_regoin", "s3_region"},
		{"compression", NULL},
		{"xyz", NULL},
		{"", NULL},
		{"s3_region_and_so_on_and_so_on_and_so_on_and_so_on_and_so_on_and_on", NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const char *nearest = str_nearest(rows[i].word, names, lengthof(names));

		print_message("  \"%s\"\n", rows[i].word);
		assert_true(str_equal(nearest, rows[i].expected));
	}
	assert_null(str_nearest("store", names, 0));
}

static void
names_of_any_length_are_compared_within_bounds(void **state)
{
	char longest[65];
	char too_long[66];

	(void) state;
	memset(longest, 'x', sizeof(longest));
	memset(too_long, 'x', sizeof(too_long));
	longest[64] = '\0';
	too_long[65] = '\0';

	const char *const names[] = {too_long, longest};

	assert_ptr_equal(str_nearest(longest, names, 2), longest);
	assert_null(str_nearest(too_long, names, 2));
	assert_null(str_nearest(longest, names, 1));
}

static void
numbers_are_digits_only_and_in_range(void **state)
{
	static const struct
	{
		const char *text;
		bool valid;
		uint64_t value;
	} rows[] = {
		{"0", true, 0},
		{"007", true, 7},
		{"18446744073709551615", true, UINT64_MAX},
		{"18446744073709551616", false, 0},
		{"18446744073709551620", false, 0},
		{"99999999999999999999", false, 0},
		{"", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"+1", false, 0},
		{"-1", false, 0},
		{"1.0", false, 0},
		{"0x10", false, 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint64_t value = 42;

		print_message("  \"%s\"\n", rows[i].text);
		assert_int_equal(str_to_uint64(rows[i].text, &value), rows[i].valid);
		assert_int_equal(value, rows[i].valid ? rows[i].value : 42);
	}
}

static void
hex_fields_are_upper_case_as_the_servers(void **state)
{
	static const struct
	{
		const char *text;
		int digits;
		bool valid;
		uint32_t value;
	} rows[] = {
		{"0000000A", 8, true, 10}, {"FFFFFFFF", 8, true, UINT32_MAX}, {"0000000AB", 8, true, 10},
		{"0000000a", 8, false, 0}, {"0000000", 8, false, 0},          {"", 8, false, 0},
		{"0000000G", 8, false, 0}, {" 0000000", 8, false, 0},         {"1F", 2, true, 0x1F},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint32_t value = 42;

		assert_int_equal(str_hex_field(rows[i].text, rows[i].digits, &value), rows[i].valid);
		assert_int_equal(value, rows[i].valid ? rows[i].value : 42);
	}
}

static void
hex_goes_both_ways_and_a_bad_text_changes_nothing(void **state)
{
	static const char *const bad[] = {"",          "0",        "00112",    "0011223",
	                                  "001122334", "0011223g", "00 12233", "0011223344"};
	const uint8_t bytes[] = {0x00, 0x7F, 0x80, 0xFF};
	uint8_t back[4] = {1, 2, 3, 4};
	char text[9];

	(void) state;
	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "007f80ff");
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		assert_false(hex_decode(bad[i], back, sizeof(back)));
		assert_memory_equal(back, "\1\2\3\4", 4);
	}
	assert_true(hex_decode("007F80fF", back, sizeof(back)));
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_true(hex_decode("", back, 0));
}

static void
a_real_shell_undoes_the_quoting(void **state)
{
	static const char *const rows[] = {
		"",
		"plain",
		"it's",
		"'",
		"''''",
		"two words",
		"  blanks  ",
		"$HOME `id` $(id) \\ \\\\ \"x\" ! * ? ~ # & ; | < > ( ) { } [ ]",
		"line\nbreak\ttab",
		"%f %p %%",
		"-n",
		"\xC3\xA4\xFF\x01",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *quoted = str_shell_quote(rows[i]);
		AUTO_FREE char *command = mem_printf("printf '%%s' %s", quoted);
		char output[256];
		FILE *shell = popen(command, "r");

		assert_non_null(shell);
		size_t size = fread(output, 1, sizeof(output), shell);

		assert_int_equal(pclose(shell), 0);
		assert_int_equal(size, strlen(rows[i]));
		assert_memory_equal(output, rows[i], size);
	}
}

static void
lists_keep_copies_and_sort_by_bytes(void **state)
{
	static const char *const words[] = {"b", "a", "B", "", "a", "ab", "\xC3\xA4"};
	static const char *const sorted[] = {"", "B", "a", "a", "ab", "b", "\xC3\xA4"};
	AUTO_STRLIST list = {0};
	char word[8] = "";

	(void) state;
	strlist_sort(&list);
	for (size_t i = 0; i < lengthof(words); i++)
	{
		(void) snprintf(word, sizeof(word), "%s", words[i]);
		strlist_add(&list, word);
	}
	strlist_sort(&list);
	assert_int_equal(list.count, lengthof(sorted));
	for (size_t i = 0; i < list.count; i++)
		assert_string_equal(list.items[i], sorted[i]);
	assert_true(strlist_contains(&list, "ab"));
	assert_false(strlist_contains(&list, "abc"));
	strlist_release(&list);
	assert_int_equal(list.count, 0);
	strlist_add(&list, "again");
	assert_true(strlist_contains(&list, "again"));
}

static void
beginnings_ends_and_null(void **state)
{
	(void) state;
	assert_true(str_starts_with("walship", "wal"));
	assert_true(str_starts_with("walship", ""));
	assert_false(str_starts_with("wa", "wal"));
	assert_true(str_ends_with("x.tar", ".tar"));
	assert_true(str_ends_with("x", ""));
	assert_false(str_ends_with("tar", ".tar"));
	assert_true(str_equal(NULL, NULL));
	assert_false(str_equal(NULL, ""));
	assert_false(str_equal("", NULL));
	assert_true(str_equal("a", "a"));
}

static void
what_cannot_be_shown_becomes_a_question_mark(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"plain ~", "plain ~"},
		{"f\xC3\xBCnf \xE2\x82\xAC \xF0\x9F\x90\x98", "f\xC3\xBCnf \xE2\x82\xAC \xF0\x9F\x90\x98"},
		{"\x1B[31m\n\x7F", "?[31m??"},
		{"caf\xE9", "caf?"},
		{"C1 \xC2\x9B\x33\x31m, not \xC2\xA0", "C1 ?31m, not \xC2\xA0"},
		{"turned \xE2\x80\xAE\x61\xE2\x81\xA6\xD8\x9C.", "turned ?a??."},
		{"line \xE2\x80\xA8, mark \xE2\x80\x8F, dash \xE2\x80\x94", "line ?, mark ?, dash \xE2\x80\x94"},
		{"cut \xE2\x82", "cut ??"},
		{"overlong \xC0\xAF \xE0\x80\xAF", "overlong ?? ???"},
		{"surrogate \xED\xA0\x80", "surrogate ???"},
		{"beyond \xF4\x90\x80\x80", "beyond ????"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *clean = str_printable(rows[i][0]);

		assert_string_equal(clean, rows[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_name_is_named_only_when_it_is_near),
		cmocka_unit_test(names_of_any_length_are_compared_within_bounds),
		cmocka_unit_test(numbers_are_digits_only_and_in_range),
		cmocka_unit_test(hex_fields_are_upper_case_as_the_servers),
		cmocka_unit_test(hex_goes_both_ways_and_a_bad_text_changes_nothing),
		cmocka_unit_test(a_real_shell_undoes_the_quoting),
		cmocka_unit_test(lists_keep_copies_and_sort_by_bytes),
		cmocka_unit_test(beginnings_ends_and_null),
		cmocka_unit_test(what_cannot_be_shown_becomes_a_question_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
