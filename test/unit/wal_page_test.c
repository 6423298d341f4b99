/* The first page header of a segment, and pg_control: facts at fixed places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wal_builder.h"
#include "walship/wal/control.h"
#include "walship/wal/page.h"

static void
free_builder(WalBuilder *builder)
{
	free(builder->bytes);
}

#define AUTO_BUILDER __attribute__((cleanup(free_builder))) WalBuilder

static void
test_every_major_has_its_magic(void **state)
{
	(void) state;
	for (int major = 13; major <= 18; major++)
		assert_int_equal(wal_major_of_magic(wal_magic_of_major(major)), major);
	assert_int_equal(wal_major_of_magic(0), 0);
	assert_int_equal(wal_major_of_magic(0xD098), 0);
	assert_int_equal(wal_magic_of_major(12), 0);
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
		{"too new", 0, 2, 0xD200, 40, "magic D200"},
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

/* pg_control with these versions and a right CRC */
static void
make_control(uint8_t bytes[PG_CONTROL_FILE_SIZE], uint32_t control, uint32_t catalog, size_t crc_at)
{
	memset(bytes, 0, PG_CONTROL_FILE_SIZE);
	builder_le(bytes, BUILDER_SYSTEM, 8);
	builder_le(bytes + 8, control, 4);
	builder_le(bytes + 12, catalog, 4);
	builder_le(bytes + 32, 0x3000060, 8);
	builder_le(bytes + 40, 0x3000028, 8);
	builder_le(bytes + 48, 4, 4);
	builder_le(bytes + 180, 100, 4);
	builder_le(bytes + 196, 64, 4);
	builder_le(bytes + 228, 16 << 20, 4);
	builder_le(bytes + crc_at, crc32c(0, bytes, crc_at), 4);
}

static void
test_pg_control_of_every_major_is_read(void **state)
{
	static const struct
	{
		int major;
		uint32_t control;
		uint32_t catalog;
		size_t crc_at;
	} table[] = {
		{13, 1300, 202007201, 288}, {14, 1300, 202107181, 288}, {15, 1300, 202209061, 288},
		{16, 1300, 202307071, 288}, {17, 1700, 202406281, 288}, {18, 1800, 202506291, 292},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		uint8_t bytes[PG_CONTROL_FILE_SIZE];
		PgControl control;

		make_control(bytes, table[i].control, table[i].catalog, table[i].crc_at);
		assert_null(pg_control_parse(bytes, sizeof bytes, &control));
		assert_int_equal(control.major, table[i].major);
		assert_int_equal(control.system_identifier, BUILDER_SYSTEM);
		assert_int_equal(control.checkpoint, 0x3000060);
		assert_int_equal(control.redo, 0x3000028);
		assert_int_equal(control.timeline, 4);
		assert_int_equal(control.max_connections, 100);
		assert_int_equal(control.max_locks_per_transaction, 64);
		assert_int_equal(control.segment_size, 16 << 20);
	}
}

static void
test_a_torn_or_strange_pg_control_is_refused(void **state)
{
	uint8_t bytes[PG_CONTROL_FILE_SIZE];
	PgControl control;

	(void) state;
	make_control(bytes, 1300, 202209061, 288);
	bytes[100] ^= 1;
	AUTO(Error) torn = pg_control_parse(bytes, sizeof bytes, &control);

	assert_non_null(strstr(error_message(torn), "checksum"));
	AUTO(Error) cut = pg_control_parse(bytes, 295, &control);

	assert_non_null(strstr(error_message(cut), "295"));
	make_control(bytes, 1201, 201909212, 288);
	AUTO(Error) old = pg_control_parse(bytes, sizeof bytes, &control);

	assert_non_null(strstr(error_message(old), "1201"));
	assert_true(error_is(torn, ERR_CORRUPT) && error_is(cut, ERR_CORRUPT) && error_is(old, ERR_CORRUPT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_major_has_its_magic),
		cmocka_unit_test(test_a_right_header_says_whose_the_segment_is),
		cmocka_unit_test(test_a_wrong_field_is_named),
		cmocka_unit_test(test_a_header_must_match_its_name),
		cmocka_unit_test(test_pg_control_of_every_major_is_read),
		cmocka_unit_test(test_a_torn_or_strange_pg_control_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
