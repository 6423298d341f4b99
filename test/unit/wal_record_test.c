/* Walks over WAL made by hand: every way in which records, pages and segments meet, end or break. */
#include "wal_walks.h"

static void
test_records_continue_over_pages_and_segments(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 2);

	(void) state;
	fill_until(&builder, BUILDER_SEGMENT_SIZE - 100);
	XLogRecPtr crossing = builder_filler(&builder, 3 * XLOG_BLCKSZ);

	XLogRecPtr following = builder_filler(&builder, 26);

	fill_until(&builder, 2 * BUILDER_SEGMENT_SIZE);
	(void) builder_filler(&builder, 5000);

	AUTO_SEEN first = walk(&builder, 0);
	AUTO_SEEN second = walk(&builder, 1);

	assert_whole(first);
	assert_whole(second);
	assert_true(first->result.continues && second->result.continues);
	assert_int_equal(first->result.last_record, crossing);
	assert_int_equal(first->events[first->n_events - 1].end, InvalidXLogRecPtr);
	assert_int_equal(second->result.first_record, following);
}

static void
test_a_record_may_cover_a_whole_segment(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 3);

	(void) state;
	fill_until(&builder, 50000);
	(void) builder_filler(&builder, 2 * BUILDER_SEGMENT_SIZE);
	(void) builder_filler(&builder, 200);
	AUTO_SEEN covered = walk(&builder, 1);
	AUTO_SEEN last = walk(&builder, 2);

	assert_whole(covered);
	assert_int_equal(covered->result.records, 0);
	assert_int_equal(covered->result.first_record, InvalidXLogRecPtr);
	assert_true(covered->result.continues);
	assert_int_equal(last->result.records, 1);
	assert_stops(last, BUILDER_START + builder.at);
}

/* The header of a record may lie on two pages; its length never does. */
static void
test_a_record_may_start_at_any_place_of_a_page(void **state)
{
	(void) state;
	for (size_t before = 0; before <= 64; before += 8)
	{
		AUTO_BUILDER builder = builder_new(15, 2);
		AUTO_BUILDER ends = builder_new(15, 2);
		size_t border = 3 * XLOG_BLCKSZ;

		fill_to(&builder, border - before);
		(void) builder_filler(&builder, 40);
		XLogRecPtr next = builder_filler(&builder, 40);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_stops(seen, BUILDER_START + builder.at);
		assert_int_equal(seen->result.last_record, next);

		fill_to(&ends, BUILDER_SEGMENT_SIZE - before);
		(void) builder_filler(&ends, 96);
		AUTO_SEEN edge = walk(&ends, 0);
		AUTO_SEEN after = walk(&ends, 1);

		assert_whole(edge);
		assert_int_equal(edge->result.continues, before > 0);
		assert_int_equal(after->result.records, before > 0 ? 0 : 1);
		assert_stops(after, BUILDER_START + ends.at);
	}
}

static void
test_a_switch_ends_the_segment(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);

	(void) state;
	fill_until(&builder, 20000);
	XLogRecPtr lsn = builder_body(&builder, 0, 0x40, 0, NULL, 0);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_whole(seen);
	assert_true(seen->result.switched);
	assert_int_equal(seen->result.last_record, lsn);
	assert_int_equal(seen->result.wal_end, BUILDER_START + BUILDER_SEGMENT_SIZE);
}

/* Where the WAL ends */

static void
test_a_tail_of_zeros_is_the_end(void **state)
{
	static const size_t ends[] = {3 * XLOG_BLCKSZ - 8, 3 * XLOG_BLCKSZ, 3 * XLOG_BLCKSZ + 1024, LAST_PAGE,
	                              LAST_PAGE + 1024};

	(void) state;
	for (size_t i = 0; i < lengthof(ends); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);

		fill_to(&builder, ends[i]);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_stops(seen, BUILDER_START + ends[i]);
	}
}

