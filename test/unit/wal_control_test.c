/* pg_control: of every major that is known, and of those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wal_builder.h"
#include "walship/wal/control.h"

/* With these versions, values wherever this layout has them, and a right CRC. */
static void
make_control(uint8_t bytes[PG_CONTROL_FILE_SIZE], uint32_t control, uint32_t catalog,
             const PgControlLayout *at)
{
	memset(bytes, 0, PG_CONTROL_FILE_SIZE);
	for (size_t i = 16; i < at->crc; i++)
		bytes[i] = (uint8_t) (0xA0 + i);
	builder_le(bytes, BUILDER_SYSTEM, 8);
	builder_le(bytes + 8, control, 4);
	builder_le(bytes + 12, catalog, 4);
	builder_le(bytes + at->max_connections, 100, 4);
	builder_le(bytes + at->max_worker_processes, 9, 4);
	builder_le(bytes + at->max_wal_senders, 11, 4);
	builder_le(bytes + at->max_prepared_transactions, 2, 4);
	builder_le(bytes + at->max_locks_per_transaction, 64, 4);
	builder_le(bytes + at->segment_size, 16 << 20, 4);
	builder_le(bytes + at->min_recovery_point, UINT64_C(0x3009A0011), 8);
	builder_le(bytes + at->crc, crc32c(0, bytes, at->crc), 4);
}

/* Offsets by the headers of the server, not by the table. */
static void
test_pg_control_of_every_major_is_read(void **state)
{
	static const struct
	{
		int major;
		uint32_t control;
		uint32_t catalog;
		PgControlLayout at;
	} table[] = {
		{13, 1300, 202007201, {180, 184, 188, 192, 196, 228, 136, 288}},
		{14, 1300, 202107181, {180, 184, 188, 192, 196, 228, 136, 288}},
		{15, 1300, 202209061, {180, 184, 188, 192, 196, 228, 136, 288}},
		{16, 1300, 202307071, {180, 184, 188, 192, 196, 228, 136, 288}},
		{17, 1700, 202406281, {180, 184, 188, 192, 196, 228, 136, 288}},
		{18, 1800, 202506291, {180, 184, 188, 192, 196, 228, 136, 292}},
		{19, 1905, 202609171, {188, 192, 196, 200, 204, 240, 144, 308}},
		{19, 1905, 202611091, {188, 192, 196, 200, 204, 240, 144, 308}},
	};

	(void) state;
	assert_int_equal(table[lengthof(table) - 1].major, pg_major_newest()->major);
	for (size_t i = 0; i < lengthof(table); i++)
	{
		uint8_t bytes[PG_CONTROL_FILE_SIZE];
		PgControl control;

		make_control(bytes, table[i].control, table[i].catalog, &table[i].at);
		assert_null(pg_control_parse(bytes, sizeof bytes, &control));
		assert_int_equal(control.major, table[i].major);
		assert_int_equal(control.system_identifier, BUILDER_SYSTEM);
		assert_int_equal(control.control_version, table[i].control);
		assert_int_equal(control.catalog_version, table[i].catalog);
		assert_int_equal(control.max_connections, 100);
		assert_int_equal(control.max_worker_processes, 9);
		assert_int_equal(control.max_wal_senders, 11);
		assert_int_equal(control.max_prepared_transactions, 2);
		assert_int_equal(control.max_locks_per_transaction, 64);
		assert_int_equal(control.segment_size, 16 << 20);
		assert_int_equal(control.min_recovery_point, UINT64_C(0x3009A0011));
	}
}

/*
 * Of another layout nothing is believed but what lies at the same place in all of
 * them: not even where a value of the newest layout would make sense.
 */
static void
test_pg_control_of_the_future_is_not_guessed(void **state)
{
	static const struct
	{
		const char *name;
		uint32_t control;
		uint32_t catalog;
		uint16_t crc;
	} table[] = {
		{"20", 2001, 202707011, 320},
		{"20, as long as 19", 2001, 202707011, 308},
		{"the longest", 2105, 202807011, 508},
		{"the shortest", 2105, 202807011, 256},
		{"19beta1, longer than its release", 1902, 202605131, 304},
		{"19's version with another layout", 1905, 202609171, 304},
		{"a development version of 14", 1300, 202103261, 288},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		PgControlLayout at = pg_major_newest()->control;
		uint8_t bytes[PG_CONTROL_FILE_SIZE];
		PgControl control;

		at.crc = table[i].crc;
		make_control(bytes, table[i].control, table[i].catalog, &at);
		print_message("%s\n", table[i].name);
		assert_null(pg_control_parse(bytes, sizeof bytes, &control));
		assert_int_equal(control.major, 0);
		assert_int_equal(control.system_identifier, BUILDER_SYSTEM);
		assert_int_equal(control.control_version, table[i].control);
		assert_int_equal(control.catalog_version, table[i].catalog);
		assert_int_equal(control.segment_size, 0);
		assert_int_equal(control.max_connections, 0);
		assert_int_equal(control.max_locks_per_transaction, 0);
	}
}

/* Every single byte of what the CRC covers counts, of a known and of an unknown version. */
static void
test_a_torn_pg_control_is_refused(void **state)
{
	static const struct
	{
		uint32_t control;
		uint32_t catalog;
		const char *says;
		const char *hint;
	} table[] = {
		{1800, 202506291, "incorrect checksum", "read while the server wrote it"},
		{2001, 202707011, "version 2001", "a newer walship is needed: this one knows PostgreSQL 13 to 19"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		for (size_t at = 0; at < pg_major(18)->control.crc + 4u; at += 7)
		{
			uint8_t bytes[PG_CONTROL_FILE_SIZE];
			PgControl control;

			if (at >= 8 && at < 16)
				continue; /* the versions: those are other ones then */
			make_control(bytes, table[i].control, table[i].catalog, &pg_major(18)->control);
			bytes[at] ^= 1;
			AUTO(Error) error = pg_control_parse(bytes, sizeof bytes, &control);

			assert_true(error_is(error, ERR_CORRUPT));
			assert_non_null(strstr(error_message(error), table[i].says));
			assert_non_null(strstr(error_get_hint(error), table[i].hint));
		}
	}
}

static void
test_a_strange_pg_control_is_refused(void **state)
{
	static const struct
	{
		const char *name;
		uint32_t control;
		uint32_t segment_size;
		size_t size;
		const char *says;
	} table[] = {
		{"cut", 1800, 16 << 20, 511, "511 bytes"},
		{"12", 1201, 16 << 20, 8192, "version 1201"},
		{"a server of the other byte order", 0x08070000, 16 << 20, 8192, "is not known"},
		{"zeros", 0, 16 << 20, 8192, "version 0"},
		{"segments of an odd size", 1800, 3 << 20, 8192, "3145728"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		const PgControlLayout *at = &pg_major(18)->control;
		uint8_t bytes[PG_CONTROL_FILE_SIZE];
		PgControl control;

		make_control(bytes, table[i].control, 202506291, at);
		builder_le(bytes + at->segment_size, table[i].segment_size, 4);
		builder_le(bytes + at->crc, crc32c(0, bytes, at->crc), 4);
		AUTO(Error) error = pg_control_parse(bytes, table[i].size, &control);

		print_message("%s\n", table[i].name);
		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), table[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_control_of_every_major_is_read),
		cmocka_unit_test(test_pg_control_of_the_future_is_not_guessed),
		cmocka_unit_test(test_a_torn_pg_control_is_refused),
		cmocka_unit_test(test_a_strange_pg_control_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
