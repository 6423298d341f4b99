/* Records that cross from one segment into the next: what is kept of them, and what two pieces tell. */
#include "wal_walks.h"

#include "walship/wal/index.h"

/* The main data of a commit with "files" dropped files, prepared (xid 4711) or not; returns its size. */
static size_t
commit_main(uint8_t *main, uint32_t files, bool prepared)
{
	size_t at = 12;

	builder_le(main, 42, 8);
	builder_le(main + 8, (files > 0 ? 0x4 : 0) | (prepared ? 0x10 : 0), 4);
	if (files > 0)
	{
		builder_le(main + at, files, 4);
		at += 4;
		for (uint32_t i = 0; i < files; i++, at += 12)
			builder_le(main + at + 8, 1000 + i, 4);
	}
	builder_le(main + at, 4711, 4);
	return at + (prepared ? 4 : 0);
}

/* Two segments; the record begins "before" bytes before the second one. */
static WalBuilder
crossing(size_t before, uint8_t manager, uint8_t info, const void *main, size_t size)
{
	WalBuilder builder = builder_new(15, 2);

	fill_to(&builder, BUILDER_SEGMENT_SIZE - before);
	(void) builder_record(&builder, manager, info, 731, main, size);
	fill_until(&builder, 2 * BUILDER_SEGMENT_SIZE);
	return builder;
}

/* The first segment, with what the second one keeps of the record. */
static void
walk_continued(const WalBuilder *builder, const WalEdge *head, Seen *ret_seen)
{
	WalPageHeader header;

	memset(ret_seen, 0, sizeof *ret_seen);
	assert_null(wal_page_header_parse(builder->bytes, BUILDER_SEGMENT_SIZE, &header));

	AUTO(WalWalker) walker = wal_walker_new(&header, see, ret_seen);

	wal_walker_feed(walker, builder->bytes, BUILDER_SEGMENT_SIZE);
	wal_walker_continue(walker, head);
	wal_walker_finish(walker, &ret_seen->result);
}

static const WalEvent *
last_event(const Seen *seen)
{
	assert_true(seen->n_events > 0);
	return &seen->events[seen->n_events - 1];
}

/* Wherever the border lies in it: the walk that is continued and the two indexes tell the whole commit. */
static void
test_a_commit_is_told_wherever_the_border_cuts_it(void **state)
{
	static const struct
	{
		const char *name;
		uint8_t info;
		uint32_t files;
		TransactionId xid;
	} table[] = {
		{"plain", 0x00, 0, 731},
		{"dropped files", 0x80, 5, 731},
		{"prepared", 0xB0, 2, 4711},
		{"many files", 0x80, 80, 731},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		uint8_t main[1024];
		size_t size = commit_main(main, table[i].files, (table[i].info & 0x70) == 0x30);
		size_t whole = 24 + (size > 255 ? 5 : 2) + size;

		for (size_t before = 8; before<whole; before += whole> 300 ? 56 : 8)
		{
			AUTO_BUILDER builder = crossing(before, 1, table[i].info, main, size);
			AUTO_SEEN first = NEW(Seen);
			AUTO_SEEN second = NEW(Seen);
			AUTO_SEEN continued = NEW(Seen);
			AUTO_SEEN joined = NEW(Seen);
			XLogRecPtr next_start = BUILDER_START + BUILDER_SEGMENT_SIZE;

			walk_pieces(&builder, 0, 4000, first);
			walk_pieces(&builder, 1, 4000, second);
			assert_int_equal(first->result.tail.size, before);
			assert_int_equal(second->result.head.length, whole - before);
			assert_int_equal(second->result.head.size, whole - before);

			walk_continued(&builder, &second->result.head, continued);
			assert_true(wal_edge_join(&first->result.tail, &second->result.head, 15,
			                          first->result.last_record, next_start, see, joined));

			const WalEvent *event = last_event(joined);

			assert_memory_equal(event, last_event(continued), sizeof *event);
			assert_int_equal(joined->n_events, table[i].files + 1);
			assert_int_equal(event->kind, WAL_EVENT_COMMIT);
			assert_int_equal(event->lsn, next_start - before);
			assert_int_equal(event->end, second->result.first_record);
			assert_int_equal(event->time, POSTGRES_EPOCH_US + 42);
			assert_int_equal(event->xid, table[i].xid);
			assert_int_equal(event->dropped_files, table[i].files);
			for (uint32_t file = 0; file < table[i].files; file++)
			{
				assert_int_equal(joined->events[file].relation.number, 1000 + file);
				assert_memory_equal(&joined->events[file], &event[-(int) table[i].files + (int) file],
				                    sizeof *event);
			}
			assert_int_equal(continued->result.damaged_at, InvalidXLogRecPtr);
			assert_true(continued->result.continues);
			assert_int_equal(continued->result.records, first->result.records);
			assert_int_equal(continued->result.wal_end, next_start);
			assert_memory_equal(&continued->result.tail, &first->result.tail, sizeof(WalEdge));
		}
	}
}

