/* Notes of segments that were pushed ahead: what they are good for, and when they are void. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "note_forge.h"
#include "walship/ship/pushed.h"

#define SEGMENT "000000010000000000000005"

static const uint8_t digest[SHA256_SIZE] = {1, 2, 3};

typedef struct Noted
{
	Place *place;
	char *state_dir;
	char *path;
	WalName name;
} Noted;

/* As if it had been left alone for some time, which a note wants. */
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
wait_until_settled(void)
{
	assert_int_equal(usleep(150 * 1000), 0);
}

static Error *
note_file(const Noted *noted)
{
	AUTO(PushedNote) note = NULL;

	TRY(pushed_begin(noted->state_dir, &noted->place->archive, noted->path, &noted->name, &note));
	return pushed_commit(note, digest);
}

static int
noted_make(void **state)
{
	Noted *noted = NEW(Noted);

	assert_int_equal(place_make((void **) &noted->place), 0);
	noted->state_dir = path_join(noted->place->scratch, "state");
	assert_ok(dir_make(noted->state_dir, 0700));
	noted->path = write_wal(noted->place, SEGMENT, "contents", 8);
	noted->name = wal_name(SEGMENT);
	wait_until_settled();
	*state = noted;
	return 0;
}

static int
noted_destroy(void **state)
{
	Noted *noted = *state;

	assert_int_equal(place_destroy((void **) &noted->place), 0);
	free(noted->state_dir);
	free(noted->path);
	free(noted);
	return 0;
}

static bool
is_noted(const Noted *noted)
{
	return pushed_is_noted(noted->state_dir, &noted->place->archive, noted->path, &noted->name);
}

/* The one file in state_dir; the caller frees. */
static char *
only_file(const Noted *noted)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(noted->state_dir, &names));
	assert_int_equal(names.count, 1);
	return path_join(noted->state_dir, names.items[0]);
}

static size_t
files_in_state(const Noted *noted)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(noted->state_dir, &names));
	return names.count;
}

static void
a_file_that_was_noted_is_safe_until_the_note_is_used(void **state)
{
	const Noted *noted = *state;

	assert_false(is_noted(noted));
	assert_ok(note_file(noted));
	assert_true(is_noted(noted));
	assert_true(is_noted(noted));
	pushed_forget(noted->state_dir, &noted->place->archive, noted->path, &noted->name);
	assert_false(is_noted(noted));
	assert_int_equal(files_in_state(noted), 0);
}

static void
append_byte(const Noted *noted)
{
	FILE *file = fopen(noted->path, "ab");

	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
}

static void
write_byte(const Noted *noted)
{
	FILE *file = fopen(noted->path, "r+b");

	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
}

/* Same name, size, contents and time of modification: a data directory that was copied. */
static void
copy_file(const Noted *noted)
{
	AUTO_FREE char *copy = mem_printf("%s.copy", noted->path);
	struct stat status;

	assert_int_equal(stat(noted->path, &status), 0);
	write_file(copy, "contents", 8);

	struct timespec times[2] = {status.st_mtim, status.st_mtim};

	assert_int_equal(utimensat(AT_FDCWD, copy, times, 0), 0);
	assert_int_equal(rename(copy, noted->path), 0);
}

static void
remove_it(const Noted *noted)
{
	assert_int_equal(unlink(noted->path), 0);
}

/* Times can be set back, but not that of the change (POSIX: utimensat). */
static void
change_and_set_back_the_time(const Noted *noted)
{
	struct stat status;

	assert_int_equal(stat(noted->path, &status), 0);
	write_byte(noted);

	struct timespec times[2] = {status.st_mtim, status.st_mtim};

	assert_int_equal(utimensat(AT_FDCWD, noted->path, times, 0), 0);
}

