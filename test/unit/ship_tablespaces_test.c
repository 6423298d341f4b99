/* Tablespaces in a segment that a server will replay: what is changed, what is refused, also over a segment's end. */
#include "walship/ship/tablespaces.h"

#include <unistd.h>

#include "archive_fixture.h"
#include "walship/wal/record.h"

#define SEGMENT ((size_t) BUILDER_SEGMENT_SIZE)
#define OID     16400
#define LIVE    "/srv/live/space"

static const char *const names[] = {"000000010000000300000000", "000000010000000300000001"};

/* A record that creates a tablespace in "path", "before" bytes before the end of the first of two segments. */
static WalBuilder
build(const char *path, size_t before)
{
	WalBuilder builder = builder_new(15, 2);
	uint8_t main_data[4 + 1024];

	while (SEGMENT - before - builder.at > 2000)
		(void) builder_filler(&builder, 1000);
	(void) builder_filler(&builder, SEGMENT - before - builder.at);
	assert_int_equal(builder.at, SEGMENT - before);
	builder_le(main_data, OID, 4);
	memcpy(main_data + 4, path, strlen(path) + 1);
	(void) builder_record(&builder, 5, 0, 700, main_data, 4 + strlen(path) + 1);
	fill_wal(&builder, builder.size);
	return builder;
}

static void
put_segment(const Place *place, const WalBuilder *builder, int number)
{
	AUTO_FREE char *path =
		write_wal(place, names[number], builder->bytes + (size_t) number * SEGMENT, SEGMENT);
	WalName name = wal_name(names[number]);
	PutResult result;

	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	assert_int_equal(unlink(path), 0);
}

/* As fetch does with what it has put into pg_wal. */
static Error *
prepare(Place *place, const TablespaceRules *rules, int number)
{
	AUTO_FREE char *path = path_join(place->wal, names[number]);

	return tablespaces_prepare(&(TablespaceSegment){.path = path,
	                                                .name = wal_name(names[number]),
	                                                .data_directory = place->scratch,
	                                                .archive = &place->archive},
	                           rules);
}

static void
hand_out(Place *place, const WalBuilder *builder, int number)
{
	free(write_wal(place, names[number], builder->bytes + (size_t) number * SEGMENT, SEGMENT));
}

static void
read_back(const Place *place, uint8_t *into)
{
	for (int i = 0; i < 2; i++)
	{
		AUTO_FREE char *path = path_join(place->wal, names[i]);
		FILE *file = fopen(path, "rb");

		assert_non_null(file);
		assert_int_equal(fread(into + (size_t) i * SEGMENT, 1, SEGMENT, file), SEGMENT);
		assert_int_equal(fclose(file), 0);
	}
}

typedef struct Seen
{
	int created;
	char path[1024];
} Seen;

static void
see(void *context, const WalEvent *event)
{
	Seen *seen = context;

	if (event->kind != WAL_EVENT_TABLESPACE_CREATED || event->end == InvalidXLogRecPtr)
		return;
	seen->created++;
	(void) snprintf(seen->path, sizeof(seen->path), "%s", event->name);
}

/* Which path does a server read?  Records whose CRC is wrong are none. */
static Seen
replayed(const uint8_t *bytes)
{
	AUTO(WalWalker) walker = NULL;
	WalPageHeader header;
	WalWalkResult result;
	Seen seen = {0};

	assert_ok(wal_page_header_parse(bytes, WAL_LONG_HEADER_SIZE, &header));
	walker = wal_walker_new(&header, see, &seen);
	wal_walker_feed(walker, bytes, SEGMENT);
	if (wal_walker_is_open(walker))
	{
		wal_walker_enter_next(walker);
		wal_walker_feed(walker, bytes + SEGMENT, SEGMENT);
	}
	wal_walker_finish(walker, &result);
	return seen;
}

static size_t
differences(const uint8_t *a, const uint8_t *b)
{
	size_t count = 0;

	for (size_t i = 0; i < 2 * SEGMENT; i++)
		count += a[i] != b[i];
	return count;
}

