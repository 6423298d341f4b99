/* Timelines whole in the store: what pg_wal holds after a failover, and what of it is stored. */
#include "walship/archive/lineage.h"

#include <unistd.h>

#include "archive_fixture.h"
#include "note_forge.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/clock.h"

#define MB    ((size_t) 1024 * 1024)
#define NEVER INT64_MAX
#define WAL   "7300000000000000001/wal/"

/* Timeline 2 left 1 within segment 2, timeline 3 left 2 within segment 4 (each of 1 MB, from 3/0). */
#define HISTORY_2 "1\t3/00280000\tno recovery target specified\n"
#define HISTORY_3 HISTORY_2 "\n2\t3/00480000\tno recovery target specified\n"

static void
write_timeline(const Place *place, TimeLineID timeline, size_t first, size_t last)
{
	WalBuilder builder = builder_new(15, last + 1);

	builder.timeline = timeline;
	fill_wal(&builder, builder.size);
	for (size_t i = first; i <= last; i++)
	{
		AUTO_FREE char *name = mem_printf("%08X00000003%08zX", timeline, i);

		free(write_wal(place, name, builder.bytes + i * MB, MB));
	}
	free(builder.bytes);
}

static void
write_text(const Place *place, const char *name, const char *text)
{
	free(write_wal(place, name, text, strlen(text)));
}

/* pg_wal of a server on timeline 3. */
static void
write_pg_wal(const Place *place)
{
	AUTO_FREE char *status = path_join(place->wal, "archive_status");

	write_timeline(place, 1, 0, 2);
	write_timeline(place, 2, 2, 4);
	write_timeline(place, 3, 4, 4);
	write_text(place, "00000002.history", HISTORY_2);
	write_text(place, "00000003.history", HISTORY_3);
	write_text(place, "000000010000000300000002.partial", "x");
	write_text(place, "xlogtemp.4711", "x");
	assert_ok(dir_make(status, 0700));
}

static void
remove_wal(const Place *place, const char *name)
{
	AUTO_FREE char *path = path_join(place->wal, name);

	assert_int_equal(unlink(path), 0);
}

static void
assert_names(const StrList *list, const char *const *expected, size_t count)
{
	for (size_t i = 0; i < list->count; i++)
		print_message("  %s\n", list->items[i]);
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++)
		assert_non_null(strstr(list->items[i], expected[i]));
}

static void
what_leads_to_a_timeline_is_stored_once_oldest_first(void **state)
{
	static const char *const missing[] = {"000000010000000300000000", "000000010000000300000001",
	                                      "00000002.history", "000000020000000300000002",
	                                      "000000020000000300000003"};
	Place *place = *state;
	LineageReport report = {0};

	write_pg_wal(place);
	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_names(&report.stored, missing, lengthof(missing));
	assert_names(&report.warnings, NULL, 0);
	assert_true(is_in_store(place, WAL "00000003.history"));
	assert_true(is_in_store(place, WAL "00000002.history.sha256"));
	assert_true(is_in_store(place, WAL "00000003.history.sha256"));
	assert_int_equal(objects_in_store(place), lengthof(missing) + 3);
	lineage_report_release(&report);

	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_names(&report.stored, NULL, 0);
	lineage_report_release(&report);
}

static void
what_is_there_is_not_touched(void **state)
{
	static const char *const rest[] = {"000000010000000300000000", "00000002.history",
	                                   "000000020000000300000002", "000000020000000300000003"};
	Place *place = *state;
	LineageReport report = {0};
	AUTO_BUF(object, 0);

	write_pg_wal(place);
	put_raw(place, WAL "00000001/000000010000000300000001.tar", "as it is", 8);
	put_raw(place, WAL "00000003.history", "as it is", 8);
	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_names(&report.stored, rest, lengthof(rest));
	assert_names(&report.warnings, NULL, 0);
	read_raw(place, WAL "00000001/000000010000000300000001.tar", &object);
	assert_string_equal(object.data, "as it is");
	lineage_report_release(&report);
}

