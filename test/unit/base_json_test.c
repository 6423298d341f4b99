/* JSON, read strictly and written exactly. */
#include "walship/base/json_fields.h"

#include "scratch.h"

static Json *
parsed(const char *text)
{
	Json *root = NULL;

	assert_ok(json_parse(text, strlen(text), "document", &root));
	return root;
}

static void
what_is_not_one_document_is_refused(void **state)
{
	static const struct
	{
		const char *name;
		const char *text;
		size_t size;
		const char *part; /* NULL: valid */
	} rows[] = {
		{"object", "{}", 2, NULL},
		{"white space around it", " \t\r\n{} \t\r\n", 10, NULL},
		{"empty", "", 0, "not valid JSON"},
		{"only blanks", "  ", 2, "not valid JSON"},
		{"cut", "{\"a\": 1", 7, "not valid JSON"},
		{"cut by its size", "{\"a\": 1}", 7, "not valid JSON"},
		{"trailing letter", "{}x", 3, "trailing bytes"},
		{"second document", "{}{}", 4, "trailing bytes"},
		{"trailing NUL", "{}", 3, "trailing bytes"},
		{"no quotes", "{a: 1}", 6, "not valid JSON"},
		{"trailing comma", "[1,]", 4, "not valid JSON"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		Json *root = NULL;
		Error *error = json_parse(rows[i].text, rows[i].size, "document", &root);

		print_message("  %s\n", rows[i].name);
		if (rows[i].part == NULL)
			assert_ok(error);
		else
			assert_error(error, ERR_CORRUPT, rows[i].part);
		assert_int_equal(root != NULL, rows[i].part == NULL);
		json_free(root);
	}
}

static void
nesting_without_end_is_refused(void **state)
{
	const size_t size = 2000;
	AUTO_FREE char *text = mem_alloc(size);
	Json *root = NULL;

	(void) state;
	memset(text, '[', size);
	assert_error(json_parse(text, size, "document", &root), ERR_CORRUPT, "document is not valid JSON");
}

/* What is dense takes up to fifty times its size in memory. */
static void
a_text_with_more_values_than_it_needs_bytes_for_is_refused(void **state)
{
	static const char *const pieces[] = {"[", "1,", "\"\",", "{},", "[],", "\"a\":1,", "1234567,"};

	(void) state;
	for (size_t i = 0; i < lengthof(pieces); i++)
	{
		AUTO_BUF(text, 1024 * 1024);
		Json *root = NULL;

		buf_puts(&text, "[");
		for (int j = 0; j < 10000; j++)
			buf_puts(&text, pieces[i]);
		buf_puts(&text, "1]");
		print_message("  %s\n", pieces[i]);
		assert_error(json_parse(text.data, text.size, "document", &root), ERR_CORRUPT,
		             "document holds more values than its size allows for");
	}
}

/* Commas and brackets in strings are none, behind whatever quotes and backslashes. */
static void
text_in_strings_is_not_counted(void **state)
{
	AUTO_BUF(text, 1024 * 1024);
	Json *root = NULL;

	(void) state;
	buf_puts(&text, "[\"\\\"");
	for (int j = 0; j < 100000; j++)
		buf_puts(&text, "[,{\\\\\\\"");
	buf_puts(&text, "\"]");
	assert_ok(json_parse(text.data, text.size, "document", &root));
	json_free(root);
}

static void
what_a_terminal_would_obey_is_printed_as_an_escape(void **state)
{
	static const char *const hostile =
		"\x1B[31m \xC2\x9B\x33 \xE2\x80\xAEtxt.exe \x7F \xC3\xA9 \xE2\x82\xAC\t\n";
	AUTO(Json) root = json_new_object();
	AUTO(Json) back = NULL;
	AUTO_FREE char *text = NULL;

	(void) state;
	json_add_string(root, "name", hostile);
	text = json_text(root, true);
	assert_string_equal(text, "{\"name\":\"\\u001b[31m \\u009b3 \\u202etxt.exe \\u007f \xC3\xA9 "
	                          "\xE2\x82\xAC\\t\\n\"}");
	assert_ok(json_parse(text, strlen(text), "document", &back));
	assert_string_equal(json_string_value(json_get(back, "name")), hostile);
}

/* Braille, and others whose second byte looks as if a control began there. */
static void
characters_that_hold_bytes_of_controls_stay_whole(void **state)
{
	static const char *const names[] = {"\xE2\xA2\x80", "\xF3\xA2\x8F\x8F",
	                                    "\xE2\x82\xAC\xE2\xA2\x9B\xC3\xA9", "\xE1\x80\x8E\xE2\xA0\x80"};

	(void) state;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		AUTO(Json) root = json_new_object();
		AUTO_FREE char *expected = mem_printf("{\"name\":\"%s \\u007f\"}", names[i]);
		AUTO_FREE char *name = mem_printf("%s \x7F", names[i]);
		AUTO_FREE char *text = NULL;

		json_add_string(root, "name", name);
		text = json_text(root, true);
		assert_string_equal(text, expected);
	}
}

