/* Notes in the state directory: what is believed, and everything that is not. */
#include "walship/base/state_note.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "note_forge.h"

#define HOUR_MS (3600 * INT64_C(1000))

static char binding[] = "store s3://somewhere\nsystem 7\n";
static char name[] = "kind-7-0000";

/* The note that every test is about, in a directory of its own. */
static StateNote
note_in(const char *directory)
{
	return (StateNote){.directory = directory, .name = name, .binding = binding, .valid_ms = HOUR_MS};
}

static int
directory_make(void **state)
{
	*state = scratch_make();
	return 0;
}

static int
directory_remove(void **state)
{
	scratch_remove(*state);
	return 0;
}

static bool
reads(const StateNote *note, const char *expected)
{
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	return state_note_read(note, &text) && strcmp(text.size == 0 ? "" : text.data, expected) == 0;
}

static bool
is_there(const StateNote *note)
{
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	return state_note_read(note, &text);
}

static void
write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static size_t
files_in(const char *directory)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(directory, &names));
	return names.count;
}

static void
what_was_written_is_read_until_it_is_removed(void **state)
{
	static const char *const contents[] = {"", "a b\n", "two\nlines\n", "crc32c 00000000\n", "written 1 2\n"};
	StateNote note = note_in(*state);

	assert_false(is_there(&note));
	for (size_t i = 0; i < lengthof(contents); i++)
	{
		assert_ok(state_note_write(&note, contents[i]));
		assert_true(reads(&note, contents[i]));
	}
	assert_int_equal(files_in(*state), 1);
	assert_ok(state_note_remove(&note));
	assert_ok(state_note_remove(&note));
	assert_false(is_there(&note));
	assert_int_equal(files_in(*state), 0);
}

static void
it_is_for_its_user_alone(void **state)
{
	StateNote note = note_in(*state);
	AUTO_FREE char *path = path_join(*state, name);
	struct stat status;

	assert_ok(state_note_write(&note, "secret\n"));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void
another_binding_is_another_note(void **state)
{
	static const char *const others[] = {"",
	                                     "store s3://somewhere\n",
	                                     "store s3://somewhere\nsystem 70\n",
	                                     "store s3://somewhere\nsystem 7\nmore\n",
	                                     "store s3://somewhere\nsystem 7\nwritten 1 2\n",
	                                     "\n"};
	StateNote note = note_in(*state);

	assert_ok(state_note_write(&note, "contents\n"));
	for (size_t i = 0; i < lengthof(others); i++)
	{
		StateNote other = note;

		other.binding = (char *) (uintptr_t) others[i];
		if (is_there(&other))
			fail_msg("bound to \"%s\"", others[i]);
	}
	assert_true(is_there(&note));
}

static void
of_a_note_that_is_damaged_in_any_way_nothing_is_believed(void **state)
{
	StateNote note = note_in(*state);
	AUTO_FREE char *path = path_join(*state, name);
	AUTO_FREE char *zeros = NULL;
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	assert_ok(state_note_write(&note, "contents\nof two lines\n"));
	assert_ok(file_read_all(path, &text));
	for (size_t at = 0; at < text.size; at++)
	{
		write_file(path, text.data, at);
		if (is_there(&note))
			fail_msg("%zu of %zu bytes are taken for a note", at, text.size);
		text.data[at] ^= 1;
		write_file(path, text.data, text.size);
		text.data[at] ^= 1;
		if (is_there(&note))
			fail_msg("byte %zu may be another", at);
	}
	zeros = mem_zalloc(text.size);
	write_file(path, zeros, text.size);
	assert_false(is_there(&note));
	buf_puts(&text, "x");
	write_file(path, text.data, text.size);
	assert_false(is_there(&note));
	write_file(path, text.data, text.size - 1);
	assert_true(is_there(&note));
}

static void
it_is_void_after_its_time_by_either_clock(void **state)
{
	static const struct
	{
		const char *name;
		int64_t realtime_ms;
		int64_t monotonic_ms;
		bool expected;
	} cases[] = {
		{"now", 0, 0, true},
		{"shortly before its time", -HOUR_MS + 10000, -HOUR_MS + 10000, true},
		{"at its time", -HOUR_MS, -HOUR_MS, false},
		{"the clock was set back", 600000, -60000, false},
		{"the clock was set back by as much as the note is old", -1000, -2 * HOUR_MS, false},
		{"the clock was set forward", -2 * HOUR_MS, -1000, false},
		{"before a restart of the machine", -1000, 1000000000, false},
	};
	StateNote note = note_in(*state);
	StateNote ageless = note;
	AUTO_FREE char *path = path_join(*state, name);

	ageless.valid_ms = 0;
	assert_ok(state_note_write(&note, "contents\n"));
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		/* A machine that has not run for so long has no such time. */
		if (clock_monotonic_ms() + cases[i].monotonic_ms < 0 && cases[i].expected)
			continue;
		note_forge(path, cases[i].realtime_ms, cases[i].monotonic_ms);
		if (is_there(&note) != cases[i].expected)
			fail_msg("%s: %s", cases[i].name, cases[i].expected ? "is void" : "is believed");
		assert_true(reads(&ageless, "contents\n"));
	}
}

