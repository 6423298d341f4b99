/* The table of majors is complete, and is the only one. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record_kinds.h"
#include "walship/base/attributes.h"
#include "walship/wal/majors.h"

static void
test_majors_and_magics_rise_row_by_row(void **state)
{
	(void) state;
	for (size_t i = 1; i < n_pg_majors; i++)
	{
		const PgMajor *before = &pg_majors[i - 1];
		const PgMajor *row = &pg_majors[i];

		assert_int_equal(row->major, before->major + 1);
		assert_true(row->page_magic > before->page_magic);
		assert_true(row->control_version >= before->control_version);
		assert_true(strcmp(row->supported_until, before->supported_until) > 0);
	}
	assert_ptr_equal(pg_major_oldest(), &pg_majors[0]);
	assert_ptr_equal(pg_major_newest(), &pg_majors[n_pg_majors - 1]);
}

/* Two rows of one control version must be told apart by their catalog versions. */
static void
test_no_two_rows_fit_one_pg_control(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_pg_majors; i++)
		for (size_t j = i + 1; j < n_pg_majors; j++)
		{
			if (pg_majors[i].control_version != pg_majors[j].control_version)
				continue;
			assert_int_not_equal(pg_majors[i].catalog_version, 0);
			assert_int_not_equal(pg_majors[j].catalog_version, 0);
			assert_int_not_equal(pg_majors[i].catalog_version, pg_majors[j].catalog_version);
		}
}

static void
assert_is_day(const char *text)
{
	assert_int_equal(strlen(text), strlen("2026-11-12"));
	for (size_t i = 0; text[i] != '\0'; i++)
		assert_true(i == 4 || i == 7 ? text[i] == '-' : isdigit((unsigned char) text[i]));
}

static void
assert_layout(const PgControlLayout *at)
{
	const uint16_t members[] = {at->min_recovery_point,
	                            at->max_connections,
	                            at->max_worker_processes,
	                            at->max_wal_senders,
	                            at->max_prepared_transactions,
	                            at->max_locks_per_transaction,
	                            at->segment_size,
	                            at->crc};

	/* Behind the three members that never move, in this order, at most one sector long. */
	for (size_t i = 0; i < lengthof(members); i++)
	{
		assert_true(members[i] >= 16 && members[i] <= 512 - 4 && members[i] % 4 == 0);
		assert_true(i == 0 || members[i] > members[i - 1]);
	}
}

/* A member that a row leaves out is zero; those that may be are named here. */
static void
test_every_row_has_every_member(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_pg_majors; i++)
	{
		const PgMajor *row = &pg_majors[i];

		print_message("%d\n", row->major);
		assert_is_day(row->supported_until);
		assert_int_equal(row->page_magic & 0xF000, 0xD000);
		assert_in_range(row->control_version, 1300, 9999);
		assert_true(row->catalog_version == 0 || row->catalog_version > 202000000);
		assert_layout(&row->control);
		assert_true(row->checkpoint_next_xid >= 24 && row->checkpoint_next_xid % 8 == 0);
		assert_true(row->checkpoint_next_xid + 8 <= RECORD_FIELD_MAX);
		assert_int_not_equal(row->database_drop_info, 0);
		assert_int_not_equal(row->image_compressed, 0);

		/* kind, database, id; nothing in 13 and 14 */
		assert_int_equal(row->dropped_stats_size != 0, row->major >= 15);
		assert_true(row->dropped_stats_size == 0 ||
		            row->dropped_stats_size == 8 + row->dropped_stats_id_size);
		assert_int_equal(row->has_promote_trigger_file, row->major <= 15);
		assert_int_equal(row->has_archive_library, row->major >= 15);
		assert_int_equal(row->has_typed_backup, row->major >= 15);
		assert_int_equal(row->has_stats_directory, row->major <= 14);
		assert_int_equal(row->has_slot_sync, row->major >= 17);
		assert_int_equal(row->has_io_method, row->major >= 18);
		assert_int_equal(row->backs_up_in_place, row->major >= 17);
	}
}