/* What a segment file held in its former life. */
static void
recycle(WalBuilder *builder, XLogRecPtr distance, TimeLineID timeline)
{
	AUTO_BUILDER old = builder_new(builder->major, 1);

	old.timeline = timeline;
	while (old.at < BUILDER_SEGMENT_SIZE)
		(void) builder_filler(&old, 1111);
	for (size_t page = 0; page < BUILDER_SEGMENT_SIZE; page += XLOG_BLCKSZ)
		builder_le(old.bytes + page + 8, BUILDER_START - distance + page, 8);
	memcpy(builder->bytes + builder->at, old.bytes + builder->at, BUILDER_SEGMENT_SIZE - builder->at);
}

static void
test_a_tail_of_an_older_segment_is_the_end(void **state)
{
	static const size_t ends[] = {XLOG_BLCKSZ + 3000, 3 * XLOG_BLCKSZ, LAST_PAGE + 1000};

	(void) state;
	for (size_t i = 0; i < lengthof(ends); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);

		fill_until(&builder, ends[i] - 1000);
		(void) builder_filler(&builder, 1200);
		recycle(&builder, UINT64_C(0x10000000), 1);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_stops(seen, BUILDER_START + builder.at);
	}
}

static void
test_a_tail_of_the_same_segment_of_an_older_timeline_is_the_end(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);

	(void) state;
	builder.timeline = 2;
	fill_until(&builder, 30000);
	recycle(&builder, 0, 1);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_stops(seen, BUILDER_START + builder.at);
}

static void
test_a_record_whose_rest_never_came_is_the_end(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);

	(void) state;
	fill_until(&builder, 30000);
	XLogRecPtr open = builder_filler(&builder, 3 * XLOG_BLCKSZ);

	builder.at = 6 * XLOG_BLCKSZ;
	memset(builder.bytes + builder.at, 0, BUILDER_SEGMENT_SIZE - builder.at);
	AUTO_SEEN zeros = walk(&builder, 0);

	assert_stops(zeros, open);
	recycle(&builder, UINT64_C(0x10000000), 1);
	AUTO_SEEN old = walk(&builder, 0);

	assert_stops(old, open);
}

static void
test_a_record_that_a_crash_cut_off_is_passed_over(void **state)
{
	(void) state;
	for (size_t cut = 8; cut <= 64; cut += 8)
	{
		AUTO_BUILDER builder = builder_new(15, 1);

		fill_to(&builder, 3 * XLOG_BLCKSZ - cut);
		XLogRecPtr last = builder.previous;

		(void) builder_filler(&builder, 5000);
		memset(builder.bytes + 3 * XLOG_BLCKSZ, 0, XLOG_BLCKSZ);
		builder.at = 3 * XLOG_BLCKSZ;
		builder.previous = last;
		builder.page_flags = XLP_FIRST_IS_OVERWRITE_CONTRECORD;
		XLogRecPtr overwrite = builder_record(&builder, 0, 0xD0, 0, "0123456789ABCDEF", 16);
		AUTO_SEEN seen = walk(&builder, 0);

		assert_stops(seen, BUILDER_START + builder.at);
		assert_int_equal(seen->events[seen->n_events - 2].lsn, last);
		assert_int_equal(seen->events[seen->n_events - 1].lsn, overwrite);
	}
}

/* Damage */

static void
test_any_flipped_byte_of_a_record_is_damage(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);
	AUTO_FREE Seen *seen = NEW(Seen);

	(void) state;
	fill_until(&builder, 60000);
	XLogRecPtr lsn = builder_filler(&builder, 100);

	fill_until(&builder, 100000);
	for (size_t i = 0; i < 100; i++)
	{
		uint8_t *byte = builder.bytes + (lsn - BUILDER_START) + i;

		if (i == 18 || i == 19)
			continue; /* padding in the header, covered by the CRC all the same */
		*byte ^= 0x04;
		walk_pieces(&builder, 0, 4096, seen);
		*byte ^= 0x04;
		assert_int_equal(seen->result.damaged_at, lsn);
		assert_int_equal(seen->result.wal_end, lsn);
		assert_int_equal(seen->events[seen->n_events - 1].end, lsn);
	}
}

