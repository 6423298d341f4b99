/* A store with a second one behind it: what is there, what is not, and what is not known. */
#include "scratch.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"
#include "walship/store/file_store.h"
#include "walship/store/second_store.h"

/* Two directories, and the store that is made of them. */
typedef struct Pair
{
	char *directory;
	char *second_directory;
	Store *first; /* to write past the pair */
	Store *second;
	Store *store;
	Error *dead; /* what opening the second gives; NULL: it works */
	int opened;
	int warnings;
	char *warning;
} Pair;

static Error *
open_second(void *context, Store **ret_store)
{
	Pair *pair = context;

	pair->opened++;
	if (pair->dead != NULL)
		return error_new(error_kind(pair->dead), "%s", error_message(pair->dead));
	return file_store_open(pair->second_directory, ret_store);
}

static void
note_warning(void *context, LogLevel level, const char *message, const char *hint)
{
	Pair *pair = context;

	(void) hint;
	assert_int_equal(level, LOG_WARNING);
	pair->warnings++;
	free(pair->warning);
	pair->warning = mem_strdup(message);
}

static int
set_up(void **state)
{
	Pair *pair = NEW(Pair);
	SecondStoreOpener opener = {.open = open_second, .context = pair};
	Notices notices = {note_warning, pair};
	Store *first;

	pair->directory = scratch_make();
	pair->second_directory = path_join(pair->directory, "second");

	AUTO_FREE char *first_directory = path_join(pair->directory, "first");

	assert_ok(file_store_create(first_directory));
	assert_ok(file_store_create(pair->second_directory));
	assert_ok(file_store_open(first_directory, &pair->first));
	assert_ok(file_store_open(pair->second_directory, &pair->second));
	assert_ok(file_store_open(first_directory, &first));
	pair->store = second_store_new(first, "file://second", &opener, &notices);
	*state = pair;
	return 0;
}

static int
tear_down(void **state)
{
	Pair *pair = *state;

	store_free(pair->store);
	store_free(pair->first);
	store_free(pair->second);
	scratch_remove(pair->directory);
	error_free(pair->dead);
	free(pair->second_directory);
	free(pair->warning);
	free(pair);
	return 0;
}

static void
put(Store *store, const char *key, const char *text)
{
	Slice slice = slice_of_memory(text, strlen(text));

	assert_ok(store_put(store, key, &slice, 1, PUT_IF_ABSENT));
}

static Error *
get(Store *store, const char *key, Buf *into)
{
	AUTO(Sink) sink = buf_sink_new(into);

	buf_clear(into);
	return store_get(store, key, 0, STORE_TO_END, sink);
}

static void
assert_text(Store *store, const char *key, const char *expected)
{
	AUTO_BUF(text, 4096);

	assert_ok(get(store, key, &text));
	assert_string_equal(text.data, expected);
}

static void
an_object_comes_from_the_first_that_has_it(void **state)
{
	Pair *pair = *state;
	AUTO_BUF(text, 4096);
	StoreEntry entry;

	put(pair->first, "a/first", "1");
	assert_text(pair->store, "a/first", "1");
	assert_ok(store_stat(pair->store, "a/first", &entry));
	assert_int_equal(pair->opened, 0);

	put(pair->second, "a/first", "not asked for");
	put(pair->second, "a/second", "22");
	assert_text(pair->store, "a/first", "1");
	assert_text(pair->store, "a/second", "22");
	assert_ok(store_stat(pair->store, "a/second", &entry));
	assert_int_equal(entry.size, 2);
	assert_error(get(pair->store, "a/third", &text), ERR_NOT_FOUND, "a/third");
	assert_error(store_stat(pair->store, "a/third", &entry), ERR_NOT_FOUND, "a/third");
	assert_int_equal(pair->opened, 1);
}

static void
what_is_written_and_removed_is_so_in_the_first_alone(void **state)
{
	Pair *pair = *state;
	AUTO_BUF(text, 4096);

	put(pair->store, "k", "new");
	assert_text(pair->first, "k", "new");
	assert_error(get(pair->second, "k", &text), ERR_NOT_FOUND, NULL);
	put(pair->second, "k", "copy");
	assert_ok(store_remove(pair->store, "k"));
	assert_text(pair->store, "k", "copy");
}

