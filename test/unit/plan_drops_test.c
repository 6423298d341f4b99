/* Drops told from rewrites, by the records that servers wrote for these statements. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/plan/drops.h"

/*
 * Records, separated by ';'.  "commit 10: ..." and "abort 10" end a transaction,
 * with the items of the record after the colon: "f" a dropped file, "s" a dropped
 * relation's statistics, "d" a database's, "x" a
 * subtransaction.  "lock 10 ..." is one record per
 * relation, "made 10 ..." one per file, "database 10 16" drops a database.  "cut"
 * instead of "commit" goes on in the next segment.  All files are in database 5.
 */
typedef struct Row
{
	const char *name;
	int major;
	const char *records;
	const char
		*expected; /* per drop: kind, xid, @record/commit if these differ, database, files, relations */
} Row;

static const Row rows[] = {
	{"a dropped table with its TOAST table and indexes is one drop", 15,
     "lock 10 100 103 110 108 107; commit 10: f100 f103 f107 f108 f110 s110 s108 s107 s103 s100",
     "drop 10 db 5 files 100 103 107 108 110 relations 100 103 107 108 110"},
	{"before 15 a drop names the relations that were locked", 13,
     "lock 10 100 103 110; commit 10: f200 f103 f110",
     "drop 10 db 5 files 103 110 200 relations 100 103 110"},
	{"all that one transaction drops is one drop", 15,
     "lock 10 100 101 102; commit 10: f100 f101 f102 s100 s101 s102",
     "drop 10 db 5 files 100 101 102 relations 100 101 102"},
	{"TRUNCATE makes a new file for each", 15,
     "lock 10 100; made 10 200; lock 10 103; made 10 201; commit 10: f100 f103",
     "rewrite 10 db 5 files 100 103 relations 100 103"},
	{"TRUNCATE before 15", 13, "lock 10 100; made 10 200; commit 10: f100",
     "rewrite 10 db 5 files 100 relations 100"},
	{"VACUUM FULL drops the relation whose file it keeps", 15,
     "lock 10 454 462; made 10 462; lock 10 465; made 10 465 466; lock 10 466 457 458 459; made 10 467; lock 10 461;"
     "made 10 468; commit 10: f454 f457 f458 f459 f461 s466 s465 s462",
     "rewrite 10 db 5 files 454 457 458 459 461 relations 454 457 458 459 461"},
	{"REFRESH replaces the TOAST table by another", 15,
     "lock 10 553 559; made 10 559; lock 10 562; made 10 562 563; lock 10 563 556 557;"
     "commit 10: f553 f556 f557 s557 s556 s559",
     "rewrite 10 db 5 files 553 556 557 relations 553"},
	{"ALTER TYPE replaces indexes, too, one of them twice", 15,
     "lock 10 484 489; made 10 492; lock 10 492 494; made 10 494; lock 10 497; made 10 497 498; lock 10 498 491;"
     "made 10 499 500; lock 10 487 488; commit 10: f484 f487 f488 f492 f491 f489 s489 s488 s487 s494",
     "rewrite 10 db 5 files 484 487 488 489 491 relations 484 491"},
	{"ALTER TYPE of a table that needs its TOAST table no longer", 15,
     "lock 10 100 120; made 10 120; lock 10 103 104; commit 10: f100 f104 f103 s104 s103 s120",
     "rewrite 10 db 5 files 100 103 104 relations 100"},
	{"and a dropped table beside it is a drop", 15,
     "lock 10 100 120; made 10 120; lock 10 103 104 90; commit 10: f100 f104 f103 f90 s104 s103 s120 s90",
     "drop 10 db 5 files 90 100 103 104 relations 90 103 104"},
	{"two tables dropped beside an ALTER TYPE are no TOAST table and its index", 15,
     "lock 10 100 120; made 10 120; lock 10 90 95; commit 10: f100 f90 f95 s120 s90 s95",
     "drop 10 db 5 files 90 95 100 relations 90 95"},
	{"ALTER TYPE before 15", 13,
     "lock 10 496 502; made 10 505; lock 10 505 507; made 10 507; lock 10 510; made 10 510 512; lock 10 512 504;"
     "made 10 513 514; lock 10 499 501; commit 10: f496 f499 f501 f505 f504 f502",
     "rewrite 10 db 5 files 496 499 501 502 504 relations 496 499 501 502 504"},
	{"REINDEX", 15, "lock 10 520; made 10 523; commit 10: f520", "rewrite 10 db 5 files 520 relations 520"},
	{"the only rewrite that locks nothing: ALTER SEQUENCE", 15, "made 10 681; commit 10: f680",
     "rewrite 10 db 5 files 680 relations"},
	{"creating one table and dropping another is a drop", 15,
     "lock 10 300; made 10 300; lock 10 100; commit 10: f100 s100", "drop 10 db 5 files 100 relations 100"},
	{"before 15 it looks like a rewrite, unless more is dropped than created", 14,
     "lock 10 300; made 10 300; lock 10 100; commit 10: f100;"
     "lock 11 301; made 11 301; lock 11 100 101; commit 11: f100 f101",
     "rewrite 10 db 5 files 100 relations 100\ndrop 11 db 5 files 100 101 relations 100 101"},
	{"truncating one table and dropping another is a drop", 15,
     "lock 10 100; made 10 200; lock 10 101; commit 10: f100 f101 s101",
     "drop 10 db 5 files 100 101 relations 101"},
	{"truncating one table and dropping another before 15", 14,
     "lock 10 100; made 10 200; lock 10 101; commit 10: f100 f101",
     "drop 10 db 5 files 100 101 relations 100 101"},
	{"altering one table and dropping another is a drop", 15,
     "lock 10 100 300; made 10 300; lock 10 101; commit 10: f100 f101 s300 s101",
     "drop 10 db 5 files 100 101 relations 101"},
	{"changing partitions in one transaction is a drop", 15,
     "lock 10 643 649; made 10 649; lock 10 646; commit 10: f646 s646",
     "drop 10 db 5 files 646 relations 646"},
	{"a dropped partitioned table brings its partitions", 15, "lock 10 643 649; commit 10: f649 s649 s643",
     "drop 10 db 5 files 649 relations 643 649"},
	{"truncating while a temporary table goes is a rewrite", 15,
     "lock 10 618 610; made 10 623; commit 10: f610 s618", "rewrite 10 db 5 files 610 relations 610"},
	{"temporary tables and views have no files", 15, "lock 10 604; commit 10: s604", ""},
	{"created and dropped in one transaction was never there", 15,
     "lock 10 434; made 10 434; lock 10 437; made 10 437; commit 10: f434 f437 s437 s434", ""},
	{"created and dropped in one transaction before 15", 13, "lock 10 434; made 10 434; commit 10: f434", ""},
	{"created, truncated and dropped in one transaction was never there either", 15,
     "lock 10 434; made 10 434 435; commit 10: f434 f435 s434", ""},
	{"an index that was created before there was an xid, and dropped again", 13,
     "made 0 402; lock 10 402; commit 10: f402", ""},
	{"dropped later by another transaction it is a drop", 13,
     "made 0 402; lock 10 402; commit 10; lock 11 402; commit 11: f402",
     "drop 11 db 5 files 402 relations 402"},
	{"an index created on the way does not make a drop a rewrite", 13,
     "made 0 402; lock 10 402 100; commit 10: f100", "drop 10 db 5 files 100 relations 100"},
	{"what a subtransaction made counts for the whole", 15, "lock 11 100; made 11 200; commit 10: x11 f100",
     "rewrite 10 db 5 files 100 relations 100"},
	{"what a subtransaction dropped is in the commit of the whole", 15,
     "lock 11 100; commit 10: x11 f100 s100", "drop 10 db 5 files 100 relations 100"},
	{"a savepoint rolled back drops nothing", 15, "lock 11 100; abort 11; commit 10", ""},
	{"what a savepoint made before it was rolled back does not make a drop a rewrite", 13,
     "lock 11 100; made 11 200; abort 11; lock 10 100; commit 10: f100",
     "drop 10 db 5 files 100 relations 100"},
	{"an aborted transaction drops nothing", 15, "lock 10 100; made 10 200; abort 10; lock 11 5; commit 11",
     ""},
	{"what another transaction made does not count", 15,
     "made 11 200; lock 10 100; commit 10: f100 s100; commit 11", "drop 10 db 5 files 100 relations 100"},
	{"much may happen between the file and the commit", 15,
     "lock 10 100; made 10 200; commit 11; commit 12; abort 13; commit 14; commit 10: f100",
     "rewrite 10 db 5 files 100 relations 100"},
	{"locks that a checkpoint repeats count once", 13, "lock 10 100; lock 10 100; commit 10: f100",
     "drop 10 db 5 files 100 relations 100"},
	{"a database is gone before its commit", 15, "lock 10 1; database 10 16; commit 11; commit 10: d16",
     "database 10 @2/4 db 16 files relations"},
	{"a database that moves to another tablespace is not gone", 15, "commit 10; database 0 16", ""},
	{"what is left of a CREATE DATABASE that failed is no drop", 15, "made 10 300; database 10 16; abort 10",
     ""},
	{"a database is gone without its commit, too", 15, "database 10 16; commit 11",
     "database 10 @1/0 db 16 files relations"},
	{"a commit that goes on elsewhere may have dropped more", 15, "lock 10 100; cut 10: f100",
     "drop 10 db 5 files 100 relations 100 cut"},
};