static void
test_every_major_knows_every_kind_of_record(void **state)
{
	static const struct
	{
		uint8_t manager;
		uint8_t info;
		WalEventKind kind;
	} kinds[] = {
		{1, 0x00, WAL_EVENT_COMMIT},
		{1, 0x20, WAL_EVENT_ABORT},
		{1, 0x30, WAL_EVENT_COMMIT},
		{1, 0x40, WAL_EVENT_ABORT},
		{0, 0x00, WAL_EVENT_CHECKPOINT},
		{0, 0x10, WAL_EVENT_CHECKPOINT},
		{0, 0x40, WAL_EVENT_SWITCH},
		{0, 0x50, WAL_EVENT_BACKUP_END},
		{0, 0x60, WAL_EVENT_PARAMETER_CHANGE},
		{0, 0x70, WAL_EVENT_RESTORE_POINT},
		{0, 0x80, WAL_EVENT_FULL_PAGE_WRITES},
		{0, 0x90, WAL_EVENT_END_OF_RECOVERY},
		{2, 0x10, WAL_EVENT_OTHER},
		{4, 0x00, WAL_EVENT_DATABASE_CREATED},
		{5, 0x00, WAL_EVENT_TABLESPACE_CREATED},
		{5, 0x10, WAL_EVENT_TABLESPACE_DROPPED},
		{8, 0x00, WAL_EVENT_OTHER},
	};

	(void) state;
	for (size_t i = 0; i < n_pg_majors; i++)
	{
		const PgMajor *row = &pg_majors[i];
		const RecordKind *drop = record_kind_of(row, 4, row->database_drop_info);

		for (size_t j = 0; j < lengthof(kinds); j++)
		{
			const RecordKind *kind = record_kind_of(row, kinds[j].manager, kinds[j].info);

			assert_non_null(kind);
			assert_int_equal(kind->kind, kinds[j].kind);
		}
		assert_non_null(drop);
		assert_int_equal(drop->kind, WAL_EVENT_DATABASE_DROPPED);
		for (unsigned info = row->database_drop_info + 0x10u; info <= 0xF0; info += 0x10)
			assert_null(record_kind_of(row, 4, (uint8_t) info));
		for (unsigned info = 0; info < row->database_drop_info; info += 0x10)
			assert_int_equal(record_kind_of(row, 4, (uint8_t) info)->kind, WAL_EVENT_DATABASE_CREATED);
	}
}

static void
test_a_major_is_found_by_each_of_its_marks(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_pg_majors; i++)
	{
		const PgMajor *row = &pg_majors[i];
		uint32_t catalog = row->catalog_version == 0 ? 202609171 : row->catalog_version;

		assert_ptr_equal(pg_major(row->major), row);
		assert_ptr_equal(pg_major_of_magic(row->page_magic), row);
		assert_ptr_equal(pg_major_of_control(row->control_version, catalog), row);
		assert_ptr_equal(pg_major_nearest(row->major), row);
	}
	assert_null(pg_major(0));
	assert_null(pg_major(pg_major_oldest()->major - 1));
	assert_null(pg_major(pg_major_newest()->major + 1));
	assert_null(pg_major_of_magic(0));
	assert_null(pg_major_of_magic(0xD120)); /* 19beta1 */
	assert_null(pg_major_of_magic(0xD121)); /* 19beta3 */
	assert_null(pg_major_of_control(1300, 202007202));
	assert_null(pg_major_of_control(1902, 202605131)); /* 19beta1 */
	assert_ptr_equal(pg_major_nearest(pg_major_newest()->major + 5), pg_major_newest());
	assert_ptr_equal(pg_major_nearest(0), pg_major_oldest());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_majors_and_magics_rise_row_by_row),
		cmocka_unit_test(test_no_two_rows_fit_one_pg_control),
		cmocka_unit_test(test_every_row_has_every_member),
		cmocka_unit_test(test_every_major_knows_every_kind_of_record),
		cmocka_unit_test(test_a_major_is_found_by_each_of_its_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