typedef struct Everything
{
	char *string;
	char *path;
	char text[8];
	char words[26];
	int64_t whole;
	int32_t natural;
	uint32_t uint32;
	uint64_t uint64;
	uint64_t decimal;
	bool boolean;
	uint32_t word;
	TimeUs time;
	uint8_t hex[2];
	struct
	{
		uint32_t number;
	} inner;
	struct
	{
		char *name;
	} * list;
	size_t n_list;
	uint64_t n_array;
	uint32_t array[3];
} Everything;

static const char *const known_words[] = {"zero", "one"};
static const JsonField inner_fields[] = {{"number", &json_uint, .size = sizeof(uint32_t)}};
static const JsonField item_fields[] = {{"name", &json_string, .size = sizeof(char *)}};
static const JsonTable inner_table = {inner_fields, 1, sizeof(uint32_t)};
static const JsonTable item_table = {item_fields, 1, sizeof(char *)};

static const JsonField fields[] = {
	{"string", &json_string, JSON_AT(Everything, string)},
	{"path", &json_path, JSON_AT(Everything, path)},
	{"text", &json_chars, JSON_AT(Everything, text)},
	{"words", &json_words, JSON_AT(Everything, words)},
	{"int", &json_int, JSON_AT(Everything, whole)},
	{"natural", &json_natural, JSON_AT(Everything, natural)},
	{"uint32", &json_uint, JSON_AT(Everything, uint32)},
	{"uint64", &json_uint, JSON_AT(Everything, uint64)},
	{"decimal", &json_decimal, JSON_AT(Everything, decimal)},
	{"bool", &json_bool, JSON_AT(Everything, boolean)},
	{"enum", &json_enum, JSON_AT(Everything, word), .names = known_words, .n_names = lengthof(known_words)},
	{"time", &json_time, JSON_AT(Everything, time)},
	{"hex", &json_hex, JSON_AT(Everything, hex)},
	{"constant", &json_constant, .text = "this"},
	{"struct", &json_struct, JSON_AT(Everything, inner), .of = &inner_table},
	{"list", &json_list, JSON_AT(Everything, list), .of = &item_table, .count = offsetof(Everything, n_list)},
	{"n_array", &json_uint, JSON_AT(Everything, n_array)},
	{"array", &json_array, JSON_AT(Everything, array), .of = &json_uints,
     .count = offsetof(Everything, n_array), .text = "n_array"},
};
static const JsonTable table = JSON_TABLE(Everything, fields);

/* The same with one flag more. */
static JsonField optional_fields[lengthof(fields)];
static JsonField maybe_fields[lengthof(fields)];
static const JsonTable optional_table = JSON_TABLE(Everything, optional_fields);
static const JsonTable maybe_table = JSON_TABLE(Everything, maybe_fields);

static int
make_tables(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(fields); i++)
	{
		optional_fields[i] = maybe_fields[i] = fields[i];
		optional_fields[i].flags = JSON_OPTIONAL;
		maybe_fields[i].flags = JSON_MAYBE;
	}
	return 0;
}

#define EVERYTHING                                                                                        \
	"{\"string\":\"s\",\"path\":\"/p\",\"text\":\"t\",\"words\":[\"a\",\"B2\"],\"int\":-7,\"natural\":7," \
	"\"uint32\":4294967295,\"uint64\":4294967296,\"decimal\":\"18446744073709551615\",\"bool\":true,"     \
	"\"enum\":\"one\",\"time\":\"2026-11-20T02:30:07.500000Z\",\"hex\":\"00ff\",\"constant\":\"this\","   \
	"\"struct\":{\"number\":5},\"list\":[{\"name\":\"x\"},{\"name\":\"y\"}],\"n_array\":2,\"array\":[1,2]}\n"

static void
release(Everything *all)
{
	free(all->string);
	free(all->path);
	for (size_t i = 0; i < all->n_list; i++)
		free(all->list[i].name);
	free(all->list);
}

static Error *
taken(const char *text, const JsonTable *by, Everything *ret_all)
{
	AUTO(Json) root = parsed(text);

	*ret_all = (Everything){.time = TIME_NONE};
	return json_take(root, by, ret_all);
}

