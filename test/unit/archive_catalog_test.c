/* The catalog: what lies in a store, whatever else lies beside it. */
#include "walship/archive/catalog.h"
#include "walship/archive/self_sha256.h"

#include <inttypes.h>

#include "scratch.h"
#include "wal_builder.h"
#include "walship/archive/wal_object.h"
#include "walship/store/file_store.h"

#define SYSTEM      "7300000000000000001"
#define OTHER       "7300000000000000002"
#define SEGMENT     (16u * 1024 * 1024)
#define BACKUP_ID   "20261120T023007Z-9f3c"
#define BACKUP_ID_2 "20261121T023007Z-0001"
#define BACKUP_ID_3 "20261122T023007Z-0002"

typedef struct Place
{
	char *directory;
	Store *store;
} Place;

static int
place_make(void **state)
{
	Place *place = NEW(Place);

	place->directory = scratch_make();
	assert_ok(file_store_create(place->directory));
	assert_ok(file_store_open(place->directory, &place->store));
	*state = place;
	return 0;
}

static int
place_destroy(void **state)
{
	Place *place = *state;

	store_free(place->store);
	scratch_remove(place->directory);
	free(place);
	return 0;
}

static void
put(const Place *place, const char *key, const char *text)
{
	Slice slice = slice_of_memory(text, strlen(text));

	assert_ok(store_put(place->store, key, &slice, 1, PUT_IF_ABSENT));
}

static void
put_backup(const Place *place, const char *directory_id, const char *id, uint64_t system, TimeLineID timeline)
{
	AUTO(BackupRecord) record = backup_record_new();
	AUTO_FREE char *key = mem_printf(SYSTEM "/base/%s/backup.json", directory_id);
	AUTO_BUF(text, BACKUP_RECORD_MAX);

	record->id = mem_strdup(id);
	record->system_identifier = system;
	record->server_version = 150020;
	record->segment_size = SEGMENT;
	record->timeline = timeline;
	record->start_lsn = 2 * SEGMENT + 0x28;
	record->stop_lsn = 2 * SEGMENT + 0x138;
	record->start_time = INT64_C(1795141807000000);
	record->stop_time = INT64_C(1795141907000000);
	record->label = mem_strdup("walship");
	record->codec = mem_strdup("brotli");
	record->parts = NEW_ARRAY(BackupPart, 1);
	record->parts[record->n_parts++] = (BackupPart){
		.name = mem_strdup("base-0001.tar.br"), .set = mem_strdup("base"), .raw_size = 3, .stored_size = 2};
	record->manifest_name = mem_strdup("manifest.br");
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->walship_version = mem_strdup("0.1.0");
	backup_record_print(record, &text);
	self_sha256_append(&text);
	put(place, key, text.data);
}

static Catalog *
read_catalog(const Place *place)
{
	Catalog *catalog;

	assert_ok(catalog_read(place->store, BUILDER_SYSTEM, 3, &catalog));
	return catalog;
}

static void
an_empty_store_has_nothing(void **state)
{
	AUTO(Catalog) catalog = read_catalog(*state);

	assert_int_equal(catalog->n_backups, 0);
	assert_int_equal(catalog->n_timelines, 0);
	assert_int_equal(catalog->segment_size, 0);
}

static void
systems_are_the_directories_with_a_number(void **state)
{
	AUTO_STRLIST systems = {0};

	put(*state, SYSTEM "/wal/00000002.history", "1\t0/5000000\tx\n");
	put(*state, OTHER "/base/" BACKUP_ID "/backup.json", "{}");
	put(*state, "lost.not/found", "x");
	assert_ok(catalog_systems(((Place *) *state)->store, &systems));
	assert_int_equal(systems.count, 2);
	assert_string_equal(systems.items[0], SYSTEM);
	assert_string_equal(systems.items[1], OTHER);
}

