/* Runs of times: when a segment carries one on, and the note between two pushes. */
#include "walship/archive/time_run.h"

#include "archive_fixture.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/file.h"

#define SEGMENT BUILDER_SEGMENT_SIZE
#define DIGEST  "0102030405060708090a0b0c0d0e0f100102030405060708090a0b0c0d0e0f10"
#define NOON    INT64_C(1795176000000000) /* 2026-11-20T12:00:00Z */

static WalIndex
segment_index(unsigned number, TimeUs max_time)
{
	WalIndex index;

	wal_index_init(&index);
	index.walked = true;
	index.timeline = 1;
	index.major = 15;
	index.segment_size = SEGMENT;
	index.start_lsn = BUILDER_START + (XLogRecPtr) number * SEGMENT;
	index.end_lsn = index.start_lsn + SEGMENT;
	index.walk.wal_end = index.end_lsn;
	index.max_time = max_time;
	return index;
}

static void
a_run_goes_on_while_segments_join(void **state)
{
	static const struct
	{
		const char *name;
		unsigned number;
		TimeLineID timeline;
		TimeUs max_time;
		enum
		{
			WHOLE,
			DAMAGED,
			ENDS_EARLY,
			CHANGES_PARAMETERS,
			CREATES_TABLESPACE,
			DROPS_TABLESPACE,
			OLD_WRITER,
		} what;
		unsigned since; /* expected */
		TimeUs high;
	} rows[] = {
		{"the first", 5, 1, NOON, WHOLE, 5, NOON},
		{"the next, later", 6, 1, NOON + 9, WHOLE, 5, NOON + 9},
		{"a clock that went back", 7, 1, NOON - 1000, WHOLE, 5, NOON + 9},
		{"no transaction", 8, 1, TIME_NONE, WHOLE, 5, NOON + 9},
		{"changed parameters still belong to it", 9, 1, NOON + 10, CHANGES_PARAMETERS, 5, NOON + 10},
		{"behind them it begins anew", 10, 1, NOON - 5, WHOLE, 10, NOON - 5},
		{"damaged", 11, 1, NOON, DAMAGED, 10, NOON},
		{"behind the damage", 12, 1, TIME_NONE, WHOLE, 12, TIME_NONE},
		{"nothing yet, and then something", 13, 1, NOON, WHOLE, 12, NOON},
		{"a hole", 15, 1, NOON - 1, WHOLE, 15, NOON - 1},
		{"WAL that ends early", 16, 1, NOON - 2, ENDS_EARLY, 15, NOON - 1},
		{"behind its end", 17, 1, NOON - 2, WHOLE, 17, NOON - 2},
		{"an older segment", 3, 1, NOON + 100, WHOLE, 3, NOON + 100},
		{"another timeline", 4, 2, NOON, WHOLE, 4, NOON},
		{"a tablespace that is created still belongs to it", 5, 2, NOON, CREATES_TABLESPACE, 4, NOON},
		{"behind it", 6, 2, NOON, WHOLE, 6, NOON},
		{"one that is dropped does no harm", 7, 2, NOON, DROPS_TABLESPACE, 6, NOON},
		{"nor behind it", 8, 2, NOON, OLD_WRITER, 6, NOON},
		{"behind a segment that knows nothing of tablespaces", 9, 2, NOON, WHOLE, 9, NOON},
	};
	TimeRun run = {.high = TIME_NONE};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WalIndex index = segment_index(rows[i].number, rows[i].max_time);

		print_message("  %s\n", rows[i].name);
		index.timeline = rows[i].timeline;
		index.parameter_change = rows[i].what == CHANGES_PARAMETERS;
		if (rows[i].what == DAMAGED)
			index.walk.damaged_at = index.start_lsn + 500;
		if (rows[i].what == ENDS_EARLY)
			index.walk.wal_end -= 8;
		index.n_tablespaces = rows[i].what == CREATES_TABLESPACE || rows[i].what == DROPS_TABLESPACE;
		index.tablespaces[0].created = rows[i].what == CREATES_TABLESPACE;
		time_run_join(&run, &index);
		assert_int_equal(index.time_high_since, BUILDER_START + (XLogRecPtr) rows[i].since * SEGMENT);
		assert_int_equal(index.time_high, rows[i].high);
		run = time_run_after(&index);
		run.has_sha256 = rows[i].what != OLD_WRITER;
	}
}