static void
test_damage_on_the_last_page_is_told_by_the_record_behind_it(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);

	(void) state;
	fill_until(&builder, 20000);
	XLogRecPtr lsn = builder_filler(&builder, 64);

	(void) builder_body(&builder, 0, 0x40, 0, NULL, 0);
	builder.bytes[lsn - BUILDER_START + 8] ^= 0x04;
	AUTO_SEEN seen = walk(&builder, 0);

	assert_int_equal(seen->result.damaged_at, lsn);
}

static void
test_a_damaged_page_header_is_damage(void **state)
{
	static const size_t offsets[] = {0, 2, 3, 4, 8, 12, 16};

	(void) state;
	for (size_t i = 0; i < lengthof(offsets); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 1);
		uint8_t *page = builder.bytes + 4 * XLOG_BLCKSZ;

		builder.timeline = 0x80;
		fill_until(&builder, 60000);
		page[offsets[i]] ^= 0x80;
		if (offsets[i] == 2)
			page[2] ^= 0x81; /* no longer said to continue a record */
		AUTO_SEEN seen = walk(&builder, 0);

		assert_int_not_equal(seen->result.damaged_at, InvalidXLogRecPtr);
		assert_in_range(seen->result.damaged_at, BUILDER_START + 3 * XLOG_BLCKSZ,
		                BUILDER_START + 4 * XLOG_BLCKSZ);
	}
}

static void
test_a_page_of_zeros_amid_others_is_damage(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 1);

	(void) state;
	fill_until(&builder, 60000);
	memset(builder.bytes + 4 * XLOG_BLCKSZ, 0, XLOG_BLCKSZ);
	AUTO_SEEN seen = walk(&builder, 0);

	assert_in_range(seen->result.damaged_at, BUILDER_START + 3 * XLOG_BLCKSZ,
	                BUILDER_START + 4 * XLOG_BLCKSZ);
	assert_int_equal(seen->result.damaged_at, seen->result.wal_end);
}

static void
test_garbage_of_any_kind_ends(void **state)
{
	AUTO_FREE Seen *seen = NEW(Seen);
	uint32_t random = 1;

	(void) state;
	for (int round = 0; round < 60; round++)
	{
		AUTO_BUILDER builder = builder_new(13 + round % 6, 1);

		fill_until(&builder, BUILDER_SEGMENT_SIZE);
		for (int i = 0; i < 1 << (round % 12); i++)
		{
			random = random * 1664525 + 1013904223;
			builder.bytes[WAL_LONG_HEADER_SIZE + random % (BUILDER_SEGMENT_SIZE - 40)] =
				(uint8_t) (random >> 24);
		}
		walk_pieces(&builder, 0, 8192, seen);
		assert_in_range(seen->result.wal_end, BUILDER_START, BUILDER_START + BUILDER_SEGMENT_SIZE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_continue_over_pages_and_segments),
		cmocka_unit_test(test_a_record_may_cover_a_whole_segment),
		cmocka_unit_test(test_a_record_may_start_at_any_place_of_a_page),
		cmocka_unit_test(test_a_switch_ends_the_segment),
		cmocka_unit_test(test_a_tail_of_zeros_is_the_end),
		cmocka_unit_test(test_a_tail_of_an_older_segment_is_the_end),
		cmocka_unit_test(test_a_tail_of_the_same_segment_of_an_older_timeline_is_the_end),
		cmocka_unit_test(test_a_record_whose_rest_never_came_is_the_end),
		cmocka_unit_test(test_a_record_that_a_crash_cut_off_is_passed_over),
		cmocka_unit_test(test_any_flipped_byte_of_a_record_is_damage),
		cmocka_unit_test(test_damage_on_the_last_page_is_told_by_the_record_behind_it),
		cmocka_unit_test(test_a_damaged_page_header_is_damage),
		cmocka_unit_test(test_a_page_of_zeros_amid_others_is_damage),
		cmocka_unit_test(test_garbage_of_any_kind_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