static void
test_pieces_of_different_records_are_not_joined(void **state)
{
	uint8_t main[1024];
	size_t size = commit_main(main, 5, false);
	AUTO_BUILDER builder = crossing(40, 1, 0x80, main, size);
	AUTO_SEEN first = NEW(Seen);
	AUTO_SEEN second = NEW(Seen);
	AUTO_SEEN told = NEW(Seen);

	(void) state;
	walk_pieces(&builder, 0, 4000, first);
	walk_pieces(&builder, 1, 4000, second);

	WalEdge tail = first->result.tail;
	WalEdge head = second->result.head;

	head.length += 8;
	assert_false(wal_edge_join(&tail, &head, 15, 1, 1, see, told));
	head = second->result.head;
	head.bytes[head.size - 1] ^= 1;
	assert_false(wal_edge_join(&tail, &head, 15, 1, 1, see, told));
	assert_false(wal_edge_join(&tail, &(WalEdge){0}, 15, 1, 1, see, told));
	assert_false(wal_edge_join(&(WalEdge){0}, &second->result.head, 15, 1, 1, see, told));
	tail.size = tail.length = 8;
	head.size = 8;
	head.length = 24 + 2 + (uint32_t) size - 8;
	assert_false(wal_edge_join(&tail, &head, 15, 1, 1, see, told)); /* not even a header */
	assert_int_equal(told->n_events, 0);

	/* Continued with a head of another length: it was given up, and nothing is told of it. */
	head = second->result.head;
	head.length += 8;
	walk_continued(&builder, &head, told);
	assert_int_equal(told->n_events, first->n_events - 1); /* its items came before that was known */
	assert_int_equal(told->result.records, first->result.records - 1);
	assert_int_equal(told->result.wal_end, first->result.wal_end);
	assert_true(told->result.continues);

	/* A CRC that fails beyond the border is damage of the record. */
	head = second->result.head;
	head.bytes[head.size - 1] ^= 1;
	walk_continued(&builder, &head, told);
	assert_int_equal(told->result.damaged_at, first->result.last_record);
	assert_int_equal(told->result.records, first->result.records - 1);
}

static void
test_long_records_keep_what_matters(void **state)
{
	static const struct
	{
		const char *name;
		uint8_t manager;
		size_t size;   /* of the main data */
		size_t before; /* the border */
		size_t tail;
		size_t head;
	} table[] = {
		{"a commit, most of it behind", 1, 8000, 80, 80, WAL_EDGE_MAX},
		{"a commit, most of it before", 1, 1500, 1400, 0, 24 + 5 + 1500 - 1400},
		{"a commit, just short enough", 1, 1500, WAL_EDGE_MAX, WAL_EDGE_MAX, 24 + 5 + 1500 - WAL_EDGE_MAX},
		{"of no interest", 10, 8000, 80, 0, WAL_EDGE_MAX},
		{"of no interest, but who knows", 10, 8000, 16, 16, WAL_EDGE_MAX},
		{"longer than a segment", 1, BUILDER_SEGMENT_SIZE + 50000, 80, 80, WAL_EDGE_MAX},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_FREE uint8_t *main = mem_zalloc(table[i].size + 1024);
		AUTO_SEEN first = NULL;
		AUTO_SEEN second = NULL;

		(void) commit_main(main, 60, false);
		AUTO_BUILDER builder = crossing(table[i].before, table[i].manager, 0x80, main, table[i].size);

		print_message("%s\n", table[i].name);
		first = walk(&builder, 0);
		second = walk(&builder, 1);
		assert_int_equal(first->result.tail.size, table[i].tail);
		assert_int_equal(second->result.head.size, table[i].head);
		assert_int_equal(second->result.head.length, 24 + 5 + table[i].size - table[i].before);
		assert_true(first->result.continues);
	}
}

typedef struct Counts
{
	uint64_t items;
	WalEvent last;
} Counts;

