/*
 * What every store promises (walship/store/store.h), on every store there is:
 * a new one is a row in "stores".
 */
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/crypto.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"
#include "walship/store/file_store.h"
#include "walship/store/s3_store.h"
#include "walship/store/second_store.h"

#define OBJECT_MAX (128u * 1024 * 1024)

typedef struct StoreRow
{
	const char *name;
	void *(*make)(Store **ret_store); /* an empty one; gives what "destroy" needs */
	void (*destroy)(void *place);
} StoreRow;

static void *
directory_make(Store **ret_store)
{
	char *directory = scratch_make();

	assert_ok(file_store_create(directory));
	assert_ok(file_store_open(directory, ret_store));
	return directory;
}

static void
directory_destroy(void *place)
{
	scratch_remove(place);
}

/*
 * S3_TEST_URL names a bucket that is there: s3://bucket/prefix.  Its
 * service and keys come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on;
 * AWS_CA_BUNDLE is trusted when it is set.
 */
static void *
s3_make(Store **ret_store)
{
	uint64_t random;

	random_bytes(&random, sizeof(random));

	AUTO_FREE char *url = mem_printf("%s/%016" PRIx64, getenv("S3_TEST_URL"), random);
	S3Options options = {.url = url,
	                     .environment = environ,
	                     .ca_file = getenv("AWS_CA_BUNDLE"),
	                     .user_agent = "walship-test",
	                     .jobs = 3,
	                     .patience = {.connect_ms = 3000, .stall_ms = 10000, .retry_ms = 20000}};

	assert_ok(s3_store_open(&options, ret_store));
	return MOVE(url);
}

static void
s3_destroy(void *place)
{
	free(place); /* the URL; what lies in the bucket goes with the bucket */
}

/* Two directories, of which the second is empty. */
static Error *
open_directory(void *directory, Store **ret_store)
{
	return file_store_open(directory, ret_store);
}

static void *
pair_make(Store **ret_store)
{
	char *directory = scratch_make();
	char *second = path_join(directory, "second");
	AUTO_FREE char *first = path_join(directory, "first");
	SecondStoreOpener opener = {.open = open_directory, .free = free, .context = second};
	Notices nobody = {0};
	Store *store;

	assert_ok(file_store_create(first));
	assert_ok(file_store_create(second));
	assert_ok(file_store_open(first, &store));
	*ret_store = second_store_new(store, "file://second", &opener, &nobody);
	return directory;
}

static const StoreRow stores[] = {
	{"a directory", directory_make, directory_destroy},
	{"a directory with a second one", pair_make, directory_destroy},
	{"S3", s3_make, s3_destroy},
};

typedef struct Place
{
	const StoreRow *row;
	void *place;
	Store *store;
} Place;

static int
place_make(void **state)
{
	Place *place = NEW(Place);

	place->row = *state;
	place->place = place->row->make(&place->store);
	*state = place;
	return 0;
}

static int
place_destroy(void **state)
{
	Place *place = *state;

	store_free(place->store);
	place->row->destroy(place->place);
	free(place);
	return 0;
}

static Store *
store_of(void **state)
{
	return ((Place *) *state)->store;
}

static Error *
put_text(Store *store, const char *key, const char *text, PutMode mode)
{
	Slice slice = slice_of_memory(text, strlen(text));

	return store_put(store, key, &slice, 1, mode);
}

static Error *
get_into(Store *store, const char *key, uint64_t offset, uint64_t size, Buf *buf)
{
	AUTO(Sink) sink = buf_sink_new(buf);

	return store_get(store, key, offset, size, sink);
}

static void
assert_object(Store *store, const char *key, const void *expected, size_t size)
{
	AUTO_BUF(buf, OBJECT_MAX);

	assert_ok(get_into(store, key, 0, STORE_TO_END, &buf));
	assert_int_equal(buf.size, size);
	if (size > 0)
		assert_memory_equal(buf.data, expected, size);
}

static Error *
collect(void *context, const StoreEntry *entry)
{
	assert_int_equal(entry->is_prefix, str_ends_with(entry->key, "/"));
	assert_int_equal(entry->is_prefix, entry->modified == TIME_NONE);
	strlist_add(context, entry->key);
	return NULL;
}

