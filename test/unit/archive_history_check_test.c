/* A history file without a digest against the WAL in the store: the segments of both timelines, and the older history. */
#include "archive_fixture.h"
#include "walship/archive/history_file.h"
#include "walship/wal/history.h"

#define SEGNO     (BUILDER_START / BUILDER_SEGMENT_SIZE)
#define SWITCH    (BUILDER_START + 5 * XLOG_BLCKSZ + 4000)
#define CHILD     "000000020000000300000000"
#define PARENT    "000000010000000300000000"
#define CHILD_KEY "7300000000000000001/wal/00000002/" CHILD ".tar"
#define PARTIAL   PARENT ".partial"

#define XLOG_END_OF_RECOVERY 0x90

/* Timeline 1 as far as the switch, then 2, whose first record is the usual one; from "same" on other bytes. */
static uint8_t *
make_segment(size_t same, uint8_t fill)
{
	WalBuilder builder = builder_new(15, 1);
	uint8_t end_of_recovery[16] = {0};

	fill_wal(&builder, 5 * XLOG_BLCKSZ);
	(void) builder_filler(&builder, SWITCH - BUILDER_START - builder.at);
	assert_int_equal(builder_next(&builder), SWITCH);
	end_of_recovery[8] = 2;
	end_of_recovery[12] = 1;
	(void) builder_record(&builder, 0, XLOG_END_OF_RECOVERY, 0, end_of_recovery, sizeof(end_of_recovery));
	builder.timeline = 2;
	fill_wal(&builder, BUILDER_SEGMENT_SIZE - XLOG_BLCKSZ);
	for (size_t i = same; i < BUILDER_SEGMENT_SIZE; i++)
		builder.bytes[i] = (uint8_t) (builder.bytes[i] ^ fill);
	return builder.bytes;
}

static void
store_segment(const Place *place, const char *name, size_t same, uint8_t fill)
{
	AUTO_FREE uint8_t *bytes = make_segment(same, fill);
	AUTO_FREE char *path = write_wal(place, name, bytes, BUILDER_SEGMENT_SIZE);
	WalName parsed = wal_name(name);
	PutResult result;

	assert_ok(wal_object_put(&place->archive, path, &parsed, &result, NULL));
}

static Error *
check(const Place *place, TimeLineID timeline, const char *text)
{
	AUTO(TimelineHistory) history = NULL;

	assert_ok(timeline_history_parse(timeline, text, strlen(text), "x", &history));
	return history_check_wal(&place->archive, history, BUILDER_SEGMENT_SIZE);
}

static char *
switched_at(XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	return mem_printf("1\t%s\tx\n", lsn_format(lsn, text));
}

static void
both_segments_are_the_same_up_to_the_switch(void **state)
{
	static const struct
	{
		const char *name;
		size_t parent_same; /* the parent's segment has the child's bytes up to here */
		const char *stored; /* ... and this name */
		bool agrees;
	} cases[] = {
		{"all of it", BUILDER_SEGMENT_SIZE, PARENT, true},
		{"up to the switch", SWITCH - BUILDER_START, PARENT, true},
		{"not the byte before the switch", SWITCH - BUILDER_START - 1, PARENT, false},
		{"only its header", 8192, PARENT, false},
		{"a partial up to the switch", SWITCH - BUILDER_START, PARTIAL, true},
		{"another partial", SWITCH - BUILDER_START - 1, PARTIAL, false},
	};
	Place *place = *state;
	AUTO_FREE char *history = switched_at(SWITCH);

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		void *fresh = NULL;
		Error *error;

		assert_int_equal(place_make(&fresh), 0);
		place = fresh;
		store_segment(place, CHILD, BUILDER_SEGMENT_SIZE, 0);
		assert_ok(check(place, 2, history));
		store_segment(place, cases[i].stored, cases[i].parent_same, 0x5A);
		error = check(place, 2, history);
		if ((error == NULL) != cases[i].agrees)
			fail_msg("%s: %s", cases[i].name, error == NULL ? "nothing was said" : error_message(error));
		if (error != NULL)
			assert_error(error, ERR_CORRUPT, "segment " CHILD " does not begin with the bytes of");
		place_destroy(&fresh);
	}
}

