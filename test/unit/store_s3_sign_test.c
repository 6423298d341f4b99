/* The signature, by AWS's own examples and by requests that are awkward to write down canonically. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3_sign.h"

#define DATE   "20130524T000000Z"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define KEY_ID "AKIAIOSFODNN7EXAMPLE"

#define PAIRS_MAX 5

typedef struct Pair
{
	const char *name;
	const char *value;
} Pair;

/* AWS: Signature Calculations for the Authorization Header, Examples. */
typedef struct Example
{
	const char *name;
	const char *method;
	const char *path; /* not encoded */
	Pair query[PAIRS_MAX];
	Pair headers[PAIRS_MAX]; /* besides host, x-amz-date and x-amz-content-sha256 */
	const char *payload;
	const char *signature;
} Example;

static const Example examples[] = {
	{"GET Object",
     "GET",
     "/test.txt",
     {{NULL, NULL}},
     {{"Range", "bytes=0-9"}},
     S3_EMPTY_SHA256,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT Object",
     "PUT",
     "/test$file.text",
     {{NULL, NULL}},
     {{"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"Date", "Fri, 24 May 2013 00:00:00 GMT"}},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"GET Bucket Lifecycle",
     "GET",
     "/",
     {{"lifecycle", ""}},
     {{NULL, NULL}},
     S3_EMPTY_SHA256,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"Get Bucket (List Objects)",
     "GET",
     "/",
     {{"prefix", "J"}, {"max-keys", "2"}},
     {{NULL, NULL}},
     S3_EMPTY_SHA256,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void
add_all(S3Pairs *into, const Pair *pairs)
{
	for (size_t i = 0; i < PAIRS_MAX && pairs[i].name != NULL; i++)
		s3_pairs_add(into, pairs[i].name, pairs[i].value);
}

static void
aws_examples_have_aws_signatures(void **state)
{
	S3SigningKey key;

	(void) state;
	s3_sign_key(SECRET, DATE, "us-east-1", &key);
	for (size_t i = 0; i < lengthof(examples); i++)
	{
		const Example *row = &examples[i];
		AUTO_PAIRS query = {0};
		AUTO_PAIRS headers = {0};
		AUTO_BUF(path, 1000);
		AUTO_BUF(authorization, 1000);

		add_all(&query, row->query);
		s3_pairs_add(&headers, "x-amz-date", DATE);
		s3_pairs_add(&headers, "Host", "examplebucket.s3.amazonaws.com");
		s3_pairs_add(&headers, "x-amz-content-sha256", row->payload);
		add_all(&headers, row->headers);
		s3_encode(row->path, true, &path);

		S3SignRequest request = {.method = row->method,
		                         .path = path.data,
		                         .query = &query,
		                         .headers = &headers,
		                         .payload = row->payload,
		                         .date = DATE,
		                         .region = "us-east-1"};

		s3_sign(&request, KEY_ID, &key, &authorization);
		if (strstr(authorization.data, row->signature) == NULL)
			fail_msg("%s: %s", row->name, authorization.data);
		assert_non_null(strstr(authorization.data,
		                       "Credential=" KEY_ID "/20130524/us-east-1/s3/aws4_request,SignedHeaders="));
	}
}

static void
everything_but_the_unreserved_is_encoded_once(void **state)
{
	static const struct
	{
		const char *text;
		const char *as_path;
		const char *as_query;
	} cases[] = {
		{"", "", ""},
		{"AZaz09-._~", "AZaz09-._~", "AZaz09-._~"},
		{"/a/b", "/a/b", "%2Fa%2Fb"},
		{"//../.", "//../.", "%2F%2F..%2F."},
		{"a b+c", "a%20b%2Bc", "a%20b%2Bc"},
		{"*'()!", "%2A%27%28%29%21", "%2A%27%28%29%21"},
		{"=&?#%", "%3D%26%3F%23%25", "%3D%26%3F%23%25"},
		{"\xc3\xa4\xff", "%C3%A4%FF", "%C3%A4%FF"},
		{"\t\n\x7f", "%09%0A%7F", "%09%0A%7F"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_BUF(path, 1000);
		AUTO_BUF(query, 1000);

		buf_puts(&path, "");
		buf_puts(&query, "");
		s3_encode(cases[i].text, true, &path);
		s3_encode(cases[i].text, false, &query);
		assert_string_equal(path.data == NULL ? "" : path.data, cases[i].as_path);
		assert_string_equal(query.data == NULL ? "" : query.data, cases[i].as_query);
	}
}

static void
queries_are_sorted_by_encoded_name_and_value(void **state)
{
	static const struct
	{
		Pair pairs[PAIRS_MAX];
		const char *expected;
	} cases[] = {
		{{{"uploads", ""}}, "uploads="},
		{{{"uploadId", "x=/"}, {"partNumber", "7"}}, "partNumber=7&uploadId=x%3D%2F"},
		{{{"prefix", "a"}, {"list-type", "2"}, {"delimiter", "/"}}, "delimiter=%2F&list-type=2&prefix=a"},
		{{{"a-b", "1"}, {"a", "2"}, {"ab", "3"}, {"a.b", "4"}}, "a=2&a-b=1&a.b=4&ab=3"},
		{{{"b", "2"}, {"b", "10"}, {"b", ""}}, "b=&b=10&b=2"},
		{{{"~", "1"}, {"z", "2"}, {"\xc3\xa4", "3"}, {"B", "4"}}, "%C3%A4=3&B=4&z=2&~=1"},
		{{{"continuation-token", "1/+ =="}}, "continuation-token=1%2F%2B%20%3D%3D"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_PAIRS query = {0};
		AUTO_BUF(text, 1000);

		add_all(&query, cases[i].pairs);
		s3_sign_query(&query, &text);
		assert_string_equal(text.data, cases[i].expected);
	}
}

static void
headers_are_lower_case_trimmed_folded_and_sorted_by_name(void **state)
{
	static const Pair pairs[PAIRS_MAX] = {
		{"x-amz-meta-a-b", "  two   blanks\t here "},
		{"X-Amz-Meta-A", "1"},
		{"Host", "h:9000"},
		{"x-amz-meta-a", " 2"},
		{"x-amz-meta-a.b", ""},
	};
	AUTO_PAIRS headers = {0};
	AUTO_PAIRS query = {0};
	AUTO_BUF(text, 1000);
	AUTO_BUF(names, 1000);
	S3SignRequest request = {
		.method = "PUT", .path = "/x", .query = &query, .headers = &headers, .payload = "P"};

	(void) state;
	add_all(&headers, pairs);
	s3_sign_canonical(&request, &text, &names);
	assert_string_equal(names.data, "host;x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-a.b");
	assert_string_equal(text.data,
	                    "PUT\n/x\n\nhost:h:9000\nx-amz-meta-a:1,2\nx-amz-meta-a-b:two blanks here\n"
	                    "x-amz-meta-a.b:\n\nhost;x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-a.b\nP");
}

static void
dates_are_utc_and_keys_fit_one_day_and_region(void **state)
{
	S3SigningKey key = {0};
	char date[S3_DATE_SIZE];

	(void) state;
	s3_sign_date(INT64_C(1369353600000000), date);
	assert_string_equal(date, DATE);
	s3_sign_date(INT64_C(951868799999999), date);
	assert_string_equal(date, "20000229T235959Z");

	assert_false(s3_sign_key_fits(&key, DATE, "us-east-1"));
	s3_sign_key(SECRET, DATE, "us-east-1", &key);
	assert_true(s3_sign_key_fits(&key, "20130524T235959Z", "us-east-1"));
	assert_false(s3_sign_key_fits(&key, "20130525T000000Z", "us-east-1"));
	assert_false(s3_sign_key_fits(&key, DATE, "us-east-2"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aws_examples_have_aws_signatures),
		cmocka_unit_test(everything_but_the_unreserved_is_encoded_once),
		cmocka_unit_test(queries_are_sorted_by_encoded_name_and_value),
		cmocka_unit_test(headers_are_lower_case_trimmed_folded_and_sorted_by_name),
		cmocka_unit_test(dates_are_utc_and_keys_fit_one_day_and_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
