/*
 * A copy from store to store, cut short after each object that can be written: whatever
 * was there by then holds together, and the next run brings exactly the rest.
 */
#include <pthread.h>

#include "scratch.h"
#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/strs.h"
#include "walship/store/file_store.h"
#include "walship/upkeep/copy.h"

#define SYSTEM_ID    UINT64_C(7300000000000000001)
#define SEGMENT_SIZE (16u * 1024 * 1024)

/* A directory, whose writes are noted in their order, and fail from some moment on. */
typedef struct NotedStore
{
	Store store;
	Store *inner;
	StrList written;  /* keys, leases not among them */
	size_t cut_after; /* so many objects; then it cannot be reached; SIZE_MAX: never */
	pthread_mutex_t mutex;
} NotedStore;

static Error *
note(NotedStore *noted, const char *key, Error *error)
{
	if (error == NULL && strstr(key, "/lease/") == NULL)
	{
		(void) pthread_mutex_lock(&noted->mutex);
		strlist_add(&noted->written, key);
		(void) pthread_mutex_unlock(&noted->mutex);
	}
	return error;
}

static Error *
check_power(NotedStore *noted)
{
	bool cut;

	(void) pthread_mutex_lock(&noted->mutex);
	cut = noted->written.count >= noted->cut_after;
	(void) pthread_mutex_unlock(&noted->mutex);
	return cut ? error_new(ERR_TRANSIENT, "the power is gone") : NULL;
}

static Error *
noted_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	NotedStore *noted = (NotedStore *) store;

	assert_int_equal(mode, PUT_IF_ABSENT);
	TRY(check_power(noted));
	return note(noted, key, store_put(noted->inner, key, slices, n_slices, mode));
}

static Error *
noted_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	return store_get(((NotedStore *) store)->inner, key, offset, size, into);
}

static Error *
noted_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	return store_stat(((NotedStore *) store)->inner, key, ret_entry);
}

static Error *
noted_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
           StoreListCallback callback, void *context)
{
	return store_list(((NotedStore *) store)->inner, prefix, depth, start_after, callback, context);
}

static Error *
noted_remove(Store *store, const char *key)
{
	return store_remove(((NotedStore *) store)->inner, key);
}

/* The inner writer, whose finish counts. */
typedef struct NotedWriter
{
	Sink sink;
	NotedStore *noted;
	char *key;
	Pipe *inner;
} NotedWriter;

static Error *
writer_write(Sink *sink, const void *data, size_t size)
{
	return pipe_write(((NotedWriter *) sink)->inner, data, size);
}

static Error *
writer_finish(Sink *sink)
{
	NotedWriter *writer = (NotedWriter *) sink;

	TRY(check_power(writer->noted));
	return note(writer->noted, writer->key, pipe_finish(writer->inner));
}

static void
writer_free(Sink *sink)
{
	NotedWriter *writer = (NotedWriter *) sink;

	pipe_free(writer->inner);
	free(writer->key);
	free(writer);
}

static Error *
noted_writer(Store *store, const char *key, Sink **ret_sink)
{
	static const SinkOps ops = {.write = writer_write, .finish = writer_finish, .free = writer_free};
	NotedStore *noted = (NotedStore *) store;
	Sink *inner;

	TRY(store_writer(noted->inner, key, &inner));

	NotedWriter *writer = NEW(NotedWriter);

	writer->sink.ops = &ops;
	writer->noted = noted;
	writer->key = mem_strdup(key);
	writer->inner = pipe_new();
	pipe_add(writer->inner, inner);
	*ret_sink = &writer->sink;
	return NULL;
}

/* Two stores in a directory of the test's own. */
typedef struct World
{
	char *directory;
	Store *source;
	NotedStore target;
} World;

static void
open_store(const World *world, const char *name, Store **ret_store)
{
	AUTO_FREE char *path = path_join(world->directory, name);

	assert_ok(file_store_create(path));
	assert_ok(file_store_open(path, ret_store));
}

static void
put(Store *store, const char *key, const void *data, size_t size)
{
	Slice slice = slice_of_memory(data, size);

	assert_ok(store_put(store, key, &slice, 1, PUT_IF_ABSENT));
}

static void
put_wal(const World *world, const char *name, const char *text)
{
	AUTO_FREE char *prefix = layout_wal_prefix(SYSTEM_ID);
	AUTO_FREE char *key = mem_printf("%s%s", prefix, name);

	put(world->source, key, text, strlen(text));
}

static BackupPart
make_part(const char *prefix, const char *name, const char *set, const char *contents, Store *store)
{
	BackupPart part = {mem_strdup(name), mem_strdup(set), 1000, strlen(contents), {0}};
	AUTO_FREE char *key = mem_printf("%s%s", prefix, name);

	sha256_of(contents, strlen(contents), part.stored_sha256);
	put(store, key, contents, strlen(contents));
	return part;
}