#define DATABASE 5

typedef struct Teller
{
	DropDetector *detector;
	XLogRecPtr lsn;
} Teller;

static void
tell(const Teller *teller, WalEvent event)
{
	event.lsn = teller->lsn;
	event.end = event.end == 1 ? InvalidXLogRecPtr : teller->lsn + 1;
	drop_detector_add(teller->detector, &event);
}

static void
tell_item(const Teller *teller, char kind, uint64_t number)
{
	WalEvent event = {.time = TIME_NONE, .relation = {.database = DATABASE, .number = number}};

	switch (kind)
	{
		case 'x':
			event.kind = WAL_EVENT_SUBXACT;
			event.xid = (TransactionId) number;
			break;
		case 'f':
			event.kind = WAL_EVENT_DROPPED_FILE;
			event.relation.tablespace = 1663;
			break;
		case 's':
			event.kind = WAL_EVENT_DROPPED_STATS;
			event.statistics_kind = WAL_STATISTICS_RELATION;
			break;
		default:
			assert_int_equal(kind, 'd');
			event.kind = WAL_EVENT_DROPPED_STATS;
			event.statistics_kind = 1;
			event.relation = (WalRelation){.database = (uint32_t) number};
			break;
	}
	tell(teller, event);
}

/* The numbers that follow, one record each. */
static void
tell_each(Teller *teller, WalEventKind kind, TransactionId xid, char *rest)
{
	for (char *word = strtok_r(NULL, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
	{
		WalEvent event = {.kind = kind,
		                  .xid = xid,
		                  .time = TIME_NONE,
		                  .relation = {.database = DATABASE, .number = strtoul(word, NULL, 10)}};

		teller->lsn++;
		if (kind == WAL_EVENT_FILE_CREATED)
			event.relation.tablespace = 1663;
		if (kind == WAL_EVENT_DATABASE_DROPPED)
			event.relation = (WalRelation){.database = (uint32_t) event.relation.number};
		tell(teller, event);
		if (kind == WAL_EVENT_LOCK)
			tell(teller, (WalEvent){.kind = WAL_EVENT_OTHER, .time = TIME_NONE});
	}
}

static void
tell_end(Teller *teller, const char *what, TransactionId xid, char *rest)
{
	bool aborts = strcmp(what, "abort") == 0;

	teller->lsn++;
	for (char *word = strtok_r(NULL, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		tell_item(teller, word[0], strtoul(word + 1, NULL, 10));
	tell(teller, (WalEvent){.kind = aborts ? WAL_EVENT_ABORT : WAL_EVENT_COMMIT,
	                        .xid = xid,
	                        .time = TIME_NONE,
	                        .end = strcmp(what, "cut") == 0});
}

static void
tell_record(Teller *teller, char *text)
{
	char *rest = NULL;
	const char *what = strtok_r(text, " ", &rest);
	TransactionId xid = (TransactionId) strtoul(strtok_r(NULL, " :", &rest), NULL, 10);

	if (strcmp(what, "lock") == 0)
		tell_each(teller, WAL_EVENT_LOCK, xid, rest);
	else if (strcmp(what, "made") == 0)
		tell_each(teller, WAL_EVENT_FILE_CREATED, xid, rest);
	else if (strcmp(what, "database") == 0)
		tell_each(teller, WAL_EVENT_DATABASE_DROPPED, xid, rest);
	else
		tell_end(teller, what, xid, rest);
}

static void
tell_all(Teller *teller, const char *records)
{
	AUTO_FREE char *text = mem_strdup(records);
	char *rest = NULL;

	for (char *record = strtok_r(text, ";", &rest); record != NULL; record = strtok_r(NULL, ";", &rest))
		tell_record(teller, record);
}

static void
describe(const DroppedObjects *dropped, Buf *into)
{
	static const char *const kinds[] = {
		[DROPPED_RELATIONS] = "drop", [DROPPED_BY_REWRITE] = "rewrite", [DROPPED_DATABASE] = "database"};

	buf_printf(into, "%s%s %" PRIu32, into->size > 0 ? "\n" : "", kinds[dropped->kind], dropped->xid);
	if (dropped->lsn != dropped->commit_lsn)
		buf_printf(into, " @%" PRIu64 "/%" PRIu64, dropped->lsn, dropped->commit_lsn);
	buf_printf(into, " db %" PRIu32 " files", dropped->database);
	assert_int_equal(dropped->files, dropped->n_named_files);
	for (size_t i = 0; i < dropped->n_named_files; i++)
		buf_printf(into, " %" PRIu64, dropped->named_files[i].number);
	buf_puts(into, " relations");
	assert_int_equal(dropped->objects, dropped->n_named_objects);
	for (size_t i = 0; i < dropped->n_named_objects; i++)
		buf_printf(into, " %" PRIu32, dropped->named_objects[i]);
	if (dropped->cut)
		buf_puts(into, " cut");
}

static void
check_row(const Row *row)
{
	DroppedList list = {0};
	AUTO(DropDetector) detector = drop_detector_new(row->major, &list);
	Teller teller = {.detector = detector};
	AUTO_BUF(found, 64 * 1024);

	tell_all(&teller, row->records);
	drop_detector_finish(detector);
	buf_puts(&found, "");
	for (size_t i = 0; i < list.count; i++)
		describe(&list.items[i], &found);
	dropped_list_release(&list);
	if (strcmp(found.data, row->expected) != 0)
		fail_msg("%s\nexpected %s\nfound    %s", row->name, row->expected, found.data);
}

static void
drops_are_told_from_rewrites(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		check_row(&rows[i]);
}

/* Items come before the CRC of their record is known. */
static void
items_without_their_record_do_not_count(void **state)
{
	DroppedList list = {0};
	AUTO(DropDetector) detector = drop_detector_new(15, &list);
	Teller teller = {.detector = detector, .lsn = 1};
	char nothing[] = "";

	(void) state;
	tell_item(&teller, 'f', 100);
	tell_item(&teller, 's', 100);
	teller.lsn = 2;
	tell_end(&teller, "commit", 10, nothing);
	assert_int_equal(list.count, 0);
	dropped_list_release(&list);
}

static void
counts_are_exact_where_names_are_cut(void **state)
{
	DroppedList list = {0};
	AUTO(DropDetector) detector = drop_detector_new(15, &list);
	Teller teller = {.detector = detector, .lsn = 1};

	(void) state;
	for (unsigned i = 0; i < 3000; i++)
	{
		tell_item(&teller, 'f', 100000 + i);
		tell_item(&teller, 's', 200000 + i);
	}
	tell(&teller, (WalEvent){.kind = WAL_EVENT_COMMIT, .xid = 10, .time = TIME_NONE});
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].files, 3000);
	assert_int_equal(list.items[0].objects, 3000);
	assert_int_equal(list.items[0].n_named_files, DROPPED_NAMED_MAX);
	assert_int_equal(list.items[0].n_named_objects, DROPPED_NAMED_MAX);
	assert_int_equal(list.items[0].named_objects[0], 200000);
	dropped_list_release(&list);
}

static void
the_first_lock_is_told_also_of_a_subtransaction(void **state)
{
	static const char *const stories[] = {
		"commit 9; lock 11 100; lock 10 5; commit 10: x11 f100 s100",
		"commit 9; lock 10 5; lock 11 100; commit 10: x11 f100 s100",
		"commit 9; lock 10 100; lock 10 100; commit 10: f100 s100",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(stories); i++)
	{
		DroppedList list = {0};
		AUTO(DropDetector) detector = drop_detector_new(15, &list);
		Teller teller = {.detector = detector};

		tell_all(&teller, stories[i]);
		assert_int_equal(list.count, 1);
		assert_int_equal(list.items[0].locked_lsn, 2);
		dropped_list_release(&list);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_are_told_from_rewrites),
		cmocka_unit_test(items_without_their_record_do_not_count),
		cmocka_unit_test(counts_are_exact_where_names_are_cut),
		cmocka_unit_test(the_first_lock_is_told_also_of_a_subtransaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