static void
segments_become_runs(void **state)
{
	static const char *const keys[] = {
		"00000001/000000010000000000000002.tar", "00000001/000000010000000000000003.tar",
		"00000001/0000000100000000000000FF.tar", "00000001/000000010000000100000000.tar",
		"00000002/000000020000000100000000.tar",
	};

	put_backup(*state, BACKUP_ID, BACKUP_ID, BUILDER_SYSTEM, 1);
	for (size_t i = 0; i < lengthof(keys); i++)
	{
		AUTO_FREE char *key = mem_printf(SYSTEM "/wal/%s", keys[i]);

		put(*state, key, i == 1 ? "four" : "x");
	}

	AUTO(Catalog) catalog = read_catalog(*state);
	const CatalogTimeline *first = catalog_timeline(catalog, 1);

	assert_int_equal(catalog->segment_size, SEGMENT);
	assert_int_equal(catalog->n_timelines, 2);
	assert_int_equal(first->n_runs, 2);
	assert_int_equal(first->runs[0].first, 2);
	assert_int_equal(first->runs[0].last, 3);
	assert_int_equal(first->runs[0].stored_size, 5);
	assert_int_equal(first->runs[0].sizes[1], 4);
	assert_int_equal(first->runs[1].first, 255);
	assert_int_equal(first->runs[1].last, 256);
	assert_true(catalog_has_segment(catalog, 1, 256));
	assert_false(catalog_has_segment(catalog, 1, 4));
	assert_true(catalog_has_segment(catalog, 2, 256));
	assert_false(catalog_has_segment(catalog, 3, 256));
}

static void
partials_and_histories_belong_to_their_timelines(void **state)
{
	put_backup(*state, BACKUP_ID, BACKUP_ID, BUILDER_SYSTEM, 1);
	put(*state, SYSTEM "/wal/00000001/000000010000000000000007.partial-0123456789abcdef.tar", "abc");
	put(*state, SYSTEM "/wal/00000001/000000010000000000000002.00000028.backup", "x");
	put(*state, SYSTEM "/wal/00000003.history", "1\t0/7500000\tx\n2\t0/8000000\tx\n");

	AUTO(Catalog) catalog = read_catalog(*state);
	const CatalogTimeline *first = catalog_timeline(catalog, 1);
	const CatalogTimeline *third = catalog_timeline(catalog, 3);

	assert_int_equal(first->n_partials, 1);
	assert_int_equal(first->partials[0].segno, 7);
	assert_int_equal(first->partials[0].stored_size, 3);
	assert_int_equal(first->n_backup_files, 1);
	assert_int_equal(first->backup_files[0].segno, 2);
	assert_non_null(strstr(first->backup_files[0].key, "000000010000000000000002.00000028.backup"));
	assert_int_equal(first->n_runs, 0);
	assert_false(first->has_history_file);
	assert_true(third->has_history_file);
	assert_int_equal(third->history->n_ancestors, 2);
	assert_int_equal(third->history->ancestors[1].switch_lsn, 0x8000000);
}

static void
a_damaged_history_file_is_named(void **state)
{
	put(*state, SYSTEM "/wal/00000002.history", "garbage\n");

	AUTO(Catalog) catalog = read_catalog(*state);

	assert_int_equal(catalog->damaged.count, 1);
	assert_true(str_starts_with(catalog->damaged.items[0], "00000002.history: "));
	assert_false(catalog_timeline(catalog, 2)->has_history_file);
	assert_int_equal(catalog_timeline(catalog, 2)->history->n_ancestors, 0);
}

static void
what_is_not_ours_is_passed_over(void **state)
{
	put_backup(*state, BACKUP_ID, BACKUP_ID, BUILDER_SYSTEM, 1);
	put(*state, SYSTEM "/wal/README", "x");
	put(*state, SYSTEM "/wal/00000001/notes.tar", "x");
	put(*state, SYSTEM "/wal/00000001/000000010000000000000009", "x");
	put(*state, SYSTEM "/wal/00000001/000000010000000000000FFF.tar", "x"); /* no segment of 16 MB */
	put(*state, SYSTEM "/base/notes/backup.json", "x");
	put(*state, SYSTEM "/base/README", "x");
	put(*state, SYSTEM "/drill/x.json", "x");

	AUTO(Catalog) catalog = read_catalog(*state);

	assert_int_equal(catalog->n_backups, 1);
	assert_int_equal(catalog->unfinished.count, 0);
	assert_int_equal(catalog->damaged.count, 0);
	assert_int_equal(catalog_timeline(catalog, 1)->n_runs, 0);
}