static void
put_backup(const World *world, const char *id)
{
	AUTO(BackupRecord) record = backup_record_new();
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	AUTO_FREE char *prefix = layout_backup_prefix(SYSTEM_ID, id);
	AUTO_FREE char *key = layout_backup_record_key(SYSTEM_ID, id);
	AUTO_FREE char *manifest = mem_printf("%smanifest.br", prefix);

	record->id = mem_strdup(id);
	record->system_identifier = SYSTEM_ID;
	record->server_version = 150020;
	record->segment_size = SEGMENT_SIZE;
	record->timeline = 1;
	record->start_lsn = 3 * (uint64_t) SEGMENT_SIZE + 40;
	record->stop_lsn = record->start_lsn + 4096;
	record->start_time = record->stop_time = INT64_C(1790000000000000);
	record->label = mem_strdup("walship");
	record->wal_inside = true;
	record->codec = mem_strdup("brotli");
	record->manifest_name = mem_strdup("manifest.br");
	record->manifest_stored_size = 4;
	sha256_of("list", 4, record->manifest_sha256);
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->walship_version = mem_strdup("0.1.0");
	record->n_parts = 3;
	record->parts = NEW_ARRAY(BackupPart, 3);
	record->parts[0] = make_part(prefix, "base-0001.tar.br", "base", "first part", world->source);
	record->parts[1] = make_part(prefix, "16400-0001.tar.br", "16400", "of a tablespace", world->source);
	record->parts[2] = make_part(prefix, "wal-0001.tar.br", "wal", "its own WAL", world->source);
	put(world->source, manifest, "list", 4);
	backup_record_print(record, &text);
	self_sha256_append(&text);
	put(world->source, key, text.data, text.size);
}

static int
set_up(void **state)
{
	static const StoreOps ops = {.put = noted_put,
	                             .get = noted_get,
	                             .stat = noted_stat,
	                             .list = noted_list,
	                             .remove = noted_remove,
	                             .writer = noted_writer};
	World *world = NEW(World);

	world->directory = scratch_make();
	open_store(world, "source", &world->source);
	open_store(world, "target", &world->target.inner);
	world->target.store =
		(Store){.ops = &ops, .url = mem_strdup("noted://"), .identity = mem_strdup("noted")};
	world->target.cut_after = SIZE_MAX;
	(void) pthread_mutex_init(&world->target.mutex, NULL);
	put_wal(world, "00000001/000000010000000000000003.00000028.backup", "of the first\n");
	put_wal(world, "00000001/000000010000000000000005.00000028.backup", "of the second\n");
	put_wal(world, "00000002.history", "1\t0/6000000\tno recovery target specified\n");
	put_wal(world, "00000002.history.sha256",
	        "6de5b54c0f1a8b0f5ffb3b6d25d23c0cf0c9ad71d4b5ac9b5de5d1a2c38f15c8  00000002.history\n");
	put_backup(world, "20261120T023007Z-9f3c");
	put_backup(world, "20261121T023007Z-9f3c");
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	World *world = *state;

	store_free(world->source);
	store_free(world->target.inner);
	strlist_release(&world->target.written);
	free(world->target.store.url);
	free(world->target.store.identity);
	(void) pthread_mutex_destroy(&world->target.mutex);
	scratch_remove(world->directory);
	free(world);
	return 0;
}

static Error *
copy_once(World *world, int jobs, StoreCopy *copy)
{
	*copy = (StoreCopy){.source = world->source,
	                    .target = &world->target.store,
	                    .system_identifier = SYSTEM_ID,
	                    .jobs = jobs,
	                    .spool_directory = world->directory};
	TRY(store_copy_plan(copy));
	return store_copy_run(copy);
}

static Error *
collect(void *context, const StoreEntry *entry)
{
	if (strstr(entry->key, "/lease/") == NULL)
		strlist_add(context, entry->key);
	return NULL;
}

static size_t
place_of(const StrList *written, const char *part)
{
	for (size_t i = 0; i < written->count; i++)
		if (strstr(written->items[i], part) != NULL)
			return i;
	fail_msg("%s was not written", part);
	return 0;
}