/* The keys that a listing gives, separated by blanks. */
static void
assert_listing(Store *store, const char *prefix, ListDepth depth, const char *start_after,
               const char *expected)
{
	AUTO_STRLIST keys = {0};
	AUTO_BUF(text, OBJECT_MAX);

	assert_ok(store_list(store, prefix, depth, start_after, collect, &keys));
	buf_puts(&text, "");
	for (size_t i = 0; i < keys.count; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : " ", keys.items[i]);
	assert_string_equal(text.data == NULL ? "" : text.data, expected);
}

static void
what_was_put_is_got(void **state)
{
	Store *store = store_of(state);
	StoreEntry entry = {0};
	TimeUs now = clock_now();

	assert_ok(put_text(store, "7/wal/00000001/000000010000000000000001.tar", "contents", PUT_IF_ABSENT));
	assert_object(store, "7/wal/00000001/000000010000000000000001.tar", "contents", 8);
	assert_ok(store_stat(store, "7/wal/00000001/000000010000000000000001.tar", &entry));
	assert_int_equal(entry.size, 8);
	assert_false(entry.is_prefix);
	assert_true(llabs(entry.modified - now) < INT64_C(60000000));
}

static void
if_absent_never_overwrites_and_replace_does(void **state)
{
	Store *store = store_of(state);

	assert_ok(put_text(store, "a/b", "first", PUT_IF_ABSENT));
	assert_error(put_text(store, "a/b", "second", PUT_IF_ABSENT), ERR_EXISTS, "a/b");
	assert_error(put_text(store, "a/b", "first", PUT_IF_ABSENT), ERR_EXISTS, "a/b");
	assert_object(store, "a/b", "first", 5);
	assert_ok(put_text(store, "a/b", "third", PUT_REPLACE));
	assert_object(store, "a/b", "third", 5);
	assert_ok(put_text(store, "a/c", "new", PUT_REPLACE));
	assert_object(store, "a/c", "new", 3);
	assert_listing(store, "", LIST_ALL, NULL, "a/b a/c");
}

#define RACERS    8
#define RACE_SIZE 300000

typedef struct Racer
{
	Store *store;
	uint8_t *bytes;
	char key[32];
	Error *result;
	pthread_t thread;
} Racer;

static void *
race(void *argument)
{
	Racer *racer = argument;
	Slice slices[] = {
		slice_of_memory(racer->bytes, 1),
		slice_of_memory(racer->bytes + 1, RACE_SIZE - 1),
	};

	racer->result = store_put(racer->store, racer->key, slices, 2, PUT_IF_ABSENT);
	return NULL;
}

static int
race_once(Store *store, int round, bool same_key)
{
	Racer racers[RACERS] = {0};
	int winners = 0;

	for (int i = 0; i < RACERS; i++)
	{
		racers[i].store = store;
		racers[i].bytes = scratch_bytes(RACE_SIZE, (uint64_t) (round * RACERS + i));
		(void) snprintf(racers[i].key, sizeof(racers[i].key), "race/%d/deep/%d", round, same_key ? 0 : i);
	}
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
	for (int i = 0; i < RACERS; i++)
	{
		if (racers[i].result == NULL)
		{
			winners++;
			assert_object(store, racers[i].key, racers[i].bytes, RACE_SIZE);
		}
		else
			assert_error(racers[i].result, ERR_EXISTS, racers[i].key);
		free(racers[i].bytes);
	}
	return winners;
}

static void
of_eight_threads_that_put_one_key_exactly_one_wins(void **state)
{
	for (int round = 0; round < 20; round++)
		assert_int_equal(race_once(store_of(state), round, true), 1);
}

static void
of_eight_threads_that_put_their_own_keys_all_win(void **state)
{
	for (int round = 0; round < 5; round++)
		assert_int_equal(race_once(store_of(state), round, false), RACERS);
}

static void *
put_and_remove(void *argument)
{
	Racer *racer = argument;

	for (int i = 0; i < 100 && racer->result == NULL; i++)
	{
		racer->result = put_text(racer->store, racer->key, "short-lived", PUT_IF_ABSENT);
		if (racer->result == NULL)
			racer->result = store_remove(racer->store, racer->key);
	}
	return NULL;
}