static void
backups_are_complete_unfinished_or_damaged(void **state)
{
	put_backup(*state, BACKUP_ID_2, BACKUP_ID_2, BUILDER_SYSTEM, 4);
	put(*state, SYSTEM "/base/" BACKUP_ID_3 "/base-0001.tar.br", "x");
	put(*state, SYSTEM "/base/" BACKUP_ID "/backup.json", "{\"format\": 1");

	AUTO(Catalog) catalog = read_catalog(*state);

	assert_int_equal(catalog->n_backups, 1);
	assert_string_equal(catalog->backups[0]->id, BACKUP_ID_2);
	assert_non_null(catalog_timeline(catalog, 4));
	assert_int_equal(catalog->unfinished.count, 1);
	assert_string_equal(catalog->unfinished.items[0], BACKUP_ID_3);
	assert_int_equal(catalog->damaged.count, 1);
	assert_true(str_starts_with(catalog->damaged.items[0], BACKUP_ID ": "));
}

static void
one_that_names_no_part_of_its_wal_does_not_hold_it(void **state)
{
	AUTO(BackupRecord) record = backup_record_new();
	BackupRecord *records[] = {record};

	record->id = mem_strdup(BACKUP_ID);
	record->manifest_name = mem_strdup("manifest.br");
	record->manifest_stored_size = 1;
	record->wal_inside = true;
	put(*state, SYSTEM "/base/" BACKUP_ID "/manifest.br", "x");
	assert_ok(catalog_look_at_parts(((Place *) *state)->store, BUILDER_SYSTEM, records, 1));
	assert_null(record->missing);
	assert_false(record->wal_inside);
}

static void
a_record_in_the_wrong_place_is_damaged(void **state)
{
	put_backup(*state, BACKUP_ID, BACKUP_ID_2, BUILDER_SYSTEM, 1);
	put_backup(*state, BACKUP_ID_3, BACKUP_ID_3, BUILDER_SYSTEM + 1, 1);

	AUTO(Catalog) catalog = read_catalog(*state);

	assert_int_equal(catalog->n_backups, 0);
	assert_int_equal(catalog->damaged.count, 2);
	assert_non_null(strstr(catalog->damaged.items[0], BACKUP_ID_2));
	assert_non_null(strstr(catalog->damaged.items[1], "another database system"));
}

/* Without a backup, the index of the first segment that can be read tells the segment size. */
static void
the_segment_size_comes_from_an_index(void **state)
{
	Place *place = *state;
	WalBuilder builder = builder_new(15, 1);
	AUTO_FREE uint8_t *bytes = builder.bytes;
	AUTO_FREE char *path = path_join(place->directory, "segment");
	WalArchive archive = {.store = place->store,
	                      .system_identifier = BUILDER_SYSTEM,
	                      .compression = {.codec = CODEC_NONE},
	                      .spool_directory = place->directory};
	WalName name = wal_name_of_segment(1, BUILDER_START / BUILDER_SEGMENT_SIZE, BUILDER_SEGMENT_SIZE);
	PutResult result;

	(void) builder_filler(&builder, 100);
	assert_ok(file_replace(path, bytes, BUILDER_SEGMENT_SIZE, 0600));
	put(place, SYSTEM "/wal/00000001/000000010000000200000002.tar", "damaged");
	assert_ok(wal_object_put(&archive, path, &name, &result, NULL));

	AUTO(Catalog) catalog = read_catalog(place);

	assert_int_equal(catalog->segment_size, BUILDER_SEGMENT_SIZE);
	assert_true(catalog_has_segment(catalog, 1, BUILDER_START / BUILDER_SEGMENT_SIZE));
	assert_int_equal(catalog_timeline(catalog, 1)->n_runs, 2);
}

static void
a_size_that_nobody_tells_is_an_error(void **state)
{
	Place *place = *state;
	Catalog *catalog;

	put(place, SYSTEM "/wal/00000001/000000010000000200000002.tar", "damaged");
	assert_error(catalog_read(place->store, BUILDER_SYSTEM, 3, &catalog), ERR_CORRUPT,
	             "could not find out the WAL segment size");
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_make, place_destroy)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		PLACE_TEST(an_empty_store_has_nothing),
		PLACE_TEST(systems_are_the_directories_with_a_number),
		PLACE_TEST(segments_become_runs),
		PLACE_TEST(partials_and_histories_belong_to_their_timelines),
		PLACE_TEST(a_damaged_history_file_is_named),
		PLACE_TEST(what_is_not_ours_is_passed_over),
		PLACE_TEST(backups_are_complete_unfinished_or_damaged),
		PLACE_TEST(a_record_in_the_wrong_place_is_damaged),
		PLACE_TEST(one_that_names_no_part_of_its_wal_does_not_hold_it),
		PLACE_TEST(the_segment_size_comes_from_an_index),
		PLACE_TEST(a_size_that_nobody_tells_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
