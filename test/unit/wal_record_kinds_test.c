/* What the walker tells of each kind of record. */
#include "wal_walks.h"

static void
test_each_kind_of_record_is_told(void **state)
{
	static const struct
	{
		const char *name;
		uint8_t manager;
		uint8_t info;
		WalEventKind kind;
		bool begins_timeline;
	} table[] = {
		{"commit", 1, 0x00, WAL_EVENT_COMMIT, false},
		{"commit with more", 1, 0x80, WAL_EVENT_COMMIT, false},
		{"prepare", 1, 0x10, WAL_EVENT_OTHER, false},
		{"abort", 1, 0x20, WAL_EVENT_ABORT, false},
		{"assignment", 1, 0x50, WAL_EVENT_OTHER, false},
		{"invalidations", 1, 0x60, WAL_EVENT_OTHER, false},
		{"shutdown checkpoint", 0, 0x00, WAL_EVENT_CHECKPOINT, true},
		{"online checkpoint", 0, 0x10, WAL_EVENT_CHECKPOINT, false},
		{"next oid", 0, 0x30, WAL_EVENT_OTHER, false},
		{"backup end", 0, 0x50, WAL_EVENT_BACKUP_END, false},
		{"parameter change", 0, 0x60, WAL_EVENT_PARAMETER_CHANGE, false},
		{"restore point", 0, 0x70, WAL_EVENT_RESTORE_POINT, false},
		{"full page writes", 0, 0x80, WAL_EVENT_FULL_PAGE_WRITES, false},
		{"end of recovery", 0, 0x90, WAL_EVENT_END_OF_RECOVERY, true},
		{"full page image", 0, 0xB0, WAL_EVENT_OTHER, false},
		{"overwrite contrecord", 0, 0xD0, WAL_EVENT_OTHER, false},
		{"checkpoint redo", 0, 0xE0, WAL_EVENT_OTHER, false},
		{"heap", 10, 0x00, WAL_EVENT_OTHER, false},
		{"an extension", 200, 0x00, WAL_EVENT_OTHER, false},
	};
	uint8_t main[200] = {[8] = 2, [12] = 0x30}; /* a count that is too high for a commit */

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		XLogRecPtr lsn = builder_record(&builder, table[i].manager, table[i].info, 731, main, sizeof main);

		(void) builder_filler(&builder, 100);
		AUTO_SEEN seen = walk(&builder, 0);

		print_message("%s\n", table[i].name);
		assert_int_equal(seen->n_events, 2);
		assert_int_equal(seen->events[0].kind, table[i].kind);
		assert_int_equal(seen->events[0].lsn, lsn);
		assert_int_equal(seen->events[0].end, seen->events[1].lsn);
		if (table[i].kind == WAL_EVENT_CHECKPOINT || table[i].kind == WAL_EVENT_END_OF_RECOVERY)
			assert_int_equal(seen->events[0].begins_timeline, table[i].begins_timeline);
	}
}

static void
test_a_parameter_change_says_its_values(void **state)
{
	AUTO_BUILDER builder = builder_new(18, 1);
	uint8_t main[28] = {0};

	(void) state;
	for (unsigned i = 0; i < 6; i++)
		builder_le(main + (size_t) i * 4, 100 + i, 4);
	(void) builder_record(&builder, 0, 0x60, 0, main, sizeof main);

	AUTO_SEEN seen = walk(&builder, 0);
	const WalEvent *event = only_event(seen);

	assert_int_equal(event->parameters.max_connections, 100);
	assert_int_equal(event->parameters.max_worker_processes, 101);
	assert_int_equal(event->parameters.max_wal_senders, 102);
	assert_int_equal(event->parameters.max_prepared_transactions, 103);
	assert_int_equal(event->parameters.max_locks_per_transaction, 104);
	assert_int_equal(event->wal_level, 105);
}