static void
another_file_is_not_safe(void **state)
{
	static const struct
	{
		const char *name;
		void (*change)(const Noted *noted);
	} cases[] = {
		{"longer", append_byte},
		{"written", write_byte},
		{"written, with the old time", change_and_set_back_the_time},
		{"a copy", copy_file},
		{"gone", remove_it},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		Noted *noted;

		assert_int_equal(noted_make((void **) &noted), 0);
		assert_ok(note_file(noted));
		wait_until_settled();
		assert_true(is_noted(noted));
		cases[i].change(noted);
		if (is_noted(noted))
			fail_msg("%s: is taken for safe", cases[i].name);
		assert_int_equal(noted_destroy((void **) &noted), 0);
	}
	(void) state;
}

static void
another_store_or_system_is_not_safe(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *identity = NULL;

	assert_ok(note_file(noted));
	noted->place->archive.system_identifier++;
	assert_false(is_noted(noted));
	noted->place->archive.system_identifier--;
	assert_true(is_noted(noted));

	identity = noted->place->store->identity;
	noted->place->store->identity = mem_strdup("s3://elsewhere");
	assert_false(is_noted(noted));
	free(noted->place->store->identity);
	noted->place->store->identity = MOVE(identity);
	assert_true(is_noted(noted));
}

/* Even where somebody gave the note the right name. */
static void
the_notes_name_proves_nothing(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *note = NULL;
	AUTO_FREE char *other_note = NULL;
	AUTO_FREE char *other_path = write_wal(noted->place, "000000010000000000000006", "contents", 8);
	WalName other = wal_name("000000010000000000000006");

	assert_ok(note_file(noted));
	note = only_file(noted);
	other_note = mem_strdup(note);
	other_note[strlen(other_note) - 1] = '6';
	assert_int_equal(rename(note, other_note), 0);
	assert_false(pushed_is_noted(noted->state_dir, &noted->place->archive, other_path, &other));
}

static char *
read_note(const char *path)
{
	AUTO_BUF(text, 16 * 1024);

	assert_ok(file_read_all(path, &text));
	return buf_steal(&text);
}

static void
write_note(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

static void
of_a_torn_note_nothing_is_believed(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *text = NULL;

	assert_ok(note_file(noted));
	path = only_file(noted);
	text = read_note(path);
	for (size_t length = 0; length < strlen(text); length++)
	{
		AUTO_FREE char *torn = mem_strndup(text, length);

		write_note(path, torn);
		if (is_noted(noted))
			fail_msg("%zu of %zu bytes are taken for a note", length, strlen(text));
	}
	for (size_t at = 0; at < strlen(text); at++)
	{
		AUTO_FREE char *flipped = mem_strdup(text);

		flipped[at] ^= 0x01;
		write_note(path, flipped);
		if (is_noted(noted))
			fail_msg("byte %zu may be another", at);
	}
	write_note(path, text);
	assert_true(is_noted(noted));
}

static void
a_note_is_void_after_an_hour_by_either_clock(void **state)
{
	static const struct
	{
		const char *name;
		int64_t realtime_ms;
		int64_t monotonic_ms;
		bool expected;
	} cases[] = {
		{"now", 0, 0, true},
		{"shortly before an hour", -3590000, -3590000, true},
		{"an hour ago", -3600000, -3600000, false},
		{"the clock was set back", 600000, -60000, false},
		{"the clock was set back by as much as the note is old", -1000, -7200000, false},
		{"the clock was set forward", -7200000, -1000, false},
		{"before a restart of the machine", -1000, 1000000000, false},
	};
	Noted *noted = *state;
	AUTO_FREE char *path = NULL;

	assert_ok(note_file(noted));
	path = only_file(noted);
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		/* A machine that has not run for so long has no such time. */
		if (clock_monotonic_ms() + cases[i].monotonic_ms < 0 && cases[i].expected)
			continue;
		note_forge(path, cases[i].realtime_ms, cases[i].monotonic_ms);
		if (is_noted(noted) != cases[i].expected)
			fail_msg("%s: %s", cases[i].name, cases[i].expected ? "is void" : "is believed");
	}
}

