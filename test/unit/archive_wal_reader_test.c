/* What the reader makes of stored segments: every record to its end, wherever that is. */
#include "walship/archive/wal_reader.h"

#include "archive_fixture.h"
#include "walship/base/file.h"

#define SEGMENT  BUILDER_SEGMENT_SIZE
#define FIRST    ((XLogSegNo) (BUILDER_START / SEGMENT))
#define NOON     INT64_C(1795176000000000) /* 2026-11-20T12:00:00Z */
#define XID      731
#define SUBXACTS 1000

static const WalKinds every_kind = UINT32_MAX;

/*
 * Segments with a commit that begins "before" bytes before the second one and
 * drops so many files, in subtransactions.
 */
static WalBuilder
wal_with_commit(size_t segments, size_t before, uint32_t files)
{
	WalBuilder builder = builder_new(15, segments);
	size_t size = 12 + 4 + SUBXACTS * 4 + 4 + (size_t) files * 12;
	AUTO_FREE uint8_t *main = mem_zalloc(size);
	uint8_t *next = main + 16;

	builder_le(main, (uint64_t) (NOON - POSTGRES_EPOCH_US), 8);
	builder_le(main + 8, 0x2 | 0x4, 4);
	builder_le(main + 12, SUBXACTS, 4);
	for (uint32_t i = 0; i < SUBXACTS; i++, next += 4)
		builder_le(next, XID + 1 + i, 4);
	builder_le(next, files, 4);
	next += 4;
	for (uint32_t i = 0; i < files; i++, next += 12)
		builder_le(next + 8, 16384 + i, 4);
	while (builder.at + 600 < SEGMENT - before)
		(void) builder_filler(&builder, 400);
	(void) builder_filler(&builder, SEGMENT - before - builder.at);
	(void) builder_record(&builder, 1, 0x80, XID, main, size);
	fill_wal(&builder, builder.size);
	return builder;
}

static void
put(Place *place, const WalBuilder *builder, unsigned number)
{
	WalName name = wal_name_of_segment(1, FIRST + number, SEGMENT);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path =
		write_wal(place, wal_name_format(&name, text), builder->bytes + (size_t) number * SEGMENT, SEGMENT);
	PutResult result;

	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
}

static Error *
remove_entry(void *place, const StoreEntry *entry)
{
	return store_remove(((Place *) place)->store, entry->key);
}

static void
empty_store(Place *place)
{
	assert_ok(store_list(place->store, "", LIST_ALL, NULL, remove_entry, place));
}

/* The first segment's, as they are now. */
static Error *
read_first(Place *place, SegmentRecords *ret_records)
{
	AUTO(Catalog) catalog = NULL;

	assert_ok(catalog_read(place->store, BUILDER_SYSTEM, 1, &catalog));

	AUTO(WalPath) path = wal_path_new(catalog, catalog_timeline(catalog, 1));
	AUTO(WalFacts) facts = wal_reader_facts(place->store, catalog, place->archive.identities, 4);

	*ret_records = (SegmentRecords){.segno = FIRST};
	return wal_facts_read_records(facts, path, every_kind, ret_records, 1);
}

static const WalEvent *
last_commit(const SegmentRecords *records)
{
	for (size_t i = records->n_events; i-- > 0;)
		if (records->events[i].kind == WAL_EVENT_COMMIT)
			return &records->events[i];
	return NULL;
}

static size_t
count_items(const SegmentRecords *records, WalEventKind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < records->n_events; i++)
		count += records->events[i].kind == kind;
	return count;
}