static void
what_others_may_have_written_is_not_believed(void **state)
{
	StateNote note = note_in(*state);
	AUTO_FREE char *path = path_join(*state, name);
	AUTO_FREE char *elsewhere = path_join(*state, "elsewhere");

	assert_ok(state_note_write(&note, ""));
	assert_int_equal(chmod(path, 0620), 0);
	assert_false(is_there(&note));
	assert_int_equal(chmod(path, 0602), 0);
	assert_false(is_there(&note));
	assert_int_equal(chmod(path, 0644), 0);
	assert_true(is_there(&note));

	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_false(is_there(&note));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(is_there(&note));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(elsewhere, path), 0);
	assert_true(is_there(&note));
	if (geteuid() == 0)
	{
		assert_int_equal(chown(path, 1, 1), 0);
		assert_false(is_there(&note));
	}
}

static void
in_two_steps_there_is_no_note_before_the_second(void **state)
{
	StateNote note = note_in(*state);
	AUTO_TEMPORARY_FILE file = {0};

	assert_ok(state_note_begin(&note, &file));
	assert_int_equal(files_in(*state), 1);
	assert_false(is_there(&note));
	temporary_file_release(&file);
	assert_int_equal(files_in(*state), 0);

	assert_ok(state_note_begin(&note, &file));
	assert_error(state_note_write(&note, "another's\n"), ERR_TRANSIENT, "written by another process");
	assert_ok(state_note_commit(&note, &file, "contents\n"));
	assert_true(reads(&note, "contents\n"));
	temporary_file_release(&file);
	assert_int_equal(files_in(*state), 1);
}

static void
where_none_can_be_written_it_is_an_error(void **state)
{
	AUTO_FREE char *missing = path_join(*state, "missing");
	AUTO_FREE char *long_text = mem_zalloc(STATE_NOTE_SIZE_MAX + 1);
	AUTO_TEMPORARY_FILE file = {0};
	StateNote note = note_in(missing);

	assert_error(state_note_write(&note, ""), ERR_SYSTEM, missing);
	assert_error(state_note_begin(&note, &file), ERR_SYSTEM, missing);
	assert_false(is_there(&note));

	note = note_in(*state);
	memset(long_text, 'x', STATE_NOTE_SIZE_MAX);
	note.binding = long_text;
	assert_error(state_note_write(&note, ""), ERR_USAGE, "too long");
	assert_int_equal(files_in(*state), 0);
}

static void
age_file(const char *path, int64_t seconds)
{
	struct timespec times[2];

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
a_sweep_removes_old_ones_of_its_kind_and_leftovers(void **state)
{
	static const struct
	{
		const char *name;
		int64_t age_s;
		bool stays;
	} files[] = {
		{"kind-1-new", 0, true},          {"kind-2-old", 3700, false},
		{"kind-3.walship-tmp", 10, true}, {"kind-4.walship-tmp", 3700, false},
		{"other-5-old", 3700, true},      {"kind-6-of-the-future", -3700, false},
	};

	for (size_t i = 0; i < lengthof(files); i++)
	{
		AUTO_FREE char *path = path_join(*state, files[i].name);

		write_file(path, "", 0);
		age_file(path, files[i].age_s);
	}
	state_note_sweep(*state, "kind-", HOUR_MS);
	for (size_t i = 0; i < lengthof(files); i++)
	{
		AUTO_FREE char *path = path_join(*state, files[i].name);

		if (file_exists(path) != files[i].stays)
			fail_msg("%s", files[i].name);
	}
	state_note_sweep("/nowhere/state", "kind-", HOUR_MS);
}

#define NOTE_TEST(test) cmocka_unit_test_setup_teardown(test, directory_make, directory_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NOTE_TEST(what_was_written_is_read_until_it_is_removed),
		NOTE_TEST(it_is_for_its_user_alone),
		NOTE_TEST(another_binding_is_another_note),
		NOTE_TEST(of_a_note_that_is_damaged_in_any_way_nothing_is_believed),
		NOTE_TEST(it_is_void_after_its_time_by_either_clock),
		NOTE_TEST(what_others_may_have_written_is_not_believed),
		NOTE_TEST(in_two_steps_there_is_no_note_before_the_second),
		NOTE_TEST(where_none_can_be_written_it_is_an_error),
		NOTE_TEST(a_sweep_removes_old_ones_of_its_kind_and_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