static void
removing_does_not_disturb_those_who_put_beside_it(void **state)
{
	Store *store = store_of(state);
	Racer racers[4] = {0};

	for (size_t i = 0; i < lengthof(racers); i++)
	{
		racers[i].store = store;
		(void) snprintf(racers[i].key, sizeof(racers[i].key), "shared/below/%zu", i);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, put_and_remove, &racers[i]), 0);
	}
	for (size_t i = 0; i < lengthof(racers); i++)
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
	for (size_t i = 0; i < lengthof(racers); i++)
		assert_ok(racers[i].result);
	assert_listing(store, "", LIST_ALL, NULL, "");
}

typedef struct RangeCase
{
	uint64_t offset;
	uint64_t size;
	const char *expected;
} RangeCase;

static const RangeCase range_cases[] = {
	{0, STORE_TO_END, "0123456789"},
	{0, 10, "0123456789"},
	{0, 11, "0123456789"},
	{0, 1, "0"},
	{9, 1, "9"},
	{3, 4, "3456"},
	{9, 100, "9"},
	{9, STORE_TO_END, "9"},
	{10, 1, ""},
	{10, STORE_TO_END, ""},
	{1000, 5, ""},
	{UINT64_MAX - 1, STORE_TO_END, ""},
	{5, 0, ""},
};

static void
ranges_end_where_the_object_ends(void **state)
{
	Store *store = store_of(state);

	assert_ok(put_text(store, "digits", "0123456789", PUT_IF_ABSENT));
	for (size_t i = 0; i < lengthof(range_cases); i++)
	{
		const RangeCase *row = &range_cases[i];
		AUTO_BUF(buf, 100);

		assert_ok(get_into(store, "digits", row->offset, row->size, &buf));
		assert_string_equal(buf.data == NULL ? "" : buf.data, row->expected);
	}
}

static void
an_error_of_the_sink_ends_a_get(void **state)
{
	Store *store = store_of(state);
	AUTO_BUF(buf, 5);

	assert_ok(put_text(store, "digits", "0123456789", PUT_IF_ABSENT));
	assert_error(get_into(store, "digits", 0, STORE_TO_END, &buf), ERR_CORRUPT, "5 bytes");
}

static void
an_empty_object_is_an_object(void **state)
{
	Store *store = store_of(state);
	StoreEntry entry = {.size = 1};
	Slice empty = slice_of_memory("", 0);

	assert_ok(store_put(store, "none", NULL, 0, PUT_IF_ABSENT));
	assert_ok(store_put(store, "one", &empty, 1, PUT_IF_ABSENT));
	assert_object(store, "none", "", 0);
	assert_object(store, "one", "", 0);
	assert_ok(store_stat(store, "none", &entry));
	assert_int_equal(entry.size, 0);
	assert_listing(store, "", LIST_ALL, NULL, "none one");
}

static void
slices_of_memory_and_file_make_one_object(void **state)
{
	static const size_t sizes[] = {1, 3000000, SPOOL_MEMORY_MAX + 700001};
	Store *store = store_of(state);
	char *directory = scratch_make();

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		size_t total = sizes[i] + 512 + 1024;
		AUTO_FREE uint8_t *bytes = scratch_bytes(total, i);
		AUTO_FREE char *key = mem_printf("sliced/%zu", i);
		AUTO(Spool) spool = spool_new(directory);

		assert_ok(spool_write(spool, bytes + 512, sizes[i]));

		Slice slices[] = {
			slice_of_memory(bytes, 512),
			spool_slice(spool),
			slice_of_memory(bytes, 0),
			slice_of_memory(bytes + 512 + sizes[i], 1024),
		};

		assert_ok(store_put(store, key, slices, lengthof(slices), PUT_IF_ABSENT));
		assert_object(store, key, bytes, total);
	}
	scratch_remove(directory);
}

static void
what_is_not_there_is_not_found(void **state)
{
	Store *store = store_of(state);
	StoreEntry entry;
	AUTO_BUF(buf, 100);

	assert_ok(put_text(store, "a/b/c", "x", PUT_IF_ABSENT));
	assert_error(get_into(store, "a/b/d", 0, STORE_TO_END, &buf), ERR_NOT_FOUND, "a/b/d");
	assert_error(get_into(store, "x/y/z", 0, STORE_TO_END, &buf), ERR_NOT_FOUND, "x");
	assert_error(get_into(store, "a/b", 0, STORE_TO_END, &buf), ERR_NOT_FOUND, "a/b");
	assert_error(get_into(store, "a/b/c/d", 0, STORE_TO_END, &buf), ERR_NOT_FOUND, "a/b/c");
	assert_error(store_stat(store, "a/b/d", &entry), ERR_NOT_FOUND, "a/b/d");
	assert_error(store_stat(store, "a", &entry), ERR_NOT_FOUND, "a");
	assert_ok(store_remove(store, "a/b/d"));
	assert_ok(store_remove(store, "a/b"));
	assert_ok(store_remove(store, "x/y/z"));
	assert_object(store, "a/b/c", "x", 1);
	assert_int_equal(buf.size, 0);
}