static void
count(void *context, const WalEvent *event)
{
	Counts *counts = context;

	if (wal_event_is_item(event->kind))
		counts->items++;
	else
		counts->last = *event;
}

/*
 * Walks the first segment, and the others so far as the record goes, in pieces;
 * "segments": so many are there.  Says where it ends by its length.
 */
static XLogRecPtr
walk_to_the_end(const WalBuilder *builder, size_t segments, size_t piece, Counts *ret_counts)
{
	WalPageHeader header;
	WalWalkResult result;
	XLogRecPtr end = InvalidXLogRecPtr;

	*ret_counts = (Counts){0};
	assert_null(wal_page_header_parse(builder->bytes, BUILDER_SEGMENT_SIZE, &header));

	AUTO(WalWalker) walker = wal_walker_new(&header, count, ret_counts);

	for (size_t segment = 0; segment < segments && (segment == 0 || wal_walker_is_open(walker)); segment++)
	{
		const uint8_t *bytes = builder->bytes + segment * BUILDER_SEGMENT_SIZE;

		if (segment > 0)
			wal_walker_enter_next(walker);
		for (size_t at = 0; at < BUILDER_SEGMENT_SIZE; at += piece)
			wal_walker_feed(walker, bytes + at,
			                BUILDER_SEGMENT_SIZE - at < piece ? BUILDER_SEGMENT_SIZE - at : piece);
		if (segment == 0)
			end = wal_walker_open_end(walker);
	}
	wal_walker_finish(walker, &result);
	assert_true(result.continues);
	assert_int_equal(result.wal_end, BUILDER_START + BUILDER_SEGMENT_SIZE);
	assert_int_equal(result.last_record, ret_counts->last.lsn);
	return end;
}

static void
test_a_record_is_told_over_any_number_of_segments(void **state)
{
	static const uint32_t files[] = {1000, 80000, 90000, 200000, 350000};
	static const size_t befores[] = {8, 24, 80, 5000};
	static const size_t pieces[] = {24, XLOG_BLCKSZ - 1, BUILDER_SEGMENT_SIZE};

	(void) state;
	for (size_t i = 0; i < lengthof(files) * lengthof(befores); i++)
	{
		uint32_t n_files = files[i / lengthof(befores)];
		size_t before = befores[i % lengthof(befores)];
		AUTO_FREE uint8_t *main = mem_zalloc(32 + (size_t) n_files * 12);
		size_t size = commit_main(main, n_files, true);
		AUTO_BUILDER builder = builder_new(15, 6);
		Counts counts;

		fill_to(&builder, BUILDER_SEGMENT_SIZE - before);
		XLogRecPtr lsn = builder_record(&builder, 1, 0xB0, 731, main, size);
		XLogRecPtr end = builder_next(&builder);
		size_t segments = (size_t) (end - BUILDER_START - 1) / BUILDER_SEGMENT_SIZE + 1;

		(void) builder_filler(&builder, 100);
		for (size_t piece = 0; piece < lengthof(pieces); piece++)
		{
			assert_int_equal(walk_to_the_end(&builder, 6, pieces[piece], &counts), end);
			assert_int_equal(counts.last.kind, WAL_EVENT_COMMIT);
			assert_int_equal(counts.last.lsn, lsn);
			assert_int_equal(counts.last.end, end);
			assert_int_equal(counts.last.xid, 4711);
			assert_int_equal(counts.last.dropped_files, n_files);
			assert_int_equal(counts.items, n_files);
		}
		assert_int_equal(walk_to_the_end(&builder, segments - 1, BUILDER_SEGMENT_SIZE, &counts), end);
		assert_int_equal(counts.last.end, InvalidXLogRecPtr);

		/* Its end is another segment's, and then nothing is told of it. */
		memmove(builder.bytes + (segments - 1) * BUILDER_SEGMENT_SIZE, builder.bytes, BUILDER_SEGMENT_SIZE);
		assert_int_equal(walk_to_the_end(&builder, segments, BUILDER_SEGMENT_SIZE, &counts), end);
		assert_true(counts.last.lsn < lsn);
	}
}