/* A segment in which something happens has no quiet run; nor does one that tells nothing of what happens. */
static void
a_quiet_run_goes_on_while_nothing_happens(void **state)
{
	enum
	{
		QUIET,
		COMMIT,
		ABORT,
		DROP,
		FILE_CREATED,
		RESTORE_POINT,
		TABLESPACE,
		DATABASE,
		PARAMETERS,
		TIMELINE,
		CROSSES,
		DAMAGED,
		ENDS_EARLY,
		OLD_WRITER,
		NOT_WALKED,
		LOST_NOTE,
	};
	static const struct
	{
		const char *name;
		unsigned number;
		TimeLineID timeline;
		int what;
		unsigned since; /* expected; 0: no run */
	} rows[] = {
		{"the first", 5, 1, QUIET, 5},
		{"the next", 6, 1, QUIET, 5},
		{"a commit", 7, 1, COMMIT, 0},
		{"behind it", 8, 1, QUIET, 8},
		{"an abort", 9, 1, ABORT, 0},
		{"behind it, too", 10, 1, QUIET, 10},
		{"a hole", 12, 1, QUIET, 12},
		{"a drop", 13, 1, DROP, 0},
		{"a file", 14, 1, FILE_CREATED, 0},
		{"a restore point", 15, 1, RESTORE_POINT, 0},
		{"a tablespace", 16, 1, TABLESPACE, 0},
		{"a database", 17, 1, DATABASE, 0},
		{"parameters", 18, 1, PARAMETERS, 0},
		{"the beginning of a timeline", 19, 1, TIMELINE, 0},
		{"quiet again", 20, 1, QUIET, 20},
		{"a record that may be a commit's ends in the next one", 21, 1, CROSSES, 0},
		{"which itself is quiet", 22, 1, QUIET, 22},
		{"damaged", 23, 1, DAMAGED, 0},
		{"behind the damage", 24, 1, QUIET, 24},
		{"WAL that ends early", 25, 1, ENDS_EARLY, 0},
		{"behind its end", 26, 1, QUIET, 26},
		{"an index that does not tell of all", 27, 1, OLD_WRITER, 0},
		{"behind it", 28, 1, QUIET, 28},
		{"of an unknown PostgreSQL", 29, 1, NOT_WALKED, 0},
		{"behind that", 30, 1, QUIET, 30},
		{"the run goes on", 31, 1, QUIET, 30},
		{"but not without the note", 32, 1, LOST_NOTE, 32},
		{"another timeline", 33, 2, QUIET, 33},
		{"and an older segment of it", 31, 2, QUIET, 31},
	};
	TimeRun run = {.high = TIME_NONE};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WalIndex index = segment_index(rows[i].number, TIME_NONE);
		int what = rows[i].what;

		print_message("  %s\n", rows[i].name);
		index.timeline = rows[i].timeline;
		index.walked = what != NOT_WALKED;
		index.tells_changes = what != OLD_WRITER;
		index.commits = what == COMMIT;
		index.aborts = what == ABORT;
		index.n_drops = what == DROP;
		index.n_files_created = what == FILE_CREATED;
		index.n_restore_points = what == RESTORE_POINT;
		index.n_tablespaces = what == TABLESPACE;
		index.n_databases = what == DATABASE;
		index.parameter_change = what == PARAMETERS;
		index.timeline_switch = what == TIMELINE;
		index.walk.tail.length = what == CROSSES ? 8 : 0;
		if (what == DAMAGED)
			index.walk.damaged_at = index.start_lsn + 500;
		if (what == ENDS_EARLY)
			index.walk.wal_end -= 8;
		if (what == LOST_NOTE)
			run = (TimeRun){.high = TIME_NONE};
		time_run_join(&run, &index);
		assert_int_equal(index.quiet_since, rows[i].since == 0
		                                        ? InvalidXLogRecPtr
		                                        : BUILDER_START + (XLogRecPtr) rows[i].since * SEGMENT);
		run = time_run_after(&index);
	}
}

