/* What is remembered of a store: given as long as the listing shows the same, and never believed twice. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"
#include "walship/store/file_store.h"
#include "walship/store/listed_store.h"
#include "walship/store/remembered_store.h"

#define RECORD "7/base/a/backup.json"
#define OTHER  "7/base/b/backup.json"
#define PART   "7/base/a/base-0001.tar"

typedef struct World
{
	char *scratch;
	char *directory; /* of the store */
	char *state;
	Store *file;
} World;

static void
put(Store *store, const char *key, const char *text)
{
	Slice slice = slice_of_memory(text, strlen(text));

	assert_ok(store_put(store, key, &slice, 1, PUT_REPLACE));
}

static int
make(void **state)
{
	World *world = NEW(World);

	world->scratch = scratch_make();
	world->directory = path_join(world->scratch, "store");
	world->state = path_join(world->scratch, "state");
	assert_ok(dir_make(world->state, 0700));
	assert_ok(file_store_create(world->directory));
	assert_ok(file_store_open(world->directory, &world->file));
	put(world->file, RECORD, "first record");
	put(world->file, OTHER, "other record");
	put(world->file, PART, "part");
	*state = world;
	return 0;
}

static int
destroy(void **state)
{
	World *world = *state;

	store_free(world->file);
	scratch_remove(world->scratch);
	free(world->directory);
	free(world->state);
	free(world);
	return 0;
}

static bool
is_record(const char *key)
{
	return str_ends_with(key, "/backup.json");
}

/* Behind the store's back: as long, and with the same time. */
static void
overwrite(const World *world, const char *key, const char *text)
{
	AUTO_FREE char *path = path_join(world->directory, key);
	struct stat status;
	AUTO_CLOSE int fd = -1;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));

	const struct timespec times[] = {status.st_atim, status.st_mtim};

	assert_int_equal(futimens(fd, times), 0);
}

static void
assert_gives(Store *store, const char *key, const char *expected)
{
	AUTO_BUF(text, 4096);
	AUTO(Sink) sink = buf_sink_new(&text);

	assert_ok(store_get(store, key, 0, STORE_TO_END, sink));
	assert_string_equal(text.data, expected);
}

/* A process's reading of both, once. */
static void
assert_process_gives(const World *world, const char *first, const char *other)
{
	AUTO(Store) listed = NULL;
	AUTO(Store) remembered = NULL;

	assert_ok(listed_store_new(world->file, "7/", &listed));
	remembered = remembered_store_new(listed, world->state, "7/", is_record);
	assert_gives(remembered, RECORD, first);
	assert_gives(remembered, OTHER, other);
	assert_gives(remembered, PART, "part");
	remembered_store_keep(remembered);
}

static char *
file_of(const World *world)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(world->state, &names));
	assert_int_equal(names.count, 1);
	return path_join(world->state, names.items[0]);
}

static void
test_what_was_read_is_given_to_the_next_process(void **state)
{
	const World *world = *state;

	assert_process_gives(world, "first record", "other record");
	overwrite(world, RECORD, "FIRST RECORD");
	assert_process_gives(world, "first record", "other record");

	/* Its time says that it is another one. */
	put(world->file, RECORD, "third record");
	assert_process_gives(world, "third record", "other record");
	overwrite(world, OTHER, "OTHER RECORD");
	assert_process_gives(world, "third record", "other record");
}

static void
test_what_is_read_again_comes_from_the_store(void **state)
{
	const World *world = *state;
	AUTO(Store) listed = NULL;
	AUTO(Store) remembered = NULL;

	assert_process_gives(world, "first record", "other record");
	overwrite(world, RECORD, "FIRST RECORD");
	assert_ok(listed_store_new(world->file, "7/", &listed));
	remembered = remembered_store_new(listed, world->state, "7/", is_record);
	assert_gives(remembered, RECORD, "first record");
	assert_gives(remembered, RECORD, "FIRST RECORD");
	remembered_store_keep(remembered);
	assert_process_gives(world, "FIRST RECORD", "other record");
}

static void
test_what_is_gone_is_gone_and_forgotten(void **state)
{
	const World *world = *state;
	AUTO_BUF(text, 65536);

	assert_process_gives(world, "first record", "other record");
	assert_ok(store_remove(world->file, OTHER));
	put(world->file, RECORD, "third record");
	{
		AUTO(Store) listed = NULL;
		AUTO(Store) remembered = NULL;
		AUTO(Sink) sink = buf_sink_new(&text);

		assert_ok(listed_store_new(world->file, "7/", &listed));
		remembered = remembered_store_new(listed, world->state, "7/", is_record);
		assert_error(store_get(remembered, OTHER, 0, STORE_TO_END, sink), ERR_NOT_FOUND, "does not exist");
		assert_gives(remembered, RECORD, "third record");
		remembered_store_keep(remembered);
	}

	AUTO_FREE char *path = file_of(world);

	assert_ok(file_read_all(path, &text));
	assert_null(strstr(text.data, "other record"));
	assert_non_null(strstr(text.data, "third record"));
}

/* With one byte after the other spoiled, and cut after each: what is given is what the store has. */
static void
test_a_damaged_file_costs_a_request_and_nothing_else(void **state)
{
	const World *world = *state;

	assert_process_gives(world, "first record", "other record");

	AUTO_FREE char *path = file_of(world);
	AUTO_BUF(whole, 65536);

	assert_ok(file_read_all(path, &whole));
	for (size_t i = 0; i < whole.size; i++)
	{
		AUTO_FREE char *spoiled = mem_alloc(whole.size);

		(void) memcpy(spoiled, whole.data, whole.size);
		spoiled[i] ^= 0x01;
		assert_ok(file_replace_unsynced(path, spoiled, whole.size, 0600));
		assert_process_gives(world, "first record", "other record");
		assert_ok(file_replace_unsynced(path, whole.data, i, 0600));
		assert_process_gives(world, "first record", "other record");
	}
	assert_ok(file_replace_unsynced(path, whole.data, whole.size, 0622));
	overwrite(world, RECORD, "FIRST RECORD");
	assert_process_gives(world, "FIRST RECORD", "other record");
}

static void
test_a_directory_that_cannot_be_written_is_no_trouble(void **state)
{
	World *world = *state;
	AUTO(Store) listed = NULL;
	AUTO(Store) remembered = NULL;
	AUTO_FREE char *nowhere = path_join(world->scratch, "nowhere");

	assert_ok(listed_store_new(world->file, "7/", &listed));
	remembered = remembered_store_new(listed, nowhere, "7/", is_record);
	assert_gives(remembered, RECORD, "first record");
	remembered_store_keep(remembered);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_read_is_given_to_the_next_process),
		TEST(test_what_is_read_again_comes_from_the_store),
		TEST(test_what_is_gone_is_gone_and_forgotten),
		TEST(test_a_damaged_file_costs_a_request_and_nothing_else),
		TEST(test_a_directory_that_cannot_be_written_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
