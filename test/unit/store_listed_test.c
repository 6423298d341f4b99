/* A store as one listing showed it lists as the store itself, and asks it for everything else. */
#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/store/file_store.h"
#include "walship/store/listed_store.h"

static const char *const keys[] = {"7/base/a/backup.json",
                                   "7/base/a/base-0001.tar",
                                   "7/base/a.x/y",
                                   "7/base/b/backup.json",
                                   "7/base.json",
                                   "7/wal/00000001.history",
                                   "7/wal/00000001/1.tar",
                                   "7/wal/00000001/2.tar",
                                   "7/wal/00000002/2.tar",
                                   "70/wal/x",
                                   "8/wal/y"};

typedef struct Stores
{
	char *scratch;
	Store *file;
	Store *listed;
} Stores;

static void
put(Store *store, const char *key)
{
	Slice slice = slice_of_memory(key, strlen(key));

	assert_ok(store_put(store, key, &slice, 1, PUT_IF_ABSENT));
}

static int
make(void **state)
{
	Stores *stores = NEW(Stores);
	AUTO_FREE char *directory = NULL;

	stores->scratch = scratch_make();
	directory = path_join(stores->scratch, "store");
	assert_ok(file_store_create(directory));
	assert_ok(file_store_open(directory, &stores->file));
	for (size_t i = 0; i < lengthof(keys); i++)
		put(stores->file, keys[i]);
	assert_ok(listed_store_new(stores->file, "7/", &stores->listed));
	*state = stores;
	return 0;
}

static int
destroy(void **state)
{
	Stores *stores = *state;

	store_free(stores->listed);
	store_free(stores->file);
	scratch_remove(stores->scratch);
	free(stores);
	return 0;
}

static Error *
print_entry(void *text, const StoreEntry *entry)
{
	buf_printf(text, "%s %llu %lld %d\n", entry->key, (unsigned long long) entry->size,
	           (long long) entry->modified, entry->is_prefix);
	return NULL;
}

static void
test_it_lists_as_the_store_does(void **state)
{
	static const char *const prefixes[] = {
		"7/",         "7/base/", "7/base/a", "7/base/a/", "7/base/a/backup.json", "7/wal/", "7/wal/00000001",
		"7/nothing/", "7",       "8/",       ""};
	const Stores *stores = *state;

	for (size_t i = 0; i < lengthof(prefixes); i++)
		for (int depth = LIST_ALL; depth <= LIST_LEVEL; depth++)
			for (size_t after = 0; after <= lengthof(keys); after++)
			{
				const char *start_after = after == lengthof(keys) ? NULL : keys[after];
				AUTO_BUF(expected, 65536);
				AUTO_BUF(got, 65536);

				buf_puts(&expected, "");
				buf_puts(&got, "");
				assert_ok(store_list(stores->file, prefixes[i], (ListDepth) depth, start_after, print_entry,
				                     &expected));
				assert_ok(store_list(stores->listed, prefixes[i], (ListDepth) depth, start_after, print_entry,
				                     &got));
				assert_string_equal(got.data, expected.data);
			}
}

static void
test_what_came_later_is_not_listed_but_can_be_read(void **state)
{
	const Stores *stores = *state;
	AUTO_BUF(text, 65536);
	StoreEntry entry;

	put(stores->file, "7/wal/00000002/3.tar");
	buf_puts(&text, "");
	assert_ok(store_list(stores->listed, "7/wal/00000002/3", LIST_ALL, NULL, print_entry, &text));
	assert_string_equal(text.data, "");
	assert_ok(store_stat(stores->listed, "7/wal/00000002/3.tar", &entry));
	put(stores->listed, "7/wal/00000002/4.tar");
	assert_ok(store_stat(stores->file, "7/wal/00000002/4.tar", &entry));
	assert_ok(store_remove(stores->listed, "7/wal/00000002/4.tar"));
	assert_error(store_stat(stores->file, "7/wal/00000002/4.tar", &entry), ERR_NOT_FOUND, "");
}

static Error *
stop(void *context, const StoreEntry *entry)
{
	(void) context;
	return error_new(ERR_EXISTS, "%s", entry->key);
}

static void
test_the_error_of_a_callback_ends_the_listing(void **state)
{
	const Stores *stores = *state;

	assert_error(store_list(stores->listed, "7/wal/", LIST_ALL, NULL, stop, NULL), ERR_EXISTS, "7/wal");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_lists_as_the_store_does, make, destroy),
		cmocka_unit_test_setup_teardown(test_what_came_later_is_not_listed_but_can_be_read, make, destroy),
		cmocka_unit_test_setup_teardown(test_the_error_of_a_callback_ends_the_listing, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