static void
absence_is_not_certain_while_the_second_cannot_be_asked(void **state)
{
	Pair *pair = *state;
	AUTO_BUF(text, 4096);
	StoreEntry entry;

	put(pair->first, "there", "1");
	for (int i = 0; i < 2; i++)
	{
		error_free(pair->dead);
		pair->dead = i == 0 ? error_new(ERR_TRANSIENT, "no answer") : error_new(ERR_DENIED, "no entry");
		assert_text(pair->store, "there", "1");
		assert_error(get(pair->store, "absent", &text), error_kind(pair->dead), error_message(pair->dead));
		assert_error(store_stat(pair->store, "absent", &entry), error_kind(pair->dead), "is not to be asked");
		assert_error(store_list(pair->store, "", LIST_ALL, NULL, NULL, NULL), error_kind(pair->dead), NULL);
	}

	/* It may come back. */
	error_free(MOVE(pair->dead));
	assert_error(get(pair->store, "absent", &text), ERR_NOT_FOUND, NULL);
}

static Error *
collect(void *context, const StoreEntry *entry)
{
	Buf *into = context;

	buf_printf(into, "%s:%d ", entry->key, (int) entry->size);
	return NULL;
}

static void
a_listing_has_what_either_has_once_and_in_order(void **state)
{
	static const struct
	{
		const char *prefix;
		ListDepth depth;
		const char *start_after;
		const char *expected;
	} cases[] = {
		{"", LIST_ALL, NULL, "a/1:1 a/2:3 a/3:3 b/1:1 c/9:1 "},
		{"a/", LIST_ALL, NULL, "a/1:1 a/2:3 a/3:3 "},
		{"a/", LIST_ALL, "a/1", "a/2:3 a/3:3 "},
		{"", LIST_LEVEL, NULL, "a/:0 b/:0 c/:0 "},
		{"d/", LIST_ALL, NULL, ""},
	};
	Pair *pair = *state;

	put(pair->first, "a/1", "x");
	put(pair->first, "a/2", "x");
	put(pair->first, "b/1", "x");
	put(pair->second, "a/2", "xxx");
	put(pair->second, "a/3", "xxx");
	put(pair->second, "c/9", "x");
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_BUF(found, 4096);

		buf_puts(&found, "");
		assert_ok(
			store_list(pair->store, cases[i].prefix, cases[i].depth, cases[i].start_after, collect, &found));
		assert_string_equal(found.data, cases[i].expected);
	}
}

static void
what_fails_its_checks_comes_from_the_other_one_next(void **state)
{
	Pair *pair = *state;

	put(pair->first, "k", "damaged");
	put(pair->first, "only", "damaged");
	put(pair->second, "k", "whole");
	assert_text(pair->store, "k", "damaged");
	assert_true(store_distrust(pair->store, "k"));
	assert_text(pair->store, "k", "whole");
	assert_non_null(strstr(pair->warning, "fails its checks; it is read from store \"file://second\""));
	assert_true(store_distrust(pair->store, "k"));
	assert_text(pair->store, "k", "damaged");
	assert_int_equal(pair->warnings, 2);

	/* Where the second has none, the damaged one is all there is. */
	assert_true(store_distrust(pair->store, "only"));
	assert_text(pair->store, "only", "damaged");
	assert_false(store_distrust(pair->first, "k"));
}

static void
a_dead_second_does_not_replace_a_damaged_object(void **state)
{
	Pair *pair = *state;
	AUTO_BUF(text, 4096);

	put(pair->first, "k", "damaged");
	pair->dead = error_new(ERR_TRANSIENT, "no answer");
	assert_true(store_distrust(pair->store, "k"));
	assert_error(get(pair->store, "k", &text), ERR_TRANSIENT, "no answer");
}

static void
many_damaged_objects_are_forgotten_in_their_order(void **state)
{
	Pair *pair = *state;

	put(pair->first, "k", "damaged");
	put(pair->second, "k", "whole");
	assert_true(store_distrust(pair->store, "k"));
	for (int i = 0; i < 1000; i++)
	{
		AUTO_FREE char *key = mem_printf("other/%d", i);

		assert_true(store_distrust(pair->store, key));
	}
	assert_text(pair->store, "k", "damaged");
	assert_true(store_distrust(pair->store, "k"));
	assert_text(pair->store, "k", "whole");
}

#define PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR(an_object_comes_from_the_first_that_has_it),
		PAIR(what_is_written_and_removed_is_so_in_the_first_alone),
		PAIR(absence_is_not_certain_while_the_second_cannot_be_asked),
		PAIR(a_listing_has_what_either_has_once_and_in_order),
		PAIR(what_fails_its_checks_comes_from_the_other_one_next),
		PAIR(a_dead_second_does_not_replace_a_damaged_object),
		PAIR(many_damaged_objects_are_forgotten_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
