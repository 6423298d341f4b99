/* Names and places of WAL as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "walship/base/attributes.h"
#include "walship/wal/name.h"

#define MB (UINT32_C(1) << 20)

static void
test_lsns_are_read_and_written(void **state)
{
	static const struct
	{
		const char *text;
		bool valid;
		XLogRecPtr lsn;
		const char *written;
	} table[] = {
		{"0/0", true, 0, "0/0"},
		{"3/9A0011C0", true, UINT64_C(0x39A0011C0), "3/9A0011C0"},
		{"3/9a0011c0", true, UINT64_C(0x39A0011C0), "3/9A0011C0"},
		{"0/00000028", true, 0x28, "0/28"},
		{"FFFFFFFF/FFFFFFFF", true, UINT64_MAX, "FFFFFFFF/FFFFFFFF"},
		{"", false, 0, NULL},
		{"/", false, 0, NULL},
		{"3/", false, 0, NULL},
		{"/28", false, 0, NULL},
		{"3/28 ", false, 0, NULL},
		{" 3/28", false, 0, NULL},
		{"3/-28", false, 0, NULL},
		{"3/0x28", false, 0, NULL},
		{"3/123456789", false, 0, NULL},
		{"123456789/3", false, 0, NULL},
		{"3/2/8", false, 0, NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		XLogRecPtr lsn = 7;
		char text[LSN_TEXT_SIZE];

		assert_int_equal(lsn_parse(table[i].text, &lsn), table[i].valid);
		assert_int_equal(lsn, table[i].valid ? table[i].lsn : 7);
		if (table[i].valid)
			assert_string_equal(lsn_format(lsn, text), table[i].written);
	}
}

static void
test_segment_sizes_are_powers_of_two_from_1_mb_to_1_gb(void **state)
{
	(void) state;
	for (uint64_t size = 1; size <= UINT64_C(1) << 40; size *= 2)
	{
		assert_int_equal(wal_segment_size_is_valid(size), size >= MB && size <= 1024 * MB);
		assert_false(wal_segment_size_is_valid(size + 3));
	}
	assert_false(wal_segment_size_is_valid(0));
}

static void
test_names_that_the_server_archives_are_read_and_written(void **state)
{
	static const struct
	{
		const char *text;
		WalName name;
	} table[] = {
		{"000000010000000300000009", {WAL_SEGMENT, 1, 3, 9, 0}},
		{"FFFFFFFFFFFFFFFFFFFFFFFF", {WAL_SEGMENT, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0}},
		{"000000010000000300000009.partial", {WAL_PARTIAL, 1, 3, 9, 0}},
		{"0000000A.history", {WAL_HISTORY, 10, 0, 0, 0}},
		{"00000001000000030000000F.00000028.backup", {WAL_BACKUP, 1, 3, 15, 40}},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalName name;
		char text[WAL_NAME_SIZE];

		assert_null(wal_name_parse(table[i].text, &name));
		assert_memory_equal(&name, &table[i].name, sizeof name);
		assert_string_equal(wal_name_format(&name, text), table[i].text);
	}
}

static void
test_other_names_are_refused(void **state)
{
	static const char *const table[] = {
		"",
		"00000001",
		"00000001000000030000000",
		"0000000100000003000000091",
		"00000001000000030000000a",
		"000000000000000300000009",
		"00000000.history",
		"0000001.history",
		"00000001.history.gz",
		"000000010000000300000009.partial2",
		"000000010000000300000009.00000028",
		"000000010000000300000009.40000000.backup",
		"000000010000000300000009.0000028.backup",
		"pg_wal/000000010000000300000009",
		"RECOVERYXLOG",
		"archive_status",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalName name = {.seg = 7};
		AUTO(Error) error = wal_name_parse(table[i], &name);

		assert_true(error_is(error, ERR_USAGE));
		assert_non_null(strstr(error_message(error), table[i]));
		assert_int_equal(name.seg, 7);
	}
}

static void
test_the_segment_number_of_a_name_depends_on_the_segment_size(void **state)
{
	static const struct
	{
		uint32_t size;
		const char *text;
		bool valid;
		XLogSegNo segno;
	} table[] = {
		{16 * MB, "000000010000000300000009", true, 3 * 256 + 9},
		{16 * MB, "0000000100000003000000FF", true, 1023},
		{16 * MB, "000000010000000300000100", false, 0},
		{MB, "000000010000000300000FFF", true, 16383},
		{MB, "000000010000000300001000", false, 0},
		{1024 * MB, "000000010000000300000003", true, 15},
		{1024 * MB, "000000010000000300000004", false, 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalName name;
		XLogSegNo segno = 0;
		char text[WAL_NAME_SIZE];

		assert_null(wal_name_parse(table[i].text, &name));
		assert_int_equal(wal_name_segno(&name, table[i].size, &segno), table[i].valid);
		assert_int_equal(segno, table[i].segno);
		if (table[i].valid)
			assert_string_equal(wal_segment_name(1, segno, table[i].size, text), table[i].text);
	}
}

static void
test_an_end_belongs_to_the_segment_of_the_byte_before(void **state)
{
	(void) state;
	assert_int_equal(lsn_segment(0x2000000, 16 * MB), 2);
	assert_int_equal(lsn_segment_before(0x2000000, 16 * MB), 1);
	assert_int_equal(lsn_segment_before(0x2000001, 16 * MB), 2);
	assert_int_equal(segment_start(3, 16 * MB), 0x3000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lsns_are_read_and_written),
		cmocka_unit_test(test_segment_sizes_are_powers_of_two_from_1_mb_to_1_gb),
		cmocka_unit_test(test_names_that_the_server_archives_are_read_and_written),
		cmocka_unit_test(test_other_names_are_refused),
		cmocka_unit_test(test_the_segment_number_of_a_name_depends_on_the_segment_size),
		cmocka_unit_test(test_an_end_belongs_to_the_segment_of_the_byte_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
