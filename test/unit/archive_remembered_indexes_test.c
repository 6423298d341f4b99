/* What is remembered of indexes: given as long as the listing shows the same object, and equal to what was read. */
#include "walship/archive/remembered_indexes.h"

#include <sys/stat.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/file.h"

#define SEGMENT  BUILDER_SEGMENT_SIZE
#define FIRST    ((XLogSegNo) (BUILDER_START / SEGMENT))
#define SEGMENTS 100 /* more than the least that is kept */
#define TOO_FEW  63
#define NOON     INT64_C(1795176000000000) /* 2026-11-20T12:00:00Z */
#define KEYS     "age1qyqszqgpqyqszqgp passphrase"

/* A catalog of one timeline, made up. */
typedef struct Listed
{
	SegmentRun run;
	CatalogTimeline timeline;
	Catalog catalog;
	uint32_t sizes[SEGMENTS];
	TimeUs modified[SEGMENTS];
} Listed;

static void
list_all(Listed *listed)
{
	for (size_t i = 0; i < SEGMENTS; i++)
	{
		listed->sizes[i] = 4096 + (uint32_t) i;
		listed->modified[i] = NOON + (TimeUs) i * 1000000;
	}
	listed->run = (SegmentRun){
		.first = FIRST, .last = FIRST + SEGMENTS - 1, .sizes = listed->sizes, .modified = listed->modified};
	listed->timeline = (CatalogTimeline){.timeline = 1, .runs = &listed->run, .n_runs = 1};
	listed->catalog = (Catalog){.system_identifier = BUILDER_SYSTEM,
	                            .segment_size = SEGMENT,
	                            .timelines = &listed->timeline,
	                            .n_timelines = 1};
}

/* With the extremes of each member among the first of them. */
static SegmentIndex
fact_at(size_t i)
{
	XLogSegNo segno = FIRST + i;
	XLogRecPtr start = segment_start(segno, SEGMENT);
	bool all = i == 1;

	return (SegmentIndex){.timeline = 1,
	                      .segno = segno,
	                      .readable = true,
	                      .damaged = i % 2 == 1,
	                      .continues = i % 3 == 1,
	                      .crosses = i % 5 == 1,
	                      .parameter_change = i % 7 == 1,
	                      .may_create_tablespace = i % 11 == 1,
	                      .chain_tells_tablespaces = i % 13 == 1,
	                      .major = 15,
	                      .head_length = all ? UINT32_MAX : (uint32_t) i,
	                      .transactions = all ? UINT64_MAX : 100 * i,
	                      .commits = all ? UINT64_MAX : 99 * i,
	                      .drops = all ? UINT64_MAX : i % 4,
	                      .files_created = i % 6,
	                      .first_time = i == 0 ? TIME_NONE : NOON - 5000000,
	                      .last_time = i == 0 ? TIME_NONE
	                                   : all  ? INT64_MAX
	                                          : NOON,
	                      .min_time = i == 0 ? TIME_NONE
	                                  : all  ? INT64_MIN + 1
	                                         : NOON - 5000001,
	                      .max_time = i == 0 ? TIME_NONE
	                                  : all  ? INT64_MAX
	                                         : NOON + 1,
	                      .min_xid = i == 0 ? 0
	                                 : all  ? UINT32_MAX
	                                        : 700,
	                      .max_xid = i == 0 ? 0
	                                 : all  ? 3
	                                        : 731, /* behind the wrap */
	                      .chain_first = i == 2 ? 0 : segno - i / 2,
	                      .quiet_first = i == 4 ? 0 : segno + 1 - i % 3,
	                      .time_high = i == 0 ? TIME_NONE : NOON + 1,
	                      .last_record = i == 0 ? InvalidXLogRecPtr : start + 100 * i,
	                      .valid_end = i == 3 ? InvalidXLogRecPtr : start + SEGMENT - (i == 4 ? 8 : 0),
	                      .minimal_at = i == 5 ? start + 77 : InvalidXLogRecPtr,
	                      .full_page_writes_off_at = i == 6 ? start : InvalidXLogRecPtr,
	                      .known_full_xid = i == 0 ? 0 : UINT64_C(1) << 33,
	                      .recipients = i % 3 == 0 ? KEYS : ""};
}