static void
a_commit_is_told_to_its_end_over_any_number_of_segments(void **state)
{
	static const struct
	{
		size_t before;
		uint32_t files;
		size_t segments; /* that it touches */
	} rows[] = {
		{16, 0, 2}, /* not even its kind lies in the first */
		{32, 10, 2}, {2000, 0, 2}, {32, 5000, 2}, {32, 100000, 3}, {8, 300000, 5}, {50000, 300000, 5},
	};
	Place *place = *state;

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WalBuilder builder = wal_with_commit(6, rows[i].before, rows[i].files);
		SegmentRecords records = {0};
		const WalEvent *commit = NULL;

		print_message("  %zu bytes before the border, %u files\n", rows[i].before, rows[i].files);
		for (unsigned segment = 0; segment < rows[i].segments; segment++)
		{
			/* Without its end it is cut. */
			assert_true(commit == NULL || commit->end == InvalidXLogRecPtr);
			segment_records_release(&records);
			put(place, &builder, segment);
			assert_ok(read_first(place, &records));
			assert_true(records.readable);
			commit = last_commit(&records);
		}
		assert_non_null(commit);
		assert_int_equal(commit->xid, XID);
		assert_int_equal(commit->time, NOON);
		assert_int_equal(commit->dropped_files, rows[i].files);
		assert_int_equal(commit->lsn, BUILDER_START + SEGMENT - rows[i].before);
		assert_int_equal(lsn_segment(commit->end, SEGMENT), FIRST + rows[i].segments - 1);
		assert_int_equal(records.last_start, commit->lsn);
		assert_int_equal(records.last_previous, commit->previous);
		assert_int_equal(records.last_end, commit->end);
		assert_int_equal(count_items(&records, WAL_EVENT_SUBXACT), SUBXACTS);
		assert_int_equal(count_items(&records, WAL_EVENT_DROPPED_FILE), rows[i].files);
		segment_records_release(&records);
		free(builder.bytes);
		empty_store(place);
	}
}

/* No byte of a record stands in the index then. */
static void
the_end_of_a_commit_is_read_from_encrypted_segments(void **state)
{
	Place *place = *state;
	WalBuilder builder = wal_with_commit(4, 32, 100000);
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *public_key = NULL;
	SegmentRecords records;

	age_generate(&secret, &public_key);
	assert_ok(age_recipients_add(recipients, public_key, strlen(public_key), "key"));
	assert_ok(age_identities_add(identities, secret, strlen(secret), "key"));
	place->archive.recipients = recipients;
	for (unsigned segment = 0; segment < 4; segment++)
		put(place, &builder, segment);
	assert_error(read_first(place, &records), ERR_DENIED, "");
	segment_records_release(&records);
	place->archive.identities = identities;
	assert_ok(read_first(place, &records));
	assert_int_equal(last_commit(&records)->time, NOON);
	assert_int_equal(count_items(&records, WAL_EVENT_DROPPED_FILE), 100000);
	segment_records_release(&records);
	free(builder.bytes);
}

/* The server crashed in the middle of it, and says so on the page where it would go on. */
static void
a_commit_that_was_given_up_is_none(void **state)
{
	Place *place = *state;

	for (size_t segments = 1; segments <= 2; segments++)
	{
		WalBuilder builder = wal_with_commit(4, 32, 100000);
		WalBuilder rest = builder;
		SegmentRecords records;

		memset(builder.bytes + segments * SEGMENT, 0, builder.size - segments * SEGMENT);
		rest.at = segments * SEGMENT;
		rest.page_flags = XLP_FIRST_IS_OVERWRITE_CONTRECORD;
		builder_page(&rest, 0);
		fill_wal(&rest, rest.size);
		for (unsigned segment = 0; segment < 4; segment++)
			put(place, &builder, segment);
		assert_ok(read_first(place, &records));
		assert_null(last_commit(&records));
		assert_int_equal(records.last_end, BUILDER_START + SEGMENT - 32);
		segment_records_release(&records);
		free(builder.bytes);
		empty_store(place);
	}
}

