/* The first page header of a segment: facts at fixed places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wal_builder.h"
#include "walship/wal/page.h"

static void
free_builder(WalBuilder *builder)
{
	free(builder->bytes);
}

#define AUTO_BUILDER __attribute__((cleanup(free_builder))) WalBuilder

static void
test_the_magic_says_the_major(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_pg_majors; i++)
	{
		AUTO_BUILDER builder = builder_new(pg_majors[i].major, 1);
		WalPageHeader header;

		builder_page(&builder, 0);
		assert_null(wal_page_header_parse(builder.bytes, WAL_LONG_HEADER_SIZE, &header));
		assert_int_equal(header.major, pg_majors[i].major);
	}
}

/* What is not older than the oldest one that is known has the fields of a header, and flags that we need not know. */
static void
test_an_unknown_magic_is_no_error(void **state)
{
	static const uint16_t magics[] = {0xD107, 0xD117, 0xD120, 0xD121, 0xD123, 0xD200, 0xDFFF};

	(void) state;
	for (size_t i = 0; i < lengthof(magics); i++)
	{
		AUTO_BUILDER builder = builder_new(18, 1);
		WalPageHeader header;

		builder.magic = magics[i];
		builder.page_flags = 0x40;
		builder_page(&builder, 0);
		assert_null(wal_page_header_parse(builder.bytes, WAL_LONG_HEADER_SIZE, &header));
		assert_int_equal(header.major, 0);
		assert_int_equal(header.magic, magics[i]);
		assert_int_equal(header.system_identifier, BUILDER_SYSTEM);
		assert_int_equal(header.segment_size, BUILDER_SEGMENT_SIZE);
	}
}

static void
test_a_right_header_says_whose_the_segment_is(void **state)
{
	AUTO_BUILDER builder = builder_new(17, 1);
	WalPageHeader header;

	(void) state;
	builder.timeline = 3;
	builder_page(&builder, 77);
	assert_null(wal_page_header_parse(builder.bytes, WAL_LONG_HEADER_SIZE, &header));
	assert_int_equal(header.major, 17);
	assert_int_equal(header.timeline, 3);
	assert_int_equal(header.page_address, BUILDER_START);
	assert_int_equal(header.remaining_length, 77);
	assert_int_equal(header.system_identifier, BUILDER_SYSTEM);
	assert_int_equal(header.segment_size, BUILDER_SEGMENT_SIZE);
}

static void
test_a_wrong_field_is_named(void **state)
{
	static const struct
	{
		const char *name;
		size_t at;
		int bytes;
		uint64_t value;
		size_t size;
		const char *says;
	} table[] = {
		{"cut off", 0, 0, 0, 39, "39 bytes"},
		{"zeros", 0, 2, 0, 40, "magic 0000"},
		{"12", 0, 2, 0xD101, 40, "magic D101"},
		{"no magic", 0, 2, 0xE000, 40, "magic E000"},
		{"a newer major, no long header", 0, 4, 0x0005D130, 40, "flags 0005"},
		{"unknown flag", 2, 2, 0x12, 40, "flags 0012"},
		{"short header", 2, 2, 0x01, 40, "flags 0001"},
		{"no timeline", 4, 4, 0, 40, "timeline 0"},
		{"address inside a segment", 8, 8, BUILDER_START + 8192, 40, "3/2000 is not"},
		{"other block size", 36, 4, 16384, 40, "16384"},
		{"odd segment size", 32, 4, 3 << 20, 40, "3145728"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		WalPageHeader header;

		builder_page(&builder, 0);
		builder_le(builder.bytes + table[i].at, table[i].value, table[i].bytes);
		AUTO(Error) error = wal_page_header_parse(builder.bytes, table[i].size, &header);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), table[i].says));
		assert_non_null(error_get_hint(error));
	}
}

static void
test_a_header_must_match_its_name(void **state)
{
	static const struct
	{
		const char *name;
		const char *says; /* NULL: matches */
	} table[] = {
		{"000000020000000300000000", NULL},
		{"000000030000000300000000", NULL}, /* the first segment of a new timeline is a copy */
		{"000000020000000300000000.partial", NULL},
		{"000000010000000300000000", "timeline 2"},
		{"000000020000000300000001", "3/100000"},
		{"000000020000000300001000", "1048576 bytes"},
	};
	AUTO_BUILDER builder = builder_new(15, 1);
	WalPageHeader header;

	(void) state;
	builder.timeline = 2;
	builder_page(&builder, 0);
	assert_null(wal_page_header_parse(builder.bytes, WAL_LONG_HEADER_SIZE, &header));
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalName name;

		assert_null(wal_name_parse(table[i].name, &name));
		AUTO(Error) error = wal_page_header_matches(&header, &name);

		assert_int_equal(error == NULL, table[i].says == NULL);
		if (error != NULL)
			assert_non_null(strstr(error_message(error), table[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_magic_says_the_major),
		cmocka_unit_test(test_an_unknown_magic_is_no_error),
		cmocka_unit_test(test_a_right_header_says_whose_the_segment_is),
		cmocka_unit_test(test_a_wrong_field_is_named),
		cmocka_unit_test(test_a_header_must_match_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