static void
what_was_removed_is_gone_and_can_be_put_again(void **state)
{
	Store *store = store_of(state);
	StoreEntry entry;

	assert_ok(put_text(store, "a/b/c", "x", PUT_IF_ABSENT));
	assert_ok(put_text(store, "a/d", "x", PUT_IF_ABSENT));
	assert_ok(store_remove(store, "a/b/c"));
	assert_error(store_stat(store, "a/b/c", &entry), ERR_NOT_FOUND, NULL);
	assert_listing(store, "", LIST_ALL, NULL, "a/d");
	assert_listing(store, "a/", LIST_LEVEL, NULL, "a/d");
	assert_ok(put_text(store, "a/b/c", "again", PUT_IF_ABSENT));
	assert_object(store, "a/b/c", "again", 5);
}

static void
note_failure(void *context, const char *key, const Error *error)
{
	assert_non_null(error);
	strlist_add(context, key);
}

#define MANY 2500

static Error *
remove_them(Store *store, const StrList *keys, StrList *failed)
{
	return store_remove_many(store, (const char *const *) keys->items, keys->count, note_failure, failed);
}

static void
thousands_are_removed_and_missing_ones_do_not_matter(void **state)
{
	Store *store = store_of(state);
	AUTO_STRLIST keys = {0};
	AUTO_STRLIST failed = {0};

	assert_ok(put_text(store, "many/kept", "x", PUT_IF_ABSENT));
	for (int i = 0; i < MANY; i++)
	{
		AUTO_FREE char *key = mem_printf("many/%d/%06d", i % 7, i);

		strlist_add(&keys, key);
		if (i % 5 != 0)
			assert_ok(put_text(store, key, "x", PUT_IF_ABSENT));
	}
	assert_ok(remove_them(store, &keys, &failed));
	assert_int_equal(failed.count, 0);
	assert_listing(store, "", LIST_ALL, NULL, "many/kept");
	assert_ok(remove_them(store, &keys, &failed));
	assert_int_equal(failed.count, 0);
}

typedef struct RemoveCase
{
	const char *keys; /* separated by blanks */
	const char *left; /* of a, b/c and b/d */
	bool refused;
} RemoveCase;

static const RemoveCase remove_cases[] = {
	{"", "a b/c b/d", false},       {"a", "b/c b/d", false},       {"x", "a b/c b/d", false},
	{"b/c b/d", "a", false},        {"b a/x b/d", "a b/c", false}, {"a a a", "b/c b/d", false},
	{"a b/c b/d x/y/z", "", false}, {"a ../b", "a b/c b/d", true}, {"/ a", "a b/c b/d", true},
};

static void
few_are_removed_as_well_and_bad_names_remove_nothing(void **state)
{
	static const char *const objects[] = {"a", "b/c", "b/d"};
	Store *store = store_of(state);

	for (size_t i = 0; i < lengthof(remove_cases); i++)
	{
		const RemoveCase *row = &remove_cases[i];
		AUTO_STRLIST keys = {0};
		AUTO_STRLIST failed = {0};
		Error *error;

		for (size_t object = 0; object < lengthof(objects); object++)
			assert_ok(put_text(store, objects[object], "x", PUT_REPLACE));
		for (const char *key = row->keys; *key != '\0'; key += strspn(key, " "))
		{
			AUTO_FREE char *copy = mem_strndup(key, strcspn(key, " "));

			strlist_add(&keys, copy);
			key += strlen(copy);
		}
		error = remove_them(store, &keys, &failed);
		if (row->refused)
			assert_error(error, ERR_USAGE, "not a valid object name");
		else
			assert_ok(error);
		assert_int_equal(failed.count, row->refused ? keys.count : 0);
		assert_listing(store, "", LIST_ALL, NULL, row->left);
	}
}