/* A damaged digest holds the history file back, and that alone: the real one is put in its place. */
static void
mend_history(World *world)
{
	static const char text[] = "1\t0/6000000\tno recovery target specified\n";
	uint8_t sha256[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	sha256_of(text, sizeof(text) - 1, sha256);
	hex_encode(sha256, SHA256_SIZE, hex);

	AUTO_FREE char *key = layout_history_digest_key(SYSTEM_ID, 2);
	AUTO_FREE char *line = mem_printf("%s  00000002.history\n", hex);

	assert_ok(store_remove(world->source, key));
	put(world->source, key, line, strlen(line));
}

static void
the_order_is_wal_then_objects_then_records(void **state)
{
	World *world = *state;
	const StrList *written = &world->target.written;
	AUTO_STORE_COPY copy = {0};

	mend_history(world);
	assert_ok(copy_once(world, 1, &copy));
	assert_int_equal(copy.n_findings, 0);
	assert_int_equal(written->count, 4 + 2 * 5);
	assert_true(place_of(written, "0003.00000028.backup") < place_of(written, "0005.00000028.backup"));
	assert_true(place_of(written, "02.history") < place_of(written, "02.history.sha256"));
	assert_true(place_of(written, "02.history.sha256") < place_of(written, "20261120T"));
	assert_true(place_of(written, "20261120T023007Z-9f3c/backup.json") < place_of(written, "20261121T"));
	assert_string_equal(strrchr(written->items[8], '/'), "/backup.json");
	assert_string_equal(strrchr(written->items[13], '/'), "/backup.json");
}

static void
a_history_file_that_is_not_of_its_digest_is_damaged(void **state)
{
	World *world = *state;
	AUTO_STORE_COPY copy = {0};

	assert_ok(copy_once(world, 1, &copy));
	assert_true(store_copy_found(&copy, STORE_COPY_DAMAGED));
	assert_non_null(strstr(copy.findings[0].key, "00000002.history"));
	assert_int_equal(copy.sent[STORE_COPY_RECORDS].objects, 2);
}

/* Of whatever has a record in the target, everything is there. */
static void
assert_holds_together(const World *world)
{
	static const char *const ids[] = {"20261120T023007Z-9f3c", "20261121T023007Z-9f3c"};

	for (size_t i = 0; i < lengthof(ids); i++)
	{
		AUTO_FREE char *key = layout_backup_record_key(SYSTEM_ID, ids[i]);
		AUTO_FREE char *prefix = layout_backup_prefix(SYSTEM_ID, ids[i]);
		AUTO_STRLIST keys = {0};
		StoreEntry entry;
		AUTO(Error) error = store_stat(world->target.inner, key, &entry);

		if (error != NULL)
			continue;
		assert_ok(store_list(world->target.inner, prefix, LIST_ALL, NULL, collect, &keys));
		assert_int_equal(keys.count, 5);
	}
}

static void
cut_short_anywhere_the_next_run_brings_the_rest(void **state)
{
	World *world = *state;
	size_t all = 14;

	mend_history(world);
	for (int jobs = 1; jobs <= 4; jobs += 3)
		for (size_t cut = 0; cut <= all; cut++)
		{
			AUTO_STORE_COPY first = {0};
			AUTO_STORE_COPY second = {0};
			AUTO_STORE_COPY third = {0};
			AUTO_STRLIST there = {0};

			world->target.cut_after = cut;
			strlist_release(&world->target.written);

			AUTO(Error) error = copy_once(world, jobs, &first);

			assert_true(cut == all ? error == NULL : error_is(error, ERR_TRANSIENT));
			assert_holds_together(world);

			size_t sent = world->target.written.count;

			world->target.cut_after = SIZE_MAX;
			assert_ok(copy_once(world, jobs, &second));
			assert_int_equal(world->target.written.count, all);
			assert_int_equal(second.present.objects, sent);
			assert_ok(copy_once(world, jobs, &third));
			assert_int_equal(world->target.written.count, all);
			assert_ok(store_list(world->target.inner, "", LIST_ALL, NULL, collect, &there));
			assert_int_equal(there.count, all);
			for (size_t i = 0; i < there.count; i++)
				assert_ok(store_remove(world->target.inner, there.items[i]));
		}
}

static void
what_differs_stops_the_run_when_it_is_everything(void **state)
{
	World *world = *state;
	AUTO_STORE_COPY copy = {0};

	mend_history(world);
	for (int i = 0; i < 1100; i++)
	{
		AUTO_FREE char *key = mem_printf("%llu/wal/00000001/00000001%08X%08X.00000028.backup",
		                                 (unsigned long long) SYSTEM_ID, 1 + i / 256, i % 256);

		put(world->source, key, "a", 1);
		put(world->target.inner, key, "other", 5);
	}
	assert_error(copy_once(world, 1, &copy), ERR_EXISTS, "1000 objects in store \"noted://\" differ");
	assert_int_equal(world->target.written.count, 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(the_order_is_wal_then_objects_then_records),
		WORLD(a_history_file_that_is_not_of_its_digest_is_damaged),
		WORLD(cut_short_anywhere_the_next_run_brings_the_rest),
		WORLD(what_differs_stops_the_run_when_it_is_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