/* As long as a path may be, and one that is no path any more. */
static void
test_a_tablespace_says_its_path(void **state)
{
	static const size_t lengths[] = {0, 1, 20, 100, 1023, 1024, 5000};

	(void) state;
	for (size_t i = 0; i < lengthof(lengths); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		size_t size = 4 + lengths[i] + 1;
		AUTO_FREE uint8_t *main = mem_zalloc(size);

		builder_le(main, 16385, 4);
		memset(main + 4, 'p', lengths[i]);
		(void) builder_record(&builder, 5, 0x00, 731, main, size);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_int_equal(only_event(seen)->kind, WAL_EVENT_TABLESPACE_CREATED);
		assert_int_equal(only_event(seen)->relation.tablespace, 16385);
		assert_int_equal(strlen(seen->name), lengths[i] < 1023 ? lengths[i] : 1023);
	}
}

static void
test_a_change_of_full_page_writes_and_a_checkpoint_say_what_holds(void **state)
{
	for (uint8_t on = 0; on < 2; on++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		uint8_t checkpoint[88] = {0};

		checkpoint[16] = on;
		(void) builder_record(&builder, 0, 0x80, 0, &on, 1);
		(void) builder_record(&builder, 0, 0x10, 0, checkpoint, sizeof checkpoint);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_int_equal(seen->n_events, 2);
		assert_int_equal(seen->events[0].kind, WAL_EVENT_FULL_PAGE_WRITES);
		assert_int_equal(seen->events[0].full_page_writes, on);
		assert_int_equal(seen->events[1].full_page_writes, on);
	}
	(void) state;
}

static void
test_a_commit_says_its_time_and_xid(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	uint8_t main[8];

	(void) state;
	builder_le(main, 123456789, 8);
	(void) builder_record(&builder, 1, 0x00, 731, main, sizeof main);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(only_event(seen)->xid, 731);
	assert_int_equal(only_event(seen)->time, POSTGRES_EPOCH_US + 123456789);
}

static void
test_a_time_beyond_the_year_9999_is_none(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	uint8_t main[8];

	(void) state;
	builder_le(main, INT64_MAX, 8);
	(void) builder_record(&builder, 1, 0x00, 731, main, sizeof main);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(only_event(seen)->time, TIME_NONE);
}

static void
test_a_restore_point_says_its_name(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	uint8_t main[72] = {0};

	(void) state;
	memset(main + 8, 'n', 64); /* without its NUL */
	(void) builder_record(&builder, 0, 0x70, 0, main, sizeof main);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(only_event(seen)->time, POSTGRES_EPOCH_US);
	assert_int_equal(strlen(seen->name), 63);
}

/* Block references lie before the main data: their headers first, then everybody's data. */
static void
test_a_commit_behind_block_references_is_read(void **state)
{
	static const struct
	{
		const char *name;
		int major;
		uint8_t image_flags;
		size_t extra;
	} table[] = {
		{"13, hole", 13, 0x01, 0},
		{"13, compressed with hole", 13, 0x03, 2},
		{"14, compressed without hole", 14, 0x02, 0},
		{"15, hole, to be applied", 15, 0x03, 0},
		{"15, lz4 with hole", 15, 0x09, 2},
		{"18, zstd with hole", 18, 0x11, 2},
		{"19, zstd with hole", 19, 0x11, 2},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(table[i].major, 1);
		uint8_t body[20000] = {253, 9, 9, 252, 9, 9, 9, 9};
		size_t at = 8;

		/* block 0: new relation, 10 bytes of data, an image of 9000 bytes */
		memcpy(body + at, (uint8_t[]){0, 0x30, 10, 0, 0x28, 0x23, 0, 0, table[i].image_flags}, 9);
		at += 9 + table[i].extra + 12 + 4;
		/* block 1: same relation, 7 bytes of data */
		memcpy(body + at, (uint8_t[]){1, 0xA0, 7, 0}, 4);
		at += 4 + 4;
		memcpy(body + at, (uint8_t[]){255, 8}, 2);
		at += 2 + 9000 + 10 + 7;
		builder_le(body + at, 42, 8);
		(void) builder_body(&builder, 1, 0x00, 731, body, at + 8);
		AUTO_SEEN seen = walk(&builder, 0);

		print_message("%s\n", table[i].name);
		assert_int_equal(only_event(seen)->time, POSTGRES_EPOCH_US + 42);
	}
}

