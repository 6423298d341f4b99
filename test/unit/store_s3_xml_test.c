/* The scanner of S3's answers, and what they mean. */
#include "scratch.h"

#include "s3_error.h"
#include "s3_xml.h"

static Error *
write_down(void *context, const char *path, const char *text)
{
	buf_printf(context, "%s%s%s;", path, text == NULL ? "" : "=", text == NULL ? "" : text);
	return NULL;
}

typedef struct XmlCase
{
	const char *name;
	const char *input;
	const char *expected; /* NULL: malformed */
} XmlCase;

static const XmlCase xml_cases[] = {
	{"an error",
     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Key>a&amp;b</Key></Error>\n",
     "Error/Code=NoSuchKey;Error/Key=a&b;Error;"},
	{"a name space", "<L xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><A>1</A></L>", "L/A=1;L;"},
	{"a prefix of a name space", "<s3:L xmlns:s3='x'><s3:A b=\"c>d\">1</s3:A></s3:L>", "L/A=1;L;"},
	{"blanks before the verdict", "  \r\n\t  <A/>  \n", "A=;"},
	{"empty elements", "<A><B/><C></C><D x='/'/></A>", "A/B=;A/C=;A/D=;A;"},
	{"a comment", "<!-- <A> --><B>x<!-- y -->z</B>", "B=xz;"},
	{"blanks between elements", "<A>\n  <B> x </B>\n</A>", "A/B= x ;A;"},
	{"references", "<A>&lt;&gt;&quot;&apos;&#65;&#x42;&#xe4;&#x20AC;&#128024;</A>", "A=<>\"'AB\xc3\xa4€🐘;"},
	{"depth", "<A><B><C><D>1</D></C></B></A>", "A/B/C/D=1;A/B/C;A/B;A;"},
	{"nothing", "", NULL},
	{"blanks only", " \n ", NULL},
	{"no XML", "Service Unavailable", NULL},
	{"half a document", "<A><B>1</B>", NULL},
	{"half a tag", "<A><B", NULL},
	{"wrong nesting", "<A><B></A></B>", NULL},
	{"a close too many", "<A></A></A>", NULL},
	{"two documents", "<A/><B/>", NULL},
	{"text behind", "<A/>x", NULL},
	{"a document type", "<!DOCTYPE a [<!ENTITY b \"c\">]><A>&b;</A>", NULL},
	{"an unknown entity", "<A>&b;</A>", NULL},
	{"an endless entity", "<A>&amp</A>", NULL},
	{"reference to nothing", "<A>&#0;</A>", NULL},
	{"reference to a surrogate", "<A>&#xD800;</A>", NULL},
	{"reference beyond Unicode", "<A>&#x110000;</A>", NULL},
	{"a signed reference", "<A>&#-65;</A>", NULL},
	{"too deep", "<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>", NULL},
	{"no name", "<A>< ></A>", NULL},
};

static void
documents_are_read_whole_or_not_at_all(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(xml_cases); i++)
	{
		const XmlCase *row = &xml_cases[i];
		AUTO_BUF(got, 10000);
		AUTO(Error) error = s3_xml_parse(row->input, strlen(row->input), write_down, &got);

		if (row->expected == NULL)
		{
			if (error == NULL)
				fail_msg("%s: taken as %s", row->name, got.data);
			assert_true(error_is(error, ERR_CORRUPT));
			continue;
		}
		if (error != NULL || strcmp(got.data, row->expected) != 0)
			fail_msg("%s: %s", row->name, error == NULL ? got.data : error_message(error));
	}
}

static void
no_prefix_of_a_document_is_a_document(void **state)
{
	static const char text[] = "<?xml version=\"1.0\"?><A x=\"y\"><B>&amp;1</B><!-- c --><C/></A>";

	(void) state;
	for (size_t size = 0; size < sizeof(text) - 1; size++)
	{
		AUTO_BUF(got, 10000);

		assert_error(s3_xml_parse(text, size, write_down, &got), ERR_CORRUPT, NULL);
	}
}

