/* Timeline history, backup_label and tablespace_map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "walship/wal/history.h"
#include "walship/wal/label.h"

static TimelineHistory *
history_of(TimeLineID timeline, const char *text)
{
	TimelineHistory *history = NULL;

	assert_null(timeline_history_parse(timeline, text, strlen(text), "x.history", &history));
	return history;
}

static void
test_a_history_says_where_each_byte_lies(void **state)
{
	AUTO(TimelineHistory) history = history_of(4, "# made by hand\n\n1\t0/3000000\tno recovery target\n"
	                                              "  3\t0/5000000\tbefore 2026-11-20\r\n");
	XLogRecPtr lsn;

	(void) state;
	assert_int_equal(history->n_ancestors, 2);
	assert_int_equal(timeline_history_at(history, 0), 1);
	assert_int_equal(timeline_history_at(history, 0x2FFFFFF), 1);
	assert_int_equal(timeline_history_at(history, 0x3000000), 3);
	assert_int_equal(timeline_history_at(history, 0x5000000), 4);
	assert_true(timeline_history_begin_of(history, 1, &lsn) && lsn == 0);
	assert_true(timeline_history_end_of(history, 1, &lsn) && lsn == 0x3000000);
	assert_true(timeline_history_begin_of(history, 4, &lsn) && lsn == 0x5000000);
	assert_true(timeline_history_end_of(history, 4, &lsn) && lsn == UINT64_MAX);
	assert_false(timeline_history_begin_of(history, 2, &lsn));
	assert_false(timeline_history_end_of(history, 5, &lsn));
}

/* Recovery along timeline 2 that stopped before 2 began: timeline 3 in truth leaves 1. */
static void
test_a_switch_before_the_parent_began_leaves_the_grandparent(void **state)
{
	AUTO(TimelineHistory) history = history_of(3, "1\t0/5000000\tx\n2\t0/3000000\ty\n");
	XLogRecPtr begin;
	XLogRecPtr end;

	(void) state;
	assert_int_equal(timeline_history_at(history, 0x2000000), 1);
	assert_int_equal(timeline_history_at(history, 0x4000000), 3);
	assert_true(timeline_history_begin_of(history, 2, &begin));
	assert_true(timeline_history_end_of(history, 2, &end));
	assert_int_equal(begin, end);
}

static void
test_a_timeline_without_history_is_all_there_is(void **state)
{
	AUTO(TimelineHistory) history = timeline_history_root(1);
	XLogRecPtr lsn;

	(void) state;
	assert_int_equal(timeline_history_at(history, 12345), 1);
	assert_true(timeline_history_begin_of(history, 1, &lsn) && lsn == 0);
	assert_true(timeline_history_end_of(history, 1, &lsn) && lsn == UINT64_MAX);
}

static void
test_a_wrong_history_is_refused_with_its_line(void **state)
{
	static const struct
	{
		const char *text;
		const char *says;
	} table[] = {
		{"x\t0/3000000\ty\n", "line 1: expected a timeline"},
		{"\n0\t0/3000000\ty\n", "line 2: expected a timeline"},
		{"4294967297\t0/3\ty\n", "line 1: expected a timeline"},
		{"1\n", "line 1: expected the WAL location"},
		{"1\t0x3000000\n", "line 1: expected the WAL location"},
		{"2\t0/3000000\n1\t0/4000000\n", "line 2: timelines do not increase"},
		{"1\t0/3000000\n1\t0/4000000\n", "line 2: timelines do not increase"},
		{"5\t0/3000000\n", "line 1: timeline 5 is not below"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		TimelineHistory *history = NULL;
		AUTO(Error) error =
			timeline_history_parse(5, table[i].text, strlen(table[i].text), "00000005.history", &history);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_null(history);
		assert_non_null(strstr(error_message(error), table[i].says));
		assert_non_null(strstr(error_message(error), "00000005.history"));
	}
}

#define START      "START WAL LOCATION: 0/2000028 (file 000000030000000000000002)\n"
#define CHECKPOINT "CHECKPOINT LOCATION: 0/2000060\n"
#define REST \
	"BACKUP METHOD: streamed\nBACKUP FROM: standby\nSTART TIME: 2026-11-20 02:30:07 UTC\nLABEL: a: b\n"
#define TIMELINE "START TIMELINE: 3\n"

static void
test_a_backup_label_is_read(void **state)
{
	static const char text[] = START CHECKPOINT REST TIMELINE "INCREMENTAL FROM LSN: 0/1000028\n";
	BackupLabel label;

	(void) state;
	assert_null(backup_label_parse(text, strlen(text), &label));
	assert_int_equal(label.start_lsn, 0x2000028);
	assert_int_equal(label.checkpoint_lsn, 0x2000060);
	assert_int_equal(label.timeline, 3);
	assert_true(label.from_standby);
	assert_true(label.incremental);
	assert_string_equal(label.label, "a: b");
}

static void
test_a_wrong_backup_label_is_refused(void **state)
{
	static const struct
	{
		const char *text;
		const char *says;
	} table[] = {
		{"", "START WAL LOCATION"},
		{START REST TIMELINE, "CHECKPOINT LOCATION"},
		{START CHECKPOINT TIMELINE, "BACKUP FROM"},
		{START CHECKPOINT REST, "START TIMELINE"},
		{START CHECKPOINT REST "START TIMELINE: 3", "START TIMELINE"}, /* cut off */
		{START CHECKPOINT REST "START TIMELINE: 4\n", "timeline 3"},
		{START START CHECKPOINT REST TIMELINE, "START WAL LOCATION"},
		{"START WAL LOCATION: 0/2000028\n" CHECKPOINT REST TIMELINE, "START WAL LOCATION"},
		{"START WAL LOCATION: 0/2000028 (file 00000003.history)\n" CHECKPOINT REST TIMELINE,
	     "START WAL LOCATION"},
		{"START WAL LOCATION: 2000028 (file 000000030000000000000002)\n", "START WAL LOCATION"},
		{"BACKUP FROM: elsewhere\n", "BACKUP FROM"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		BackupLabel label;
		AUTO(Error) error = backup_label_parse(table[i].text, strlen(table[i].text), &label);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), table[i].says));
	}
}

static void
test_paths_in_a_tablespace_map_are_escaped(void **state)
{
	AUTO_BUF(map, 1000);

	(void) state;
	tablespace_map_append(&map, 16394, "/srv/a b");
	tablespace_map_append(&map, 16395, "/srv/a\\b\nc\rd");
	assert_string_equal(map.data, "16394 /srv/a b\n16395 /srv/a\\\\b\\\nc\\\rd\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_history_says_where_each_byte_lies),
		cmocka_unit_test(test_a_switch_before_the_parent_began_leaves_the_grandparent),
		cmocka_unit_test(test_a_timeline_without_history_is_all_there_is),
		cmocka_unit_test(test_a_wrong_history_is_refused_with_its_line),
		cmocka_unit_test(test_a_backup_label_is_read),
		cmocka_unit_test(test_a_wrong_backup_label_is_refused),
		cmocka_unit_test(test_paths_in_a_tablespace_map_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