typedef struct ListCase
{
	const char *prefix;
	ListDepth depth;
	const char *start_after;
	const char *expected;
} ListCase;

/* '-' and '.' come before '/', digits and letters after it. */
static const char *const listed_keys[] = {"a",     "b-1", "b.history", "b/1", "b/2/x",
                                          "b/2/y", "b0",  "c/d/e",     "d"};

static const ListCase list_cases[] = {
	{"", LIST_ALL, NULL, "a b-1 b.history b/1 b/2/x b/2/y b0 c/d/e d"},
	{"", LIST_LEVEL, NULL, "a b-1 b.history b/ b0 c/ d"},
	{"b", LIST_ALL, NULL, "b-1 b.history b/1 b/2/x b/2/y b0"},
	{"b", LIST_LEVEL, NULL, "b-1 b.history b/ b0"},
	{"b/", LIST_ALL, NULL, "b/1 b/2/x b/2/y"},
	{"b/", LIST_LEVEL, NULL, "b/1 b/2/"},
	{"b/2", LIST_LEVEL, NULL, "b/2/"},
	{"b/2", LIST_ALL, NULL, "b/2/x b/2/y"},
	{"b/2/", LIST_LEVEL, NULL, "b/2/x b/2/y"},
	{"b/2/x", LIST_LEVEL, NULL, "b/2/x"},
	{"b/2/x/", LIST_LEVEL, NULL, ""},
	{"c/d", LIST_ALL, NULL, "c/d/e"},
	{"x", LIST_ALL, NULL, ""},
	{"x/y/z", LIST_LEVEL, NULL, ""},
	{"", LIST_ALL, "b-1", "b.history b/1 b/2/x b/2/y b0 c/d/e d"},
	{"", LIST_ALL, "b/", "b/1 b/2/x b/2/y b0 c/d/e d"},
	{"", LIST_ALL, "b/2", "b/2/x b/2/y b0 c/d/e d"},
	{"", LIST_ALL, "b/2/x", "b/2/y b0 c/d/e d"},
	{"", LIST_ALL, "b/2/xx", "b/2/y b0 c/d/e d"},
	{"", LIST_ALL, "b/9", "b0 c/d/e d"},
	{"", LIST_ALL, "d", ""},
	{"", LIST_ALL, "A", "a b-1 b.history b/1 b/2/x b/2/y b0 c/d/e d"},
	{"", LIST_LEVEL, "b.history", "b/ b0 c/ d"},
	{"", LIST_LEVEL, "b/", "b0 c/ d"},
	{"b/", LIST_ALL, "b/1", "b/2/x b/2/y"},
	{"b/", LIST_ALL, "a", "b/1 b/2/x b/2/y"},
	{"b/", LIST_ALL, "c", ""},
	{"b/", LIST_LEVEL, "b/1", "b/2/"},
};

static void
listings_are_in_byte_order_of_whole_keys(void **state)
{
	Store *store = store_of(state);

	for (size_t i = lengthof(listed_keys); i-- > 0;)
		assert_ok(put_text(store, listed_keys[i], "x", PUT_IF_ABSENT));
	for (size_t i = 0; i < lengthof(list_cases); i++)
	{
		const ListCase *row = &list_cases[i];

		assert_listing(store, row->prefix, row->depth, row->start_after, row->expected);
	}
}

typedef struct Page
{
	char last[STORE_KEY_MAX + 1];
	int count;
	int total;
} Page;

static Error *
page_take(void *context, const StoreEntry *entry)
{
	Page *page = context;
	AUTO_FREE char *expected = mem_printf("many/%d/%06d", page->total / 1000, page->total);

	assert_string_equal(entry->key, expected);
	assert_int_equal(entry->size, 1);
	page->total++;
	(void) snprintf(page->last, sizeof(page->last), "%s", entry->key);
	return ++page->count == 700 ? error_new(ERR_EXISTS, "page is full") : NULL;
}