static void
test_a_prepared_transaction_says_its_own_xid(void **state)
{
	static const struct
	{
		const char *name;
		int major;
		uint8_t info;
		uint32_t xinfo;
		size_t
			before; /* bytes of the arrays' items, when each has 100 of them, and of what else comes before */
	} table[] = {
		{"nothing else", 15, 0xB0, 0x10, 0},
		{"database", 15, 0xB0, 0x11, 8},
		{"subtransactions", 15, 0xB0, 0x13, 8 + 4 + 400},
		{"relations and invalidations", 15, 0xB0, 0x1D, 8 + 4 + 1200 + 4 + 1600},
		{"dropped statistics in 15", 15, 0xB0, 0x110, 4 + 1200},
		{"dropped statistics in 18", 18, 0xB0, 0x110, 4 + 1600},
		{"dropped statistics in 19", 19, 0xB0, 0x110, 4 + 1600},
		{"a bit unknown to 14", 14, 0xB0, 0x110, 0},
		{"abort", 13, 0xC0, 0x16, 4 + 400 + 4 + 1200},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(table[i].major, 1);
		uint8_t main[12 + 8192] = {0};
		size_t at = 12;
		uint32_t sizes[] = {4, 12, table[i].major >= 18 ? 16 : 12, 16};
		uint32_t flags[] = {0x2, 0x4, table[i].major >= 15 ? 0x100 : 0, 0x8};

		builder_le(main + 8, table[i].xinfo, 4);
		at += table[i].xinfo & 1 ? 8 : 0;
		for (size_t j = 0; j < lengthof(sizes); j++)
		{
			if ((table[i].xinfo & flags[j]) == 0)
				continue;
			builder_le(main + at, 100, 4);
			at += 4 + 100 * sizes[j];
		}
		assert_int_equal(at, 12 + table[i].before);
		builder_le(main + at, 4711, 4);
		(void) builder_record(&builder, 1, table[i].info, 0, main, at + 4);
		AUTO_SEEN seen = walk(&builder, 0);

		const WalEvent *event = &seen->events[seen->n_events - 1];

		print_message("%s\n", table[i].name);
		assert_int_equal(seen->result.records, 1);
		assert_int_equal(event->kind, table[i].info == 0xB0 ? WAL_EVENT_COMMIT : WAL_EVENT_ABORT);
		assert_int_equal(event->xid, 4711);
		assert_int_equal(event->time, POSTGRES_EPOCH_US);
	}
}

/* Items, and the records of drops */

/* The main data of a commit with "count" items in each of the arrays that "xinfo" names. */
static size_t
commit_main(uint8_t *main, int major, uint32_t xinfo, uint32_t count)
{
	const uint32_t flags[] = {0x2, 0x4, 0x100, 0x8};
	const size_t sizes[] = {4, 12, major >= 18 ? 16 : 12, 16};
	size_t at = 12 + (xinfo & 1 ? 8 : 0);

	builder_le(main, 42, 8);
	builder_le(main + 8, xinfo, 4);
	for (size_t i = 0; i < lengthof(flags); i++)
	{
		if ((xinfo & flags[i]) == 0)
			continue;
		builder_le(main + at, count, 4);
		at += 4;
		for (size_t item = 0; item < count; item++, at += sizes[i])
			for (size_t field = 0; field < sizes[i]; field += 4)
				builder_le(main + at + field, 1000 * (i + 1) + 10 * item + field / 4, 4);
	}
	if ((xinfo & 0x10) != 0)
		builder_le(main + at, 4711, 4);
	return at + (xinfo & 0x10 ? 4 : 0);
}

