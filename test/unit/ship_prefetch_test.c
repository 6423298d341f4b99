/* Segments ahead of a recovery: which are got into the spool, where that ends, and what the spool keeps. */
#include "prefetch_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "archive_fixture.h"

#define MB         ((size_t) 1024 * 1024)
#define N_SEGMENTS 12

typedef struct Ahead
{
	Place *place;
	PrefetchSpool spool;
	FetchSource source;
	char *store;
} Ahead;

static Error *
open_store(const void *context, const Patience *patience, Store **ret_store)
{
	(void) patience;
	return file_store_open(context, ret_store);
}

/* "3" is segment 3 of timeline 1, all of them from 3/0. */
static WalName
segment(TimeLineID timeline, unsigned number)
{
	return (WalName){.kind = WAL_SEGMENT, .timeline = timeline, .log = 3, .seg = number};
}

static void
archive_segments(const Place *place, TimeLineID timeline, unsigned first, unsigned last)
{
	WalBuilder builder = builder_new(15, N_SEGMENTS);

	builder.timeline = timeline;
	fill_wal(&builder, builder.size);
	for (unsigned i = first; i <= last; i++)
	{
		WalName name = segment(timeline, i);
		char text[WAL_NAME_SIZE];
		AUTO_FREE char *path = write_wal(place, wal_name_format(&name, text), builder.bytes + i * MB, MB);
		PutResult result;

		assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
		assert_int_equal(unlink(path), 0);
	}
	free(builder.bytes);
}

static int
ahead_make(void **state)
{
	Ahead *ahead = NEW(Ahead);

	(void) place_make((void **) &ahead->place);
	ahead->store = path_join(ahead->place->scratch, "store");
	ahead->spool.parent = path_join(ahead->place->scratch, "prefetch");
	ahead->spool.directory = path_join(ahead->spool.parent, "x");
	ahead->spool.system_identifier = BUILDER_SYSTEM;
	ahead->spool.segment_size = (uint32_t) MB;
	ahead->source = (FetchSource){.data_directory = ahead->place->scratch,
	                              .system_identifier = BUILDER_SYSTEM,
	                              .opener = {open_store, ahead->store},
	                              .state_dir = ahead->place->scratch,
	                              .ahead = 16,
	                              .jobs = 2};
	assert_ok(prefetch_spool_make(&ahead->spool));
	*state = ahead;
	return 0;
}

static int
ahead_destroy(void **state)
{
	Ahead *ahead = *state;

	free(ahead->store);
	free(ahead->spool.parent);
	free(ahead->spool.directory);
	(void) place_destroy((void **) &ahead->place);
	free(ahead);
	return 0;
}