/* The raw digest of the segment before, whatever becomes of the run of times. */
static void
a_segment_names_the_one_before_it(void **state)
{
	static const struct
	{
		unsigned number;
		TimeLineID timeline;
		bool damaged;
		bool expected;
	} rows[] = {
		{5, 1, false, false}, {6, 1, true, true},  {7, 1, false, true},   {9, 1, false, false},
		{8, 1, false, false}, {9, 1, false, true}, {10, 2, false, false}, {11, 2, false, true},
	};
	Place *place = *state;
	TimeRun run = {.high = TIME_NONE};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WalIndex index = segment_index(rows[i].number, NOON);
		uint8_t before[SHA256_SIZE];

		index.timeline = rows[i].timeline;
		memset(index.sha256, (int) i, sizeof index.sha256);
		memset(before, (int) i - 1, sizeof before);
		if (rows[i].damaged)
			index.walk.damaged_at = index.start_lsn + 500;
		time_run_join(&run, &index);
		assert_int_equal(index.has_previous, rows[i].expected);
		if (rows[i].expected)
			assert_memory_equal(index.previous, before, sizeof before);

		/* Also from one process to the next. */
		run = time_run_after(&index);
		assert_ok(time_run_note(place->scratch, &place->archive, rows[i].timeline, &run));
		run = time_run_noted(place->scratch, &place->archive, rows[i].timeline);
		assert_true(run.has_sha256);
	}
}

/* Of a record that goes on here, but of which the segment before says that it tells nothing. */
static void
a_head_that_nobody_needs_is_dropped(void **state)
{
	WalIndex first = segment_index(5, NOON);
	WalIndex second = segment_index(6, NOON);
	TimeRun run = {.high = TIME_NONE};

	(void) state;
	for (int with_tail = 0; with_tail < 2; with_tail++)
		for (int joins = 0; joins < 2; joins++)
		{
			first.walk.tail.size = first.walk.tail.length = with_tail ? 10 : 0;
			second.walk.head.length = 3000;
			second.walk.head.size = 1000;
			time_run_join(&run, &first);
			if (joins)
			{
				TimeRun after = time_run_after(&first);

				time_run_join(&after, &second);
			}
			else
				time_run_join(&run, &second);
			assert_int_equal(second.walk.head.size, joins && !with_tail ? 0 : 1000);
			assert_int_equal(second.walk.head.length, 3000);
		}
}

static void
a_partial_has_no_run(void **state)
{
	WalIndex index = segment_index(5, NOON);
	WalIndex partial = segment_index(6, NOON);
	TimeRun run = {.high = TIME_NONE};

	(void) state;
	time_run_join(&run, &index);
	run = time_run_after(&index);
	partial.walked = false;
	time_run_join(&run, &partial);
	assert_int_equal(partial.time_high_since, InvalidXLogRecPtr);
	assert_int_equal(time_run_after(&partial).end, InvalidXLogRecPtr);
}

/* A commit that begins at the end of a segment and says its time in the next. */
static WalBuilder
commit_across(int64_t time, size_t before)
{
	WalBuilder builder = builder_new(15, 2);
	uint8_t main[8];

	builder_le(main, (uint64_t) (time - POSTGRES_EPOCH_US), 8);
	while (builder.at + 600 < SEGMENT - before)
		(void) builder_filler(&builder, 400);
	(void) builder_filler(&builder, SEGMENT - before - builder.at);
	(void) builder_record(&builder, 1, 0x00, 731, main, sizeof main);
	fill_wal(&builder, builder.size);
	return builder;
}

