/* For tests of src/archive: a directory store, and WAL segments in memory and in files. */
#pragma once

#include "scratch.h"
#include "wal_builder.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"
#include "walship/store/file_store.h"

#define OBJECT_MAX (64 * 1024 * 1024)

typedef struct Place
{
	char *scratch;
	char *wal; /* <scratch>/pg_wal */
	Store *store;
	WalArchive archive;
} Place;

static inline int
place_make(void **state)
{
	Place *place = NEW(Place);
	AUTO_FREE char *directory = NULL;

	place->scratch = scratch_make();
	directory = path_join(place->scratch, "store");
	place->wal = path_join(place->scratch, "pg_wal");
	assert_ok(dir_make(place->wal, 0700));
	assert_ok(file_store_create(directory));
	assert_ok(file_store_open(directory, &place->store));
	place->archive = (WalArchive){.store = place->store,
	                              .system_identifier = BUILDER_SYSTEM,
	                              .compression = {.codec = CODEC_BROTLI, .level = 1},
	                              .spool_directory = place->scratch};
	*state = place;
	return 0;
}

static inline int
place_destroy(void **state)
{
	Place *place = *state;

	store_free(place->store);
	scratch_remove(place->scratch);
	free(place->wal);
	free(place);
	return 0;
}

static inline WalName
wal_name(const char *text)
{
	WalName name;

	assert_ok(wal_name_parse(text, &name));
	return name;
}

/* Not durably, for that is slow. */
static inline void
write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* The file pg_wal/NAME; its path is the caller's. */
static inline char *
write_wal(const Place *place, const char *name, const void *data, size_t size)
{
	char *path = path_join(place->wal, name);

	write_file(path, data, size);
	return path;
}

/* Records up to this byte; what is behind them stays zero. */
static inline void
fill_wal(WalBuilder *builder, size_t end)
{
	while (builder->at < end)
		(void) builder_filler(builder, 1000);
}

static inline void
put_raw(const Place *place, const char *key, const void *data, size_t size)
{
	Slice slice = slice_of_memory(data, size);

	assert_ok(store_put(place->store, key, &slice, 1, PUT_REPLACE));
}

static inline void
read_raw(const Place *place, const char *key, Buf *ret_bytes)
{
	AUTO(Sink) sink = NULL;

	buf_init(ret_bytes, OBJECT_MAX);
	sink = buf_sink_new(ret_bytes);
	assert_ok(store_get(place->store, key, 0, STORE_TO_END, sink));
}

static inline bool
is_in_store(const Place *place, const char *key)
{
	StoreEntry entry;
	AUTO(Error) error = store_stat(place->store, key, &entry);

	return error == NULL;
}

static inline Error *
count_entry(void *context, const StoreEntry *entry)
{
	(void) entry;
	++*(size_t *) context;
	return NULL;
}

static inline size_t
objects_in_store(const Place *place)
{
	size_t count = 0;

	assert_ok(store_list(place->store, "", LIST_ALL, NULL, count_entry, &count));
	return count;
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_make, place_destroy)