static void
test_a_commit_shows_its_items_before_itself(void **state)
{
	static const struct
	{
		const char *name;
		int major;
		uint8_t info;
		uint32_t xinfo;
		bool subxacts;
		bool files;
		bool statistics;
	} table[] = {
		{"nothing", 15, 0x80, 0x1, false, false, false},
		{"without the bit of info", 15, 0x00, 0x10F, false, false, false},
		{"13", 13, 0x80, 0xF, true, true, false},
		{"14 knows no statistics", 14, 0x80, 0xE, true, true, false},
		{"15", 15, 0x80, 0x10F, true, true, true},
		{"17, only statistics", 17, 0x80, 0x100, false, false, true},
		{"18", 18, 0x80, 0x10F, true, true, true},
		{"18, prepared", 18, 0xB0, 0x11F, true, true, true},
		{"13, prepared", 13, 0xB0, 0x1E, true, true, false},
		{"an abort", 15, 0xA0, 0x7, false, false, false},
		{"a prepared abort", 15, 0xC0, 0x17, false, false, false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(table[i].major, 1);
		uint8_t main[1024] = {0};
		size_t size = commit_main(main, table[i].major, table[i].xinfo, 2);
		XLogRecPtr lsn = builder_record(&builder, 1, table[i].info, 731, main, size);
		AUTO_SEEN seen = walk(&builder, 0);
		const WalEvent *event = seen->events;
		uint64_t object = table[i].major < 18 ? 3002 : 3002 | UINT64_C(3003) << 32;

		print_message("%s\n", table[i].name);
		if (table[i].subxacts)
		{
			assert_int_equal(event[0].kind, WAL_EVENT_SUBXACT);
			assert_int_equal(event[0].xid, 1000);
			assert_int_equal(event[1].xid, 1010);
			event += 2;
		}
		if (table[i].files)
		{
			assert_int_equal(event[1].kind, WAL_EVENT_DROPPED_FILE);
			assert_int_equal(event[1].lsn, lsn);
			assert_int_equal(event[1].end, InvalidXLogRecPtr);
			assert_int_equal(event[1].time, TIME_NONE);
			assert_int_equal(event[1].relation.tablespace, 2010);
			assert_int_equal(event[1].relation.database, 2011);
			assert_int_equal(event[1].relation.number, 2012);
			event += 2;
		}
		if (table[i].statistics)
		{
			assert_int_equal(event[0].kind, WAL_EVENT_DROPPED_STATS);
			assert_int_equal(event[0].statistics_kind, 3000);
			assert_int_equal(event[0].relation.database, 3001);
			assert_int_equal(event[0].relation.number, object);
			event += 2;
		}
		assert_int_equal(event - seen->events + 1, seen->n_events);
		assert_int_equal(event->lsn, lsn);
		assert_int_equal(event->time, POSTGRES_EPOCH_US + 42);
		assert_int_equal(event->dropped_files, table[i].files ? 2 : 0);
		assert_int_equal(event->xid, table[i].info >= 0xB0 ? 4711 : 731);
		assert_int_equal(seen->result.records, 1);
	}
}

static void
test_a_count_beyond_the_record_shows_no_item(void **state)
{
	static const uint32_t counts[] = {3, 0x15555556, 0x80000000, 0xFFFFFFFF};

	(void) state;
	for (size_t i = 0; i < lengthof(counts); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		uint8_t main[256] = {0};
		size_t size = commit_main(main, 15, 0x4, 2);

		builder_le(main + 12, counts[i], 4);
		(void) builder_record(&builder, 1, 0x80, 731, main, size);
		builder_le(main, counts[i], 4); /* the same of locks */
		(void) builder_record(&builder, 8, 0x00, 0, main, size - 4);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_int_equal(seen->n_events, 2);
		assert_int_equal(seen->events[0].kind, WAL_EVENT_COMMIT);
		assert_int_equal(seen->events[0].dropped_files, 0);
		assert_int_equal(seen->events[1].kind, WAL_EVENT_OTHER);
	}
}

static void
test_items_of_a_damaged_commit_are_followed_by_nothing(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	uint8_t main[256] = {0};
	size_t size = commit_main(main, 15, 0x4, 2);
	XLogRecPtr lsn = builder_record(&builder, 1, 0x80, 731, main, size);

	(void) state;
	builder.bytes[builder.at - 8] ^= 1;
	(void) builder_filler(&builder, 100);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(seen->result.damaged_at, lsn);
	assert_int_equal(seen->n_events, 2);
	assert_true(wal_event_is_item(seen->events[1].kind));
}

static void
test_a_commit_at_the_end_shows_the_items_that_lie_here(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 2);
	AUTO_FREE uint8_t *main = mem_zalloc(16384);
	size_t size = commit_main(main, 15, 0x4, 1000);

	(void) state;
	fill_to(&builder, BUILDER_SEGMENT_SIZE - 24 - 5 - 16 - 30 * 12 - 11);
	XLogRecPtr lsn = builder_record(&builder, 1, 0x80, 731, main, size);
	AUTO_SEEN seen = walk(&builder, 0);
	const WalEvent *commit = &seen->events[seen->n_events - 1];

	assert_int_equal(commit->lsn, lsn);
	assert_int_equal(commit->dropped_files, 1000);
	assert_int_equal(commit->end, InvalidXLogRecPtr);
	assert_int_equal(commit[-30].lsn, lsn);
	assert_int_equal(commit[-31].kind, WAL_EVENT_OTHER);
	assert_int_equal(commit[-1].relation.number, 2000 + 10 * 29 + 2);
}

