/* The texts of DeleteObjects. */
#include "scratch.h"

#include "s3_private.h"
#include "s3_xml.h"

static void
a_request_names_all_keys_with_the_prefix(void **state)
{
	static const char *const keys[] = {"7/wal/1.tar", "a"};
	AUTO_BUF(got, 10000);

	(void) state;
	s3_remove_request("pre/fix/", keys, lengthof(keys), &got);
	assert_string_equal(got.data,
	                    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
	                    "<Object><Key>pre/fix/7/wal/1.tar</Key></Object>"
	                    "<Object><Key>pre/fix/a</Key></Object></Delete>");
}

static const char *const awkward_keys[] = {
	"plain",         "a&b",        "a<b>c",          "\"quoted\" 'twice'",  "]]>",          "&amp;",
	"</Key>",        "<!-- x -->", " blanks  both ", "tab\tline\nreturn\r", "\x01\x1f\x7f", "\xc3\xa4€🐘",
	"a+b%20c?d=e#f", "",
};

static Error *
collect_key(void *context, const char *path, const char *text)
{
	if (strcmp(path, "Delete/Object/Key") == 0)
		strlist_add(context, text);
	return NULL;
}

static void
awkward_keys_arrive_as_they_are(void **state)
{
	AUTO_BUF(got, 10000);
	AUTO_STRLIST read = {0};

	(void) state;
	s3_remove_request("", awkward_keys, lengthof(awkward_keys), &got);
	assert_ok(s3_xml_parse(got.data, got.size, collect_key, &read));
	assert_int_equal(read.count, lengthof(awkward_keys));
	for (size_t i = 0; i < read.count; i++)
		assert_string_equal(read.items[i], awkward_keys[i]);
}

typedef struct EscapeCase
{
	const char *input;
	const char *expected;
} EscapeCase;

static const EscapeCase escape_cases[] = {
	{"a/b-c_d.e", "a/b-c_d.e"},   {"&", "&#38;"},     {"<>", "&#60;&#62;"},     {"\"'", "&#34;&#39;"},
	{"\r\n\t", "&#13;&#10;&#9;"}, {"\x7f", "&#127;"}, {"\xc3\xa4", "\xc3\xa4"},
};

static void
what_has_a_meaning_in_xml_is_written_by_number(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(escape_cases); i++)
	{
		AUTO_BUF(got, 1000);

		s3_xml_escape(escape_cases[i].input, &got);
		assert_string_equal(got.data, escape_cases[i].expected);
	}
}

static Error *
write_down(void *context, const char *key, const char *code, const char *message)
{
	buf_printf(context, "%s|%s|%s;", key == NULL ? "-" : key, code == NULL ? "-" : code,
	           message == NULL ? "-" : message);
	return NULL;
}

typedef struct AnswerCase
{
	const char *name;
	const char *input;
	const char *expected; /* NULL: not an answer */
} AnswerCase;

static const AnswerCase answer_cases[] = {
	{"all gone", "<DeleteResult/>", ""},
	{"all gone, as AWS says it",
     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
     "</DeleteResult>\n",
     ""},
	{"not quiet",
     "<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted></DeleteResult>", ""},
	{"one denied",
     "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
     "</DeleteResult>",
     "a|AccessDenied|Access Denied;"},
	{"some of each",
     "<DeleteResult><Deleted><Key>x</Key></Deleted><Error><Code>InternalError</Code><Key>b</Key></Error>"
     "<Deleted><Key>y</Key></Deleted><Error><Key>c</Key><VersionId>null</VersionId><Code>SlowDown</Code>"
     "<Message/></Error></DeleteResult>",
     "b|InternalError|-;c|SlowDown|;"},
	{"awkward key", "<DeleteResult><Error><Key>a&amp;b&lt;&#10;</Key><Code>X</Code></Error></DeleteResult>",
     "a&b<\n|X|-;"},
	{"no key", "<DeleteResult><Error><Code>X</Code></Error></DeleteResult>", "-|X|-;"},
	{"no code", "<DeleteResult><Error><Key>a</Key></Error></DeleteResult>", "a|-|-;"},
	{"empty entry", "<DeleteResult><Error/></DeleteResult>", "-|-|-;"},
	{"nothing", "", NULL},
	{"half", "<DeleteResult><Error><Key>a</Key></Error>", NULL},
	{"another answer", "<ListBucketResult/>", NULL},
	{"a longer name", "<DeleteResults></DeleteResults>", NULL},
	{"a page", "<html><body>Welcome</body></html>", NULL},
};

static void
an_answer_names_what_was_not_removed(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(answer_cases); i++)
	{
		const AnswerCase *row = &answer_cases[i];
		AUTO_BUF(got, 10000);
		AUTO(Error) error = s3_remove_answer(row->input, strlen(row->input), write_down, &got);

		if (row->expected == NULL && !error_is(error, ERR_CORRUPT))
			fail_msg("%s: taken", row->name);
		if (row->expected != NULL &&
		    (error != NULL || strcmp(got.data == NULL ? "" : got.data, row->expected) != 0))
			fail_msg("%s: %s", row->name, error == NULL ? got.data : error_message(error));
	}
}

static Error *
refuse(void *context, const char *key, const char *code, const char *message)
{
	(void) context;
	(void) code;
	(void) message;
	return error_new(ERR_EXISTS, "%s was seen", key);
}

static void
an_error_of_the_callback_ends_the_reading(void **state)
{
	static const char text[] = "<DeleteResult><Error><Key>a</Key><Code>X</Code></Error></DeleteResult>";

	(void) state;
	assert_error(s3_remove_answer(text, strlen(text), refuse, NULL), ERR_EXISTS, "a was seen");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_names_all_keys_with_the_prefix),
		cmocka_unit_test(awkward_keys_arrive_as_they_are),
		cmocka_unit_test(what_has_a_meaning_in_xml_is_written_by_number),
		cmocka_unit_test(an_answer_names_what_was_not_removed),
		cmocka_unit_test(an_error_of_the_callback_ends_the_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