static void
remember(Place *place, const Listed *listed, size_t count)
{
	AUTO(RememberedIndexes) remembered =
		remembered_indexes_new(place->scratch, place->store, &listed->catalog);

	/* As a search goes: the newest first. */
	for (size_t i = count; i-- > 0;)
	{
		SegmentIndex fact = fact_at(i);

		remembered_indexes_add(remembered, &fact);
	}
	remembered_indexes_keep(remembered);
}

static void
assert_same(const SegmentIndex *fact, const SegmentIndex *wanted, const char *recipients)
{
	SegmentIndex same = *fact;

	assert_string_equal(recipients, wanted->recipients);
	same.recipients = wanted->recipients;
	assert_memory_equal(&same, wanted, sizeof(same));
}

/* How many of all are known; each is what it was. */
static size_t
count_known(Place *place, const Listed *listed)
{
	AUTO(RememberedIndexes) remembered =
		remembered_indexes_new(place->scratch, place->store, &listed->catalog);
	size_t known = 0;

	for (size_t i = 0; i < SEGMENTS; i++)
	{
		char recipients[WAL_INDEX_RECIPIENTS_SIZE];
		SegmentIndex wanted;
		SegmentIndex item;

		/* Padding is compared, too. */
		memset(&wanted, 0, sizeof(wanted));
		memset(&item, 0, sizeof(item));
		wanted = fact_at(i);
		item = (SegmentIndex){.timeline = 1, .segno = FIRST + i, .recipients = ""};
		if (!remembered_indexes_find(remembered, &item, recipients))
			continue;
		assert_same(&item, &wanted, recipients);
		known++;
	}
	return known;
}

static char *
file_of(const Place *place)
{
	AUTO_STRLIST names = {0};
	char *path = NULL;

	assert_ok(dir_list(place->scratch, &names));
	for (size_t i = 0; i < names.count; i++)
		if (str_starts_with(names.items[i], "indexes-"))
		{
			assert_null(path);
			path = path_join(place->scratch, names.items[i]);
		}
	return path;
}

static void
what_was_read_is_known_to_the_next_process(void **state)
{
	Place *place = *state;
	Listed listed;
	AUTO_BUF(text, 64 * 1024);
	AUTO_FREE char *path = NULL;

	list_all(&listed);
	assert_int_equal(count_known(place, &listed), 0);
	remember(place, &listed, SEGMENTS);
	assert_int_equal(count_known(place, &listed), SEGMENTS);
	path = file_of(place);
	assert_ok(file_read_all(path, &text));
	assert_in_range(text.size, SEGMENTS * 20, SEGMENTS * 100);
}

static void
few_are_not_worth_a_file(void **state)
{
	Place *place = *state;
	Listed listed;

	list_all(&listed);
	remember(place, &listed, TOO_FEW);
	assert_null(file_of(place));
}

static void
what_the_listing_shows_otherwise_is_not_given(void **state)
{
	Place *place = *state;
	Listed listed;

	list_all(&listed);
	remember(place, &listed, SEGMENTS);
	listed.sizes[7]++;
	listed.modified[8]++;
	listed.modified[9] = TIME_NONE;
	assert_int_equal(count_known(place, &listed), SEGMENTS - 3);
	listed.run.last -= 10;
	assert_int_equal(count_known(place, &listed), SEGMENTS - 13);
	listed.run.modified = NULL;
	assert_int_equal(count_known(place, &listed), 0);
	list_all(&listed);
	listed.catalog.system_identifier++;
	assert_int_equal(count_known(place, &listed), 0);
}

/* What the store has lost goes, what was read anew counts, and all else stays. */
static void
the_next_file_holds_what_both_knew(void **state)
{
	Place *place = *state;
	Listed listed;

	list_all(&listed);
	remember(place, &listed, SEGMENTS - 20);
	listed.modified[7]++;
	assert_int_equal(count_known(place, &listed), SEGMENTS - 21);

	AUTO(RememberedIndexes) more = remembered_indexes_new(place->scratch, place->store, &listed.catalog);

	for (size_t i = 0; i < SEGMENTS; i++)
	{
		SegmentIndex fact = fact_at(i);

		if (i == 7 || i >= 30)
			remembered_indexes_add(more, &fact);
	}
	remembered_indexes_keep(more);
	assert_int_equal(count_known(place, &listed), SEGMENTS);
}