static void
test_files_databases_and_locks_are_told(void **state)
{
	static const struct
	{
		const char *name;
		int major;
		uint8_t manager;
		uint8_t info;
		uint32_t fork;
		WalEventKind kind;
	} table[] = {
		{"a main fork", 13, 2, 0x10, 0, WAL_EVENT_FILE_CREATED},
		{"a main fork", 18, 2, 0x10, 0, WAL_EVENT_FILE_CREATED},
		{"the init fork of an unlogged table", 15, 2, 0x10, 3, WAL_EVENT_FILE_CREATED},
		{"a free space map", 15, 2, 0x10, 1, WAL_EVENT_OTHER},
		{"truncate", 15, 2, 0x20, 0, WAL_EVENT_OTHER},
		{"DROP DATABASE", 13, 4, 0x10, 0, WAL_EVENT_DATABASE_DROPPED},
		{"DROP DATABASE", 14, 4, 0x10, 0, WAL_EVENT_DATABASE_DROPPED},
		{"CREATE DATABASE, wal_log", 15, 4, 0x10, 0, WAL_EVENT_DATABASE_CREATED},
		{"DROP DATABASE", 15, 4, 0x20, 0, WAL_EVENT_DATABASE_DROPPED},
		{"DROP DATABASE", 18, 4, 0x20, 0, WAL_EVENT_DATABASE_DROPPED},
		{"DROP DATABASE", 19, 4, 0x20, 0, WAL_EVENT_DATABASE_DROPPED},
		{"CREATE DATABASE", 13, 4, 0x00, 0, WAL_EVENT_DATABASE_CREATED},
		{"CREATE DATABASE, file_copy", 15, 4, 0x00, 0, WAL_EVENT_DATABASE_CREATED},
		{"CREATE TABLESPACE", 13, 5, 0x00, 0, WAL_EVENT_TABLESPACE_CREATED},
		{"CREATE TABLESPACE", 19, 5, 0x00, 0, WAL_EVENT_TABLESPACE_CREATED},
		{"DROP TABLESPACE", 13, 5, 0x10, 0, WAL_EVENT_TABLESPACE_DROPPED},
		{"unknown to 14", 14, 4, 0x20, 0, WAL_EVENT_OTHER},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(table[i].major, 1);
		uint8_t main[16] = {11, 0, 0, 0, 22, 0, 0, 0, 33};

		builder_le(main + 12, table[i].fork, 4);
		(void) builder_record(&builder, table[i].manager, table[i].info, 731, main, sizeof main);
		AUTO_SEEN seen = walk(&builder, 0);
		const WalEvent *event = only_event(seen);

		print_message("%d: %s\n", table[i].major, table[i].name);
		assert_int_equal(event->kind, table[i].kind);
		if (event->kind == WAL_EVENT_OTHER)
			continue;
		assert_int_equal(event->xid, 731);
		if (event->kind == WAL_EVENT_TABLESPACE_CREATED || event->kind == WAL_EVENT_TABLESPACE_DROPPED)
			assert_int_equal(event->relation.tablespace, 11);
		else if (event->kind == WAL_EVENT_DATABASE_CREATED)
		{
			assert_int_equal(event->relation.database, 11);
			assert_int_equal(event->relation.tablespace, 22);
			assert_int_equal(event->source_database, table[i].info == 0x00 ? 33 : 0);
		}
		else if (event->kind == WAL_EVENT_DATABASE_DROPPED)
			assert_int_equal(event->relation.database, 11);
		else
			assert_memory_equal(&event->relation, (&(WalRelation){11, 22, 33}), sizeof(WalRelation));
	}
}