static void
a_commit_whose_end_is_damaged_has_none(void **state)
{
	Place *place = *state;
	WalBuilder builder = wal_with_commit(4, 32, 100000);
	SegmentRecords records;
	WalName name = wal_name_of_segment(1, FIRST + 2, SEGMENT);
	AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);

	for (unsigned segment = 0; segment < 4; segment++)
		put(place, &builder, segment);
	put_raw(place, key, "x", 1);
	assert_ok(read_first(place, &records));
	assert_true(records.readable);
	assert_int_equal(last_commit(&records)->end, InvalidXLogRecPtr);
	segment_records_release(&records);
	free(builder.bytes);
}

/* Its own object: a fact, and not of the records alone. */
static void
a_damaged_segment_is_unreadable(void **state)
{
	Place *place = *state;
	WalBuilder builder = wal_with_commit(2, 32, 0);
	WalName name = wal_name_of_segment(1, FIRST, SEGMENT);
	AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);
	AUTO(Catalog) catalog = NULL;
	XLogSegNo damaged;
	AUTO_BUF(object, 0);

	put(place, &builder, 0);
	put(place, &builder, 1);
	read_raw(place, key, &object);
	memset(object.data + object.size - 3000, 0, 1500);
	put_raw(place, key, object.data, object.size);
	assert_ok(catalog_read(place->store, BUILDER_SYSTEM, 1, &catalog));

	AUTO(WalPath) path = wal_path_new(catalog, catalog_timeline(catalog, 1));
	AUTO(WalFacts) facts = wal_reader_facts(place->store, catalog, NULL, 4);
	const WalRange range = {1, FIRST, FIRST + 1};

	assert_true(wal_facts_index(facts, 1, FIRST, FIRST)->readable);
	assert_false(wal_facts_damaged_between(facts, &range, &damaged));
	assert_false(wal_facts_records(facts, path, FIRST)->readable);
	assert_int_equal(wal_facts_records(facts, path, FIRST)->n_events, 0);
	assert_false(wal_facts_index(facts, 1, FIRST, FIRST)->readable);
	assert_true(wal_facts_damaged_between(facts, &range, &damaged));
	assert_int_equal(damaged, FIRST);
	assert_int_equal(wal_facts_damaged_count(facts), 1);
	assert_ok(wal_facts_error(facts));
	free(builder.bytes);
}

static void
a_stored_segment_tells_what_the_file_tells(void **state)
{
	Place *place = *state;
	WalBuilder builder = wal_with_commit(2, 2000, 20);
	WalName name = wal_name_of_segment(1, FIRST, SEGMENT);
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = write_wal(place, wal_name_format(&name, text), builder.bytes, SEGMENT);
	AUTO(Catalog) catalog = NULL;
	WalIndex index;
	SegmentRecords records;

	put(place, &builder, 0);
	assert_ok(wal_object_inspect(&place->archive, path, &name, &index));
	assert_ok(read_first(place, &records));
	assert_int_equal(records.last_start, index.walk.last_record);
	assert_int_equal(count_items(&records, WAL_EVENT_OTHER) + 1, index.walk.records);
	segment_records_release(&records);
	assert_ok(catalog_read(place->store, BUILDER_SYSTEM, 1, &catalog));

	AUTO(WalFacts) facts = wal_reader_facts(place->store, catalog, NULL, 4);
	const SegmentIndex *segment = wal_facts_index(facts, 1, FIRST, FIRST);

	assert_true(segment->readable && segment->continues);
	assert_int_equal(segment->commits, 1);
	assert_int_equal(segment->max_time, NOON);
	assert_int_equal(segment->min_xid, XID);
	assert_int_equal(segment->valid_end, BUILDER_START + SEGMENT);
	assert_string_equal(segment->recipients, "");
	free(builder.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(a_commit_is_told_to_its_end_over_any_number_of_segments),
		PLACE_TEST(the_end_of_a_commit_is_read_from_encrypted_segments),
		PLACE_TEST(a_commit_that_was_given_up_is_none),
		PLACE_TEST(a_commit_whose_end_is_damaged_has_none),
		PLACE_TEST(a_damaged_segment_is_unreadable),
		PLACE_TEST(a_stored_segment_tells_what_the_file_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