static void
a_listing_of_thousands_goes_on_where_the_callback_ended_it(void **state)
{
	Store *store = store_of(state);
	Page page = {0};

	for (int i = 0; i < 2500; i++)
	{
		AUTO_FREE char *key = mem_printf("many/%d/%06d", i / 1000, i);

		assert_ok(put_text(store, key, "x", PUT_IF_ABSENT));
	}
	for (int i = 0; i < 4; i++)
	{
		AUTO_FREE char *last = mem_strdup(page.last);
		Error *error;

		page.count = 0;
		error = store_list(store, "many/", LIST_ALL, i == 0 ? NULL : last, page_take, &page);
		if (i < 3)
			assert_error(error, ERR_EXISTS, "page is full");
		else
			assert_ok(error);
	}
	assert_int_equal(page.total, 2500);
}

static void
a_writer_makes_its_object_by_finish(void **state)
{
	Store *store = store_of(state);
	AUTO_FREE uint8_t *bytes = scratch_bytes(7000001, 1);
	AUTO(Pipe) pipe = pipe_new();
	Sink *writer;
	StoreEntry entry;

	assert_ok(store_writer(store, "base/x/part", &writer));
	pipe_add(pipe, writer);
	for (size_t at = 0; at < 7000001; at += 1000003)
	{
		assert_ok(pipe_write(pipe, bytes + at, 7000001 - at < 1000003 ? 7000001 - at : 1000003));
		assert_error(store_stat(store, "base/x/part", &entry), ERR_NOT_FOUND, NULL);
		assert_listing(store, "", LIST_ALL, NULL, "");
		assert_listing(store, "", LIST_LEVEL, NULL, "");
	}
	assert_ok(pipe_finish(pipe));
	assert_object(store, "base/x/part", bytes, 7000001);
	assert_listing(store, "", LIST_ALL, NULL, "base/x/part");
}

/* Beyond one part of a store that sends its objects in parts, and at its edges. */
static void
a_writer_makes_large_objects_whole(void **state)
{
	static const size_t sizes[] = {16u << 20, (16u << 20) + 1, (32u << 20), (50u << 20) + 12345};
	Store *store = store_of(state);

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		AUTO_FREE uint8_t *bytes = scratch_bytes(sizes[i], i);
		AUTO_FREE char *key = mem_printf("large/%zu", i);
		AUTO(Pipe) pipe = pipe_new();
		Sink *writer;

		assert_ok(store_writer(store, key, &writer));
		pipe_add(pipe, writer);
		for (size_t at = 0; at < sizes[i]; at += 1000003)
			assert_ok(pipe_write(pipe, bytes + at, sizes[i] - at < 1000003 ? sizes[i] - at : 1000003));
		assert_ok(pipe_finish(pipe));
		assert_object(store, key, bytes, sizes[i]);
	}
}

static void
a_large_writer_that_is_not_finished_leaves_nothing(void **state)
{
	Store *store = store_of(state);
	AUTO_FREE uint8_t *bytes = scratch_bytes(40u << 20, 7);
	Sink *writer;
	StoreEntry entry;

	assert_ok(store_writer(store, "large/part", &writer));
	assert_ok(sink_write(writer, bytes, 40u << 20));
	sink_free(writer);
	assert_error(store_stat(store, "large/part", &entry), ERR_NOT_FOUND, NULL);
	assert_listing(store, "", LIST_ALL, NULL, "");
	assert_ok(store_tidy(store, "", clock_now()));
}

static void
a_writer_that_is_not_finished_leaves_nothing(void **state)
{
	Store *store = store_of(state);
	Sink *writer;
	StoreEntry entry;

	assert_ok(store_writer(store, "base/x/part", &writer));
	assert_ok(sink_write(writer, "bytes", 5));
	sink_free(writer);
	assert_error(store_stat(store, "base/x/part", &entry), ERR_NOT_FOUND, NULL);
	assert_listing(store, "", LIST_ALL, NULL, "");
	assert_ok(put_text(store, "base/x/part", "other", PUT_IF_ABSENT));
	assert_object(store, "base/x/part", "other", 5);
}

static void
a_writer_of_nothing_makes_an_empty_object(void **state)
{
	AUTO(Pipe) pipe = pipe_new();
	Sink *writer;

	assert_ok(store_writer(store_of(state), "empty", &writer));
	pipe_add(pipe, writer);
	assert_ok(pipe_finish(pipe));
	assert_object(store_of(state), "empty", "", 0);
}

