/* Children on a stream: all of it comes through, whatever they say beside it, and however they end. */
#include "scratch.h"
#include "walship/base/child_stream.h"

static ChildStream *
start_shell(const char *script, bool fed)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	ChildStream *stream = NULL;

	assert_ok(child_stream_start(&(ChildOptions){.argv = argv}, fed, &stream));
	return stream;
}

/* Bytes read until the end. */
static size_t
read_all(ChildStream *stream)
{
	char bytes[65536];
	size_t total = 0;
	size_t got;

	do
	{
		assert_ok(child_stream_read(stream, bytes, sizeof(bytes), &got));
		total += got;
	} while (got > 0);
	return total;
}

static void
test_everything_is_read_however_much_is_said_beside_it(void **state)
{
	AUTO(ChildStream) stream = start_shell(
		"head -c 3000000 /dev/zero >&2 & head -c 5000000 /dev/zero; wait; echo; echo last >&2; exit 3",
		false);
	int status = -1;

	(void) state;
	assert_int_equal(read_all(stream), 5000001);
	assert_ok(child_stream_end(stream, NULL, &status));
	assert_int_equal(status, 3);
}

static void
test_its_words_are_kept_as_lines(void **state)
{
	AUTO(ChildStream) stream = start_shell("echo one >&2; echo out; printf 'two\\r\\n\\nthree' >&2", false);
	AUTO_STRLIST lines = {0};
	int status = -1;

	(void) state;
	assert_int_equal(read_all(stream), 4);
	assert_ok(child_stream_end(stream, NULL, &status));
	child_stream_errors(stream, &lines);
	assert_int_equal(lines.count, 3);
	assert_string_equal(lines.items[0], "one");
	assert_string_equal(lines.items[1], "two");
	assert_string_equal(lines.items[2], "three");
	assert_int_equal(status, 0);
}

static void
test_a_child_is_fed(void **state)
{
	AUTO(ChildStream) stream = start_shell("wc -c; echo done >&2", true);
	AUTO_FREE char *bytes = mem_zalloc(1 << 20);
	AUTO_BUF(output, 1024);
	bool taken = false;
	int status = -1;

	(void) state;
	for (int i = 0; i < 5; i++)
		assert_ok(child_stream_write(stream, bytes, 1 << 20, &output, &taken));
	assert_true(taken);
	assert_ok(child_stream_end(stream, &output, &status));
	assert_int_equal(status, 0);
	assert_string_equal(output.data, "5242880\n");
}

static void
test_a_child_that_prints_while_it_reads_does_not_stop(void **state)
{
	AUTO(ChildStream) stream = start_shell("cat; exit 4", true);
	AUTO_FREE char *bytes = mem_zalloc(4 << 20);
	AUTO_BUF(output, 1000);
	bool taken = false;
	int status = -1;

	(void) state;
	assert_ok(child_stream_write(stream, bytes, 4 << 20, &output, &taken));
	assert_true(taken);
	assert_ok(child_stream_end(stream, &output, &status));
	assert_int_equal(status, 4);
}

static void
test_who_has_read_enough_is_no_error(void **state)
{
	AUTO(ChildStream) stream = start_shell("head -c 10 >/dev/null", true);
	AUTO_FREE char *bytes = mem_zalloc(4 << 20);
	bool taken = true;
	int status = -1;

	(void) state;
	assert_ok(child_stream_write(stream, bytes, 4 << 20, NULL, &taken));
	assert_false(taken);
	assert_ok(child_stream_end(stream, NULL, &status));
	assert_int_equal(status, 0);
}

static void
test_a_child_that_is_killed_says_so(void **state)
{
	AUTO(ChildStream) stream = start_shell("echo before; kill -9 $$", false);
	int status = -1;

	(void) state;
	assert_int_equal(read_all(stream), 7);
	assert_ok(child_stream_end(stream, NULL, &status));
	assert_int_equal(status, 137);
}

static void
test_who_is_not_wanted_any_more_is_ended(void **state)
{
	(void) state;
	child_stream_free(start_shell("exec sleep 1000", false));
	child_stream_free(start_shell("exec cat", true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_read_however_much_is_said_beside_it),
		cmocka_unit_test(test_its_words_are_kept_as_lines),
		cmocka_unit_test(test_a_child_is_fed),
		cmocka_unit_test(test_a_child_that_prints_while_it_reads_does_not_stop),
		cmocka_unit_test(test_who_has_read_enough_is_no_error),
		cmocka_unit_test(test_a_child_that_is_killed_says_so),
		cmocka_unit_test(test_who_is_not_wanted_any_more_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