static void
damaged_files_are_set_aside_with_a_warning_each(void **state)
{
	static const char *const stored[] = {"000000010000000300000000", "000000020000000300000002"};
	static const char *const warnings[] = {"000000010000000300000001: its WAL is not whole",
	                                       "00000002.history: could not archive",
	                                       "000000020000000300000003: its WAL is not whole"};
	Place *place = *state;
	LineageReport report = {0};
	AUTO_FREE char *ends_early = path_join(place->wal, "000000010000000300000001");
	AUTO_FREE char *broken = path_join(place->wal, "000000020000000300000003");
	AUTO_BUF(bytes, MB);

	write_pg_wal(place);
	assert_ok(file_read_all(ends_early, &bytes));
	memset(bytes.data + MB / 2, 0, MB / 2);
	assert_ok(file_replace(ends_early, bytes.data, MB, 0600));
	buf_clear(&bytes);
	assert_ok(file_read_all(broken, &bytes));
	bytes.data[MB / 2 + 4] ^= 1;
	assert_ok(file_replace(broken, bytes.data, MB, 0600));
	remove_wal(place, "00000002.history");
	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_names(&report.stored, stored, lengthof(stored));
	assert_names(&report.warnings, warnings, lengthof(warnings));
	assert_int_equal(objects_in_store(place), lengthof(stored) + 2);
	lineage_report_release(&report);
}

/* The segment of timeline 2 in which it begins, with the checkpoint that says so as the third record. */
static XLogRecPtr
write_switch(const Place *place, TimeLineID left)
{
	WalBuilder builder = builder_new(15, 1);
	uint8_t checkpoint[88] = {0};
	XLogRecPtr lsn;

	builder.timeline = 2;
	(void) builder_filler(&builder, 300);
	(void) builder_filler(&builder, 500);
	builder_le(checkpoint + 8, 2, 4);
	builder_le(checkpoint + 12, left, 4);
	checkpoint[16] = 1;
	builder_le(checkpoint + 24, 800, 8);
	lsn = builder_record(&builder, 0, 0x00, 0, checkpoint, sizeof checkpoint);
	fill_wal(&builder, builder.size);
	free(write_wal(place, "000000020000000300000000", builder.bytes, MB));
	free(builder.bytes);
	return lsn;
}

/* A store that a version without digests wrote. */
static void
a_missing_digest_is_made_good_when_the_wal_says_the_same(void **state)
{
	enum
	{
		RIGHT,
		NO_SEGMENT,
		SEGMENT_IN_STORE,
		ANOTHER_LSN,
		ANOTHER_TIMELINE,
		NO_COPY,
		ANOTHER_COPY,
	};
	static const struct
	{
		const char *name;
		int what;
		bool sealed;
		const char *warning;
	} rows[] = {
		{"all agree", RIGHT, true, NULL},
		{"the segment is gone", NO_SEGMENT, false, NULL},
		{"the segment is in the store", SEGMENT_IN_STORE, true, NULL},
		{"a switch behind the record", ANOTHER_LSN, false, "says something else than the WAL"},
		{"another timeline was left", ANOTHER_TIMELINE, false, "says something else than the WAL"},
		{"pg_wal has lost it", NO_COPY, false, NULL},
		{"pg_wal has another one", ANOTHER_COPY, false, "has other contents"},
	};
	Place *place = *state;
	WalName segment = wal_name("000000020000000300000000");
	AUTO_FREE char *path = path_join(place->wal, "000000020000000300000000");

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		int what = rows[i].what;
		XLogRecPtr lsn = write_switch(place, what == ANOTHER_TIMELINE ? 9 : 1);
		char text[LSN_TEXT_SIZE];
		AUTO_FREE char *line =
			mem_printf("1\t%s\tx\n", lsn_format(lsn + (what == ANOTHER_LSN ? 8 : 0), text));
		LineageReport report = {0};
		PutResult result;

		print_message("  %s\n", rows[i].name);
		put_raw(place, WAL "00000002.history", line, strlen(line) - (what == ANOTHER_COPY ? 1 : 0));
		write_text(place, "00000002.history", line);
		if (what == SEGMENT_IN_STORE)
			assert_ok(wal_object_put(&place->archive, path, &segment, &result, NULL));
		if (what == SEGMENT_IN_STORE || what == NO_SEGMENT)
			assert_int_equal(unlink(path), 0);

		/* The size of segments is that of any. */
		write_timeline(place, 1, 5, 5);
		if (what == NO_COPY)
			remove_wal(place, "00000002.history");
		assert_ok(lineage_ensure(&place->archive, place->wal, 2, NEVER, &report));
		assert_int_equal(is_in_store(place, WAL "00000002.history.sha256"), rows[i].sealed);
		assert_names(&report.warnings, &rows[i].warning, rows[i].warning != NULL);
		lineage_report_release(&report);
		assert_ok(store_remove(place->store, WAL "00000002.history.sha256"));
		assert_ok(store_remove(place->store, WAL "00000002.history"));
		assert_ok(store_remove(place->store, WAL "00000002/000000020000000300000000.tar"));
	}
}