static void
a_leaf_is_found_by_its_path(void **state)
{
	static const char text[] = "<R><A><B>1</B></A><B>2</B></R>";
	AUTO_FREE char *inner = s3_xml_find(text, strlen(text), "R/A/B");
	AUTO_FREE char *outer = s3_xml_find(text, strlen(text), "R/B");

	(void) state;
	assert_string_equal(inner, "1");
	assert_string_equal(outer, "2");
	assert_null(s3_xml_find(text, strlen(text), "R/A"));
	assert_null(s3_xml_find(text, strlen(text), "B"));
	assert_null(s3_xml_find(text, strlen(text) - 1, "R/B"));
	assert_null(s3_xml_find(NULL, 0, "R/B"));
}

typedef struct MeaningCase
{
	const char *code;
	int status;
	S3ErrorClass class;
	ErrorKind kind;
	bool passing;
} MeaningCase;

static const MeaningCase meaning_cases[] = {
	{"NoSuchKey", 404, S3_ABSENT, ERR_NOT_FOUND, false},
	{NULL, 404, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"SomethingElse", 404, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"NoSuchBucket", 404, S3_REFUSED, ERR_TRANSIENT, false},
	{"NoSuchUpload", 404, S3_NO_UPLOAD, ERR_TRANSIENT, false},
	{"SlowDown", 503, S3_THROTTLED, ERR_TRANSIENT, true},
	{"RequestRateLimitExceeded", 400, S3_THROTTLED, ERR_TRANSIENT, true},
	{NULL, 503, S3_THROTTLED, ERR_TRANSIENT, true},
	{NULL, 429, S3_THROTTLED, ERR_TRANSIENT, true},
	{"InternalError", 500, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"InternalError", 200, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"SomethingNew", 500, S3_TRANSIENT, ERR_TRANSIENT, true},
	{NULL, 599, S3_TRANSIENT, ERR_TRANSIENT, true},
	{NULL, 302, S3_TRANSIENT, ERR_TRANSIENT, true},
	{NULL, 408, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"RequestTimeout", 400, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"IncompleteBody", 400, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"BadDigest", 400, S3_DAMAGED, ERR_TRANSIENT, true},
	{"ConditionalRequestConflict", 409, S3_TRANSIENT, ERR_TRANSIENT, true},
	{"PreconditionFailed", 412, S3_TAKEN, ERR_EXISTS, false},
	{NULL, 412, S3_TAKEN, ERR_EXISTS, false},
	{"NotImplemented", 501, S3_UNSUPPORTED, ERR_USAGE, false},
	{"InvalidRange", 416, S3_BEYOND, ERR_TRANSIENT, false},
	{"RequestTimeTooSkewed", 403, S3_CLOCK, ERR_TRANSIENT, false},
	{"AuthorizationHeaderMalformed", 400, S3_REGION, ERR_TRANSIENT, false},
	{NULL, 301, S3_REGION, ERR_TRANSIENT, false},
	{"AccessDenied", 403, S3_DENIED, ERR_DENIED, false},
	{"SomethingNew", 403, S3_DENIED, ERR_DENIED, false},
	{NULL, 403, S3_DENIED, ERR_DENIED, false},
	{"SignatureDoesNotMatch", 403, S3_DENIED, ERR_DENIED, false},
	{"ExpiredToken", 400, S3_DENIED, ERR_DENIED, false},
	{"InvalidStorageClass", 400, S3_WRONG, ERR_USAGE, false},
	{"SomethingNew", 400, S3_REFUSED, ERR_TRANSIENT, false},
	{NULL, 200, S3_DONE, ERR_TRANSIENT, false},
	{NULL, 206, S3_DONE, ERR_TRANSIENT, false},
	{NULL, 204, S3_DONE, ERR_TRANSIENT, false},
};

static void
answers_mean_what_their_code_says_and_else_their_status(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(meaning_cases); i++)
	{
		const MeaningCase *row = &meaning_cases[i];
		const S3ErrorRule *meaning = s3_error_rule(row->code, row->status);

		if (meaning->class != row->class || s3_error_is_transient(meaning->class) != row->passing ||
		    (row->class != S3_DONE && s3_error_kind(meaning->class) != row->kind))
			fail_msg("%s, %d: class %d", row->code == NULL ? "-" : row->code, row->status,
			         (int) meaning->class);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_whole_or_not_at_all),
		cmocka_unit_test(no_prefix_of_a_document_is_a_document),
		cmocka_unit_test(a_leaf_is_found_by_its_path),
		cmocka_unit_test(answers_mean_what_their_code_says_and_else_their_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