static void
a_probe_leaves_everything_as_it_was(void **state)
{
	Store *store = store_of(state);
	AUTO_BUF(report, 10000);

	assert_ok(put_text(store, STORE_PROBE_KEY, STORE_PROBE_TEXT, PUT_IF_ABSENT));
	assert_ok(store_probe(store, &report));
	assert_object(store, STORE_PROBE_KEY, STORE_PROBE_TEXT, sizeof(STORE_PROBE_TEXT) - 1);
	assert_listing(store, "", LIST_ALL, NULL, STORE_PROBE_KEY);
	assert_error(put_text(store, STORE_PROBE_KEY, "other", PUT_IF_ABSENT), ERR_EXISTS, STORE_PROBE_KEY);
}

static void
keys_that_are_no_keys_are_refused(void **state)
{
	static const char *const bad[] = {
		"",     "/",  "/a",   "a/",  "a//b", ".",   "..", "a/..", "a/../b",
		"../a", ".a", "a/.b", "a b", "a\n",  "a:b", "ä",  "a\\b", "a*",
	};
	Store *store = store_of(state);
	AUTO_FREE char *long_part = mem_zalloc(STORE_KEY_PART_MAX + 2);
	StoreEntry entry;
	Sink *writer;

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		assert_error(put_text(store, bad[i], "x", PUT_REPLACE), ERR_USAGE, "not a valid object name");
		assert_error(store_stat(store, bad[i], &entry), ERR_USAGE, NULL);
		assert_error(store_remove(store, bad[i]), ERR_USAGE, NULL);
		assert_error(store_writer(store, bad[i], &writer), ERR_USAGE, NULL);
	}
	memset(long_part, 'a', STORE_KEY_PART_MAX);
	assert_ok(put_text(store, long_part, "x", PUT_IF_ABSENT));
	long_part[STORE_KEY_PART_MAX] = 'a';
	assert_error(put_text(store, long_part, "x", PUT_IF_ABSENT), ERR_USAGE, NULL);
	assert_error(store_list(store, "../", LIST_ALL, NULL, collect, NULL), ERR_USAGE, "beginning of");
	assert_error(store_list(store, "/a", LIST_ALL, NULL, collect, NULL), ERR_USAGE, "beginning of");
}

#define ON_ROW(test)                                         \
	{                                                        \
#test, test, place_make, place_destroy, (void *) row \
	}

static int
run_on(const StoreRow *row)
{
	const struct CMUnitTest tests[] = {
		ON_ROW(what_was_put_is_got),
		ON_ROW(if_absent_never_overwrites_and_replace_does),
		ON_ROW(of_eight_threads_that_put_one_key_exactly_one_wins),
		ON_ROW(of_eight_threads_that_put_their_own_keys_all_win),
		ON_ROW(removing_does_not_disturb_those_who_put_beside_it),
		ON_ROW(ranges_end_where_the_object_ends),
		ON_ROW(an_error_of_the_sink_ends_a_get),
		ON_ROW(an_empty_object_is_an_object),
		ON_ROW(slices_of_memory_and_file_make_one_object),
		ON_ROW(what_is_not_there_is_not_found),
		ON_ROW(what_was_removed_is_gone_and_can_be_put_again),
		ON_ROW(thousands_are_removed_and_missing_ones_do_not_matter),
		ON_ROW(few_are_removed_as_well_and_bad_names_remove_nothing),
		ON_ROW(listings_are_in_byte_order_of_whole_keys),
		ON_ROW(a_listing_of_thousands_goes_on_where_the_callback_ended_it),
		ON_ROW(a_writer_makes_its_object_by_finish),
		ON_ROW(a_writer_makes_large_objects_whole),
		ON_ROW(a_large_writer_that_is_not_finished_leaves_nothing),
		ON_ROW(a_writer_that_is_not_finished_leaves_nothing),
		ON_ROW(a_writer_of_nothing_makes_an_empty_object),
		ON_ROW(a_probe_leaves_everything_as_it_was),
		ON_ROW(keys_that_are_no_keys_are_refused),
	};

	print_message("on %s\n", row->name);
	return cmocka_run_group_tests_name(row->name, tests, NULL, NULL);
}

int
main(void)
{
	int failed = 0;

	for (size_t i = 0; i < lengthof(stores); i++)
	{
		if (stores[i].make == s3_make && getenv("S3_TEST_URL") == NULL)
			print_message("not on S3: S3_TEST_URL is not set\n");
		else
			failed += run_on(&stores[i]);
	}
	return failed;
}