static void
a_history_that_pg_wal_has_lost_is_read_from_the_store(void **state)
{
	Place *place = *state;
	LineageReport report = {0};

	write_pg_wal(place);
	remove_wal(place, "00000003.history");
	put_raw(place, WAL "00000003.history", HISTORY_3, strlen(HISTORY_3));
	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_int_equal(report.stored.count, 5);
	assert_int_equal(report.warnings.count, 0);
	lineage_report_release(&report);
}

static void
a_history_that_is_nowhere_or_nonsense_is_a_warning(void **state)
{
	static const char *const warning[] = {"00000003.history"};
	Place *place = *state;
	LineageReport report = {0};

	write_pg_wal(place);
	for (int i = 0; i < 2; i++)
	{
		if (i == 0)
			remove_wal(place, "00000003.history");
		else
			write_text(place, "00000003.history", "nonsense\n");
		assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
		assert_names(&report.stored, NULL, 0);
		assert_names(&report.warnings, warning, 1);
		lineage_report_release(&report);
	}
}

static void
at_the_deadline_it_ends_and_a_later_call_goes_on(void **state)
{
	Place *place = *state;
	LineageReport report = {0};

	write_pg_wal(place);
	assert_error(lineage_ensure(&place->archive, place->wal, 3, clock_monotonic_ms(), &report), ERR_TRANSIENT,
	             "timeline 1 is not yet wholly");
	lineage_report_release(&report);
	assert_ok(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report));
	assert_int_equal(report.stored.count, 5);
	lineage_report_release(&report);
}

static void
a_store_that_is_away_is_an_error(void **state)
{
	Place *place = *state;
	LineageReport report = {0};
	AUTO_FREE char *directory = path_join(place->scratch, "store");

	write_pg_wal(place);
	assert_ok(dir_remove_tree(directory, false));
	assert_error(lineage_ensure(&place->archive, place->wal, 3, NEVER, &report), ERR_TRANSIENT, NULL);
	assert_int_equal(report.warnings.count, 0);
	lineage_report_release(&report);
}

static void
notes_are_bound_to_timeline_system_and_store(void **state)
{
	Place *place = *state;
	WalArchive other_system = place->archive;
	WalArchive other_store = place->archive;
	Store elsewhere = *place->store;
	char identity[] = "file:///elsewhere";
	AUTO_FREE char *missing = path_join(place->scratch, "missing");

	other_system.system_identifier++;
	elsewhere.identity = identity;
	other_store.store = &elsewhere;
	assert_false(timeline_complete_is_noted(place->scratch, &place->archive, 3));
	assert_ok(timeline_complete_note(place->scratch, &place->archive, 3));
	assert_ok(timeline_complete_note(place->scratch, &place->archive, 3));
	assert_true(timeline_complete_is_noted(place->scratch, &place->archive, 3));
	assert_false(timeline_complete_is_noted(place->scratch, &place->archive, 2));
	assert_false(timeline_complete_is_noted(place->scratch, &other_system, 3));
	assert_false(timeline_complete_is_noted(place->scratch, &other_store, 3));
	assert_error(timeline_complete_note(missing, &place->archive, 3), ERR_SYSTEM, missing);
}

static void
after_an_hour_it_is_looked_at_anew(void **state)
{
	static const struct
	{
		int64_t age_ms;
		bool expected;
	} cases[] = {{0, true}, {3600000, false}, {-600000, false}};
	Place *place = *state;
	AUTO_STATE_NOTE note = timeline_note(place->scratch, "complete", &place->archive, 3);
	AUTO_FREE char *path = path_join(place->scratch, note.name);

	assert_ok(timeline_complete_note(place->scratch, &place->archive, 3));
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		note_forge(path, -cases[i].age_ms, 0);
		assert_int_equal(timeline_complete_is_noted(place->scratch, &place->archive, 3), cases[i].expected);
	}
}

static bool
is_stub(const Place *place, const char *path, const WalName *name)
{
	AUTO_HISTORY_FILES histories = {0};
	bool stub;

	assert_ok(history_files_read(place->wal, &histories));
	assert_ok(lineage_is_stub(&place->archive, &histories, path, name, &stub));
	return stub;
}

/* Segment 1 of timeline 1 with records up to its middle, then nothing. */
static XLogRecPtr
write_stub(const Place *place, char **ret_path)
{
	WalBuilder builder = builder_new(15, 2);
	XLogRecPtr end;

	fill_wal(&builder, MB + MB / 2);
	end = BUILDER_START + builder.at;
	*ret_path = write_wal(place, "000000010000000300000001", builder.bytes + MB, MB);
	free(builder.bytes);
	return end;
}