/* A record that is cut off in the middle: the next segment's page says that it was given up. */
static void
test_a_record_that_was_given_up_has_no_head(void **state)
{
	AUTO_BUILDER builder = builder_new(15, 2);
	uint8_t main[64] = {0};

	(void) state;
	fill_to(&builder, BUILDER_SEGMENT_SIZE - 40);
	(void) builder_record(&builder, 1, 0x00, 731, main, sizeof main);
	builder.at = BUILDER_SEGMENT_SIZE;
	builder.page_flags = XLP_FIRST_IS_OVERWRITE_CONTRECORD;
	builder_page(&builder, 0);
	(void) builder_filler(&builder, 100);
	AUTO_SEEN second = walk(&builder, 1);

	assert_int_equal(second->result.head.length, 0);
	assert_int_equal(second->result.head.size, 0);
}

/* The segment behind it holds its rest, and zeros. */
static void
test_a_switch_that_crosses_the_border_ends_the_next_segment(void **state)
{
	static const struct
	{
		const char *name;
		size_t before;
		uint8_t info;
		size_t body;
		size_t stain; /* a byte in the zeros; 0: none */
		bool switched;
	} table[] = {
		{"8 bytes before the border", 8, 0x40, 0, 0, true},
		{"16 bytes before it", 16, 0x40, 0, 0, true},
		{"not quite zeros behind it", 16, 0x40, 0, 500000, false},
		{"a stain in the last byte", 16, 0x40, 0, BUILDER_SEGMENT_SIZE - 1, false},
		{"a stain right behind it", 16, 0x40, 0, WAL_LONG_HEADER_SIZE + 8, false},
		{"a stain in a page header", 16, 0x40, 0, (size_t) XLOG_BLCKSZ + 3, false},
		{"another record", 16, 0x30, 0, 0, false},
		{"a longer record", 16, 0x40, 8, 0, false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		AUTO_BUILDER builder = builder_new(15, 2);
		const uint8_t body[8] = {0};
		XLogRecPtr border = BUILDER_START + BUILDER_SEGMENT_SIZE;

		fill_to(&builder, BUILDER_SEGMENT_SIZE - table[i].before);
		(void) builder_body(&builder, 0, table[i].info, 0, body, table[i].body);
		size_t end = builder.at;

		if (table[i].stain > 0)
			builder.bytes[BUILDER_SEGMENT_SIZE + table[i].stain] = 1;
		AUTO_SEEN first = walk(&builder, 0);
		AUTO_SEEN second = walk(&builder, 1);

		print_message("%s\n", table[i].name);
		assert_true(first->result.continues && !first->result.switched);
		assert_int_equal(first->result.wal_end, border);
		assert_int_equal(second->result.switched, table[i].switched);
		assert_int_equal(second->result.damaged_at, InvalidXLogRecPtr);
		assert_int_equal(second->result.wal_end,
		                 table[i].switched ? border + BUILDER_SEGMENT_SIZE : BUILDER_START + end);
		assert_int_equal(second->result.records, 0);
	}
}

/* Of the kind, in two indexes. */
static void
test_indexes_of_segments_that_do_not_meet_are_not_joined(void **state)
{
	uint8_t main[64];
	size_t size = commit_main(main, 0, false);
	AUTO_BUILDER builder = crossing(32, 1, 0x00, main, size);
	AUTO_SEEN first = walk(&builder, 0);
	AUTO_SEEN second = walk(&builder, 1);
	AUTO_SEEN told = NEW(Seen);
	WalIndex a;
	WalIndex b;

	(void) state;
	wal_index_init(&a);
	wal_index_init(&b);
	a.major = b.major = 15;
	a.end_lsn = b.start_lsn = BUILDER_START + BUILDER_SEGMENT_SIZE;
	a.walk = first->result;
	b.walk = second->result;
	assert_false(wal_index_join(&a, &b, see, told));
	a.walked = b.walked = true;
	b.start_lsn++;
	assert_false(wal_index_join(&a, &b, see, told));
	b.start_lsn--;
	assert_true(wal_index_join(&a, &b, see, told));
	assert_int_equal(last_event(told)->lsn, a.walk.last_record);
	assert_int_equal(last_event(told)->xid, 731);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_commit_is_told_wherever_the_border_cuts_it),
		cmocka_unit_test(test_pieces_of_different_records_are_not_joined),
		cmocka_unit_test(test_long_records_keep_what_matters),
		cmocka_unit_test(test_a_record_is_told_over_any_number_of_segments),
		cmocka_unit_test(test_a_record_that_was_given_up_has_no_head),
		cmocka_unit_test(test_a_switch_that_crosses_the_border_ends_the_next_segment),
		cmocka_unit_test(test_indexes_of_segments_that_do_not_meet_are_not_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
