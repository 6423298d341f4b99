/* JSON, read strictly and written exactly. */
#include "walship/base/json.h"

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
	const size_t size = 1000000;
	AUTO_FREE char *text = mem_alloc(size);
	Json *root = NULL;

	(void) state;
	memset(text, '[', size);
	assert_error(json_parse(text, size, "document", &root), ERR_CORRUPT, "document is not valid JSON");
}

#define ALL_TYPES                                                                                 \
	"{\"text\": \"x\", \"int\": 7, \"minus\": -7, \"half\": 0.5, \"yes\": true, \"none\": null, " \
	"\"list\": [1], \"object\": {}, \"time\": \"2026-11-20T02:30:07.500000Z\", \"local\": \"2026-11-20 02:30\"}"

typedef enum Getter
{
	GET_STRING,
	GET_INT,
	GET_UINT,
	GET_BOOL,
	GET_TIME,
} Getter;

static Error *
get_any(const Json *object, Getter getter, const char *name)
{
	const char *string = NULL;
	int64_t number = 42;
	uint64_t positive = 42;
	bool boolean = false;
	TimeUs time = 42;
	Error *error = NULL;

	switch (getter)
	{
		case GET_STRING:
			error = json_get_string(object, name, &string);
			break;
		case GET_INT:
			error = json_get_int(object, name, &number);
			break;
		case GET_UINT:
			error = json_get_uint(object, name, &positive);
			break;
		case GET_BOOL:
			error = json_get_bool(object, name, &boolean);
			break;
		case GET_TIME:
			error = json_get_time(object, name, &time);
			break;
	}
	if (error != NULL)
		assert_true(string == NULL && number == 42 && positive == 42 && !boolean && time == 42);
	return error;
}

static void
a_missing_member_and_one_of_another_type_are_named(void **state)
{
	static const struct
	{
		Getter getter;
		const char *members; /* those that it takes, each with a blank before and after */
	} rows[] = {
		{GET_STRING, " text time local "}, {GET_INT, " int minus "}, {GET_UINT, " int "}, {GET_BOOL, " yes "},
		{GET_TIME, " time none "},
	};
	static const char *const names[] = {"text", "int",    "minus", "half",  "yes",     "none",
	                                    "list", "object", "time",  "local", "missing", "TEXT"};
	AUTO(Json) root = parsed(ALL_TYPES);

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		for (size_t j = 0; j < lengthof(names); j++)
		{
			AUTO_FREE char *word = mem_printf(" %s ", names[j]);
			AUTO_FREE char *message = mem_printf("member \"%s\" is missing or is not", names[j]);
			Error *error = get_any(root, rows[i].getter, names[j]);

			if (strstr(rows[i].members, word) != NULL)
				assert_ok(error);
			else
				assert_error(error, ERR_CORRUPT, message);
		}
	assert_true(json_has(root, "list"));
	assert_false(json_has(root, "none"));
	assert_false(json_has(root, "missing"));
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
		assert_error(get_any(root, GET_STRING, "x"), ERR_CORRUPT, "\"x\"");
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
		json_append_int(json_add_array(root, "list"), rows[i].value);
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
		json_append_string(list, texts[i]);
	json_add_bool(root, "no", false);
	json_add_string(root, "nothing", NULL);
	json_add_time(root, "time", INT64_C(1763605807123456));
	json_add_time(root, "never", TIME_NONE);
	json_add_bool(json_append_object(json_add_array(root, "objects")), "inner", true);
	json_add_string(json_add_object(root, "object"), "a", "b");
	json_print(root, false, &text);

	AUTO(Json) back = parsed(text.data);

	for (const Json *item = json_first(json_get(back, "texts")); item != NULL; item = json_next(item))
		assert_string_equal(json_string_value(item), texts[n++]);
	assert_int_equal(n, lengthof(texts));
	assert_true(json_is_array(json_get(back, "texts")));
	assert_true(json_is_object(json_get(back, "object")));
	assert_ok(json_get_bool(back, "no", &boolean));
	assert_false(boolean);
	assert_ok(json_get_bool(json_first(json_get(back, "objects")), "inner", &boolean));
	assert_true(boolean);
	assert_false(json_has(back, "nothing"));
	assert_ok(json_get_time(back, "time", &time));
	assert_int_equal(time, INT64_C(1763605807123456));
	assert_ok(json_get_time(back, "never", &time));
	assert_int_equal(time, TIME_NONE);
}

static void
words_are_one_text_here_and_an_array_there(void **state)
{
	static const char *const texts[] = {"", "a", "age1xyz, B2, passphrase"};
	static const char *const wrong[] = {
		"{\"w\": \"a\"}",
		"{\"w\": [1]}",
		"{\"w\": [\"\"]}",
		"{\"w\": [\"a, b\"]}",
		"{\"w\": [\"a\", null]}",
		"{\"w\": {}}",
		"{\"w\": [\"abcdefghijklmnopqrstuvwxyz\"]}",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		AUTO(Json) root = json_new_object();
		char back[26] = "?";

		json_add_words(root, "w", texts[i]);
		assert_int_equal(json_get(root, "w") != NULL, texts[i][0] != '\0');
		assert_null(json_get_words(root, "w", back, sizeof(back)));
		assert_string_equal(back, texts[i]);
	}
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		AUTO(Json) root = NULL;
		char back[26] = "?";

		assert_null(json_parse(wrong[i], strlen(wrong[i]), "text", &root));

		AUTO(Error) error = json_get_words(root, "w", back, sizeof(back));

		if (!error_is(error, ERR_CORRUPT))
			fail_msg("accepted: %s", wrong[i]);
		assert_string_equal(back, "?");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_one_document_is_refused),
		cmocka_unit_test(nesting_without_end_is_refused),
		cmocka_unit_test(a_missing_member_and_one_of_another_type_are_named),
		cmocka_unit_test(members_of_what_is_no_object_are_missing),
		cmocka_unit_test(whole_numbers_are_exact_or_refused),
		cmocka_unit_test(whole_numbers_are_printed_with_every_digit),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(words_are_one_text_here_and_an_array_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