static void
put_half(Place *place, const WalBuilder *builder, unsigned number, TimeRun *run, WalIndex *ret_index)
{
	WalName name = wal_name_of_segment(1, BUILDER_START / SEGMENT + number, SEGMENT);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path =
		write_wal(place, wal_name_format(&name, text), builder->bytes + (size_t) number * SEGMENT, SEGMENT);
	AUTO(Spool) spool = spool_new(place->scratch);
	PutResult result;

	assert_ok(wal_object_encode(&place->archive, path, &name, spool, ret_index));
	time_run_join(run, ret_index);
	assert_ok(wal_object_store(&place->archive, path, &name, spool, ret_index, &result));
	*run = time_run_after(ret_index);
}

static void
a_commit_across_the_border_counts_in_the_next_segment(void **state)
{
	Place *place = *state;
	WalBuilder builder = commit_across(NOON, 16);
	TimeRun run = {.high = TIME_NONE};
	WalIndex first;
	WalIndex second;

	put_half(place, &builder, 0, &run, &first);
	assert_int_equal(first.commits, 0); /* not even its kind lies here */
	assert_int_equal(first.time_high, TIME_NONE);
	assert_int_equal(run.tail.size, 16);
	assert_ok(time_run_note(place->scratch, &place->archive, 1, &run));
	run = time_run_noted(place->scratch, &place->archive, 1);
	put_half(place, &builder, 1, &run, &second);
	assert_int_equal(second.max_time, TIME_NONE);
	assert_int_equal(second.time_high, NOON);
	assert_int_equal(second.time_high_since, first.start_lsn);

	/* The same again, after the note was lost: it comes back from the store. */
	run = (TimeRun){.high = TIME_NONE};
	put_half(place, &builder, 1, &run, &second);
	assert_int_equal(second.time_high, NOON);
	assert_int_equal(run.since, first.start_lsn);
	free(builder.bytes);
}

static void
a_note_is_read_back_and_bound(void **state)
{
	Place *place = *state;
	TimeRun run = {.timeline = 1,
	               .segment_size = SEGMENT,
	               .end = BUILDER_START + SEGMENT,
	               .since = BUILDER_START,
	               .high = NOON,
	               .tail = {.length = 3, .size = 3, .bytes = {1, 2, 255}}};
	WalArchive other_system = place->archive;
	WalArchive other_store = place->archive;
	AUTO_FREE char *directory = path_join(place->scratch, "other");
	AUTO_FREE char *missing = path_join(place->scratch, "missing");

	assert_ok(file_store_create(directory));
	assert_ok(file_store_open(directory, &other_store.store));
	other_system.system_identifier++;
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, InvalidXLogRecPtr);
	for (int i = 0; i < 2; i++)
	{
		TimeRun back;

		assert_ok(time_run_note(place->scratch, &place->archive, 1, &run));
		back = time_run_noted(place->scratch, &place->archive, 1);
		assert_memory_equal(&back, &run, sizeof run);
		run.high = TIME_NONE;
		run.tail = (WalEdge){0};
		run.has_sha256 = true;
		run.quiet_since = BUILDER_START;
		run.sha256[0] = 7;
	}
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 2).end, InvalidXLogRecPtr);
	assert_int_equal(time_run_noted(place->scratch, &other_system, 1).end, InvalidXLogRecPtr);
	assert_int_equal(time_run_noted(place->scratch, &other_store, 1).end, InvalidXLogRecPtr);
	assert_int_equal(time_run_noted(missing, &place->archive, 1).end, InvalidXLogRecPtr);
	assert_error(time_run_note(missing, &place->archive, 1, &run), ERR_SYSTEM, missing);

	/* No run to carry on: no note. */
	run.end = InvalidXLogRecPtr;
	assert_ok(time_run_note(place->scratch, &place->archive, 1, &run));
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, InvalidXLogRecPtr);
	store_free(other_store.store);
}