/* In one segment, or so that the border lies in length, header, CRC, chunk header, OID, path, or right behind. */
static const size_t places[] = {1504, 8, 16, 24, 32, 40, 48};

static TablespaceRules
mapped_rules(const Place *place, TablespaceMappings *mappings)
{
	AUTO_FREE char *to = path_join(place->scratch, "elsewhere");

	tablespace_mappings_add(mappings, LIVE, to);
	return (TablespaceRules){.rule = TABLESPACES_MAPPED, .mappings = mappings};
}

static void
make_links(const Place *place)
{
	AUTO_FREE char *links = path_join(place->scratch, "pg_tblspc");

	assert_ok(dir_remove_tree(links, true));
}

static int
make_place(void **state)
{
	int failed = place_make(state);
	const Place *place = *state;
	AUTO_FREE char *links = path_join(place->scratch, "pg_tblspc");

	assert_ok(dir_make(links, 0700));
	return failed;
}

static void
a_mapped_tablespace_gets_a_link_and_an_empty_path_wherever_the_segment_ends(void **state)
{
	Place *place = *state;
	AUTO_MAPPINGS mappings = {0};
	TablespaceRules rules = mapped_rules(place, &mappings);
	AUTO_FREE char *link = path_join(place->scratch, "pg_tblspc/16400");
	AUTO_FREE uint8_t *bytes = mem_alloc(2 * SEGMENT);
	AUTO_FREE uint8_t *again = mem_alloc(2 * SEGMENT);

	for (size_t i = 0; i < lengthof(places); i++)
	{
		WalBuilder builder = build(LIVE, places[i]);
		char target[1024] = "";

		print_message("  %zu bytes before the end\n", places[i]);
		assert_string_equal(replayed(builder.bytes).path, LIVE);
		for (int number = 0; number < 2; number++)
			put_segment(place, &builder, number);
		make_links(place);
		for (int number = 0; number < 2; number++)
		{
			hand_out(place, &builder, number);
			assert_ok(prepare(place, &rules, number));
		}
		read_back(place, bytes);

		Seen seen = replayed(bytes);

		assert_int_equal(seen.created, 1);
		assert_string_equal(seen.path, "");
		assert_in_range(differences(bytes, builder.bytes), 2, 5);
		assert_true(readlink(link, target, sizeof(target) - 1) > 0);
		assert_string_equal(target, mappings.items[0].to);

		/* A restart gets the first one anew, the second may still be there. */
		hand_out(place, &builder, 0);
		for (int number = 0; number < 2; number++)
			assert_ok(prepare(place, &rules, number));
		read_back(place, again);
		assert_memory_equal(again, bytes, 2 * SEGMENT);
		for (int number = 0; number < 2; number++)
		{
			AUTO_FREE char *path = path_join(place->wal, names[number]);
			WalName name = wal_name(names[number]);
			AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);

			assert_int_equal(unlink(path), 0);
			assert_ok(store_remove(place->store, key));
		}
		free(builder.bytes);
	}
}

static void
without_a_mapping_the_segment_that_would_be_replayed_is_refused(void **state)
{
	Place *place = *state;
	AUTO_MAPPINGS mappings = {0};
	TablespaceRules rules = {.rule = TABLESPACES_MAPPED, .mappings = &mappings};
	AUTO_FREE char *others = path_join(place->scratch, "others");
	AUTO_FREE uint8_t *bytes = mem_alloc(2 * SEGMENT);

	for (size_t i = 0; i < lengthof(places); i++)
	{
		WalBuilder builder = build(LIVE, places[i]);
		int refused = places[i] < 24 ? 1 : 0; /* where its header ends */

		print_message("  %zu bytes before the end\n", places[i]);
		for (int number = 0; number < 2; number++)
			put_segment(place, &builder, number);
		for (int number = 0; number < 2; number++)
			hand_out(place, &builder, number);
		if (refused == 1)
			assert_ok(prepare(place, &rules, 0));
		assert_error(prepare(place, &rules, refused), ERR_EXISTS, LIVE);
		read_back(place, bytes);
		assert_memory_equal(bytes, builder.bytes, 2 * SEGMENT);
		for (int number = 0; number < 2; number++)
		{
			WalName name = wal_name(names[number]);
			AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);

			assert_ok(store_remove(place->store, key));
		}
		free(builder.bytes);
	}

	/* Where all others have a place, too, it is taken. */
	WalBuilder builder = build(LIVE, 1504);

	rules.others = others;
	hand_out(place, &builder, 0);
	assert_ok(prepare(place, &rules, 0));
	assert_string_equal(replayed(builder.bytes).path, LIVE);
	free(builder.bytes);
}