static void
test_each_lock_of_a_record_is_shown(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	uint8_t main[4 + 2 * 12] = {2};

	(void) state;
	for (unsigned i = 0; i < 6; i++)
		builder_le(main + 4 + (size_t) 4 * i, 100 + i, 4);
	XLogRecPtr lsn = builder_record(&builder, 8, 0x00, 0, main, sizeof main);
	(void) builder_record(&builder, 8, 0x10, 0, main, sizeof main); /* running transactions */
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(seen->n_events, 4);
	for (unsigned i = 0; i < 2; i++)
	{
		const WalEvent *event = &seen->events[i];

		assert_int_equal(event->kind, WAL_EVENT_LOCK);
		assert_int_equal(event->lsn, lsn);
		assert_int_equal(event->xid, 100 + 3 * i);
		assert_int_equal(event->relation.database, 101 + 3 * i);
		assert_int_equal(event->relation.number, 102 + 3 * i);
	}
	assert_int_equal(seen->events[2].kind, WAL_EVENT_OTHER);
	assert_int_equal(seen->events[2].lsn, lsn);
}

static void
test_a_checkpoint_says_the_next_xid_with_its_epoch(void **state)
{
	static const struct
	{
		int major;
		size_t at; /* 19 put two members before it */
		size_t size;
	} table[] = {{13, 24, 80}, {15, 24, 88}, {18, 24, 88}, {19, 32, 96}};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
		for (uint8_t info = 0x00; info <= 0x10; info += 0x10)
		{
			AUTO_BUILDER builder = builder_new(table[i].major, 1);
			uint8_t main[96] = {[8] = 1, [12] = 1};

			builder_le(main + table[i].at, UINT64_C(0x300000005), 8);
			(void) builder_record(&builder, 0, info, 0, main, table[i].size);
			AUTO_SEEN seen = walk(&builder, 0);

			assert_int_equal(only_event(seen)->next_full_xid, UINT64_C(0x300000005));
			assert_false(only_event(seen)->begins_timeline);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_of_record_is_told),
		cmocka_unit_test(test_a_parameter_change_says_its_values),
		cmocka_unit_test(test_a_commit_says_its_time_and_xid),
		cmocka_unit_test(test_a_time_beyond_the_year_9999_is_none),
		cmocka_unit_test(test_a_restore_point_says_its_name),
		cmocka_unit_test(test_a_tablespace_says_its_path),
		cmocka_unit_test(test_a_change_of_full_page_writes_and_a_checkpoint_say_what_holds),
		cmocka_unit_test(test_a_commit_behind_block_references_is_read),
		cmocka_unit_test(test_a_prepared_transaction_says_its_own_xid),
		cmocka_unit_test(test_a_commit_shows_its_items_before_itself),
		cmocka_unit_test(test_a_count_beyond_the_record_shows_no_item),
		cmocka_unit_test(test_items_of_a_damaged_commit_are_followed_by_nothing),
		cmocka_unit_test(test_a_commit_at_the_end_shows_the_items_that_lie_here),
		cmocka_unit_test(test_files_databases_and_locks_are_told),
		cmocka_unit_test(test_each_lock_of_a_record_is_shown),
		cmocka_unit_test(test_a_checkpoint_says_the_next_xid_with_its_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