static void
one_of_several_partials_is_enough(void **state)
{
	Place *place = *state;
	AUTO_FREE char *history = switched_at(SWITCH);

	store_segment(place, CHILD, BUILDER_SEGMENT_SIZE, 0);
	store_segment(place, PARENT, 8192, 0x11);
	assert_error(check(place, 2, history), ERR_CORRUPT, "00000002.history");
	store_segment(place, PARTIAL, 8192, 0x22);
	assert_error(check(place, 2, history), ERR_CORRUPT, "00000002.history");
	store_segment(place, PARTIAL, SWITCH - BUILDER_START, 0x33);
	assert_ok(check(place, 2, history));
}

static void
nothing_is_compared_at_the_border_of_segments(void **state)
{
	Place *place = *state;
	WalBuilder builder = builder_new(15, 1);
	AUTO_FREE uint8_t *bytes = builder.bytes;
	AUTO_FREE char *history = switched_at(BUILDER_START);
	AUTO_FREE char *path = NULL;
	uint8_t end_of_recovery[16] = {[8] = 2, [12] = 1};
	WalName name = wal_name(CHILD);
	PutResult result;

	builder.timeline = 2;
	(void) builder_record(&builder, 0, XLOG_END_OF_RECOVERY, 0, end_of_recovery, sizeof(end_of_recovery));
	fill_wal(&builder, BUILDER_SEGMENT_SIZE - XLOG_BLCKSZ);
	path = write_wal(place, CHILD, bytes, BUILDER_SEGMENT_SIZE);
	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	store_segment(place, PARENT, BUILDER_SEGMENT_SIZE, 0);
	assert_ok(check(place, 2, history));
}

static void
what_cannot_be_read_says_nothing(void **state)
{
	Place *place = *state;
	AUTO_FREE char *history = switched_at(SWITCH);

	store_segment(place, PARENT, 8192, 0x11);
	assert_ok(check(place, 2, history));
	put_raw(place, CHILD_KEY, "damaged", 7);
	assert_ok(check(place, 2, history));
}

static void
the_way_to_the_older_timeline_is_the_same_in_both(void **state)
{
	static const struct
	{
		const char *parent; /* 00000003.history */
		const char *history;
		bool agrees;
	} cases[] = {
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n", true},
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/5800000\tx\n", true},
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/4000000\tx\n", true},
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000010\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n", false},
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000000\tx\n2\t0/6000010\tx\n3\t0/7000000\tx\n", false},
		{"1\t0/5000000\tx\n2\t0/6000000\tx\n", "1\t0/5000000\tx\n3\t0/7000000\tx\n", false},
		{"1\t0/5000000\tx\n", "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n", false},
		{"garbage\n", "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n", true}, /* said of itself */
		{NULL, "1\t0/5000000\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n", true},
	};
	Place *place = *state;

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		Error *error;

		if (cases[i].parent != NULL)
			put_raw(place, "7300000000000000001/wal/00000003.history", cases[i].parent,
			        strlen(cases[i].parent));
		else
			assert_ok(store_remove(place->store, "7300000000000000001/wal/00000003.history"));
		error = check(place, 4, cases[i].history);
		if ((error == NULL) != cases[i].agrees)
			fail_msg("case %zu: %s", i, error == NULL ? "nothing was said" : error_message(error));
		if (error != NULL)
			assert_error(error, ERR_CORRUPT, "00000003.history tells of another way to timeline 3");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(both_segments_are_the_same_up_to_the_switch),
		PLACE_TEST(one_of_several_partials_is_enough),
		PLACE_TEST(nothing_is_compared_at_the_border_of_segments),
		PLACE_TEST(what_cannot_be_read_says_nothing),
		PLACE_TEST(the_way_to_the_older_timeline_is_the_same_in_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