static char *
note_file(const Place *place)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(place->scratch, &names));
	for (size_t i = 0; i < names.count; i++)
		if (str_starts_with(names.items[i], "times-"))
			return path_join(place->scratch, names.items[i]);
	return NULL;
}

static void
a_note_that_is_damaged_in_any_way_is_no_run(void **state)
{
	Place *place = *state;
	TimeRun run = {.timeline = 1,
	               .segment_size = SEGMENT,
	               .end = BUILDER_START + SEGMENT,
	               .since = BUILDER_START,
	               .high = NOON};
	AUTO_FREE char *path = NULL;
	AUTO_BUF(text, 4096);

	assert_ok(time_run_note(place->scratch, &place->archive, 1, &run));
	path = note_file(place);
	assert_non_null(path);
	assert_ok(file_read_all(path, &text));
	for (size_t at = 0; at + 1 < text.size; at++)
	{
		write_file(path, text.data, at);
		assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, InvalidXLogRecPtr);
		text.data[at] ^= 4;
		write_file(path, text.data, text.size);
		text.data[at] ^= 4;
		assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, InvalidXLogRecPtr);
	}
	write_file(path, text.data, text.size);
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, run.end);
}

static void
what_no_push_has_written_is_no_run(void **state)
{
	static const char *const contents[] = {
		"",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\n",
		"segment_size 1048577\nsince 0/100000\nend 0/200000\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/200000\nend 0/200000\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/0\nend 0/200000\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/100001\nend 0/200000\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200001\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/100000\nend 200000\nhigh 5\ntail:\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh now\ntail:\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:abc\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:xy\n",
		"segment_size 1048576\nsince 0/0\nend 0/200000\nhigh 5\ntail:\nsha256:0a0a\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:\nsha256:" DIGEST
		"\nquiet 0/100001\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:\nsha256:" DIGEST
		"\nquiet 0/200000\n",
		"segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:\nsha256:" DIGEST "\nquiet here\n",
	};
	Place *place = *state;
	AUTO_STATE_NOTE note = timeline_note(place->scratch, "times", &place->archive, 1);
	AUTO_FREE char *long_tail = mem_alloc(2 * WAL_EDGE_MAX + 3);
	AUTO_FREE char *too_long = NULL;

	for (size_t i = 0; i < lengthof(contents); i++)
	{
		assert_ok(state_note_write(&note, contents[i]));
		if (time_run_noted(place->scratch, &place->archive, 1).end != InvalidXLogRecPtr)
			fail_msg("\"%s\" is taken for a run", contents[i]);
	}
	memset(long_tail, 'a', 2 * WAL_EDGE_MAX + 2);
	long_tail[2 * WAL_EDGE_MAX + 2] = '\0';
	too_long = mem_printf("segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:%s\n", long_tail);
	assert_ok(state_note_write(&note, too_long));
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).end, InvalidXLogRecPtr);
	assert_ok(
		state_note_write(&note, "segment_size 1048576\nsince 0/100000\nend 0/200000\nhigh 5\ntail:abcd\n"));
	assert_int_equal(time_run_noted(place->scratch, &place->archive, 1).tail.size, 2);
	assert_false(time_run_noted(place->scratch, &place->archive, 1).has_sha256);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_goes_on_while_segments_join),
		cmocka_unit_test(a_quiet_run_goes_on_while_nothing_happens),
		PLACE_TEST(a_segment_names_the_one_before_it),
		cmocka_unit_test(a_head_that_nobody_needs_is_dropped),
		cmocka_unit_test(a_partial_has_no_run),
		PLACE_TEST(a_commit_across_the_border_counts_in_the_next_segment),
		PLACE_TEST(a_note_is_read_back_and_bound),
		PLACE_TEST(a_note_that_is_damaged_in_any_way_is_no_run),
		PLACE_TEST(what_no_push_has_written_is_no_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