static void
only_what_is_sure_is_kept(void **state)
{
	Place *place = *state;
	Listed listed;

	list_all(&listed);
	listed.modified[10] = TIME_NONE;

	AUTO(RememberedIndexes) remembered =
		remembered_indexes_new(place->scratch, place->store, &listed.catalog);

	for (size_t i = 0; i < SEGMENTS; i++)
	{
		SegmentIndex fact = fact_at(i);

		fact.readable = i != 20;
		fact.foreign = i == 30;
		fact.n_restore_points = i == 40;
		remembered_indexes_add(remembered, &fact);
	}
	remembered_indexes_keep(remembered);
	list_all(&listed);
	assert_int_equal(count_known(place, &listed), SEGMENTS - 4);
}

/* Wherever it is cut or changed, it is no file; nor is one that others may write. */
static void
a_file_that_is_not_whole_says_nothing(void **state)
{
	Place *place = *state;
	Listed listed;
	AUTO_BUF(text, 64 * 1024);

	list_all(&listed);
	remember(place, &listed, SEGMENTS);

	AUTO_FREE char *path = file_of(place);

	assert_ok(file_read_all(path, &text));
	for (size_t at = 0; at < text.size; at += at < 160 ? 1 : 97)
	{
		write_file(path, text.data, at);
		assert_int_equal(count_known(place, &listed), 0);
		text.data[at] ^= 0x10;
		write_file(path, text.data, text.size);
		assert_int_equal(count_known(place, &listed), 0);
		text.data[at] ^= 0x10;
	}
	write_file(path, text.data, text.size);
	assert_int_equal(count_known(place, &listed), SEGMENTS);
	assert_int_equal(chmod(path, 0622), 0);
	assert_int_equal(count_known(place, &listed), 0);
}

/* The facts of the reader itself: the second time without one request, for the objects are gone. */
static void
a_second_look_reads_what_is_new(void **state)
{
	Place *place = *state;
	AUTO(Catalog) catalog = NULL;
	WalBuilder builder = builder_new(15, 1);
	WalName name = wal_name_of_segment(1, FIRST, SEGMENT);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);
	AUTO_BUF(object, OBJECT_MAX);
	PutResult result;

	while (builder.at + 600 < SEGMENT)
		(void) builder_filler(&builder, 400);

	AUTO_FREE char *path = write_wal(place, wal_name_format(&name, text), builder.bytes, SEGMENT);
	AUTO(Sink) sink = buf_sink_new(&object);

	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	free(builder.bytes);
	assert_ok(store_get(place->store, key, 0, STORE_TO_END, sink));
	for (unsigned i = 1; i < SEGMENTS; i++)
	{
		WalName other = wal_name_of_segment(1, FIRST + i, SEGMENT);
		AUTO_FREE char *other_key = layout_wal_key(BUILDER_SYSTEM, &other, NULL);
		Slice slice = slice_of_memory(object.data, object.size);

		assert_ok(store_put(place->store, other_key, &slice, 1, PUT_REPLACE));
	}
	assert_ok(catalog_read(place->store, BUILDER_SYSTEM, 1, &catalog));
	for (int look = 0; look < 2; look++)
	{
		AUTO(WalFacts) facts = wal_reader_facts_kept(place->store, catalog, NULL, 2, place->scratch);

		for (XLogSegNo segno = FIRST; segno < FIRST + SEGMENTS; segno++)
		{
			const SegmentIndex *index = wal_facts_index(facts, 1, segno, FIRST + SEGMENTS - 1);

			assert_int_equal(index->segno, segno);
			assert_true(index->readable);
			assert_int_equal(index->major, 15);
		}
		for (unsigned i = 0; i < SEGMENTS && look == 0; i++)
		{
			WalName other = wal_name_of_segment(1, FIRST + i, SEGMENT);
			AUTO_FREE char *other_key = layout_wal_key(BUILDER_SYSTEM, &other, NULL);

			assert_ok(store_remove(place->store, other_key));
		}
		assert_ok(wal_facts_error(facts));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(what_was_read_is_known_to_the_next_process),
		PLACE_TEST(few_are_not_worth_a_file),
		PLACE_TEST(what_the_listing_shows_otherwise_is_not_given),
		PLACE_TEST(the_next_file_holds_what_both_knew),
		PLACE_TEST(only_what_is_sure_is_kept),
		PLACE_TEST(a_file_that_is_not_whole_says_nothing),
		PLACE_TEST(a_second_look_reads_what_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