static void
a_beginning_that_was_handed_out_before_its_end_was_there_is_not_continued(void **state)
{
	Place *place = *state;
	AUTO_MAPPINGS mappings = {0};
	TablespaceRules rules = mapped_rules(place, &mappings);
	WalBuilder builder = build(LIVE, 32);

	put_segment(place, &builder, 0);
	hand_out(place, &builder, 0);
	assert_ok(prepare(place, &rules, 0));
	put_segment(place, &builder, 1);
	hand_out(place, &builder, 1);
	assert_error(prepare(place, &rules, 1), ERR_TRANSIENT, "the beginning of this record");
	free(builder.bytes);
}

static void
elsewhere_a_tablespace_may_be_made_in_what_is_missing_empty_or_the_servers_own(void **state)
{
	Place *place = *state;
	char *outside = scratch_make();
	AUTO_FREE char *space = path_join(outside, "space");
	AUTO_FREE char *file = path_join(space, "PG_15_202209061");
	TablespaceRules rules = {.rule = TABLESPACES_EMPTY};
	WalBuilder builder = build(space, 1504);

	hand_out(place, &builder, 0);
	assert_ok(prepare(place, &rules, 0));
	assert_ok(dir_make(space, 0700));
	assert_ok(prepare(place, &rules, 0));
	write_file(file, "live", 4);
	assert_error(prepare(place, &rules, 0), ERR_EXISTS, "not empty and not this server's");
	assert_ok(tablespace_link(place->scratch, 16399, space));
	assert_ok(prepare(place, &rules, 0));
	hand_out(place, &builder, 1);
	assert_string_equal(replayed(builder.bytes).path, space);
	scratch_remove(outside);
	free(builder.bytes);
}

static void
paths_of_tablespaces_are_plain_and_not_in_the_data_directory(void **state)
{
	static const struct
	{
		const char *path;
		bool right;
	} rows[] = {
		{"/srv/space", true}, {"/srv/a space/..x", true},
		{"/pg/data2", true},  {"/a", true},
		{"srv/space", false}, {"", false},
		{"/", false},         {"/srv/", false},
		{"//srv", false},     {"/srv/../etc", false},
		{"/..", false},       {"/srv/.", false},
		{"/a/./b", false},    {"/srv/a\nb", false},
		{"/srv/\x7f", false}, {"/srv/\x1b[2J", false},
		{"/pg/data", false},  {"/pg/data/x", false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		if (rows[i].right)
			assert_ok(tablespace_path_check(rows[i].path, "/pg/data"));
		else
			assert_error(tablespace_path_check(rows[i].path, "/pg/data"), ERR_CORRUPT, "tablespace");
	}
	assert_ok(tablespace_path_check("/pg/data/x", NULL));
}

#define SEGMENT_TEST(test) cmocka_unit_test_setup_teardown(test, make_place, place_destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SEGMENT_TEST(a_mapped_tablespace_gets_a_link_and_an_empty_path_wherever_the_segment_ends),
		SEGMENT_TEST(without_a_mapping_the_segment_that_would_be_replayed_is_refused),
		SEGMENT_TEST(a_beginning_that_was_handed_out_before_its_end_was_there_is_not_continued),
		SEGMENT_TEST(elsewhere_a_tablespace_may_be_made_in_what_is_missing_empty_or_the_servers_own),
		cmocka_unit_test(paths_of_tablespaces_are_plain_and_not_in_the_data_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