static void
a_stub_ends_exactly_where_its_timeline_was_left(void **state)
{
	static const struct
	{
		const char *name;
		const char *history;
		TimeLineID timeline;
		int64_t distance; /* of the switch from the end of the WAL */
		bool stub;
	} rows[] = {
		{"left at its end", "00000002.history", 1, 0, true},
		{"left at its end by a higher timeline", "00000007.history", 1, 0, true},
		{"left after its end", "00000002.history", 1, 8, false},
		{"left before its end", "00000002.history", 1, -8, false},
		{"left in another segment", "00000002.history", 1, -(int64_t) MB, false},
		{"another timeline was left", "00000003.history", 2, 0, false},
		{"history that cannot be read", "00000002.history", 9, 0, false},
	};
	Place *place = *state;
	AUTO_FREE char *path = NULL;
	XLogRecPtr end = write_stub(place, &path);
	WalName name = wal_name("000000010000000300000001");

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		char lsn[LSN_TEXT_SIZE];
		AUTO_FREE char *text =
			mem_printf("%u\t%s\tx\n", rows[i].timeline, lsn_format(end + (uint64_t) rows[i].distance, lsn));

		print_message("  %s\n", rows[i].name);
		write_text(place, rows[i].history, text);
		assert_int_equal(is_stub(place, path, &name), rows[i].stub);
		remove_wal(place, rows[i].history);
	}
	assert_false(is_stub(place, path, &name));
}

static void
a_whole_segment_is_no_stub(void **state)
{
	Place *place = *state;
	AUTO_FREE char *path = path_join(place->wal, "000000010000000300000001");
	WalName name = wal_name("000000010000000300000001");

	write_timeline(place, 1, 0, 1);
	write_text(place, "00000002.history", "1\t3/00200000\tx\n");
	assert_false(is_stub(place, path, &name));
	write_text(place, "00000002.history", "1\t3/00180000\tx\n");
	assert_false(is_stub(place, path, &name));
}

/* Of WAL that cannot be read only the page is known on which it ends. */
static void
a_stub_of_an_unknown_postgres_ends_on_the_page_where_its_timeline_was_left(void **state)
{
	static const struct
	{
		const char *name;
		int64_t distance; /* of the switch from the end of the WAL's last page */
		bool stub;
	} rows[] = {
		{"left at the end of its last page", 0, true},
		{"left on its last page", -100, true},
		{"left on a later page", 8, false},
		{"left on an earlier page", -XLOG_BLCKSZ, false},
	};
	Place *place = *state;
	WalBuilder builder = builder_new(15, 1);
	WalName name = wal_name("000000010000000300000000");
	XLogRecPtr end;
	AUTO_FREE char *path = NULL;

	builder.magic = 0xD1F0;
	fill_wal(&builder, MB / 2);
	end = BUILDER_START + (builder.at + XLOG_BLCKSZ - 1) / XLOG_BLCKSZ * XLOG_BLCKSZ;
	path = write_wal(place, "000000010000000300000000", builder.bytes, MB);
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		char lsn[LSN_TEXT_SIZE];
		AUTO_FREE char *text = mem_printf("1\t%s\tx\n", lsn_format(end + (uint64_t) rows[i].distance, lsn));

		print_message("  %s\n", rows[i].name);
		write_text(place, "00000002.history", text);
		assert_int_equal(is_stub(place, path, &name), rows[i].stub);
		remove_wal(place, "00000002.history");
	}

	/* A whole one may be left anywhere. */
	write_text(place, "00000002.history", "1\t3/000FF000\tx\n");
	builder.at = 0;
	fill_wal(&builder, MB);
	write_file(path, builder.bytes, MB);
	assert_false(is_stub(place, path, &name));
	free(builder.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(what_leads_to_a_timeline_is_stored_once_oldest_first),
		PLACE_TEST(what_is_there_is_not_touched),
		PLACE_TEST(damaged_files_are_set_aside_with_a_warning_each),
		PLACE_TEST(a_missing_digest_is_made_good_when_the_wal_says_the_same),
		PLACE_TEST(a_history_that_pg_wal_has_lost_is_read_from_the_store),
		PLACE_TEST(a_history_that_is_nowhere_or_nonsense_is_a_warning),
		PLACE_TEST(at_the_deadline_it_ends_and_a_later_call_goes_on),
		PLACE_TEST(a_store_that_is_away_is_an_error),
		PLACE_TEST(notes_are_bound_to_timeline_system_and_store),
		PLACE_TEST(after_an_hour_it_is_looked_at_anew),
		PLACE_TEST(a_stub_ends_exactly_where_its_timeline_was_left),
		PLACE_TEST(a_whole_segment_is_no_stub),
		PLACE_TEST(a_stub_of_an_unknown_postgres_ends_on_the_page_where_its_timeline_was_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
