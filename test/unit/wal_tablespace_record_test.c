/* The record of CREATE TABLESPACE: what is one, where its bytes lie, what clearing its path changes. */
#include "walship/wal/tablespace_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "wal_builder.h"

#define MAIN "\x10\x40\0\0/srv/space" /* OID 16400, the path and its NUL */

/* Header with length, kind and CRC; then these bytes. */
static uint32_t
make(uint8_t *record, uint8_t manager, uint8_t info, const char *body, size_t size)
{
	memset(record, 0, BUILDER_HEADER_SIZE);
	builder_le(record, BUILDER_HEADER_SIZE + size, 4);
	builder_le(record + 4, 700, 4);
	record[16] = info;
	record[17] = manager;
	memcpy(record + BUILDER_HEADER_SIZE, body, size);
	builder_le(record + 20, crc32c(crc32c(0, record + BUILDER_HEADER_SIZE, size), record, 20), 4);
	return BUILDER_HEADER_SIZE + (uint32_t) size;
}

#define BODY(text) (text), sizeof(text) /* with the NUL at its end */

static void
only_a_whole_record_of_that_kind_is_one(void **state)
{
	static const struct
	{
		const char *name;
		uint8_t manager;
		uint8_t info;
		const char *body;
		size_t size;
		uint32_t path_at; /* 0: it is none */
	} rows[] = {
		{"as the server writes it", 5, 0x00, BODY("\xFF\x0F" MAIN), 30},
		{"with flags of the reader", 5, 0x01, BODY("\xFF\x0F" MAIN), 30},
		{"with an origin", 5, 0, BODY("\xFD\x01\x00\xFF\x0F" MAIN), 33},
		{"with a transaction above it", 5, 0, BODY("\xFC\x01\x02\x03\x04\xFF\x0F" MAIN), 35},
		{"with a long length", 5, 0, BODY("\xFE\x0F\0\0\0" MAIN), 33},
		{"in place", 5, 0, BODY("\xFF\x05\x10\x40\0\0"), 30},
		{"DROP TABLESPACE", 5, 0x10, BODY("\xFF\x0F" MAIN), 0},
		{"another manager", 4, 0, BODY("\xFF\x0F" MAIN), 0},
		{"a length that is too long", 5, 0, BODY("\xFF\x10" MAIN), 0},
		{"a length that is too short", 5, 0, BODY("\xFF\x0E" MAIN), 0},
		{"no end of the path", 5, 0, "\xFF\x0E" MAIN, 16, 0},
		{"a page", 5, 0, BODY("\0\0\0\0\0\0\0\0\0\0"), 0},
		{"nothing but an OID", 5, 0, "\xFF\x04\x10\x40\0\0\0\0", 6, 0},
		{"chunks without an end", 5, 0, BODY("\xFD\0\0\xFD\0\0\xFD\0\0\xFD\0\0"), 0},
		{"no body", 5, 0, "", 0, 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8_t record[256];
		uint32_t size = make(record, rows[i].manager, rows[i].info, rows[i].body, rows[i].size);
		WalTablespaceRecord parsed = {0};
		bool is_one = wal_tablespace_record_parse(record, size, &parsed);

		print_message("  %s\n", rows[i].name);
		assert_true(wal_record_is_whole(record, size));
		assert_int_equal(is_one, rows[i].path_at != 0);
		assert_int_equal(parsed.path_at, rows[i].path_at);
		if (!is_one)
			continue;
		assert_int_equal(parsed.oid, 16400);
		wal_tablespace_record_clear_path(record, size, &parsed);
		assert_true(wal_record_is_whole(record, size));
		assert_true(wal_tablespace_record_parse(record, size, &parsed));
		assert_string_equal(parsed.path, "");
		assert_false(wal_tablespace_record_parse(record, size - 1, &parsed));
	}
}

static void
bytes_lie_behind_the_headers_of_pages_and_segments(void **state)
{
	static const struct
	{
		XLogRecPtr lsn;
		uint32_t at;
		XLogRecPtr place;
	} rows[] = {
		{0x1000028, 0, 0x1000028},        {0x1000028, 100, 0x100008C}, {0x1001FF8, 7, 0x1001FFF},
		{0x1001FF8, 8, 0x1002018},        {0x10FFFF8, 8, 0x1100028},   {0x10FFFE8, 24, 0x1100028},
		{0x1001FF8, 8 + 8168, 0x1004018}, {0x1002000, 0, 0x1002018},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		assert_int_equal(wal_record_place(rows[i].lsn, rows[i].at, 1024 * 1024), rows[i].place);
}

static void
the_open_record_of_a_page_is_the_one_that_goes_beyond_it(void **state)
{
	(void) state;
	for (size_t before = 0; before < 3000; before += 8)
	{
		WalBuilder builder = builder_new(15, 2);
		const uint8_t *page = builder.bytes + BUILDER_SEGMENT_SIZE - XLOG_BLCKSZ;

		while (BUILDER_SEGMENT_SIZE - before - builder.at > 2000)
			(void) builder_filler(&builder, 1000);
		(void) builder_filler(&builder, BUILDER_SEGMENT_SIZE - before - builder.at);
		(void) builder_filler(&builder, 3000);
		assert_int_equal(wal_page_open_record(page), before == 0 ? 0 : XLOG_BLCKSZ - before);
		free(builder.bytes);
	}

	/* A record that fills the page, and what never was one. */
	WalBuilder builder = builder_new(15, 1);

	(void) builder_filler(&builder, 5 * XLOG_BLCKSZ);
	assert_int_equal(wal_page_open_record(builder.bytes + (size_t) 2 * XLOG_BLCKSZ), 0);
	assert_int_equal(wal_page_open_record(builder.bytes + (size_t) 20 * XLOG_BLCKSZ), 0);
	free(builder.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_whole_record_of_that_kind_is_one),
		cmocka_unit_test(bytes_lie_behind_the_headers_of_pages_and_segments),
		cmocka_unit_test(the_open_record_of_a_page_is_the_one_that_goes_beyond_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