static void
a_note_that_others_may_have_written_is_not_believed(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *elsewhere = path_join(noted->place->scratch, "elsewhere");

	assert_ok(note_file(noted));
	path = only_file(noted);
	assert_int_equal(chmod(path, 0620), 0);
	assert_false(is_noted(noted));
	assert_int_equal(chmod(path, 0602), 0);
	assert_false(is_noted(noted));
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(is_noted(noted));

	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_false(is_noted(noted));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(is_noted(noted));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(elsewhere, path), 0);
	assert_true(is_noted(noted));

	if (geteuid() == 0)
	{
		assert_int_equal(chown(path, 1, 1), 0);
		assert_false(is_noted(noted));
	}
}

static void
a_file_that_changes_meanwhile_gets_no_note(void **state)
{
	Noted *noted = *state;
	AUTO(PushedNote) note = NULL;
	AUTO(Error) error = NULL;

	assert_ok(pushed_begin(noted->state_dir, &noted->place->archive, noted->path, &noted->name, &note));
	write_byte(noted);
	error = pushed_commit(note, digest);
	assert_true(error_is(error, ERR_TRANSIENT));
	pushed_free(MOVE(note));
	assert_int_equal(files_in_state(noted), 0);
}

static void
a_file_that_was_written_just_now_gets_no_note(void **state)
{
	Noted *noted = *state;
	AUTO(Error) error = NULL;

	write_byte(noted);
	error = note_file(noted);
	assert_true(error_is(error, ERR_TRANSIENT));
	assert_int_equal(files_in_state(noted), 0);
}

static void
where_no_note_can_be_written_it_is_known_before(void **state)
{
	Noted *noted = *state;
	AUTO(PushedNote) note = NULL;
	AUTO(Error) error =
		pushed_begin("/nowhere/state", &noted->place->archive, noted->path, &noted->name, &note);

	assert_true(error_is(error, ERR_SYSTEM));
	assert_null(note);
}

static void
a_sweep_removes_old_notes_and_leftovers_and_nothing_else(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *note = NULL;
	AUTO_FREE char *leftover = path_join(noted->state_dir, "pushed-1-00000000-" SEGMENT ".walship-tmp");
	AUTO_FREE char *other = path_join(noted->state_dir, "s3-0123456789abcdef.json");

	assert_ok(note_file(noted));
	note = only_file(noted);
	write_note(leftover, "");
	write_note(other, "{}");
	age_file(other, 7200);
	pushed_sweep(noted->state_dir);
	assert_int_equal(files_in_state(noted), 3);

	age_file(leftover, 3700);
	pushed_sweep(noted->state_dir);
	assert_false(file_exists(leftover));
	assert_true(is_noted(noted));

	age_file(note, 3700);
	pushed_sweep(noted->state_dir);
	assert_false(file_exists(note));
	assert_true(file_exists(other));
	pushed_sweep("/nowhere/state");
}

#define NOTED_TEST(test) cmocka_unit_test_setup_teardown(test, noted_make, noted_destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NOTED_TEST(a_file_that_was_noted_is_safe_until_the_note_is_used),
		cmocka_unit_test(another_file_is_not_safe),
		NOTED_TEST(another_store_or_system_is_not_safe),
		NOTED_TEST(the_notes_name_proves_nothing),
		NOTED_TEST(of_a_torn_note_nothing_is_believed),
		NOTED_TEST(a_note_is_void_after_an_hour_by_either_clock),
		NOTED_TEST(a_note_that_others_may_have_written_is_not_believed),
		NOTED_TEST(a_file_that_changes_meanwhile_gets_no_note),
		NOTED_TEST(a_file_that_was_written_just_now_gets_no_note),
		NOTED_TEST(where_no_note_can_be_written_it_is_known_before),
		NOTED_TEST(a_sweep_removes_old_notes_and_leftovers_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
