/* Equal schemas have equal digests, whatever key frames them and however they arrive. */
#include "dump_run.h"

#include "scratch.h"

/* In pieces of this size. */
static void
digest_of(const char *text, size_t piece, uint8_t ret_sha256[SHA256_SIZE])
{
	AUTO(SchemaDigest) digest = schema_digest_new();
	size_t length = strlen(text);

	for (size_t at = 0; at < length; at += piece)
		assert_ok(schema_digest_write(digest, text + at, length - at < piece ? length - at : piece));
	schema_digest_final(digest, ret_sha256);
}

static void
only_lines_that_differ_from_run_to_run_are_left_out(void **state)
{
	static const struct
	{
		const char *text;
		const char *counts; /* of it */
	} rows[] = {
		{"", ""},
		{"a\n", "a\n"},
		{"a", "a"},
		{"\\restrict abc\na\n\\unrestrict abc\n", "a\n"},
		{"\\restrict abc", ""},
		{"a\n\\restrict abc", "a\n"},
		{"-- Dumped from database version 15.18\n-- Dumped by pg_dump\n--\n", "--\n"},
		{"-- Dump\n\\restr\n\\", "-- Dump\n\\restr\n\\"},
		{" \\restrict a\n", " \\restrict a\n"},
		{"\n\n\\unrestrict x\n\n", "\n\n\n"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		for (size_t piece = 1; piece < 20; piece++)
		{
			uint8_t expected[SHA256_SIZE];
			uint8_t found[SHA256_SIZE];

			sha256_of(rows[i].counts, strlen(rows[i].counts), expected);
			digest_of(rows[i].text, piece, found);
			assert_memory_equal(found, expected, SHA256_SIZE);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_lines_that_differ_from_run_to_run_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