static void
every_kind_is_read_and_printed_as_it_was(void **state)
{
	static const JsonTable *const tables[] = {&table, &optional_table, &maybe_table};

	(void) state;
	for (size_t i = 0; i < lengthof(tables); i++)
	{
		Everything all;
		AUTO(Json) root = json_new_object();
		AUTO(Json) some = json_new_object();
		AUTO_BUF(text, 4096);

		assert_ok(taken(EVERYTHING, tables[i], &all));
		json_put(root, tables[i], &all);
		json_print(root, true, &text);
		assert_string_equal(text.data, EVERYTHING);
		json_put_some(some, tables[i], "n_array bool", &all);
		buf_clear(&text);
		json_print(some, true, &text);
		assert_string_equal(text.data, "{\"n_array\":2,\"bool\":true}\n");
		release(&all);
	}
}

static void
what_is_not_set_is_null_or_left_out(void **state)
{
	static const struct
	{
		const JsonTable *table;
		const char *text;
	} rows[] = {
		{&maybe_table, "{\"string\":null,\"path\":null,\"text\":null,\"words\":null,\"int\":0,\"natural\":0,"
	                   "\"uint32\":null,\"uint64\":null,\"decimal\":\"0\",\"bool\":false,\"enum\":\"zero\","
	                   "\"time\":null,\"hex\":\"0000\",\"constant\":\"this\",\"struct\":{\"number\":0},"
	                   "\"list\":null,\"n_array\":null,\"array\":null}\n"},
		{&optional_table, "{\"int\":0,\"natural\":0,\"decimal\":\"0\",\"bool\":false,\"enum\":\"zero\","
	                      "\"hex\":\"0000\",\"constant\":\"this\",\"struct\":{\"number\":0}}\n"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		Everything all = {.time = TIME_NONE};
		Everything back;
		AUTO(Json) root = json_new_object();
		AUTO_BUF(text, 4096);

		json_put(root, rows[i].table, &all);
		json_print(root, true, &text);
		assert_string_equal(text.data, rows[i].text);
		assert_ok(taken(text.data, rows[i].table, &back));
		assert_null(back.string);
		assert_int_equal(back.time, TIME_NONE);
		assert_ok(taken("{}", rows[i].table, &back));
	}
}

/* The first "from" of EVERYTHING replaced. */
static char *
changed(const char *from, const char *to)
{
	const char *at = strstr(EVERYTHING, from);

	assert_non_null(at);
	return mem_printf("%.*s%s%s", (int) (at - EVERYTHING), EVERYTHING, to, at + strlen(from));
}

static void
a_wrong_member_is_named(void **state)
{
	static const struct
	{
		const char *from;
		const char *to;
		const char *says;
	} rows[] = {
		{"\"string\":", "\"other\":", "member \"string\" is missing"},
		{"\"string\":", "\"STRING\":", "member \"string\" is missing"},
		{"\"s\"", "7", "member \"string\" is not a string"},
		{"\"s\"", "null", "member \"string\" is not a string"},
		{"\"s\"", "\"s\",\"string\":\"s\"", "member \"string\" is there twice"},
		{"\"/p\"", "{\"hex\":\"zz\"}", "member \"path\" is not a path"},
		{"\"/p\"", "{\"hex\":\"2f0041\"}", "member \"path\" is not a path"},
		{"\"/p\"", "{}", "member \"path\" is not a path"},
		{"\"t\"", "\"12345678\"", "member \"text\" is not a string that is short enough: \"12345678\""},
		{"\"a\"", "1", "\"words\""},
		{"\"a\"", "\"\"", "\"words\""},
		{"\"a\"", "\"a, b\"", "\"words\""},
		{"\"a\"", "null", "\"words\""},
		{"\"a\"", "\"abcdefghijklmnopqrstuvwxyz\"", "\"words\" is too long"},
		{"[\"a\",\"B2\"]", "\"a\"", "\"words\""},
		{"[\"a\",\"B2\"]", "{}", "\"words\""},
		{"-7", "0.5", "\"int\" is not a whole number"},
		{"-7", "\"7\"", "\"int\" is not a whole number: \"7\""},
		{"\"natural\":7", "\"natural\":-7", "\"natural\""},
		{"\"natural\":7", "\"natural\":2147483648", "\"natural\" has an invalid value"},
		{"4294967295", "4294967296", "\"uint32\" has an invalid value"},
		{"4294967295", "-1", "\"uint32\""},
		{"4294967296", "-1", "\"uint64\""},
		{"4294967296", "9007199254740992", "\"uint64\""},
		{"18446744073709551615", "18446744073709551616", "\"decimal\""},
		{"18446744073709551615", "0x1", "\"decimal\""},
		{"true", "1", "\"bool\" is not true or false"},
		{"true", "null", "\"bool\""},
		{"\"one\"", "\"two\"", "\"enum\" is not one of the known words: \"two\""},
		{"\"one\"", "1", "\"enum\""},
		{"T02:30:07.500000Z", " 02:30", "\"time\" is not a time in UTC: \"2026-11-20 02:30\""},
		{"00ff", "00f", "\"hex\""},
		{"00ff", "00ff00", "\"hex\""},
		{"00ff", "00fg", "\"hex\""},
		{"\"this\"", "\"that\"", "\"constant\" is not one that this version knows: \"that\""},
		{"{\"number\":5}", "[]", "\"struct\" is not an object"},
		{"{\"number\":5}", "{}", "\"struct\": member \"number\" is missing"},
		{"[{\"name\":\"x\"}", "[{\"name\":1}", "\"list\", item 1: member \"name\""},
		{",{\"name\":\"y\"}", ",7", "\"list\", item 2: it is not an object"},
		{"[{\"name\":\"x\"},{\"name\":\"y\"}]", "{}", "\"list\" is not a list"},
		{"\"n_array\":2", "\"n_array\":3", "\"array\" has 2 items, \"n_array\" says otherwise"},
		{"[1,2]", "[1,2,3]", "\"array\" has 3 items"},
		{"[1,2]", "[1,\"2\"]", "\"array\", item 2: it is not a whole number that is not negative: \"2\""},
		{"[1,2]", "7", "\"array\" is not a list"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *text = changed(rows[i].from, rows[i].to);
		Everything all;

		print_message("  %s\n", rows[i].to);
		assert_error(taken(text, &table, &all), ERR_CORRUPT, rows[i].says);
		release(&all);
	}
}

static void
an_array_tells_of_more_than_it_has_room_for(void **state)
{
	AUTO_FREE char *text = changed("\"n_array\":2,\"array\":[1,2]", "\"n_array\":9,\"array\":[1,2,3]");
	AUTO_FREE char *long_text = changed("\"n_array\":2,\"array\":[1,2]", "\"n_array\":9,\"array\":[1,2,3,4]");
	AUTO(Json) root = json_new_object();
	AUTO_BUF(printed, 4096);
	Everything all;

	(void) state;
	assert_ok(taken(text, &table, &all));
	assert_int_equal(all.n_array, 9);
	json_put(root, &table, &all);
	json_print(root, true, &printed);
	assert_string_equal(printed.data, text);
	release(&all);
	assert_error(taken(long_text, &table, &all), ERR_CORRUPT, "\"array\" has 4 items");
	release(&all);
}

/* One byte in Latin-1 made the whole object unreadable. */
static void
what_is_not_utf8_makes_valid_json(void **state)
{
	char path[] = "/srv/caf\xE9";
	char note[] = "caf\xE9 \xE2\x82\xAC \xE2\x82 line\n";
	Everything all = {.string = note, .path = path, .time = TIME_NONE, .text = "\xFF"};
	Everything back = {.time = TIME_NONE};
	AUTO(Json) root = json_new_object();
	AUTO_BUF(text, 4096);

	(void) state;
	json_put_some(root, &table, "string path text", &all);
	json_print(root, true, &text);
	assert_string_equal(text.data, "{\"string\":\"caf? \xE2\x82\xAC ?? line\\n\",\"path\":{\"hex\":"
	                               "\"2f7372762f636166e9\"},\"text\":\"?\"}\n");

	/* A path is exact: by other bytes it would be another one. */
	assert_ok(taken(text.data, &optional_table, &back));
	assert_string_equal(back.path, path);
	release(&back);
}

static void
members_of_what_is_no_object_are_missing(void **state)
{
	static const char *const documents[] = {"[1, 2]", "7", "\"x\"", "null"};

	(void) state;
	for (size_t i = 0; i < lengthof(documents); i++)
	{
		AUTO(Json) root = parsed(documents[i]);

		assert_null(json_get(root, "x"));
		Everything all = {.time = TIME_NONE};

		assert_error(json_take(root, &table, &all), ERR_CORRUPT, "it is not an object");
	}
	assert_null(json_get(NULL, "x"));
	assert_null(json_first(NULL));
}

static void
whole_numbers_are_exact_or_refused(void **state)
{
	static const struct
	{
		const char *text;
		bool valid;
		int64_t value;
	} rows[] = {
		{"0", true, 0},
		{"-1", true, -1},
		{"9007199254740991", true, INT64_C(9007199254740991)},
		{"-9007199254740991", true, -INT64_C(9007199254740991)},
		{"9007199254740992", false, 0},
		{"9007199254740993", false, 0},
		{"-9007199254740993", false, 0},
		{"18446744073709551615", false, 0},
		{"1e300", false, 0},
		{"1e999", false, 0},
		{"1e3", true, 1000},
		{"1.5", false, 0},
		{"true", false, 0},
		{"\"1\"", false, 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *text = mem_printf("{\"n\": %s}", rows[i].text);
		AUTO(Json) root = parsed(text);
		int64_t value = 42;

		print_message("  %s\n", rows[i].text);
		assert_int_equal(json_int_value(json_get(root, "n"), &value), rows[i].valid);
		assert_int_equal(value, rows[i].valid ? rows[i].value : 42);
	}
}

static void
whole_numbers_are_printed_with_every_digit(void **state)
{
	static const struct
	{
		int64_t value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{-5, "-5"},
		{INT64_C(2147483648), "2147483648"},
		{INT64_C(1000000000000000), "1000000000000000"},
		{INT64_C(1763605807123457), "1763605807123457"},
		{INT64_C(9007199254740991), "9007199254740991"},
		{-INT64_C(9007199254740991), "-9007199254740991"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO(Json) root = json_new_object();
		AUTO_FREE char *expected = mem_printf("{\"n\":%s,\"list\":[%s]}\n", rows[i].text, rows[i].text);
		AUTO_BUF(text, 1024);

		json_add_int(root, "n", rows[i].value);
		json_add_int(json_add_array(root, "list"), NULL, rows[i].value);
		json_print(root, true, &text);
		assert_string_equal(text.data, expected);

		AUTO(Json) back = parsed(text.data);
		int64_t value;

		assert_ok(json_get_int(back, "n", &value));
		assert_int_equal(value, rows[i].value);
	}
}

static void
what_is_written_is_read_back(void **state)
{
	static const char *const texts[] = {"", "plain", "\"quotes\" and \\", "line\nbreak\t\x01", "\xC3\xA4"};
	AUTO(Json) root = json_new_object();
	Json *list = json_add_array(root, "texts");
	AUTO_BUF(text, 4096);
	TimeUs time;
	bool boolean;
	size_t n = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(texts); i++)
		json_add_string(list, NULL, texts[i]);
	json_add_bool(root, "no", false);
	json_add_string(root, "nothing", NULL);
	json_add_time(root, "time", INT64_C(1763605807123456));
	json_add_time(root, "never", TIME_NONE);
	json_add_bool(json_add_object(json_add_array(root, "objects"), NULL), "inner", true);
	json_add_string(json_add_object(root, "object"), "a", "b");
	json_print(root, false, &text);

	AUTO(Json) back = parsed(text.data);

	for (const Json *item = json_first(json_get(back, "texts")); item != NULL; item = json_next(item))
		assert_string_equal(json_string_value(item), texts[n++]);
	assert_int_equal(n, lengthof(texts));
	assert_true(json_is_array(json_get(back, "texts")));
	assert_true(json_is_object(json_get(back, "object")));
	assert_true(json_bool_value(json_get(back, "no"), &boolean));
	assert_false(boolean);
	assert_true(json_bool_value(json_get(json_first(json_get(back, "objects")), "inner"), &boolean));
	assert_true(boolean);
	assert_string_equal(json_name(json_get(back, "object")), "object");
	assert_false(json_has(back, "nothing"));
	assert_true(time_parse_utc(json_string_value(json_get(back, "time")), &time));
	assert_int_equal(time, INT64_C(1763605807123456));
	assert_true(json_is_null(json_get(back, "never")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_one_document_is_refused),
		cmocka_unit_test(nesting_without_end_is_refused),
		cmocka_unit_test(a_text_with_more_values_than_it_needs_bytes_for_is_refused),
		cmocka_unit_test(text_in_strings_is_not_counted),
		cmocka_unit_test(what_a_terminal_would_obey_is_printed_as_an_escape),
		cmocka_unit_test(characters_that_hold_bytes_of_controls_stay_whole),
		cmocka_unit_test(every_kind_is_read_and_printed_as_it_was),
		cmocka_unit_test(what_is_not_set_is_null_or_left_out),
		cmocka_unit_test(a_wrong_member_is_named),
		cmocka_unit_test(an_array_tells_of_more_than_it_has_room_for),
		cmocka_unit_test(what_is_not_utf8_makes_valid_json),
		cmocka_unit_test(members_of_what_is_no_object_are_missing),
		cmocka_unit_test(whole_numbers_are_exact_or_refused),
		cmocka_unit_test(whole_numbers_are_printed_with_every_digit),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, make_tables, NULL);
}
