/* Listings that are asked for one entry after the other, over several pages. */
#include <inttypes.h>

#include "scratch.h"
#include "walship/store/cursor.h"

/* Keys "k/0000000" and so on, every second of them where "even". */
typedef struct CountingStore
{
	Store store;
	uint64_t count;
	bool even;
	size_t lists;
	uint64_t fails_at; /* 0: never */
} CountingStore;

static Error *
list(Store *store, const char *prefix, ListDepth depth, const char *start_after, StoreListCallback callback,
     void *context)
{
	CountingStore *counting = (CountingStore *) store;

	assert_string_equal(prefix, "k/");
	assert_int_equal(depth, LIST_ALL);
	counting->lists++;
	for (uint64_t i = 0; i < counting->count; i += counting->even ? 2 : 1)
	{
		AUTO_FREE char *key = mem_printf("k/%07" PRIu64, i);
		StoreEntry entry = {.key = key, .size = i, .modified = (TimeUs) i};

		if (start_after != NULL && strcmp(key, start_after) <= 0)
			continue;
		if (counting->fails_at != 0 && i == counting->fails_at)
			return error_new(ERR_TRANSIENT, "the line is cut");
		TRY(callback(context, &entry));
	}
	return NULL;
}

static const StoreOps ops = {.list = list};

static void
every_entry_comes_once_however_many_pages_there_are(void **state)
{
	static const uint64_t counts[] = {0,
	                                  1,
	                                  STORE_CURSOR_PAGE_FIRST - 1,
	                                  STORE_CURSOR_PAGE_FIRST,
	                                  STORE_CURSOR_PAGE_FIRST + 1,
	                                  4 * STORE_CURSOR_PAGE + 5};

	(void) state;
	for (size_t i = 0; i < lengthof(counts); i++)
	{
		CountingStore counting = {.store.ops = &ops, .count = counts[i]};
		AUTO(StoreCursor) cursor = store_cursor_new(&counting.store, "k/", LIST_ALL, NULL);
		const StoreEntry *entry;

		for (uint64_t expected = 0; expected < counts[i]; expected++)
		{
			assert_ok(store_cursor_next(cursor, &entry));
			assert_non_null(entry);
			assert_int_equal(entry->size, expected);
		}
		for (int again = 0; again < 2; again++)
		{
			assert_ok(store_cursor_next(cursor, &entry));
			assert_null(entry);
		}
		assert_in_range(counting.lists, 1,
		                counts[i] <= STORE_CURSOR_PAGE_FIRST ? 1 : 8 + counts[i] / STORE_CURSOR_PAGE);
	}
}

static void
a_key_that_is_not_there_is_told_and_the_next_one_not_lost(void **state)
{
	CountingStore counting = {.store.ops = &ops, .count = 3 * STORE_CURSOR_PAGE, .even = true};
	AUTO(StoreCursor) cursor = store_cursor_new(&counting.store, "k/", LIST_ALL, NULL);
	const StoreEntry *entry;

	(void) state;
	for (uint64_t i = 0; i < counting.count + 2; i++)
	{
		AUTO_FREE char *key = mem_printf("k/%07" PRIu64, i);

		if (i % 3 == 1)
			continue;
		assert_ok(store_cursor_seek(cursor, key, &entry));
		if ((entry != NULL) != (i % 2 == 0 && i < counting.count))
			fail_msg("%s", key);
		assert_true(entry == NULL || entry->size == i);
	}
}

static void
it_begins_behind_a_key(void **state)
{
	CountingStore counting = {.store.ops = &ops, .count = 10};
	AUTO(StoreCursor) cursor = store_cursor_new(&counting.store, "k/", LIST_ALL, "k/0000007");
	const StoreEntry *entry;

	(void) state;
	assert_ok(store_cursor_next(cursor, &entry));
	assert_string_equal(entry->key, "k/0000008");
}

static void
a_failure_is_no_end(void **state)
{
	CountingStore counting = {
		.store.ops = &ops, .count = 2 * STORE_CURSOR_PAGE, .fails_at = STORE_CURSOR_PAGE_FIRST + 9};
	AUTO(StoreCursor) cursor = store_cursor_new(&counting.store, "k/", LIST_ALL, NULL);
	const StoreEntry *entry;

	(void) state;
	for (uint64_t i = 0; i < STORE_CURSOR_PAGE_FIRST; i++)
		assert_ok(store_cursor_next(cursor, &entry));
	assert_error(store_cursor_next(cursor, &entry), ERR_TRANSIENT, "the line is cut");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_entry_comes_once_however_many_pages_there_are),
		cmocka_unit_test(a_key_that_is_not_there_is_told_and_the_next_one_not_lost),
		cmocka_unit_test(it_begins_behind_a_key),
		cmocka_unit_test(a_failure_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