/* What is in the spool, as "4 5 6", of any timeline but 1 as "2/6". */
static const char *
ready(const Ahead *ahead)
{
	static char text[256];
	AUTO_STRLIST names = {0};
	size_t size = 0;

	text[0] = '\0';
	assert_ok(dir_list(ahead->spool.directory, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO(Error) other = NULL;
		WalName name;

		other = wal_name_parse(names.items[i], &name);
		if (other != NULL)
			continue;
		if (name.timeline != 1)
			size += (size_t) snprintf(text + size, sizeof(text) - size, "%u/", name.timeline);
		size += (size_t) snprintf(text + size, sizeof(text) - size, "%u ", name.seg);
	}
	if (size > 0)
		text[size - 1] = '\0';
	return text;
}

static void
get_batch(Ahead *ahead, unsigned got, const WalName *plan_end)
{
	WalName name = segment(1, got);

	assert_ok(prefetch_batch(&ahead->source, &ahead->spool, &name, plan_end, 0));
}

static void
the_next_ones_are_got_but_no_more_than_the_setting_allows(void **state)
{
	Ahead *ahead = *state;

	archive_segments(ahead->place, 1, 1, 11);
	get_batch(ahead, 2, NULL);
	assert_string_equal(ready(ahead), "3 4 5 6");
	ahead->source.ahead = 1;
	get_batch(ahead, 6, NULL);
	assert_string_equal(ready(ahead), "7");
}

static void
beyond_the_plans_end_nothing_is_wanted(void **state)
{
	Ahead *ahead = *state;
	WalName end = segment(1, 4);

	archive_segments(ahead->place, 1, 1, 11);
	get_batch(ahead, 2, &end);
	assert_string_equal(ready(ahead), "3 4");
	get_batch(ahead, 5, &end);
	assert_string_equal(ready(ahead), "");
}

static void
behind_what_cannot_be_got_nothing_is_looked_for(void **state)
{
	Ahead *ahead = *state;

	archive_segments(ahead->place, 1, 3, 3);
	archive_segments(ahead->place, 1, 5, 9);
	ahead->source.jobs = 1;
	get_batch(ahead, 2, NULL);
	assert_string_equal(ready(ahead), "3");
	get_batch(ahead, 3, NULL);
	assert_string_equal(ready(ahead), "");
}

static void
it_goes_over_to_the_new_timeline_with_the_segment_of_the_switch(void **state)
{
	static const char history[] = "1\t3/00580000\tno recovery target specified\n";
	Ahead *ahead = *state;

	archive_segments(ahead->place, 1, 1, 11);
	archive_segments(ahead->place, 2, 5, 11);
	free(write_wal(ahead->place, "00000002.history", history, sizeof(history) - 1));
	get_batch(ahead, 2, NULL);
	assert_string_equal(ready(ahead), "3 4 2/5 2/6");

	/* A server that got this one stays on timeline 1. */
	get_batch(ahead, 5, NULL);
	assert_string_equal(ready(ahead), "6 7 8 9");
}

static void
what_is_there_is_not_got_again_and_what_is_not_wanted_goes(void **state)
{
	Ahead *ahead = *state;
	AUTO_FREE char *leftover = path_join(ahead->spool.directory, "00000001000000030000000A.walship-tmp");
	AUTO_FREE char *segments =
		mem_printf("%s/%llu/wal/00000001", ahead->store, (unsigned long long) BUILDER_SYSTEM);

	archive_segments(ahead->place, 1, 1, 11);
	get_batch(ahead, 2, NULL);
	write_file(leftover, "x", 1);
	assert_ok(dir_remove_tree(segments, true));
	get_batch(ahead, 4, NULL);
	assert_string_equal(ready(ahead), "5 6");
	assert_false(file_exists(leftover));
}

static void
what_somebody_else_gets_is_left_to_him_and_is_no_end(void **state)
{
	Ahead *ahead = *state;
	WalName name = segment(1, 3);
	int claim = -1;

	archive_segments(ahead->place, 1, 1, 11);
	assert_ok(prefetch_spool_claim(&ahead->spool, &name, &claim));
	get_batch(ahead, 2, NULL);
	assert_string_equal(ready(ahead), "4 5 6");
	prefetch_spool_claim_end(&ahead->spool, &name, claim);
	assert_int_equal(prefetch_spool_progress(&ahead->spool, &name), -1);
}

static void
a_segment_is_taken_once(void **state)
{
	Ahead *ahead = *state;
	WalName name = segment(1, 3);
	AUTO_FREE char *dest = path_join(ahead->place->wal, "RECOVERYXLOG");

	archive_segments(ahead->place, 1, 1, 4);
	assert_false(prefetch_spool_take(&ahead->spool, &name, dest));
	get_batch(ahead, 2, NULL);
	assert_true(prefetch_spool_take(&ahead->spool, &name, dest));
	assert_true(file_exists(dest));
	assert_false(prefetch_spool_take(&ahead->spool, &name, dest));
}

static void
how_far_the_server_is_is_read_as_it_was_written(void **state)
{
	Ahead *ahead = *state;
	AUTO_FREE char *path = path_join(ahead->spool.directory, "last");
	WalName name = segment(7, 0xAB);
	WalName read;
	int64_t age_ms;

	assert_false(prefetch_spool_last(&ahead->spool, &read, &age_ms));
	prefetch_spool_set_last(&ahead->spool, &name);
	name = segment(8, 0xAC);
	prefetch_spool_set_last(&ahead->spool, &name);
	assert_true(prefetch_spool_last(&ahead->spool, &read, &age_ms));
	assert_true(read.timeline == 8 && read.log == 3 && read.seg == 0xAC);
	assert_in_range(age_ms, 0, 60000);
	write_file(path, "00000002.history", 16);
	assert_false(prefetch_spool_last(&ahead->spool, &read, &age_ms));
	prefetch_spool_set_last(&ahead->spool, NULL);
	assert_false(file_exists(path));
}

static void
the_lock_is_held_by_one(void **state)
{
	Ahead *ahead = *state;
	int lock = -1;
	int second = -1;

	assert_ok(prefetch_spool_lock(&ahead->spool, &lock));
	assert_true(prefetch_spool_is_lock(&ahead->spool, lock));
	assert_false(prefetch_spool_is_lock(&ahead->spool, 0));
	assert_error(prefetch_spool_lock(&ahead->spool, &second), ERR_TRANSIENT, "");
	prefetch_spool_vacate(&ahead->spool);
	assert_true(file_exists(ahead->spool.directory));
	(void) close(lock);
	prefetch_spool_vacate(&ahead->spool);
	assert_false(file_exists(ahead->spool.directory));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ahead_make, ahead_destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_next_ones_are_got_but_no_more_than_the_setting_allows),
		TEST(beyond_the_plans_end_nothing_is_wanted),
		TEST(behind_what_cannot_be_got_nothing_is_looked_for),
		TEST(it_goes_over_to_the_new_timeline_with_the_segment_of_the_switch),
		TEST(what_is_there_is_not_got_again_and_what_is_not_wanted_goes),
		TEST(what_somebody_else_gets_is_left_to_him_and_is_no_end),
		TEST(a_segment_is_taken_once),
		TEST(how_far_the_server_is_is_read_as_it_was_written),
		TEST(the_lock_is_held_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
