/* A wait for what happens in a directory ends by it, by its time, and by cancelling. */
#include "walship/base/dir_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"

#define LONG_MS  60000
#define SHORT_MS 50

static int
set_up(void **state)
{
	*state = scratch_make();
	return 0;
}

static int
tear_down(void **state)
{
	scratch_remove(*state);
	return 0;
}

static int64_t
waited_ms(int watch, int64_t most_ms, int64_t blind_ms)
{
	int64_t begun_ms = clock_monotonic_ms();

	assert_ok(dir_watch_wait(watch, most_ms, blind_ms));
	return clock_monotonic_ms() - begun_ms;
}

static void
write_file(const char *path)
{
	assert_ok(file_replace(path, "text", 4, 0600));
}

static void
a_rename_and_a_removal_end_the_wait(void **state)
{
	AUTO_FREE char *path = path_join(*state, "file");
	AUTO_CLOSE int watch = dir_watch_open(*state, DIR_NAMES);

	assert_true(watch >= 0);
	write_file(path); /* which is renamed to its name */
	assert_true(waited_ms(watch, LONG_MS, LONG_MS) < LONG_MS / 2);
	assert_int_equal(unlink(path), 0);
	assert_true(waited_ms(watch, LONG_MS, LONG_MS) < LONG_MS / 2);
}

static void
what_was_told_is_told_once(void **state)
{
	AUTO_FREE char *one = path_join(*state, "one");
	AUTO_FREE char *two = path_join(*state, "two");
	AUTO_CLOSE int watch = dir_watch_open(*state, DIR_NAMES);

	write_file(one);
	write_file(two);
	assert_true(waited_ms(watch, LONG_MS, LONG_MS) < LONG_MS / 2);
	assert_true(waited_ms(watch, SHORT_MS, LONG_MS) >= SHORT_MS);
}

static void
closing_a_written_file_ends_only_the_wait_for_that(void **state)
{
	AUTO_FREE char *path = path_join(*state, "last");
	AUTO_CLOSE int names = dir_watch_open(*state, DIR_NAMES);
	AUTO_CLOSE int written = dir_watch_open(*state, DIR_WRITTEN);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_true(waited_ms(written, SHORT_MS, LONG_MS) >= SHORT_MS);
	assert_int_equal(close(fd), 0);
	assert_true(waited_ms(written, LONG_MS, LONG_MS) < LONG_MS / 2);
	assert_true(waited_ms(names, SHORT_MS, LONG_MS) >= SHORT_MS);
}

static void
without_a_watch_it_sleeps(void **state)
{
	AUTO_FREE char *path = path_join(*state, "nothing");

	assert_int_equal(dir_watch_open(path, DIR_NAMES), -1);
	assert_true(waited_ms(-1, LONG_MS, SHORT_MS) >= SHORT_MS);
}

/* The last one: it is not taken back. */
static void
cancelling_ends_it(void **state)
{
	AUTO_CLOSE int watch = dir_watch_open(*state, DIR_NAMES);

	cancel_request("a test");
	assert_error(dir_watch_wait(watch, LONG_MS, LONG_MS), ERR_CANCELLED, "a test");
	assert_error(dir_watch_wait(-1, LONG_MS, LONG_MS), ERR_CANCELLED, "a test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_rename_and_a_removal_end_the_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_told_is_told_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_a_written_file_ends_only_the_wait_for_that, set_up,
	                                    tear_down),
		cmocka_unit_test_setup_teardown(without_a_watch_it_sleeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cancelling_ends_it, set_up, tear_down),
	};

	assert_ok(cancel_init());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
